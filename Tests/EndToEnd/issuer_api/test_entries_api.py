"""`spire.api.server.entry.v1.Entry`, call by call."""

from __future__ import annotations

import time
import uuid

import grpc
import pytest

import callers
import stubs
from callers import TIMEOUT, refused

Code = grpc.StatusCode
Entry, Selector, Mask = stubs.types.Entry, stubs.types.Selector, stubs.types.EntryMask
Filter = stubs.entry.ListEntriesRequest.Filter
Match = stubs.types.SelectorMatch


def fresh_path() -> str:
    return f"/api/{uuid.uuid4().hex}"


def make(issuer, path=None, **changes):
    """An entry that breaks no rule."""
    fields = {
        "spiffe_id": stubs.id_of(f"spiffe://example.org{path or fresh_path()}"),
        "parent_id": stubs.id_of(issuer.node.id),
        "selectors": [Selector(type="unix", value="uid:4711")],
    }
    return Entry(**(fields | changes))


def create(issuer, *entries, mask=None):
    request = stubs.entry.BatchCreateEntryRequest(entries=entries, output_mask=mask)
    return list(issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT).results)


def created(issuer, *args, **changes):
    [result] = create(issuer, make(issuer, *args, **changes))
    assert result.status.code == 0, result
    return result.entry


def get(issuer, entry_id, mask=None):
    request = stubs.entry.GetEntryRequest(id=entry_id, output_mask=mask)
    return issuer.admin.entries.GetEntry(request, timeout=TIMEOUT)


def update(issuer, *entries, mask=None, output=None):
    request = stubs.entry.BatchUpdateEntryRequest(entries=entries, input_mask=mask, output_mask=output)
    return list(issuer.admin.entries.BatchUpdateEntry(request, timeout=TIMEOUT).results)


def delete(issuer, *ids):
    request = stubs.entry.BatchDeleteEntryRequest(ids=ids)
    return list(issuer.admin.entries.BatchDeleteEntry(request, timeout=TIMEOUT).results)


def listed(issuer, **arguments):
    return issuer.admin.entries.ListEntries(stubs.entry.ListEntriesRequest(**arguments), timeout=TIMEOUT)


def count(issuer, **filters):
    request = stubs.entry.CountEntriesRequest()
    if filters:
        request.filter.CopyFrom(stubs.entry.CountEntriesRequest.Filter(**filters))
    return issuer.admin.entries.CountEntries(request, timeout=TIMEOUT).count


def full(issuer):
    """An entry in which no field has its default."""
    return make(
        issuer, x509_svid_ttl=600, jwt_svid_ttl=120, admin=True, downstream=True,
        expires_at=int(time.time()) + 3600, dns_names=["a.example", "b.example"], hint="internal", store_svid=True,
        additional_attributes=Entry.AdditionalAttributes(disable_x509_svid_prefetch=True, jwt_svid_include_jti=True),
    )


# --- Creating -------------------------------------------------------------------------------------


def test_every_field_comes_back(issuer):
    asked = full(issuer)
    [result] = create(issuer, asked)
    assert result.status.code == 0, result
    entry = result.entry
    assert entry.id and entry.revision_number == 0 and abs(entry.created_at - time.time()) < 60
    expected = Entry()
    expected.CopyFrom(asked)
    expected.id, expected.created_at = entry.id, entry.created_at
    assert entry == expected == get(issuer, entry.id)


def test_an_id_can_be_chosen(issuer):
    chosen = f"chosen.{uuid.uuid4().hex}"
    assert created(issuer, id=chosen).id == chosen
    [again] = create(issuer, make(issuer, id=chosen))
    assert again.status.code == Code.ALREADY_EXISTS.value[0]


def test_the_same_registration_exists_once(issuer):
    first = created(issuer)
    [again] = create(issuer, make(issuer, first.spiffe_id.path, hint="other"))
    assert again.status.code == Code.ALREADY_EXISTS.value[0]
    assert again.entry == first, "the caller learns which one is there"


