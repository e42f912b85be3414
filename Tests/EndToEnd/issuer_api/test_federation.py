"""Federation as admins and workloads see it: commands, bundles that reach workloads, tokens of other domains."""

from __future__ import annotations

import datetime
import ipaddress
import json
import uuid

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from endpoints import Domain, Endpoint
from mintmark import FAILED, USAGE, Server, fresh_id, my_uid

OWN = "spiffe://example.org"


def fresh_domain() -> str:
    return f"cli-{uuid.uuid4().hex[:12]}.example"


@pytest.fixture(scope="module")
def shared(start_module_up):
    return start_module_up()


@pytest.fixture
def peer(home):
    """Another domain, its bundle as a file, and its endpoint."""
    domain = Domain(fresh_domain())
    domain.file = home / "peer.json"
    domain.file.write_bytes(domain.document())
    with Endpoint(domain.write_svid(home, "/spire/server")) as endpoint:
        endpoint.serve(domain.document())
        yield domain, endpoint


def token_of(domain: Domain, audience: str, path: str = "/w") -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    claims = {
        "sub": f"spiffe://{domain.domain}{path}", "aud": [audience], "iat": now,
        "exp": now + datetime.timedelta(minutes=5),
    }
    return jwt.encode(claims, domain.jwt_key, algorithm="ES256", headers={"kid": domain.key_id})


# --- Commands -------------------------------------------------------------------------------------


def test_a_bundle_is_set_shown_listed_and_deleted(shared, peer):
    domain, _ = peer
    stored = shared.json("bundle", "set", domain.domain, "--file", domain.file)
    assert stored["trust_domain"] == domain.domain and stored["sequence"] == 1
    assert stored in shared.json("bundle", "list")["bundles"]
    assert domain.domain in shared.cli("bundle", "list").expect(0).out
    shown = shared.cli("bundle", "show", "--trust-domain", domain.domain, "--format", "spiffe").expect(0).json()
    assert {key["use"] for key in shown["keys"]} == {"x509-svid", "jwt-svid"}
    pem = shared.cli("bundle", "show", "--trust-domain", domain.domain).expect(0).out
    [certificate] = x509.load_pem_x509_certificates(pem.encode())
    assert certificate.public_bytes(serialization.Encoding.DER) == domain.certificate
    assert shared.json("bundle", "delete", domain.domain) == {"deleted": domain.domain}
    for command in (["bundle", "show", "--trust-domain", domain.domain], ["bundle", "delete", domain.domain]):
        shared.cli(*command).refusal(FAILED, saying=[domain.domain, "mintmark bundle list"])


def test_a_bundle_may_be_pem(shared, peer, home):
    domain, _ = peer
    pem = home / "peer.pem"
    pem.write_bytes(x509.load_der_x509_certificate(domain.certificate).public_bytes(serialization.Encoding.PEM))
    stored = shared.json("bundle", "set", domain.domain, "--file", pem)
    assert len(stored["x509_authorities"]) == 1 and stored["jwt_authorities"] == []


@pytest.mark.parametrize("text", ["", "{}", '{"keys":[]}', "-----BEGIN NONSENSE-----", "\x00\x01"])
def test_a_file_that_is_no_bundle_is_refused(shared, home, text):
    file = home / "bad"
    file.write_text(text)
    shared.cli("bundle", "set", fresh_domain(), "--file", file).refusal(FAILED, saying=[str(file)])
    shared.cli("bundle", "set", fresh_domain(), "--file", home / "none").refusal(FAILED, saying=["none"])


def test_the_own_bundle_is_not_set(shared, peer):
    shared.cli("bundle", "set", "example.org", "--file", peer[0].file).refusal(FAILED, saying=["own trust domain"])
    shared.cli("bundle", "set", "Upper.example", "--file", peer[0].file).refusal(USAGE)


def test_an_entry_needs_the_bundle_of_whom_it_federates_with(shared, peer):
    domain, _ = peer
    flags = ["--spiffe-id", fresh_id(), "--selector", "unix:uid:4711", "--federates-with", domain.domain]
    shared.cli("entry", "create", *flags).refusal(FAILED, saying=[domain.domain, "mintmark bundle set"])
    shared.json("bundle", "set", domain.domain, "--file", domain.file)
    entry = shared.json("entry", "create", *flags)
    shared.cli("bundle", "delete", domain.domain).refusal(FAILED, saying=["1 entry", "bundle delete --help"])
    shared.json("bundle", "delete", domain.domain, "--entries", "dissociate")
    assert shared.json("entry", "show", entry["id"])["federates_with"] == []


