"""`spire.api.server.agent.v1.Agent`, call by call."""

from __future__ import annotations

import time
import uuid

import grpc
import pytest

import callers
import stubs
from callers import TIMEOUT, Identity, reason, refused
from mintmark import poll

Code = grpc.StatusCode
Request = stubs.agent.AttestAgentRequest


def token(issuer, **changes):
    request = stubs.agent.CreateJoinTokenRequest(**({"ttl": 600} | changes))
    return issuer.admin.agents.CreateJoinToken(request, timeout=TIMEOUT)


def joined(issuer):
    identity, _ = callers.attest(issuer.nobody, token(issuer).value)
    return identity


def get(issuer, agent_id, mask=None):
    request = stubs.agent.GetAgentRequest(id=stubs.id_of(agent_id), output_mask=mask)
    return issuer.admin.agents.GetAgent(request, timeout=TIMEOUT)


def listed(issuer, **arguments):
    return issuer.admin.agents.ListAgents(stubs.agent.ListAgentsRequest(**arguments), timeout=TIMEOUT)


def count(issuer, **filters):
    request = stubs.agent.CountAgentsRequest()
    if filters:
        request.filter.CopyFrom(stubs.agent.CountAgentsRequest.Filter(**filters))
    return issuer.admin.agents.CountAgents(request, timeout=TIMEOUT).count


def attest(caller, *messages):
    return list(caller.agents.AttestAgent(iter(messages), timeout=TIMEOUT))


def opening(kind="join_token", payload=b"x", csr=None):
    return Request(
        params=Request.Params(
            data=stubs.types.AttestationData(type=kind, payload=payload),
            params=stubs.agent.AgentX509SVIDParams(csr=Identity().request() if csr is None else csr),
        )
    )


# --- Join tokens ----------------------------------------------------------------------------------


def test_a_token_lets_one_node_in(issuer):
    made = token(issuer)
    assert abs(made.expires_at - time.time() - 600) < 60
    identity, result = callers.attest(issuer.nobody, made.value)
    assert not result.reattestable and stubs.text_of(result.svid.id) == identity.id
    assert identity.id.startswith("spiffe://example.org/spire/agent/join_token/") and made.value not in identity.id
    found = get(issuer, identity.id)
    assert found.attestation_type == "join_token" and not found.banned and not found.can_reattest
    assert found.x509svid_expires_at == result.svid.expires_at
    assert found.x509svid_serial_number == str(identity.leaf.serial_number)


def test_an_alias_becomes_an_entry(issuer):
    alias = f"spiffe://example.org/alias-{uuid.uuid4().hex}"
    made = token(issuer, agent_id=stubs.id_of(alias))
    identity, _ = callers.attest(issuer.nobody, made.value)
    request = stubs.entry.ListEntriesRequest(
        filter=stubs.entry.ListEntriesRequest.Filter(by_spiffe_id=stubs.id_of(alias))
    )
    [entry] = issuer.admin.entries.ListEntries(request, timeout=TIMEOUT).entries
    assert stubs.text_of(entry.parent_id) == identity.id


def test_a_chosen_token_is_taken_once(issuer):
    chosen = uuid.uuid4().hex
    assert token(issuer, token=chosen).value == chosen
    callers.attest(issuer.nobody, chosen)


