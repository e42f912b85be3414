"""The messages that SPIRE's command line sends, field by field, and what it looks at in the answers.

The real one is run against this server elsewhere; here its messages are played, with the spellings of names that only it uses.
"""

from __future__ import annotations

import re
import time
import uuid

import grpc
import jwt
import pytest
from cryptography import x509
from google.protobuf.empty_pb2 import Empty

import callers
import stubs
from callers import TIMEOUT, Identity
from endpoints import Domain
from inputs import GOOD_KEY, certificate, csr, jwt_key
from mintmark import sid

OK = 0
types = stubs.types


def fresh() -> str:
    return uuid.uuid4().hex[:12]


def entry(issuer, **changes):
    """As `entry create` fills it in: nothing is left out, and what was not asked for is zero."""
    fields = {
        "parent_id": stubs.id_of(issuer.node.id), "spiffe_id": stubs.id_of(sid(f"/cli/{fresh()}")),
        "selectors": [types.Selector(type="unix", value="uid:4711")], "x509_svid_ttl": 0, "jwt_svid_ttl": 0, "hint": "",
        "expires_at": 0, "dns_names": [], "federates_with": [],
    }  # fmt: skip
    return types.Entry(**(fields | changes))


def create(issuer, *entries):
    request = stubs.entry.BatchCreateEntryRequest(entries=entries)
    return list(issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT).results)


def federated(issuer, prefix="") -> str:
    """Another domain, with a bundle as `bundle set` sends it."""
    domain = f"cli-{fresh()}.example"
    bundle = types.Bundle(
        trust_domain=prefix + domain, x509_authorities=[certificate(domain)], jwt_authorities=[jwt_key()], refresh_hint=60
    )
    request = stubs.bundle.BatchSetFederatedBundleRequest(bundle=[bundle])
    [result] = issuer.admin.bundles.BatchSetFederatedBundle(request, timeout=TIMEOUT).results
    assert result.status.code == OK, result
    assert result.bundle.trust_domain == domain
    return domain


# --- entry ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "selector",
    [
        "unix:path:/usr/bin/agentd", "unix:sha256:" + "ab" * 32, "docker:label:app:web", "docker:image_id:nginx", "k8s:ns:prod",
        "k8s:pod-label:app:web", "k8s_psat:cluster:c", "aws_iid:tag:a:b", "x509pop:subject:cn:node", "systemd:id:a.service",
        "windows:user_name:u", "spiffe_id:spiffe://example.org/spire/agent/x",
    ],
)  # fmt: skip
def test_selectors_of_every_attestor_are_taken(issuer, selector):
    kind, _, value = selector.partition(":")
    [result] = create(issuer, entry(issuer, selectors=[types.Selector(type=kind, value=value)]))
    assert result.status.code == OK and result.status.message == "OK", result
    assert [f"{one.type}:{one.value}" for one in result.entry.selectors] == [selector]


def test_a_selector_of_somebodys_own_attestor_is_taken_and_told_of(issuer):
    """These tools cannot insist; ours can, and must."""
    own = [types.Selector(type="custom", value="anything")]
    [result] = create(issuer, entry(issuer, selectors=own))
    assert result.status.code == OK and result.entry.selectors == own
    for force, code in ((False, grpc.StatusCode.INVALID_ARGUMENT.value[0]), (True, OK)):
        request = stubs.entries.CreateEntriesRequest(items=[{"entry": entry(issuer, selectors=own), "force": force}])
        [answer] = issuer.admin.call("mintmark.v1.Registration/CreateEntries", request)
        assert answer.results[0].status.code == code
    [found] = issuer.admin.call("mintmark.v1.Declarations/Lint", stubs.declarations.LintRequest())
    assert any(one.kind == "unreachable" and result.entry.id in one.entries for one in found.findings)


def test_a_node_entry_has_the_server_as_its_parent(issuer):
    """`entry create -node`."""
    made = entry(
        issuer, parent_id=stubs.id_of(sid("/spire/server")), selectors=[types.Selector(type="k8s_psat", value="cluster:c")]
    )
    [result] = create(issuer, made)
    assert result.status.code == OK, result


@pytest.mark.parametrize("prefix", ["", "spiffe://"])
def test_domains_may_be_named_by_their_ids(issuer, prefix):
    """`-federatesWith spiffe://domain`, which is how its documentation has it."""
    domain = federated(issuer, prefix)
    [result] = create(issuer, entry(issuer, federates_with=[prefix + domain]))
    assert result.status.code == OK, result
    assert list(result.entry.federates_with) == [domain]
    match = types.FederatesWithMatch(trust_domains=[prefix + domain], match=types.FederatesWithMatch.MATCH_SUPERSET)
    for request, call in (
        (stubs.entry.ListEntriesRequest, issuer.admin.entries.ListEntries),
        (stubs.entry.CountEntriesRequest, issuer.admin.entries.CountEntries),
    ):
        answer = call(request(filter=request.Filter(by_federates_with=match)), timeout=TIMEOUT)
        assert [found.id for found in getattr(answer, "entries", [result.entry])] == [result.entry.id]
        assert getattr(answer, "count", 1) == 1
    # `bundle list -id` and `bundle delete -id`, which shows the name that it sent.
    found = issuer.admin.bundles.GetFederatedBundle(
        stubs.bundle.GetFederatedBundleRequest(trust_domain=prefix + domain), timeout=TIMEOUT
    )
    assert found.trust_domain == domain and found.refresh_hint == 60
    request = stubs.bundle.BatchDeleteFederatedBundleRequest(
        trust_domains=[prefix + domain], mode=stubs.bundle.BatchDeleteFederatedBundleRequest.DISSOCIATE
    )
    [gone] = issuer.admin.bundles.BatchDeleteFederatedBundle(request, timeout=TIMEOUT).results
    assert gone.status.code == OK and gone.trust_domain in (domain, prefix + domain)


