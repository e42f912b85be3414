"""Our agent under SPIRE's server: played by a scripted fake, never by the real one."""

from __future__ import annotations

import os

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spiffe import TrustDomain, WorkloadApiClient

import stubs
from endpoints import Domain
from fake_spire_server import DOMAIN, FakeSPIREServer
from mintmark import FAILED, NOT_PERMITTED, Agent, Server, poll
from together import Together, a_stage
from tokens import header_of
from workload import certificates_in

UID = f"unix:uid:{os.getuid()}"
# Scenes that wait for intervals and lifetimes; they run beside the other tests.
slow = Together()


@pytest.fixture(scope="module", autouse=True)
def playing(request):
    yield from slow.play(request)


@pytest.fixture
def stage():
    with a_stage() as stage:
        yield stage


def run(fake, agent):
    agent.start("--join-token", fake.joining, "--trust-bundle", fake.write_bundle())
    return agent


def authorities(fake):
    return [x509.load_der_x509_certificate(fake.authority.certificate)]


def test_it_joins_and_serves_the_official_client(stage):
    fake, agent = stage.join()
    fake.put_entry("one", "/fake/one", fake.agent_id, UID, hint="first")
    run(fake, agent)
    assert fake.methods()[0] == "AttestAgent" and list(fake.agents) == [fake.agent_id]
    assert fake.calls[0][1] is None, "attestation came with a certificate"
    with WorkloadApiClient(agent.endpoint) as client:
        context = client.fetch_x509_context()
        svid = context.default_svid
        assert str(svid.spiffe_id) == f"spiffe://{DOMAIN}/fake/one"
        svid.leaf.verify_directly_issued_by(authorities(fake)[0])
        bundle = context.x509_bundle_set.get_bundle_for_trust_domain(TrustDomain(DOMAIN))
        assert set(bundle.x509_authorities) == set(authorities(fake))
        token = client.fetch_jwt_svid(audience={"a"})
        assert str(token.spiffe_id) == f"spiffe://{DOMAIN}/fake/one"
        assert str(client.validate_jwt_svid(token.token, "a").spiffe_id) == f"spiffe://{DOMAIN}/fake/one"
    with agent.api() as api:
        assert [svid.hint for svid in api.first("FetchX509SVID").svids] == ["first"]
    # Everything after the attestation came with the SVID that it gave.
    assert {caller for method, caller in fake.calls if method not in ("AttestAgent",)} <= {fake.agent_id, None}
    assert {"SyncAuthorizedEntries", "GetBundle", "BatchNewX509SVID", "NewJWTSVID"} <= set(fake.methods())
    poll("the agent's status", lambda: fake.statuses, within=10)
    assert fake.statuses[-1].agent_version and fake.statuses[-1].current_bundle_serial == 1


def test_aliases_reach_down(stage):
    fake, agent = stage.join()
    fake.put_entry("alias", "/nodes/a", fake.agent_id, "spiffe_id:none")
    fake.put_entry("below", "/fake/below", f"spiffe://{DOMAIN}/nodes/a", UID)
    run(fake, agent)
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/below"]


@slow.scene()
def entries_come_change_and_go(stage):
    fake, agent = stage.join()
    run(fake, agent)
    assert agent.ids() == []
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    poll("the new entry", lambda: agent.ids() == [f"spiffe://{DOMAIN}/fake/one"], within=15)
    fake.put_entry("one", "/fake/renamed", fake.agent_id, UID)
    poll("the changed entry", lambda: agent.ids() == [f"spiffe://{DOMAIN}/fake/renamed"], within=15)
    fake.entries.clear()
    poll("the entry to be withdrawn", lambda: agent.ids() == [], within=15)


@slow.scene()
def a_long_list_is_fetched_once(stage):
    fake, agent = stage.join(page=3)
    for number in range(8):
        fake.put_entry(f"e{number}", f"/fake/{number}", fake.agent_id, UID)
    run(fake, agent)
    assert len(agent.ids()) == 8
    first = [method for method in fake.methods() if "ids=" in method]
    assert first == ["SyncAuthorizedEntries ids=8"], first
    rounds = fake.methods().count("SyncAuthorizedEntries")
    poll("another round", lambda: fake.methods().count("SyncAuthorizedEntries") > rounds + 1, within=20)
    assert [method for method in fake.methods() if "ids=" in method] == first, "what was held was fetched again"
    fake.put_entry("e3", "/fake/new", fake.agent_id, UID)
    poll("the changed entry", lambda: f"spiffe://{DOMAIN}/fake/new" in agent.ids(), within=15)
    assert [method for method in fake.methods() if "ids=" in method][1:] == ["SyncAuthorizedEntries ids=1"]


