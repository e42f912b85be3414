"""Our server, as SPIRE's agent uses it: played message by message by a scripted fake, never by the real one."""

from __future__ import annotations

import uuid

import grpc
import pytest

import callers
import stubs
from callers import TIMEOUT, refused
from fake_spire_agent import FakeSPIREAgent, MustReattest, ShutDown
from x509pop import NodeAuthority


@pytest.fixture
def joined(issuer, home):
    agent = FakeSPIREAgent(issuer.server, home)
    agent.join(issuer.server.token())
    return agent


def entries(issuer, parent, count=1, **changes):
    """Entries that such an agent gets: they ask for no more than it can judge."""
    fields = {"parent_id": stubs.id_of(parent), "selectors": [stubs.types.Selector(type="unix", value="uid:4711")]}
    made = [
        stubs.types.Entry(
            spiffe_id=stubs.id_of(f"spiffe://example.org/fake/{uuid.uuid4().hex}"), **(fields | changes)
        )
        for _ in range(count)
    ]
    results = []
    # One request may hold a thousand.
    for start in range(0, count, 1000):
        request = stubs.entry.BatchCreateEntryRequest(entries=made[start : start + 1000])
        results += issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT).results
    assert all(result.status.code == 0 for result in results), results[:3]
    return [result.entry for result in results]


def test_it_joins_syncs_and_signs(issuer, joined):
    [entry] = entries(issuer, joined.identity.id, hint="h")
    with joined.connect() as caller:
        joined.sync(caller)
        assert set(joined.entries) == set(joined.svids) == {entry.id}
        assert joined.entries[entry.id].hint == "h" and not joined.entries[entry.id].HasField("parent_id")
        assert joined.get_entries(caller) == list(joined.entries.values())
        token = joined.token(caller, entry.id, "a", "b")
        assert stubs.text_of(token.id) == stubs.text_of(entry.spiffe_id)
    [listed] = [found for found in issuer.server.agents() if found["spiffe_id"] == joined.identity.id]
    assert listed["version"] == "1.15.3"


def test_a_changed_entry_is_signed_anew_and_a_deleted_one_is_dropped(issuer, joined):
    kept, changed, gone = entries(issuer, joined.identity.id, 3)
    with joined.connect() as caller:
        joined.sync(caller)
        before = dict(joined.svids)
        changed.hint = "new"
        update = stubs.entry.BatchUpdateEntryRequest(entries=[changed], input_mask=stubs.types.EntryMask(hint=True))
        assert issuer.admin.entries.BatchUpdateEntry(update, timeout=TIMEOUT).results[0].status.code == 0
        issuer.admin.entries.BatchDeleteEntry(stubs.entry.BatchDeleteEntryRequest(ids=[gone.id]), timeout=TIMEOUT)
        joined.sync(caller)
    assert set(joined.svids) == {kept.id, changed.id}
    assert joined.svids[kept.id] is before[kept.id] and joined.svids[changed.id] is not before[changed.id]


@pytest.mark.limit(120)
def test_a_long_list_is_synced_sparsely(issuer, joined):
    made = entries(
        issuer, joined.identity.id, 1200,
        additional_attributes=stubs.types.Entry.AdditionalAttributes(disable_x509_svid_prefetch=True),
    )
    with joined.connect() as caller:
        joined.sync(caller)
        assert set(joined.entries) == {entry.id for entry in made} == set(joined.fetched[-1])
        joined.sync(caller)
        assert joined.fetched[-1] == [], "nothing changed, so nothing is fetched"
        made[7].hint = "new"
        update = stubs.entry.BatchUpdateEntryRequest(entries=[made[7]], input_mask=stubs.types.EntryMask(hint=True))
        issuer.admin.entries.BatchUpdateEntry(update, timeout=TIMEOUT)
        deletion = stubs.entry.BatchDeleteEntryRequest(ids=[made[8].id])
        issuer.admin.entries.BatchDeleteEntry(deletion, timeout=TIMEOUT)
        joined.sync(caller)
    assert joined.fetched[-1] == [made[7].id]
    assert joined.entries[made[7].id].hint == "new" and made[8].id not in joined.entries


def test_it_gets_the_bundles_of_those_its_entries_federate_with(issuer, joined):
    domain = f"fake-{uuid.uuid4().hex[:12]}.example"
    bundle = stubs.types.Bundle(trust_domain=domain, refresh_hint=60, sequence_number=3)
    request = stubs.bundle.BatchSetFederatedBundleRequest(bundle=[bundle])
    issuer.admin.bundles.BatchSetFederatedBundle(request, timeout=TIMEOUT)
    entries(issuer, joined.identity.id, federates_with=[domain])
    with joined.connect() as caller:
        joined.sync(caller)
    assert set(joined.bundles) == {"example.org", domain} and joined.bundles[domain] == bundle


def test_it_renews_and_goes_on_with_the_new_svid(issuer, joined):
    entries(issuer, joined.identity.id)
    old = joined.identity
    with joined.connect() as caller:
        joined.sync(caller)
        joined.renew(caller)
        # Another call on the old connection, before the new SVID was shown.
        joined.sync(caller)
    with joined.connect() as caller:
        joined.sync(caller)
    stale = FakeSPIREAgent(issuer.server, joined.folder)
    stale.identity, stale.bundles = old, joined.bundles
    with stale.connect() as caller, pytest.raises(MustReattest, match="AGENT_NOT_ACTIVE"):
        stale.sync(caller)