def test_an_update_comes_whole_and_without_a_mask(issuer):
    """What `entry update` does not name is taken away, as the tool's users know it."""
    [made] = create(issuer, entry(issuer, hint="h", dns_names=["a.example"], admin=True, x509_svid_ttl=600))
    changed = entry(issuer, id=made.entry.id, spiffe_id=made.entry.spiffe_id, jwt_svid_ttl=60)
    request = stubs.entry.BatchUpdateEntryRequest(entries=[changed])
    [result] = issuer.admin.entries.BatchUpdateEntry(request, timeout=TIMEOUT).results
    assert result.status.code == OK and result.entry.revision_number == 1, result
    assert (result.entry.hint, list(result.entry.dns_names), result.entry.admin) == ("", [], False)
    assert (result.entry.x509_svid_ttl, result.entry.jwt_svid_ttl) == (0, 60)


def test_entries_are_listed_in_pages_of_its_size(issuer):
    create(issuer, *[entry(issuer, hint="listed-by-cli") for _ in range(501)])
    narrowed = stubs.entry.ListEntriesRequest.Filter(by_hint={"value": "listed-by-cli"})
    found, token = [], ""
    for _ in range(2):
        request = stubs.entry.ListEntriesRequest(page_size=500, page_token=token, filter=narrowed)
        page = issuer.admin.entries.ListEntries(request, timeout=TIMEOUT)
        found, token = [*found, *page.entries], page.next_page_token
    assert len({one.id for one in found}) == 501 and token == ""
    request = stubs.entry.BatchDeleteEntryRequest(ids=[one.id for one in found])
    results = issuer.admin.entries.BatchDeleteEntry(request, timeout=TIMEOUT).results
    assert {result.status.code for result in results} == {OK}


# --- agent, token ---------------------------------------------------------------------------------


@pytest.mark.parametrize("with_id", [True, False])
def test_a_token_is_generated(issuer, with_id):
    alias = stubs.id_of(sid(f"/alias/{fresh()}")) if with_id else None
    request = stubs.agent.CreateJoinTokenRequest(agent_id=alias, ttl=600)
    made = issuer.admin.agents.CreateJoinToken(request, timeout=TIMEOUT)
    assert re.fullmatch(r"[\w-]{20,}", made.value) and made.expires_at > time.time()
    callers.attest(issuer.nobody, made.value)


@pytest.mark.parametrize("before", ["2200-01-02 15:04:05 +0000 +00", "2200-01-02 15:04:05 -0700 -07"])
def test_agents_are_listed_by_when_they_expire(issuer, before):
    """Its own way of writing an instant, which is checked before it is sent."""
    listing, counting = stubs.agent.ListAgentsRequest, stubs.agent.CountAgentsRequest
    agents = issuer.admin.agents.ListAgents(
        listing(page_size=1000, filter=listing.Filter(by_expires_before=before)), timeout=TIMEOUT
    ).agents
    assert issuer.node.id in {stubs.text_of(agent.id) for agent in agents}
    request = counting(filter=counting.Filter(by_expires_before=before))
    assert issuer.admin.agents.CountAgents(request, timeout=TIMEOUT).count == len(agents)


def test_an_agent_is_shown_with_everything_that_is_printed(issuer):
    request = stubs.agent.GetAgentRequest(id=stubs.id_of(issuer.node.id))
    agent = issuer.admin.agents.GetAgent(request, timeout=TIMEOUT)
    assert agent.attestation_type == "join_token" and agent.x509svid_expires_at > time.time()
    # Printed as it is, and compared by people with what other tools show: decimal.
    assert agent.x509svid_serial_number == str(issuer.node.leaf.serial_number)


def test_agents_are_purged(issuer):
    request = stubs.agent.ListAgentsRequest(
        filter=stubs.agent.ListAgentsRequest.Filter(by_can_reattest={"value": False}),
        output_mask=types.AgentMask(x509svid_expires_at=True),
    )
    agents = issuer.admin.agents.ListAgents(request, timeout=TIMEOUT).agents
    assert agents and all(agent.id.path and agent.x509svid_expires_at for agent in agents)