@slow.scene()
def federated_bundles_reach_workloads(stage):
    fake, agent = stage.join()
    far, missing = Domain("far.example"), "missing.example"
    token_key = far.jwt_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fake.federated[far.domain] = stubs.types.Bundle(
        trust_domain=far.domain, x509_authorities=[stubs.types.X509Certificate(asn1=far.certificate)],
        jwt_authorities=[stubs.types.JWTKey(key_id=far.key_id, public_key=token_key)],
    )
    fake.put_entry("one", "/fake/one", fake.agent_id, UID, federates_with=[far.domain, missing])
    run(fake, agent)
    with WorkloadApiClient(agent.endpoint) as client:
        bundles = client.fetch_x509_bundles()
        assert {bundle.trust_domain.name for bundle in bundles.bundles} == {DOMAIN, far.domain}
        foreign = bundles.get_bundle_for_trust_domain(TrustDomain(far.domain))
        assert set(foreign.x509_authorities) == {x509.load_der_x509_certificate(far.certificate)}
        tokens = client.fetch_jwt_bundles()
        assert {bundle.trust_domain.name for bundle in tokens.bundles} == {DOMAIN, far.domain}
    with agent.api() as api:
        assert dict(api.first("FetchX509SVID").federated_bundles) == {f"spiffe://{far.domain}": far.certificate}
    del fake.federated[far.domain]
    with agent.api() as api:
        poll("the bundle to be withdrawn", lambda: not api.first("FetchX509SVID").federated_bundles, within=15)


@slow.scene()
def it_renews_before_its_svid_ends(stage):
    fake, agent = stage.join(agent_lifetime=8)
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    run(fake, agent)
    poll("two renewals", lambda: fake.methods().count("RenewAgent") >= 2, within=30)
    assert len(fake.agents[fake.agent_id]) >= 3 and fake.methods().count("AttestAgent") == 1
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@slow.scene()
def workloads_svids_are_renewed(stage):
    fake, agent = stage.join(lifetime=8)
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    run(fake, agent)
    with agent.api() as api:
        first = api.first("FetchX509SVID").svids[0].x509_svid
        poll("a new SVID", lambda: api.first("FetchX509SVID").svids[0].x509_svid != first, within=15)


@slow.scene("AGENT_BANNED", "AGENT_NOT_ATTESTED", "AGENT_EXPIRED", "AGENT_NOT_ACTIVE", "AGENT_MUST_REATTEST")
def nothing_is_served_after_a_refusal(stage, why):
    fake, agent = stage.join()
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    run(fake, agent)
    assert agent.ids()
    fake.refusal = why
    poll("the agent to withdraw everything", lambda: agent_serves_nothing(agent), within=30)


def agent_serves_nothing(agent):
    with agent.api() as api:
        try:
            return not api.first("FetchX509SVID").svids
        except grpc.RpcError as error:
            return error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE)


def test_a_used_token_is_refused(stage):
    fake, agent = stage.join()
    fake.tokens.clear()
    agent.start("--join-token", fake.joining, "--trust-bundle", fake.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED, saying=["token"])


@pytest.mark.limit(60)
def test_a_server_of_another_authority_is_not_joined(stage):
    fake, agent = stage.join()
    other = FakeSPIREServer(stage.home)
    agent.start("--join-token", fake.joining, "--trust-bundle", other.write_bundle(), wait=False)
    agent.wait_log("server is not trusted")
    assert not fake.calls and fake.tokens, "the token went to a server that was not known"


# --- Attestation by a certificate -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_it_joins_by_a_certificate_and_its_key(stage, kind):
    fake, agent = stage.certified(kind)
    agent.start("--trust-bundle", fake.write_bundle())
    assert fake.methods()[:2] == ["AttestAgent", "challenge_response"]
    assert list(fake.agents) == [fake.agent_id]
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


