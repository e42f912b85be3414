"""Our agent under SPIRE's server: played by a scripted fake, never by the real one."""

from __future__ import annotations

import os
import uuid

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from spiffe import TrustDomain, WorkloadApiClient

import stubs
from endpoints import Domain
from fake_spire_server import DOMAIN, FakeSPIREServer
from mintmark import FAILED, NOT_PERMITTED, Agent, Server, poll
from tokens import header_of
from workload import certificates_in

UID = f"unix:uid:{os.getuid()}"


@pytest.fixture
def join(roles):
    """Starts a fake and an agent of ours that joins it."""
    started = []

    def start(**settings):
        fake = FakeSPIREServer(roles.home, **settings)
        started.append(fake.__enter__())
        fake.joining = str(uuid.uuid4())
        fake.agent_id = f"spiffe://{DOMAIN}/spire/agent/join_token/{fake.joining}"
        agent = roles.keep(Agent(roles.home, fake.address))
        fake.token(fake.joining)
        return fake, agent

    yield start
    for fake in started:
        fake.__exit__()


def run(fake, agent):
    agent.start("--join-token", fake.joining, "--trust-bundle", fake.write_bundle())
    return agent


def authorities(fake):
    return [x509.load_der_x509_certificate(fake.authority.certificate)]


def test_it_joins_and_serves_the_official_client(join):
    fake, agent = join()
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


def test_aliases_reach_down(join):
    fake, agent = join()
    fake.put_entry("alias", "/nodes/a", fake.agent_id, "spiffe_id:none")
    fake.put_entry("below", "/fake/below", f"spiffe://{DOMAIN}/nodes/a", UID)
    run(fake, agent)
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/below"]


@pytest.mark.limit(60)
def test_entries_come_change_and_go(join):
    fake, agent = join()
    run(fake, agent)
    assert agent.ids() == []
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    poll("the new entry", lambda: agent.ids() == [f"spiffe://{DOMAIN}/fake/one"], within=15)
    fake.put_entry("one", "/fake/renamed", fake.agent_id, UID)
    poll("the changed entry", lambda: agent.ids() == [f"spiffe://{DOMAIN}/fake/renamed"], within=15)
    fake.entries.clear()
    poll("the entry to be withdrawn", lambda: agent.ids() == [], within=15)


@pytest.mark.limit(60)
def test_a_long_list_is_fetched_once(join):
    fake, agent = join(page=3)
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


@pytest.mark.limit(60)
def test_federated_bundles_reach_workloads(join):
    fake, agent = join()
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


@pytest.mark.limit(60)
def test_it_renews_before_its_svid_ends(join):
    fake, agent = join(agent_lifetime=8)
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    run(fake, agent)
    poll("two renewals", lambda: fake.methods().count("RenewAgent") >= 2, within=30)
    assert len(fake.agents[fake.agent_id]) >= 3 and fake.methods().count("AttestAgent") == 1
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@pytest.mark.limit(60)
def test_workloads_svids_are_renewed(join):
    fake, agent = join(lifetime=8)
    fake.put_entry("one", "/fake/one", fake.agent_id, UID)
    run(fake, agent)
    with agent.api() as api:
        first = api.first("FetchX509SVID").svids[0].x509_svid
        poll("a new SVID", lambda: api.first("FetchX509SVID").svids[0].x509_svid != first, within=15)


@pytest.mark.limit(60)
@pytest.mark.parametrize(
    "why", ["AGENT_BANNED", "AGENT_NOT_ATTESTED", "AGENT_EXPIRED", "AGENT_NOT_ACTIVE", "AGENT_MUST_REATTEST"]
)
def test_nothing_is_served_after_a_refusal(join, why):
    fake, agent = join()
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


def test_a_used_token_is_refused(join):
    fake, agent = join()
    fake.tokens.clear()
    agent.start("--join-token", fake.joining, "--trust-bundle", fake.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED, saying=["token"])


