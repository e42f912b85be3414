"""`spire.api.server.bundle.v1.Bundle`, call by call."""

from __future__ import annotations

import uuid

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import stubs
from callers import TIMEOUT, refused
from hostile_agent import Authority

Code = grpc.StatusCode
DELETE = stubs.bundle.BatchDeleteFederatedBundleRequest


def fresh_domain(prefix: str = "peer") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}.example"


def spki(key=None) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def authority_of(domain: str) -> bytes:
    return Authority(domain).certificate


def make(domain: str, **changes):
    """A bundle that breaks no rule."""
    fields = {
        "trust_domain": domain,
        "x509_authorities": [stubs.types.X509Certificate(asn1=authority_of(domain))],
        "jwt_authorities": [stubs.types.JWTKey(key_id="k1", public_key=spki(), expires_at=2_000_000_000)],
        "refresh_hint": 600,
        "sequence_number": 7,
    }
    return stubs.types.Bundle(**(fields | changes))


def create(issuer, *bundles, mask=None):
    request = stubs.bundle.BatchCreateFederatedBundleRequest(bundle=bundles, output_mask=mask)
    return list(issuer.admin.bundles.BatchCreateFederatedBundle(request, timeout=TIMEOUT).results)


def created(issuer, domain=None, **changes):
    bundle = make(domain or fresh_domain(), **changes)
    [result] = create(issuer, bundle)
    assert result.status.code == 0, result
    return bundle


def get(issuer, domain, caller=None, mask=None):
    request = stubs.bundle.GetFederatedBundleRequest(trust_domain=domain, output_mask=mask)
    return (caller or issuer.admin).bundles.GetFederatedBundle(request, timeout=TIMEOUT)


def listed(issuer, **arguments):
    request = stubs.bundle.ListFederatedBundlesRequest(**arguments)
    return issuer.admin.bundles.ListFederatedBundles(request, timeout=TIMEOUT)


def delete(issuer, *domains, mode=DELETE.RESTRICT):
    request = DELETE(trust_domains=domains, mode=mode)
    return list(issuer.admin.bundles.BatchDeleteFederatedBundle(request, timeout=TIMEOUT).results)


def entry(issuer, *domains):
    """An entry that federates with domains; returns it as the server stored it."""
    request = stubs.entry.BatchCreateEntryRequest(
        entries=[
            stubs.types.Entry(
                spiffe_id=stubs.id_of(f"spiffe://example.org/fed-{uuid.uuid4().hex}"),
                parent_id=stubs.id_of(issuer.node.id),
                selectors=[stubs.types.Selector(type="unix", value="uid:4711")],
                federates_with=domains,
            )
        ]
    )
    [result] = issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT).results
    return result


# --- The server's own -----------------------------------------------------------------------------


def test_everyone_gets_the_own_bundle(issuer):
    request = stubs.bundle.GetBundleRequest()
    bundles = [
        caller.bundles.GetBundle(request, timeout=TIMEOUT)
        for caller in (issuer.admin, issuer.agent, issuer.workload, issuer.nobody)
    ]
    assert all(bundle == bundles[0] for bundle in bundles)
    assert bundles[0].trust_domain == "example.org" and bundles[0].sequence_number > 0
    [authority] = bundles[0].x509_authorities
    x509.load_der_x509_certificate(authority.asn1)
    assert [key.key_id for key in bundles[0].jwt_authorities] and bundles[0].jwt_authorities[0].expires_at > 0


@pytest.mark.parametrize("field", ["x509_authorities", "jwt_authorities", "refresh_hint", "sequence_number"])
def test_a_mask_leaves_the_rest_out(issuer, field):
    mask = stubs.types.BundleMask(**{field: True})
    own = issuer.admin.bundles.GetBundle(stubs.bundle.GetBundleRequest(output_mask=mask), timeout=TIMEOUT)
    assert {descriptor.name for descriptor, _ in own.ListFields()} <= {"trust_domain", field}
    bundle = created(issuer)
    found = get(issuer, bundle.trust_domain, mask=mask)
    assert {descriptor.name for descriptor, _ in found.ListFields()} == {"trust_domain", field}
    assert getattr(found, field) == getattr(bundle, field)


def test_the_count_includes_the_own_bundle(issuer):
    before = issuer.admin.bundles.CountBundles(stubs.bundle.CountBundlesRequest(), timeout=TIMEOUT).count
    assert before >= 1
    created(issuer)
    assert issuer.admin.bundles.CountBundles(stubs.bundle.CountBundlesRequest(), timeout=TIMEOUT).count == before + 1