def test_a_banned_agent_is_evicted(issuer):
    identity, _ = callers.attest(issuer.nobody, issuer.server.token())
    for method in ("BanAgent", "DeleteAgent"):
        request = getattr(stubs.agent, f"{method}Request")(id=stubs.id_of(identity.id))
        assert getattr(issuer.admin.agents, method)(request, timeout=TIMEOUT) == Empty()


# --- x509, jwt ------------------------------------------------------------------------------------


def test_svids_are_minted(issuer):
    identity = Identity()
    request = stubs.svid.MintX509SVIDRequest(csr=identity.request(sid("/cli/minted"), ("a.example",)), ttl=0)
    svid = issuer.admin.svids.MintX509SVID(request, timeout=TIMEOUT).svid
    assert svid.cert_chain and svid.expires_at > time.time()
    assert x509.load_der_x509_certificate(svid.cert_chain[0]).public_key() == identity.key.public_key()
    request = stubs.svid.MintJWTSVIDRequest(id=stubs.id_of(sid("/cli/minted")), ttl=0, audience=["a", "b"])
    token = issuer.admin.svids.MintJWTSVID(request, timeout=TIMEOUT).svid
    claims = jwt.decode(token.token, options={"verify_signature": False})
    assert claims["exp"] == token.expires_at and claims["aud"] == ["a", "b"] and token.issued_at == claims["iat"]


def test_a_request_may_have_an_empty_subject(issuer):
    """Its requests have an empty subject; those of an agent say nothing else at all."""
    assert issuer.admin.ending(
        "spire.api.server.svid.v1.SVID/MintX509SVID", stubs.svid.MintX509SVIDRequest(csr=csr(GOOD_KEY, sid("/cli/x")))
    )[0] == grpc.StatusCode.OK


# --- federation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "spiffe://"])
def test_relationships_come_and_go(issuer, prefix):
    domain = Domain(f"cli-{fresh()}.example")
    service, api = issuer.admin.trust_domains, stubs.trustdomain
    relationship = types.FederationRelationship(
        trust_domain=prefix + domain.domain, bundle_endpoint_url="https://127.0.0.1:1/",
        https_spiffe={"endpoint_spiffe_id": f"spiffe://{domain.domain}/e"},
        trust_domain_bundle=types.Bundle(
            trust_domain=prefix + domain.domain, x509_authorities=[types.X509Certificate(asn1=domain.certificate)]
        ),
    )
    request = api.BatchCreateFederationRelationshipRequest(federation_relationships=[relationship])
    [result] = service.BatchCreateFederationRelationship(request, timeout=TIMEOUT).results
    assert result.status.code == OK and result.federation_relationship.trust_domain == domain.domain, result
    relationship.bundle_endpoint_url = "https://127.0.0.1:2/"
    request = api.BatchUpdateFederationRelationshipRequest(federation_relationships=[relationship])
    [result] = service.BatchUpdateFederationRelationship(request, timeout=TIMEOUT).results
    assert result.status.code == OK and result.federation_relationship.bundle_endpoint_url == "https://127.0.0.1:2/"
    shown = service.GetFederationRelationship(
        api.GetFederationRelationshipRequest(trust_domain=prefix + domain.domain), timeout=TIMEOUT
    )
    assert shown == result.federation_relationship
    listed = service.ListFederationRelationships(api.ListFederationRelationshipsRequest(), timeout=TIMEOUT)
    assert shown in listed.federation_relationships
    request = api.BatchDeleteFederationRelationshipRequest(trust_domains=[prefix + domain.domain])
    [gone] = service.BatchDeleteFederationRelationship(request, timeout=TIMEOUT).results
    assert gone.status.code == OK
    # The one code that it tells apart.
    with callers.refused(grpc.StatusCode.NOT_FOUND):
        service.RefreshBundle(api.RefreshBundleRequest(trust_domain=prefix + domain.domain), timeout=TIMEOUT)


# --- The server itself ----------------------------------------------------------------------------


def test_the_log_level_is_shown_as_it_was_set(issuer):
    logger = "spire.api.server.logger.v1.Logger"
    for level in ("PANIC", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"):
        request = stubs.logger.SetLogLevelRequest(new_level=types.LogLevel.Value(level))
        [answer] = issuer.admin.call(f"{logger}/SetLogLevel", request)
        assert types.LogLevel.Name(answer.current_level) == level
    [answer] = issuer.admin.call(f"{logger}/ResetLogLevel", stubs.logger.ResetLogLevelRequest())
    assert answer.current_level == answer.launch_level == types.INFO


def test_it_is_healthy(issuer):
    [answer] = issuer.admin.call("grpc.health.v1.Health/Check", stubs.health.HealthCheckRequest())
    assert answer.status == stubs.health.HealthCheckResponse.SERVING


def test_authorities_are_shown(issuer):
    api = stubs.localauthority
    for kind in ("X509", "JWT"):
        [answer] = issuer.admin.call(
            f"spire.api.server.localauthority.v1.LocalAuthority/Get{kind}AuthorityState",
            getattr(api, f"Get{kind}AuthorityStateRequest")(),
        )
        assert answer.active.authority_id and answer.active.expires_at > time.time()
        # What is not there is not shown as an empty one.
        assert not answer.HasField("old")