@pytest.mark.limit(60)
def test_a_server_of_another_authority_is_not_joined(join, roles):
    fake, agent = join()
    other = FakeSPIREServer(roles.home)
    agent.start("--join-token", fake.joining, "--trust-bundle", other.write_bundle(), wait=False)
    agent.wait_log("server is not trusted")
    assert not fake.calls and fake.tokens, "the token went to a server that was not known"


# --- Attestation by a certificate -----------------------------------------------------------------


@pytest.fixture
def certified(roles, join):
    """A fake, and an agent of ours with a certificate for it."""

    def start(kind="ec", **settings):
        fake, _ = join(**settings)
        node = fake.node_authority.node("ours", kind)
        fake.agent_id = f"spiffe://{DOMAIN}{node.id_path}"
        fake.put_entry("one", "/fake/one", fake.agent_id, UID)
        return fake, roles.keep(
            Agent(roles.home, fake.address, "certified", node_attestor={"x509pop": node.write(roles.home)})
        )

    return start


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_it_joins_by_a_certificate_and_its_key(certified, kind):
    fake, agent = certified(kind)
    agent.start("--trust-bundle", fake.write_bundle())
    assert fake.methods()[:2] == ["AttestAgent", "challenge_response"]
    assert list(fake.agents) == [fake.agent_id]
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


def test_a_certificate_that_the_server_does_not_take_joins_nothing(certified, roles):
    fake, agent = certified()
    fake.node_authority = type(fake.node_authority)("others")
    agent.start("--trust-bundle", fake.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED)
    assert "challenge_response" not in fake.methods() and not fake.agents


@pytest.mark.limit(60)
def test_it_attests_again_before_its_svid_ends(certified):
    fake, agent = certified(agent_lifetime=8)
    agent.start("--trust-bundle", fake.write_bundle())
    poll("two more attestations", lambda: fake.methods().count("AttestAgent") >= 3, within=30)
    assert "RenewAgent" not in fake.methods()
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@pytest.mark.limit(60)
def test_it_attests_again_when_it_is_told_that_it_must(certified):
    fake, agent = certified(agent_lifetime=8)
    fake.hides_reattestable = True
    agent.start("--trust-bundle", fake.write_bundle())
    poll("a refused renewal", lambda: "RenewAgent" in fake.methods(), within=20)
    poll("an attestation after it", lambda: fake.methods().count("AttestAgent") >= 2, within=20)
    assert agent.ids() == [f"spiffe://{DOMAIN}/fake/one"]


@pytest.mark.limit(60)
@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_refused_renewal_is_tried_again_while_everything_goes_on(join, code):
    fake, agent = join(agent_lifetime=14)
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
def test_a_server_below_signs_under_its_authority_and_publishes_its_keys(join, roles):
    fake, agent = join()
    fake.put_entry("below", "/below", fake.agent_id, UID, downstream=True)
    run(fake, agent)
    below = roles.server(
        "below",
        upstream_authority={"kind": "issuer", "server_address": fake.address, "workload_socket": agent.endpoint},
    )
    assert {"NewDownstreamX509CA", "PublishJWTAuthority"} <= set(fake.methods())
    assert {caller for method, caller in fake.calls if method in ("NewDownstreamX509CA", "PublishJWTAuthority")} == {
        f"spiffe://{DOMAIN}/below"
    }
    lower = roles.agent(below, "lower").join(below)
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
def test_a_server_whose_svid_is_not_for_servers_below_does_not_start(join, roles):
    fake, agent = join()
    fake.put_entry("plain", "/plain", fake.agent_id, UID)
    run(fake, agent)
    below = roles.keep(
        Server(
            roles.home, "below",
            upstream_authority={"kind": "issuer", "server_address": fake.address, "workload_socket": agent.endpoint},
        )
    )  # fmt: skip
    below.start(wait=False)
    below.wait_exit(30).refusal(NOT_PERMITTED, FAILED)