BAD = {
    "no SPIFFE ID": dict(spiffe_id=None),
    "no parent ID": dict(parent_id=None),
    "a foreign SPIFFE ID": dict(spiffe_id=stubs.id_of("spiffe://other.example/w")),
    "a foreign parent ID": dict(parent_id=stubs.id_of("spiffe://other.example/spire/agent/x")),
    "a SPIFFE ID without a path": dict(spiffe_id=stubs.id_of("spiffe://example.org")),
    "a reserved SPIFFE ID": dict(spiffe_id=stubs.id_of("spiffe://example.org/spire/agent/x")),
    "a path with dots": dict(spiffe_id=stubs.types.SPIFFEID(trust_domain="example.org", path="/a/../b")),
    "a path without a slash": dict(spiffe_id=stubs.types.SPIFFEID(trust_domain="example.org", path="a")),
    "an upper-case trust domain": dict(spiffe_id=stubs.types.SPIFFEID(trust_domain="EXAMPLE.org", path="/a")),
    "no selector": dict(selectors=[]),
    "a selector without a type": dict(selectors=[Selector(value="uid:1")]),
    "a selector without a value": dict(selectors=[Selector(type="unix")]),
    "too many selectors": dict(selectors=[Selector(type="unix", value=f"uid:{n}") for n in range(65)]),
    "a negative X.509-SVID TTL": dict(x509_svid_ttl=-1),
    "a negative JWT-SVID TTL": dict(jwt_svid_ttl=-1),
    "an expiry in the past": dict(expires_at=1),
    "a negative expiry": dict(expires_at=-5),
    "an expiry beyond all certificates": dict(expires_at=2**62),
    "a DNS name that is none": dict(dns_names=["not a name"]),
    "an empty DNS name": dict(dns_names=[""]),
    "too many DNS names": dict(dns_names=[f"n{n}.example" for n in range(65)]),
    "a hint that is too long": dict(hint="h" * 1025),
    "federation with itself": dict(federates_with=["example.org"]),
    "federation with no name": dict(federates_with=["Not.Example"]),
    "an ID with a slash": dict(id="a/b"),
    "an ID that is too long": dict(id="i" * 256),
    "mixed selectors to be stored": dict(
        store_svid=True, selectors=[Selector(type="unix", value="uid:1"), Selector(type="k8s", value="ns:a")]
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_entry_is_refused_and_the_good_one_beside_it_is_not(issuer, name):
    before = count(issuer)
    refusal, success = create(issuer, make(issuer, **BAD[name]), make(issuer))
    assert refusal.status.code == Code.INVALID_ARGUMENT.value[0] and refusal.status.message, refusal
    assert not refusal.HasField("entry")
    assert success.status.code == 0 and count(issuer) == before + 1


def test_results_are_masked(issuer):
    [result] = create(issuer, full(issuer), mask=Mask(hint=True))
    assert result.entry == Entry(id=result.entry.id, hint="internal")


# --- Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [field.name for field in Mask.DESCRIPTOR.fields])
def test_a_mask_leaves_the_rest_out(issuer, field):
    [result] = create(issuer, full(issuer))
    found = get(issuer, result.entry.id, Mask(**{field: True}))
    assert found.id == result.entry.id
    assert {descriptor.name for descriptor, _ in found.ListFields()} <= {"id", field}
    assert getattr(found, field) == getattr(result.entry, field)


@pytest.mark.parametrize("entry_id", ["missing", "../x", "i" * 300])
def test_getting_what_is_not_there(issuer, entry_id):
    with refused(Code.NOT_FOUND):
        get(issuer, entry_id)


def test_pages_hold_everything_once(issuer):
    path = fresh_path()
    entries = [created(issuer, f"{path}/{n}", hint="paged") for n in range(5)]
    narrowed = Filter(by_hint={"value": "paged"})
    found, token = [], ""
    while True:
        page = listed(issuer, filter=narrowed, page_size=2, page_token=token)
        assert 1 <= len(page.entries) <= 2
        found += page.entries
        token = page.next_page_token
        if not token:
            break
    assert sorted(found, key=lambda entry: entry.id) == sorted(entries, key=lambda entry: entry.id)


def test_filters_narrow(issuer):
    path = fresh_path()
    plain = created(issuer, path)
    other = created(
        issuer, f"{path}/2", hint="h-" + path, downstream=True,
        selectors=[Selector(type="unix", value="uid:4711"), Selector(type="unix", value=f"gid:{4712}")],
        parent_id=stubs.id_of(f"spiffe://example.org{path}"),
    )
    cases = [
        (dict(by_spiffe_id=plain.spiffe_id), {plain.id}),
        (dict(by_parent_id=other.parent_id), {other.id}),
        (dict(by_hint={"value": other.hint}), {other.id}),
        (dict(by_spiffe_id=other.spiffe_id, by_downstream={"value": False}), set()),
        (dict(by_spiffe_id=other.spiffe_id, by_downstream={"value": True}), {other.id}),
    ]
    for filters, expected in cases:
        assert {entry.id for entry in listed(issuer, filter=Filter(**filters)).entries} == expected, filters
        assert count(issuer, **filters) == len(expected)
    selector = {
        Match.MATCH_EXACT: {plain.id},
        Match.MATCH_SUBSET: {plain.id},
        Match.MATCH_SUPERSET: {plain.id, other.id},
        Match.MATCH_ANY: {plain.id, other.id},
    }
    for behaviour, expected in selector.items():
        wanted = Match(selectors=[Selector(type="unix", value="uid:4711")], match=behaviour)
        found = {entry.id for entry in listed(issuer, filter=Filter(by_selectors=wanted)).entries}
        assert found & {plain.id, other.id} == expected, behaviour


BAD_FILTERS = {
    "a SPIFFE ID that is none": dict(by_spiffe_id=stubs.types.SPIFFEID(trust_domain="UPPER", path="/a")),
    "a parent ID that is none": dict(by_parent_id=stubs.types.SPIFFEID(trust_domain="example.org", path="a")),
    "no selectors": dict(by_selectors=Match()),
    "a selector without a value": dict(by_selectors=Match(selectors=[Selector(type="unix")])),
    "an unknown match": dict(by_selectors=Match(selectors=[Selector(type="unix", value="uid:1")], match=9)),
    "no domains": dict(by_federates_with=stubs.types.FederatesWithMatch()),
    "a domain that is none": dict(by_federates_with=stubs.types.FederatesWithMatch(trust_domains=["UPPER"])),
}


@pytest.mark.parametrize("name", BAD_FILTERS)
def test_bad_filters_are_refused(issuer, name):
    with refused(Code.INVALID_ARGUMENT):
        listed(issuer, filter=Filter(**BAD_FILTERS[name]))
    with refused(Code.INVALID_ARGUMENT):
        count(issuer, **BAD_FILTERS[name])


# --- Changing and deleting ------------------------------------------------------------------------


OUTPUT_ONLY = {"revision_number", "created_at"}
INPUT_FIELDS = [field.name for field in Mask.DESCRIPTOR.fields if field.name not in OUTPUT_ONLY]


@pytest.fixture(scope="module")
def far(issuer):
    """Another domain that entries can federate with."""
    domain = "far.example"
    request = stubs.bundle.BatchSetFederatedBundleRequest(bundle=[stubs.types.Bundle(trust_domain=domain)])
    [result] = issuer.admin.bundles.BatchSetFederatedBundle(request, timeout=TIMEOUT).results
    assert result.status.code == 0, result
    return domain


def test_there_are_thirteen_fields_to_update():
    assert len(INPUT_FIELDS) == 13


@pytest.mark.parametrize("field", INPUT_FIELDS)
def test_an_update_changes_what_the_mask_names(issuer, far, field):
    old = created(issuer)
    wanted = full(issuer)
    wanted.id = old.id
    wanted.parent_id.CopyFrom(stubs.id_of("spiffe://example.org/spire/agent/join_token/another"))
    wanted.federates_with.append(far)
    del wanted.selectors[:]
    wanted.selectors.add(type="unix", value="gid:4712")
    assert getattr(wanted, field) != getattr(old, field)
    [result] = update(issuer, wanted, mask=Mask(**{field: True}))
    assert result.status.code == 0, result
    expected = Entry()
    expected.CopyFrom(old)
    expected.revision_number = 1
    expected.ClearField(field)
    expected.MergeFrom(Entry(**{field: getattr(wanted, field)}))
    assert result.entry == expected == get(issuer, old.id)
    # And back: what was given goes away again, where that leaves an entry.
    [result] = update(issuer, old, mask=Mask(**{field: True}))
    expected.CopyFrom(old)
    expected.revision_number = 2
    assert result.entry == expected == get(issuer, old.id)


@pytest.mark.parametrize("field", sorted(OUTPUT_ONLY))
def test_what_is_the_servers_to_say_is_not_written(issuer, field):
    [result] = create(issuer, make(issuer, **{field: 77}))
    assert result.status.code == 0 and result.entry.revision_number == 0
    assert abs(result.entry.created_at - time.time()) < 60
    changed = make(issuer, id=result.entry.id, **{field: 77})
    [after] = update(issuer, changed, mask=Mask(**{field: True}))
    assert after.status.code == 0 and after.entry.created_at == result.entry.created_at
    assert after.entry.revision_number <= 1


def test_a_batch_that_is_too_long_does_nothing(issuer):
    request = stubs.entry.BatchCreateEntryRequest(entries=[make(issuer)] * 1001)
    before = count(issuer)
    with refused(Code.INVALID_ARGUMENT):
        issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT)
    assert count(issuer) == before


def test_updates_of_a_batch_stand_alone(issuer):
    one, other = created(issuer), created(issuer)
    good, missing, bad, clash = (make(issuer, id=one.id, hint="new"), make(issuer, id="missing"),
                                 make(issuer, id=other.id, hint="x" * 1025),
                                 make(issuer, one.spiffe_id.path, id=other.id))
    good.spiffe_id.CopyFrom(one.spiffe_id)
    results = update(issuer, missing, bad, good, clash, output=Mask(hint=True))
    expected = [Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.OK, Code.ALREADY_EXISTS]
    assert [result.status.code for result in results] == [code.value[0] for code in expected], results
    assert results[2].entry == Entry(id=one.id, hint="new")
    assert get(issuer, other.id) == other


def test_deletions_of_a_batch_stand_alone(issuer):
    one, other = created(issuer).id, created(issuer).id
    results = delete(issuer, one, "missing", "", one, other)
    codes = [result.status.code for result in results]
    assert codes[0] == codes[4] == 0 and codes[1] == codes[3] == Code.NOT_FOUND.value[0]
    assert codes[2] == Code.INVALID_ARGUMENT.value[0]
    assert [result.id for result in results] == [one, "missing", "", one, other]


def test_empty_batches_do_nothing(issuer):
    before = count(issuer)
    assert create(issuer) == update(issuer) == delete(issuer) == []
    assert count(issuer) == before


# --- What an agent gets ---------------------------------------------------------------------------


@pytest.fixture
def second(issuer, home):
    """Another node, under which there are no entries yet."""
    node, _ = callers.attest(issuer.nobody, issuer.server.token())
    with callers.remote(issuer.server, home, node) as agent:
        agent.id = node.id
        yield agent


def authorized(agent, mask=None):
    request = stubs.entry.GetAuthorizedEntriesRequest(output_mask=mask)
    return list(agent.entries.GetAuthorizedEntries(request, timeout=TIMEOUT).entries)


def sync(agent, *requests):
    messages = [stubs.entry.SyncAuthorizedEntriesRequest(**request) for request in requests]
    return list(agent.entries.SyncAuthorizedEntries(iter(messages), timeout=TIMEOUT))




def test_an_agent_gets_its_entries_and_those_below_them(issuer, second):
    alias = created(issuer, parent_id=stubs.id_of(second.id))
    below = created(issuer, parent_id=alias.spiffe_id)
    created(issuer)
    assert {entry.id for entry in authorized(second)} == {alias.id, below.id}
    masked = authorized(second, Mask(hint=True))
    assert {frozenset(descriptor.name for descriptor, _ in entry.ListFields()) for entry in masked} == {
        frozenset({"id"})
    }


def test_a_short_sync_comes_whole(issuer, second):
    entry = created(issuer, parent_id=stubs.id_of(second.id))
    [answer] = sync(second, {})
    assert list(answer.entries) == [entry] and not answer.entry_revisions and not answer.more


@pytest.mark.limit(90)
def test_a_long_sync_comes_as_revisions_first(issuer, second):
    entries = [make(issuer, parent_id=stubs.id_of(second.id)) for _ in range(600)]
    made = [result.entry for result in create(issuer, *entries)]
    answers = sync(second, {}, {"ids": [entry.id for entry in made[:3]] + ["missing"]})
    revisions = [revision for answer in answers for revision in answer.entry_revisions]
    assert {revision.id: (revision.revision_number, revision.created_at) for revision in revisions} == {
        entry.id: (0, entry.created_at) for entry in made
    }
    whole = [entry for answer in answers for entry in answer.entries]
    assert sorted(whole, key=lambda entry: entry.id) == sorted(made[:3], key=lambda entry: entry.id)
    assert not answers[-1].more


def test_ids_in_the_first_request_of_a_sync_are_refused(second):
    with refused(Code.INVALID_ARGUMENT):
        sync(second, {"ids": ["x"]})


def test_a_sync_that_could_not_see_revisions_is_refused_and_only_the_first_mask_counts(issuer, second):
    entry = created(issuer, parent_id=stubs.id_of(second.id))
    for mask in (Mask(), Mask(hint=True, selectors=True)):
        with refused(Code.INVALID_ARGUMENT) as caught:
            sync(second, {"output_mask": mask})
        assert "revision_number" in caught[0].details()
    [answer] = sync(second, {"output_mask": Mask(revision_number=True, selectors=True)}, {"output_mask": Mask(hint=True)})
    assert [held.id for held in answer.entries] == [entry.id]
    assert answer.entries[0].selectors and not answer.entries[0].HasField("spiffe_id")


def test_a_selector_of_a_kind_that_nobody_knows_is_stored_for_tools_that_cannot_insist(issuer):
    entry = created(issuer, selectors=[Selector(type="vault", value="role:x")])
    assert [selector.type for selector in entry.selectors] == ["vault"]
    [result] = create(issuer, make(issuer, selectors=[Selector(type="unix", value="uuid:1")]))
    assert result.status.code == Code.INVALID_ARGUMENT.value[0], "a misspelt key of a kind that is known is a mistake"