# --- Reading and writing --------------------------------------------------------------------------


def test_a_bundle_comes_back_as_it_was_given(issuer):
    bundle = created(issuer)
    assert get(issuer, bundle.trust_domain) == bundle
    assert get(issuer, f"spiffe://{bundle.trust_domain}") == bundle
    assert bundle in listed(issuer).bundles


def test_agents_get_it_too(issuer):
    bundle = created(issuer)
    assert get(issuer, bundle.trust_domain, issuer.agent) == bundle


def test_bundles_survive_a_restart(issuer, roles):
    server = roles.server()
    from callers import admin

    domain = fresh_domain()
    bundle = make(domain, sequence_number=2**63 + 5)
    with admin(server) as caller:
        request = stubs.bundle.BatchCreateFederatedBundleRequest(bundle=[bundle])
        assert caller.bundles.BatchCreateFederatedBundle(request, timeout=TIMEOUT).results[0].status.code == 0
    server.stop()
    server.start()
    with admin(server) as caller:
        request = stubs.bundle.GetFederatedBundleRequest(trust_domain=domain)
        assert caller.bundles.GetFederatedBundle(request, timeout=TIMEOUT) == bundle


@pytest.mark.parametrize("key", ["rsa-2048", "p384"])
def test_other_kinds_of_keys(issuer, key):
    made = rsa.generate_private_key(65537, 2048) if key == "rsa-2048" else ec.generate_private_key(ec.SECP384R1())
    bundle = created(issuer, jwt_authorities=[stubs.types.JWTKey(key_id="other", public_key=spki(made))])
    assert get(issuer, bundle.trust_domain) == bundle


def test_pages_hold_everything_once(issuer):
    domains = {created(issuer, fresh_domain("page")).trust_domain for _ in range(5)}
    found, token = [], ""
    while True:
        page = listed(issuer, page_size=2, page_token=token)
        assert 1 <= len(page.bundles) <= 2
        found += [bundle.trust_domain for bundle in page.bundles]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(found) and len(found) == len(set(found))
    assert domains <= set(found)
    assert set(found) == {bundle.trust_domain for bundle in listed(issuer).bundles}


def test_a_negative_page_size_is_refused(issuer):
    with refused(Code.INVALID_ARGUMENT):
        listed(issuer, page_size=-1)


def test_lists_are_masked(issuer):
    created(issuer)
    mask = stubs.types.BundleMask(refresh_hint=True)
    for bundle in listed(issuer, output_mask=mask).bundles:
        assert not bundle.x509_authorities and not bundle.jwt_authorities and not bundle.sequence_number


# --- What is refused ------------------------------------------------------------------------------