def test_a_relationship_from_begin_to_end(shared, peer):
    domain, endpoint = peer
    create = ["federation", "create", domain.domain, "--url", endpoint.url, "--profile", "https_spiffe"]
    name = f"spiffe://{domain.domain}/spire/server"
    made = shared.json(*create, "--endpoint-spiffe-id", name, "--bundle", domain.file)
    expected = {
        "trust_domain": domain.domain, "bundle_endpoint_url": endpoint.url, "bundle_endpoint_profile": "https_spiffe",
        "endpoint_spiffe_id": name, "has_bundle": True, "bundle_sequence": 1,
    }
    assert expected.items() <= made.items()
    endpoint.serve(domain.document(2))
    assert shared.json("federation", "refresh", domain.domain)["bundle_sequence"] == 2
    shown = shared.json("federation", "show", domain.domain)
    assert shown["error"] is None and shown["succeeded_at"] and shown["next_attempt_at"]
    assert shown in shared.json("federation", "list")["relationships"]
    endpoint.serve(b"", 503)
    shared.cli("federation", "refresh", domain.domain).refusal(FAILED, saying=["503", "mintmark federation list"])
    assert "503" in shared.cli("federation", "list").expect(0).out
    assert "503" in shared.json("federation", "show", domain.domain)["error"]
    changed = shared.json("federation", "update", domain.domain, "--profile", "https_web")
    assert changed["endpoint_spiffe_id"] is None and changed["bundle_endpoint_url"] == endpoint.url
    assert shared.json("federation", "delete", domain.domain) == {"deleted": domain.domain}
    shared.cli("federation", "show", domain.domain).refusal(FAILED, saying=["mintmark federation list"])
    assert shared.json("bundle", "show", "--trust-domain", domain.domain)["sequence"] == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["--url", "https://127.0.0.1/", "--profile", "https_spiffe"],
        ["--url", "https://127.0.0.1/", "--profile", "https_web", "--endpoint-spiffe-id", f"{OWN}/x"],
        ["--url", "https://127.0.0.1/", "--profile", "invented"],
        ["--url", "https://127.0.0.1/", "--profile", "https_spiffe", "--endpoint-spiffe-id", "nonsense"],
        ["--profile", "https_web"],
    ],
)
def test_flags_that_do_not_fit_are_usage_errors(shared, flags):
    shared.cli("federation", "create", fresh_domain(), *flags).refusal(USAGE)


def test_a_url_with_a_password_is_refused_and_not_repeated(shared):
    url = "https://admin:secret-word@127.0.0.1/"
    result = shared.cli("federation", "create", fresh_domain(), "--url", url, "--profile", "https_web").refusal(FAILED)
    assert "secret-word" not in result.out + result.err + shared.log


# --- Known by host name ---------------------------------------------------------------------------


def web_certificate(address: str):
    """A public authority, and the PEM of a server that it calls by an address."""

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.timezone.utc)
    key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def builder(subject, public):
        return (
            x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("web authority"))
            .public_key(public).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        )

    authority = builder("web authority", key.public_key()).add_extension(x509.BasicConstraints(True, None), True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    server = (
        builder("web server", server_key.public_key()).add_extension(names, False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False)
    )
    pem = serialization.Encoding.PEM
    return authority.sign(key, hashes.SHA256()).public_bytes(pem), server.sign(key, hashes.SHA256()).public_bytes(
        pem
    ) + server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["its own name", "the name of another"])
def test_web_endpoints_are_known_by_the_machines_authorities(root, roles, home, address):
    """FED-27; the machine's authorities are replaced for the server alone, in a mount namespace of its own."""
    domain = Domain(fresh_domain())
    authority, pem = web_certificate(address)
    (home / "web-ca.pem").write_bytes(authority)
    (home / "web.pem").write_bytes(pem)
    server = roles.keep(Server(home))
    mount = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    server.start(wrapper=["unshare", "--mount", "sh", "-c", mount, home / "web-ca.pem"])
    with Endpoint(home / "web.pem") as endpoint:
        endpoint.serve(domain.document(4))
        server.json("federation", "create", domain.domain, "--url", endpoint.url, "--profile", "https_web")
        if address == "127.0.0.1":
            assert server.json("federation", "refresh", domain.domain)["bundle_sequence"] == 4
        else:
            server.cli("federation", "refresh", domain.domain).refusal(FAILED, saying=["who it should be"])
            assert not endpoint.requests


# --- What workloads get ---------------------------------------------------------------------------