BAD_TOKENS = {
    "no lifetime": dict(ttl=0),
    "a negative lifetime": dict(ttl=-1),
    "a token that can be guessed": dict(token="short"),
    "a token that is too long": dict(token="t" * 257),
    "an alias that is no ID": dict(agent_id=stubs.types.SPIFFEID(trust_domain="UPPER", path="/x")),
    "an alias in another domain": dict(agent_id=stubs.id_of("spiffe://other.example/x")),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_bad_tokens_are_refused(issuer, name):
    with refused(Code.INVALID_ARGUMENT):
        token(issuer, **BAD_TOKENS[name])


# --- Attestation ----------------------------------------------------------------------------------

BAD_OPENINGS = {
    "no message at all": ([], Code.INVALID_ARGUMENT),
    "a challenge response first": ([Request(challenge_response=b"x")], Code.INVALID_ARGUMENT),
    "an empty message": ([Request()], Code.INVALID_ARGUMENT),
    "no method": ([opening("")], Code.INVALID_ARGUMENT),
    "no attestation data": ([Request(params=Request.Params())], Code.INVALID_ARGUMENT),
    "an unknown method": ([opening("invented")], Code.FAILED_PRECONDITION),
    "the method of the agent in the server's process": ([opening("embedded")], Code.FAILED_PRECONDITION),
    "a token that was never made": ([opening(payload=uuid.uuid4().hex.encode())], Code.INVALID_ARGUMENT),
    "a token that is no text": ([opening(payload=b"\xff\xfe")], Code.INVALID_ARGUMENT),
    "an empty token": ([opening(payload=b"")], Code.INVALID_ARGUMENT),
    "no signing request": ([opening(csr=b"")], Code.INVALID_ARGUMENT),
    "a signing request that is noise": ([opening(csr=b"\x30\x03\x02\x01\x01")], Code.INVALID_ARGUMENT),
}


@pytest.mark.parametrize("name", BAD_OPENINGS)
def test_bad_attestations_are_refused(issuer, name):
    before = count(issuer)
    messages, code = BAD_OPENINGS[name]
    with refused(code):
        attest(issuer.nobody, *messages)
    assert count(issuer) == before


@pytest.mark.parametrize("method", ["invented", "embedded"])
def test_methods_that_the_issuer_does_not_offer_here_are_refused(issuer, method):
    with refused(Code.FAILED_PRECONDITION):
        attest(issuer.nobody, opening(method))


def test_a_bad_signing_request_does_not_use_the_token_up(issuer):
    made = token(issuer)
    request = bytearray(Identity().request())
    request[-3] ^= 1
    with refused(Code.INVALID_ARGUMENT):
        attest(issuer.nobody, opening(payload=made.value.encode(), csr=bytes(request)))
    callers.attest(issuer.nobody, made.value)


# --- Inventory ------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [field.name for field in stubs.types.AgentMask.DESCRIPTOR.fields])
def test_a_mask_leaves_the_rest_out(issuer, field):
    whole = get(issuer, issuer.node.id)
    found = get(issuer, issuer.node.id, stubs.types.AgentMask(**{field: True}))
    assert {descriptor.name for descriptor, _ in found.ListFields()} <= {"id", field}
    assert getattr(found, field) == getattr(whole, field)


@pytest.mark.parametrize("method", ["GetAgent", "DeleteAgent", "BanAgent"])
def test_agents_that_are_not_there(issuer, method):
    call = getattr(issuer.admin.agents, method)
    request = getattr(stubs.agent, f"{method}Request")
    with refused(Code.NOT_FOUND):
        call(request(id=stubs.id_of("spiffe://example.org/spire/agent/join_token/none")), timeout=TIMEOUT)
    for bad in (
        None, stubs.types.SPIFFEID(trust_domain="UPPER", path="/a"), stubs.id_of("spiffe://example.org/web"),
        stubs.id_of("spiffe://other.example/spire/agent/join_token/none"),
    ):
        with refused(Code.INVALID_ARGUMENT):
            call(request(id=bad), timeout=TIMEOUT)


def test_pages_hold_everything_once(issuer):
    wanted = {joined(issuer).id for _ in range(3)}
    found, page_token = [], ""
    while True:
        page = listed(issuer, page_size=2, page_token=page_token)
        assert 1 <= len(page.agents) <= 2
        found += [stubs.text_of(agent.id) for agent in page.agents]
        page_token = page.next_page_token
        if not page_token:
            break
    assert len(found) == len(set(found)) == count(issuer) and wanted <= set(found)


def test_filters_narrow(issuer):
    identity = joined(issuer)
    issuer.admin.agents.BanAgent(stubs.agent.BanAgentRequest(id=stubs.id_of(identity.id)), timeout=TIMEOUT)
    for filters, is_in in (
        ({"by_attestation_type": "join_token"}, True),
        ({"by_attestation_type": "invented"}, False),
        ({"by_banned": {"value": True}}, True),
        ({"by_banned": {"value": False}}, False),
        ({"by_can_reattest": {"value": True}}, False),
        ({"by_can_reattest": {"value": False}}, True),
        ({"by_expires_before": "2001-01-01T00:00:00Z"}, False),
        ({"by_expires_before": "2200-01-01T00:00:00Z"}, True),
    ):
        found = listed(issuer, filter=stubs.agent.ListAgentsRequest.Filter(**filters)).agents
        assert (identity.id in {stubs.text_of(agent.id) for agent in found}) == is_in, filters
        assert count(issuer, **filters) == len(found)


BAD_FILTERS = {
    "an instant that is none": {"by_expires_before": "tomorrow"},
    "a selector without a value": {
        "by_selector_match": stubs.types.SelectorMatch(selectors=[stubs.types.Selector(type="unix")])
    },
    "an unknown match": {
        "by_selector_match": stubs.types.SelectorMatch(
            selectors=[stubs.types.Selector(type="unix", value="uid:1")], match=9
        )
    },
}


@pytest.mark.parametrize("name", BAD_FILTERS)
def test_bad_filters_are_refused(issuer, name):
    with refused(Code.INVALID_ARGUMENT):
        listed(issuer, filter=stubs.agent.ListAgentsRequest.Filter(**BAD_FILTERS[name]))
    with refused(Code.INVALID_ARGUMENT):
        count(issuer, **BAD_FILTERS[name])


# --- A node's life --------------------------------------------------------------------------------


def entries_of(agent):
    return agent.entries.GetAuthorizedEntries(stubs.entry.GetAuthorizedEntriesRequest(), timeout=TIMEOUT).entries


@pytest.mark.parametrize(("method", "expected"), [("BanAgent", "AGENT_BANNED"), ("DeleteAgent", "AGENT_NOT_ATTESTED")])
def test_a_node_that_is_put_out_is_told_why(issuer, home, method, expected):
    identity = joined(issuer)
    with callers.remote(issuer.server, home, identity) as agent:
        entries_of(agent)
        request = getattr(stubs.agent, f"{method}Request")(id=stubs.id_of(identity.id))
        getattr(issuer.admin.agents, method)(request, timeout=TIMEOUT)
        with refused(Code.PERMISSION_DENIED) as caught:
            entries_of(agent)
        assert reason(caught[0]) == expected


def test_those_without_standing_are_told_so(issuer):
    for caller in (issuer.workload, issuer.nobody):
        with refused(Code.PERMISSION_DENIED) as caught:
            entries_of(caller)
        assert reason(caught[0]) == "AGENT_NOT_ATTESTED"


def test_a_renewed_node_uses_the_old_svid_until_the_new_one_is_seen(issuer, home):
    old = joined(issuer)
    new = Identity()
    request = stubs.agent.RenewAgentRequest(params=stubs.agent.AgentX509SVIDParams(csr=new.request()))
    folders = [home / "old", home / "new"]
    for folder in folders:
        folder.mkdir()
    with callers.remote(issuer.server, folders[0], old) as before:
        new.chain = list(before.agents.RenewAgent(request, timeout=TIMEOUT).svid.cert_chain)
        assert new.id == old.id
        entries_of(before)
        with callers.remote(issuer.server, folders[1], new) as after:
            entries_of(after)
            with refused(Code.PERMISSION_DENIED) as caught:
                entries_of(before)
            assert reason(caught[0]) == "AGENT_NOT_ACTIVE"


@pytest.mark.parametrize("csr", [b"", b"noise", Identity().request()[:-1]])
def test_a_bad_renewal_is_refused(issuer, csr):
    request = stubs.agent.RenewAgentRequest(params=stubs.agent.AgentX509SVIDParams(csr=csr))
    with refused(Code.INVALID_ARGUMENT):
        issuer.agent.agents.RenewAgent(request, timeout=TIMEOUT)
    entries_of(issuer.agent)


def test_a_status_is_shown(issuer):
    version = f"1.2.3-{uuid.uuid4().hex[:8]}"
    request = stubs.agent.PostStatusRequest(agent_version=version, current_bundle_serial=1)
    issuer.agent.agents.PostStatus(request, timeout=TIMEOUT)
    poll("the version", lambda: get(issuer, issuer.node.id).agent_version == version, within=5)
    long = stubs.agent.PostStatusRequest(agent_version="v" * 100_000)
    with_long = issuer.agent.ending("spire.api.server.agent.v1.Agent/PostStatus", long)
    assert with_long[0] == Code.INVALID_ARGUMENT
    assert get(issuer, issuer.node.id).agent_version == version