BAD = {
    "no trust domain": dict(trust_domain=""),
    "an upper-case trust domain": dict(trust_domain="Peer.example"),
    "a trust domain with a path": dict(trust_domain="spiffe://peer.example/x"),
    "the own trust domain": dict(trust_domain="example.org"),
    "an X.509 authority that is noise": dict(x509_authorities=[stubs.types.X509Certificate(asn1=b"\x30\x03\x01")]),
    "an empty X.509 authority": dict(x509_authorities=[stubs.types.X509Certificate()]),
    "two certificates in one authority": dict(
        x509_authorities=[stubs.types.X509Certificate(asn1=authority_of("a.example") * 2)]
    ),
    "a JWT authority without an ID": dict(jwt_authorities=[stubs.types.JWTKey(public_key=spki())]),
    "a JWT authority without a key": dict(jwt_authorities=[stubs.types.JWTKey(key_id="k")]),
    "a JWT authority of another kind": dict(
        jwt_authorities=[stubs.types.JWTKey(key_id="k", public_key=spki(ed25519.Ed25519PrivateKey.generate()))]
    ),
    "an RSA key that is too short": dict(
        jwt_authorities=[stubs.types.JWTKey(key_id="k", public_key=spki(rsa.generate_private_key(65537, 1024)))]
    ),
    "one key ID for two keys": dict(
        jwt_authorities=[stubs.types.JWTKey(key_id="k", public_key=spki()) for _ in range(2)]
    ),
    "a key that ended before 1970": dict(
        jwt_authorities=[stubs.types.JWTKey(key_id="k", public_key=spki(), expires_at=-1)]
    ),
    "a negative refresh hint": dict(refresh_hint=-1),
    "too many authorities": dict(
        jwt_authorities=[stubs.types.JWTKey(key_id=f"k{n}", public_key=spki()) for n in range(257)]
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_bundle_is_refused_and_the_good_one_beside_it_is_not(issuer, name):
    good = make(fresh_domain())
    bad = make(fresh_domain(), **BAD[name])
    before = listed(issuer).bundles
    refusal, success = create(issuer, bad, good)
    assert refusal.status.code == Code.INVALID_ARGUMENT.value[0] and refusal.status.message, refusal
    assert not refusal.HasField("bundle")
    assert success.status.code == 0 and success.bundle == good
    assert len(listed(issuer).bundles) == len(before) + 1
    for method, request in (
        ("BatchSetFederatedBundle", stubs.bundle.BatchSetFederatedBundleRequest(bundle=[bad])),
        ("BatchUpdateFederatedBundle", stubs.bundle.BatchUpdateFederatedBundleRequest(bundle=[bad])),
    ):
        [result] = getattr(issuer.admin.bundles, method)(request, timeout=TIMEOUT).results
        assert result.status.code == Code.INVALID_ARGUMENT.value[0], (method, result)


def test_a_bundle_is_created_once(issuer):
    bundle = created(issuer)
    [again] = create(issuer, make(bundle.trust_domain))
    assert again.status.code == Code.ALREADY_EXISTS.value[0]
    one, other = create(issuer, *[make(fresh) for fresh in [fresh_domain()] * 2])
    assert (one.status.code, other.status.code) == (0, Code.ALREADY_EXISTS.value[0])
    assert get(issuer, bundle.trust_domain) == bundle


@pytest.mark.parametrize("domain", ["", "UPPER", "example.org", "a/b"])
def test_getting_what_is_no_other_domain(issuer, domain):
    with refused(Code.INVALID_ARGUMENT):
        get(issuer, domain)


def test_getting_what_is_not_there(issuer):
    for caller in (issuer.admin, issuer.agent):
        with refused(Code.NOT_FOUND):
            get(issuer, fresh_domain(), caller)
    for caller in (issuer.workload, issuer.nobody):
        with refused(Code.PERMISSION_DENIED):
            get(issuer, created(issuer).trust_domain, caller)


def test_results_are_masked(issuer):
    bundle = make(fresh_domain())
    [result] = create(issuer, bundle, mask=stubs.types.BundleMask(sequence_number=True))
    assert result.bundle == stubs.types.Bundle(trust_domain=bundle.trust_domain, sequence_number=7)


# --- Changing -------------------------------------------------------------------------------------


def test_set_creates_and_replaces(issuer):
    domain = fresh_domain()
    for bundle in (make(domain), make(domain, sequence_number=8, jwt_authorities=[])):
        request = stubs.bundle.BatchSetFederatedBundleRequest(bundle=[bundle])
        [result] = issuer.admin.bundles.BatchSetFederatedBundle(request, timeout=TIMEOUT).results
        assert result.status.code == 0 and result.bundle == bundle
        assert get(issuer, domain) == bundle


@pytest.mark.parametrize("field", ["x509_authorities", "jwt_authorities", "refresh_hint", "sequence_number"])
def test_an_update_changes_what_the_mask_names(issuer, field):
    old = created(issuer)
    new = make(old.trust_domain, refresh_hint=60, sequence_number=9)
    request = stubs.bundle.BatchUpdateFederatedBundleRequest(
        bundle=[new], input_mask=stubs.types.BundleMask(**{field: True})
    )
    [result] = issuer.admin.bundles.BatchUpdateFederatedBundle(request, timeout=TIMEOUT).results
    assert result.status.code == 0
    expected = stubs.types.Bundle()
    expected.CopyFrom(old)
    expected.ClearField(field)
    expected.MergeFrom(stubs.types.Bundle(**{field: getattr(new, field)}))
    assert result.bundle == expected == get(issuer, old.trust_domain)


def test_an_update_without_a_mask_changes_everything(issuer):
    old = created(issuer)
    new = make(old.trust_domain, refresh_hint=0, sequence_number=9)
    missing = make(fresh_domain())
    request = stubs.bundle.BatchUpdateFederatedBundleRequest(bundle=[missing, new])
    refusal, result = issuer.admin.bundles.BatchUpdateFederatedBundle(request, timeout=TIMEOUT).results
    assert refusal.status.code == Code.NOT_FOUND.value[0]
    assert result.bundle == new == get(issuer, old.trust_domain)


# --- Deleting, and the entries that federate ------------------------------------------------------


def test_an_entry_federates_only_with_whom_there_is_a_bundle_of(issuer):
    domain = fresh_domain()
    refusal = entry(issuer, domain)
    assert refusal.status.code == Code.FAILED_PRECONDITION.value[0] and domain in refusal.status.message
    created(issuer, domain)
    assert entry(issuer, domain).entry.federates_with == [domain]


def test_restrict_keeps_a_bundle_that_entries_need(issuer):
    used, unused = created(issuer), created(issuer)
    entry(issuer, used.trust_domain)
    missing = fresh_domain()
    results = delete(issuer, used.trust_domain, missing, unused.trust_domain, "example.org", "UPPER")
    codes = [Code.FAILED_PRECONDITION, Code.NOT_FOUND, Code.OK, Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT]
    assert [result.status.code for result in results] == [code.value[0] for code in codes], results
    names = [used.trust_domain, missing, unused.trust_domain, "example.org", "UPPER"]
    assert [result.trust_domain for result in results] == names
    assert get(issuer, used.trust_domain) == used
    with refused(Code.NOT_FOUND):
        get(issuer, unused.trust_domain)


def test_delete_takes_the_entries_along(issuer):
    bundle, other = created(issuer), created(issuer)
    gone = entry(issuer, bundle.trust_domain, other.trust_domain).entry
    stays = entry(issuer, other.trust_domain).entry
    [result] = delete(issuer, bundle.trust_domain, mode=DELETE.DELETE)
    assert result.status.code == 0, result
    with refused(Code.NOT_FOUND):
        issuer.admin.entries.GetEntry(stubs.entry.GetEntryRequest(id=gone.id), timeout=TIMEOUT)
    assert issuer.admin.entries.GetEntry(stubs.entry.GetEntryRequest(id=stays.id), timeout=TIMEOUT) == stays


def test_dissociate_leaves_the_entries_without_the_domain(issuer):
    bundle, other = created(issuer), created(issuer)
    before = entry(issuer, bundle.trust_domain, other.trust_domain).entry
    [result] = delete(issuer, bundle.trust_domain, mode=DELETE.DISSOCIATE)
    assert result.status.code == 0, result
    after = issuer.admin.entries.GetEntry(stubs.entry.GetEntryRequest(id=before.id), timeout=TIMEOUT)
    assert after.federates_with == [other.trust_domain]
    assert after.revision_number == before.revision_number + 1, "agents would not hear of it"
    # An agent that syncs by revisions sees the change.
    seen = issuer.agent.entries.GetAuthorizedEntries(stubs.entry.GetAuthorizedEntriesRequest(), timeout=TIMEOUT)
    assert after in seen.entries


def test_two_deletions_in_one_batch(issuer):
    one, other = created(issuer), created(issuer)
    both = entry(issuer, one.trust_domain, other.trust_domain).entry
    results = delete(issuer, one.trust_domain, other.trust_domain, one.trust_domain, mode=DELETE.DISSOCIATE)
    assert [result.status.code for result in results] == [0, 0, Code.NOT_FOUND.value[0]]
    after = issuer.admin.entries.GetEntry(stubs.entry.GetEntryRequest(id=both.id), timeout=TIMEOUT)
    assert not after.federates_with and after.revision_number == both.revision_number + 2


def test_an_unknown_mode_deletes_nothing(issuer):
    bundle = created(issuer)
    with refused(Code.INVALID_ARGUMENT):
        delete(issuer, bundle.trust_domain, mode=9)
    assert get(issuer, bundle.trust_domain) == bundle


def test_entries_are_found_by_whom_they_federate_with(issuer):
    one, other = created(issuer).trust_domain, created(issuer).trust_domain
    both, single = entry(issuer, one, other).entry, entry(issuer, one).entry
    match = stubs.types.FederatesWithMatch
    expected = {
        match.MATCH_EXACT: {single.id},
        match.MATCH_SUBSET: {single.id},
        match.MATCH_SUPERSET: {single.id, both.id},
        match.MATCH_ANY: {single.id, both.id},
    }
    everyone = {one, other}
    for behaviour, ids in expected.items():
        request = stubs.entry.ListEntriesRequest(
            filter=stubs.entry.ListEntriesRequest.Filter(
                by_federates_with=match(trust_domains=[one], match=behaviour)
            )
        )
        found = issuer.admin.entries.ListEntries(request, timeout=TIMEOUT).entries
        assert {item.id for item in found if set(item.federates_with) & everyone} == ids, behaviour