def test_a_certificate_that_the_server_does_not_take_joins_nothing(stage):
    fake, agent = stage.certified()
    fake.node_authority = type(fake.node_authority)("others")
    agent.start("--trust-bundle", fake.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED)
    assert "challenge_response" not in fake.methods() and not fake.agents


@slow.scene()
def it_attests_again_before_its_svid_ends(stage):
    fake, agent = stage.certified(agent_lifetime=8)
    agent.start("--trust-bundle", fake.write_bundle())
    poll("two more attestations", lambda: fake.methods().count("AttestAgent") >= 3, within=30)
    assert "RenewAgent" not in fake.methods()
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@slow.scene()
def it_attests_again_when_it_is_told_that_it_must(stage):
    fake, agent = stage.certified(agent_lifetime=8)
    fake.hides_reattestable = True
    agent.start("--trust-bundle", fake.write_bundle())
    poll("a refused renewal", lambda: "RenewAgent" in fake.methods(), within=20)
    poll("an attestation after it", lambda: fake.methods().count("AttestAgent") >= 2, within=20)
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@slow.scene(grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED)
def a_refused_renewal_is_tried_again_while_everything_goes_on(stage, code):
    fake, agent = stage.join(agent_lifetime=14)
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    fake.renewal_refusal = code
    run(fake, agent)
    poll("two renewals", lambda: fake.methods().count("RenewAgent") >= 2, within=20)
    assert len(fake.agents[fake.agent_id]) == 1 and agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]
    fake.renewal_refusal = None
    poll("a renewal that succeeds", lambda: len(fake.agents[fake.agent_id]) >= 2, within=20)
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"] and fake.methods().count("AttestAgent") == 1


# --- A server of ours below ----------------------------------------------------------------------


@pytest.mark.limit(60)
def test_a_server_below_signs_under_its_authority_and_publishes_its_keys(stage):
    fake, agent = stage.join()
    fake.put_entry("below", "/below", fake.agent_id, UID, downstream=True)
    run(fake, agent)
    below = stage.server(
        "below",
        upstream_authority={"kind": "issuer", "server_address": fake.address, "workload_socket": agent.endpoint},
    )
    assert {"NewDownstreamX509CA", "PublishJWTAuthority"} <= set(fake.methods())
    assert {caller for method, caller in fake.calls if method in ("NewDownstreamX509CA", "PublishJWTAuthority")} == {
        f"spiffe://{DOMAIN}/below"
    }
    lower = stage.agent(below, "lower").join(below)
    below.register(f"spiffe://{DOMAIN}/lower", UID)
    poll("the identity", lambda: lower.ids() == [f"spiffe://{DOMAIN}/lower"])
    with lower.api() as api:
        svid = api.first("FetchX509SVID").svids[0]
        assert svid.bundle == fake.authority.certificate
        leaf, authority = certificates_in(svid.x509_svid)
        leaf.verify_directly_issued_by(authority)
        authority.verify_directly_issued_by(authorities(fake)[0])
        assert header_of(api.jwt("a")[0].svid)["kid"] in fake.published


@pytest.mark.limit(60)
def test_a_server_whose_svid_is_not_for_servers_below_does_not_start(stage):
    fake, agent = stage.join()
    fake.put_entry("plain", "/plain", fake.agent_id, UID)
    run(fake, agent)
    below = stage.keep(
        Server(
            stage.home, "below",
            upstream_authority={"kind": "issuer", "server_address": fake.address, "workload_socket": agent.endpoint},
        )
    )  # fmt: skip
    below.start(wait=False)
    below.wait_exit(30).refusal(NOT_PERMITTED, FAILED)


@slow.scene()
def whoever_can_attests_again_at_once(stage):
    fake, agent = stage.certified()
    agent.start("--trust-bundle", fake.write_bundle())
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]
    fake.refusal = "AGENT_MUST_REATTEST"
    poll("another attestation", lambda: fake.methods().count("AttestAgent") >= 2, within=20)
    fake.refusal = None
    poll("the identity", lambda: agent.ids() == [f"spiffe://{DOMAIN}/fake/one"], within=20)


@pytest.mark.limit(90)
@pytest.mark.parametrize("scene", slow.scenes)
def test_what_takes_its_time(playing, scene):
    playing[scene].result(80)
