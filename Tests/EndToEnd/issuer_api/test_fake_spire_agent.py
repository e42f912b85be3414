"""Our server, as SPIRE's agent uses it: played message by message by a scripted fake, never by the real one."""

from __future__ import annotations

import uuid

import pytest

import callers
import stubs
from callers import TIMEOUT
from fake_spire_agent import FakeSPIREAgent, MustReattest, ShutDown


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