def test_bundles_of_federated_domains_reach_the_workloads_that_federate(shared, peer):
    domain, _ = peer
    shared.json("bundle", "set", domain.domain, "--file", domain.file)
    foreign = f"spiffe://{domain.domain}"
    entry = shared.register(fresh_id("fed"), my_uid())
    with shared.api() as api:
        x509_svids, x509_bundles = api.watch("FetchX509SVID"), api.watch("FetchX509Bundles")
        jwt_bundles = api.watch("FetchJWTBundles")
        assert foreign not in x509_svids.next().federated_bundles
        assert set(x509_bundles.next().bundles) == {OWN} == set(jwt_bundles.next().bundles)
        with pytest.raises(grpc.RpcError) as refused:
            api.validate(token_of(domain, "a"), "a")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        # Pushed to streams that are open, within the time that entries take.
        shared.json("entry", "update", entry["id"], "--federates-with", domain.domain)
        found = x509_svids.until(lambda message: message.federated_bundles)
        assert dict(found.federated_bundles) == {foreign: domain.certificate}
        assert found.svids[0].bundle != domain.certificate, "FED-37: bundles are not merged"
        assert dict(x509_bundles.until(lambda message: len(message.bundles) == 2).bundles)[foreign] == domain.certificate
        keys = json.loads(jwt_bundles.until(lambda message: len(message.bundles) == 2).bundles[foreign])["keys"]
        assert [key["kid"] for key in keys] == [domain.key_id], "WLAPI-24: JWT authorities alone"
        judged = api.validate(token_of(domain, "a"), "a")
        assert judged.spiffe_id == f"{foreign}/w"
        for bad in (token_of(domain, "b"), token_of(Domain(domain.domain), "a"), token_of(Domain(fresh_domain()), "a")):
            with pytest.raises(grpc.RpcError):
                api.validate(bad, "a")
        # A new bundle replaces the old one; what it left out is believed no more.
        heir = Domain(domain.domain)
        domain.file.write_bytes(heir.document(2))
        shared.json("bundle", "set", domain.domain, "--file", domain.file)
        x509_svids.until(lambda message: dict(message.federated_bundles) == {foreign: heir.certificate})
        with pytest.raises(grpc.RpcError):
            api.validate(token_of(domain, "a"), "a")
        assert api.validate(token_of(heir, "a"), "a").spiffe_id == f"{foreign}/w"
        shared.json("bundle", "delete", domain.domain, "--entries", "dissociate")
        x509_svids.until(lambda message: not message.federated_bundles)
        x509_bundles.until(lambda message: set(message.bundles) == {OWN})
        jwt_bundles.until(lambda message: set(message.bundles) == {OWN})
        with pytest.raises(grpc.RpcError):
            api.validate(token_of(heir, "a"), "a")
        for watch in (x509_svids, x509_bundles, jwt_bundles):
            watch.cancel()


@pytest.mark.limit(60)
def test_two_servers_believe_each_other(start_up):
    """FED-40: one way each; a workload of one has a token of the other judged."""
    ours, theirs = start_up(name="ours"), start_up("--trust-domain", "theirs.example", name="theirs")
    file = theirs.folder / "theirs.json"
    file.write_text(theirs.cli("bundle", "show", "--format", "spiffe").expect(0).out)
    ours.json("bundle", "set", "theirs.example", "--file", file)
    ours.register(fresh_id("ours"), my_uid(), flags=["--federates-with", "theirs.example"])
    name = "spiffe://theirs.example/w"
    theirs.register(name, my_uid())
    with theirs.api() as api:
        token = api.jwt("spiffe://example.org/service")[0].svid
        leaf = api.first("FetchX509SVID").svids[0]
    with ours.api() as api:
        assert api.validate(token, "spiffe://example.org/service").spiffe_id == name
        bundles = api.first("FetchX509SVID").federated_bundles
        assert bundles["spiffe://theirs.example"] == leaf.bundle
    with theirs.api() as api, pytest.raises(grpc.RpcError):
        # They were never told of us.
        with ours.api() as other:
            api.validate(other.jwt("a")[0].svid, "a")


def test_a_separate_agent_gets_them_too(roles, peer):
    domain, endpoint = peer
    server = roles.server()
    agent = roles.agent(server).join(server)
    name = f"spiffe://{domain.domain}/spire/server"
    create = ["federation", "create", domain.domain, "--url", endpoint.url, "--profile", "https_spiffe"]
    server.json(*create, "--endpoint-spiffe-id", name, "--bundle", domain.file)
    server.register(fresh_id("far"), my_uid(), flags=["--federates-with", domain.domain])
    with agent.api() as api:
        watch = api.watch("FetchX509SVID")
        watch.until(lambda message: dict(message.federated_bundles) == {name[: -len("/spire/server")]: domain.certificate})
        heir = Domain(domain.domain)
        endpoint.serve(heir.document(2))
        server.json("federation", "refresh", domain.domain)
        watch.until(lambda message: set(message.federated_bundles.values()) == {heir.certificate})
        watch.cancel()