def test_a_banned_one_shuts_down(issuer, joined):
    with joined.connect() as caller:
        joined.sync(caller)
        request = stubs.agent.BanAgentRequest(id=stubs.id_of(joined.identity.id))
        issuer.admin.agents.BanAgent(request, timeout=TIMEOUT)
        with pytest.raises(ShutDown):
            joined.sync(caller)


def test_an_evicted_one_attests_again(issuer, joined):
    old = joined.identity.id
    with joined.connect() as caller:
        request = stubs.agent.DeleteAgentRequest(id=stubs.id_of(old))
        issuer.admin.agents.DeleteAgent(request, timeout=TIMEOUT)
        with pytest.raises(MustReattest, match="AGENT_NOT_ATTESTED"):
            joined.sync(caller)
    joined.join(issuer.server.token())
    assert joined.identity.id != old
    with joined.connect() as caller:
        joined.sync(caller)


def test_a_stranger_with_an_svid_attests_first(issuer, joined):
    joined.identity = callers.mint(issuer.admin, "spiffe://example.org/no/agent")
    with joined.connect() as caller, pytest.raises(MustReattest, match="AGENT_NOT_ATTESTED"):
        joined.sync(caller)


# --- Attestation by a certificate -----------------------------------------------------------------


class Certified:
    """A server that takes certificates of an authority's."""

    def __init__(self, roles):
        self.authority = NodeAuthority()
        path = self.authority.write(roles.home)
        self.server = roles.server("certified", node_attestors={"x509pop": {"ca_bundle_path": str(path)}})


@pytest.fixture(scope="module")
def certified(module_roles):
    return Certified(module_roles)


@pytest.fixture
def newcomer(certified, home):
    return FakeSPIREAgent(certified.server, home)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_it_attests_by_a_certificate_and_its_key(certified, newcomer, kind):
    newcomer.join_as(certified.authority.node(f"node-{kind}", kind))
    assert newcomer.reattestable
    with newcomer.connect() as caller:
        newcomer.sync(caller)


def test_it_attests_again_instead_of_renewing(certified, newcomer):
    newcomer.join_as(certified.authority.node("again"))
    first = newcomer.identity
    with newcomer.connect() as caller:
        newcomer.sync(caller)
        newcomer.rotate(caller)
    assert newcomer.identity.id == first.id and newcomer.identity.leaf != first.leaf
    with newcomer.connect() as caller:
        newcomer.sync(caller)
    newcomer.identity = first
    with newcomer.connect() as caller, pytest.raises(MustReattest, match="AGENT_NOT_ACTIVE"):
        newcomer.sync(caller)


def test_a_renewal_is_refused_with_the_reason_to_attest_again(certified, newcomer):
    node = certified.authority.node("renewing")
    newcomer.join_as(node)
    with newcomer.connect() as caller, pytest.raises(MustReattest, match="AGENT_MUST_REATTEST"):
        newcomer.renew(caller)
    # Which is what it does then.
    newcomer.join_as(node)
    with newcomer.connect() as caller:
        newcomer.sync(caller)


def test_a_certificate_without_its_key_is_nothing(certified, newcomer):
    node, other = certified.authority.node("victim"), certified.authority.node("thief")
    node.key = other.key
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        newcomer.join_as(node)
    assert newcomer.identity is None


def test_an_answer_to_another_challenge_is_nothing(certified, newcomer):
    node = certified.authority.node("replayed")
    answers = []

    def replaying(challenge):
        answers.append(node.answer(challenge))
        return answers[0]

    newcomer._attest("x509pop", node.payload(), replaying)
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        newcomer._attest("x509pop", node.payload(), replaying)
    assert len(answers) == 2


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"noise", b'{"ecdsa_signature": null}', b'{"ecdsa_signature": {"nonce": "AA==", "r": "AA==", "s": ""}}',
               b'{"rsa_signature": {"nonce": "AA==", "signature": "AA=="}}', b"[" * 10_000],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(certified, newcomer, answer):
    node = certified.authority.node("odd")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED):
        newcomer._attest("x509pop", node.payload(), lambda challenge: answer)


def test_a_certificate_of_another_authority_is_not_challenged(newcomer):
    stranger = NodeAuthority().node("stranger")
    with refused(grpc.StatusCode.PERMISSION_DENIED):
        newcomer._attest("x509pop", stranger.payload(), lambda challenge: pytest.fail("challenged"))


def test_a_banned_one_does_not_come_back_by_its_certificate(certified, newcomer):
    node = certified.authority.node("banned")
    newcomer.join_as(node)
    banned = stubs.agent.BanAgentRequest(id=stubs.id_of(newcomer.identity.id))
    with callers.admin(certified.server) as admin:
        admin.agents.BanAgent(banned, timeout=TIMEOUT)
        with newcomer.connect() as caller, pytest.raises(ShutDown):
            newcomer.sync(caller)
        with refused(grpc.StatusCode.PERMISSION_DENIED):
            newcomer.join_as(node)
        # Deleted, it may.
        admin.agents.DeleteAgent(stubs.agent.DeleteAgentRequest(id=banned.id), timeout=TIMEOUT)
    newcomer.join_as(node)
