"""The server's TCP port: TLS alone, the right name, nothing resumed, and nothing said to those without standing."""

from __future__ import annotations

import datetime
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mintmark import TRUST_DOMAIN, fresh_id, my_uid, openssl, sid
from peers import GREETING, TLSTunnel, hear, say, tcp, trusting_context
from workload import WorkloadAPI, uris_of

SERVER_ID = f"spiffe://{TRUST_DOMAIN}/spire/server"


class Cast:
    """A server, its agent, and the SVID of a workload, as files."""


@pytest.fixture(scope="module")
def cast(module_roles):
    cast = Cast()
    cast.home = module_roles.home
    cast.server = module_roles.server()
    cast.agent = module_roles.agent(cast.server).join(cast.server)
    cast.server.register(fresh_id("tls"), my_uid())
    cast.bundle = cast.server.write_bundle()
    cast.workload = cast.home / "workload"
    cast.workload.mkdir()
    cast.agent.fetch("fetch", "x509", "--write", cast.workload).expect(0)
    return cast


def handshake(port, context, session=None):
    return context.wrap_socket(tcp(port), session=session)


# --- Who it is ------------------------------------------------------------------------------------


def test_openssl_verifies_the_server(cast):
    connect = ["s_client", "-connect", cast.server.address, "-alpn", "h2", "-CAfile", cast.bundle]
    result = openssl(*connect, "-verify_return_error", "-showcerts").expect(0)
    assert "Verify return code: 0 (ok)" in result.out, result
    assert "ALPN protocol: h2" in result.out, result
    leaf = openssl("x509", "-noout", "-ext", "subjectAltName", input=result.out.encode()).expect(0)
    assert f"URI:{SERVER_ID}" in leaf.out, leaf


def test_the_servers_certificate_is_a_svid(cast):
    with handshake(cast.server.port, trusting_context()) as peer:
        leaf = x509.load_der_x509_certificate(peer.getpeercert(binary_form=True))
    assert uris_of(leaf) == [SERVER_ID]
    leaf.verify_directly_issued_by(cast.server.authorities()[0][0])
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, (
        "X509-23: no CA as an end entity"
    )


def test_the_address_is_loopback(cast):
    assert cast.server.address == f"127.0.0.1:{cast.server.port}" and cast.server.port > 0


# --- How it speaks --------------------------------------------------------------------------------


def test_a_plaintext_peer_gets_nothing(cast):
    for opening in (GREETING, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with tcp(cast.server.port) as peer:
            say(peer, opening)
            heard = hear(peer)
        # At most a TLS alert (RFC 8446 §6): record type 21.
        assert heard == b"" or heard[0] == 21, heard[:64]


def test_old_tls_is_refused(cast):
    context = trusting_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
        handshake(cast.server.port, context)
    assert "NO_PROTOCOLS_AVAILABLE" not in str(refused.value), "this client cannot speak TLS 1.1 itself"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_no_session_is_resumed(cast, version):
    """GS-17: a resumed session skips the check of the peer's certificate."""
    context = trusting_context()
    context.minimum_version = context.maximum_version = version
    with handshake(cast.server.port, context) as first:
        say(first, GREETING)
        hear(first, within=1)
        assert first.version() == version.name.replace("_", ".")
        session = first.session
    with handshake(cast.server.port, context, session=session) as second:
        assert not second.session_reused


# --- What it does not say -------------------------------------------------------------------------

REFUSALS = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED)
FOR_ADMINS = [
    "spire.api.server.entry.v1.Entry/ListEntries",
    "spire.api.server.entry.v1.Entry/CountEntries",
    "spire.api.server.entry.v1.Entry/BatchCreateEntry",
    "spire.api.server.entry.v1.Entry/BatchUpdateEntry",
    "spire.api.server.entry.v1.Entry/BatchDeleteEntry",
    "spire.api.server.agent.v1.Agent/ListAgents",
    "spire.api.server.agent.v1.Agent/CreateJoinToken",
    "spire.api.server.svid.v1.SVID/MintX509SVID",
    "spire.api.server.svid.v1.SVID/MintJWTSVID",
    "mintmark.v1.Propagation/AwaitEntry",
    "mintmark.v1.Registration/CreateEntries",
    "mintmark.v1.Registration/UpdateEntries",
    "mintmark.v1.Registration/GetEntry",
    "mintmark.v1.Registration/ListEntries",
]
FOR_AGENTS = [
    "spire.api.server.entry.v1.Entry/GetAuthorizedEntries",
    "spire.api.server.entry.v1.Entry/SyncAuthorizedEntries",
    "mintmark.v1.AuthorizedEntries/Sync",
    "spire.api.server.svid.v1.SVID/BatchNewX509SVID",
    "spire.api.server.svid.v1.SVID/NewJWTSVID",
    "spire.api.server.agent.v1.Agent/RenewAgent",
    "mintmark.v1.Propagation/Follow",
]


def ending_through_tls(cast, method, context=None):
    with TLSTunnel(cast.home, cast.server.port, context) as path, WorkloadAPI(path) as api:
        return api.refusal(f"/{method}", b"", metadata=(), timeout=10)


@pytest.mark.parametrize("method", FOR_ADMINS + FOR_AGENTS)
def test_a_peer_without_a_certificate_is_refused(cast, method):
    assert ending_through_tls(cast, method).code in REFUSALS


@pytest.mark.parametrize("method", FOR_ADMINS + FOR_AGENTS)
def test_a_workload_is_neither_admin_nor_agent(cast, method):
    """Its SVID is signed by the same authority; that alone must not do."""
    context = trusting_context()
    context.load_cert_chain(cast.workload / "svid.0.pem", cast.workload / "svid.0.key")
    assert ending_through_tls(cast, method, context).code in REFUSALS


@pytest.mark.parametrize("name", [sid("/spire/agent/join_token/x"), SERVER_ID, "spiffe://other.org/w"])
def test_a_certificate_of_another_authority_does_not_help(cast, name):
    """X16, X17: whatever name it bears."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Impostor")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    pem = cast.home / "impostor.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = trusting_context()
    context.load_cert_chain(pem)
    for method in (
        "spire.api.server.entry.v1.Entry/ListEntries",
        "spire.api.server.entry.v1.Entry/GetAuthorizedEntries",
        "mintmark.v1.AuthorizedEntries/Sync",
    ):
        ending = ending_through_tls(cast, method, context)
        assert ending.code in (*REFUSALS, grpc.StatusCode.UNAVAILABLE), ending


def test_attestation_of_an_unknown_kind_is_refused(cast):
    """AttestAgentRequest{params{data{type: "made_up", payload: "x"}}}."""
    data = b"\x0a\x07made_up" + b"\x12\x01x"
    params = b"\x0a" + bytes([len(data)]) + data
    request = b"\x0a" + bytes([len(params)]) + params
    with TLSTunnel(cast.home, cast.server.port) as path, WorkloadAPI(path) as api:
        ending = api.refusal("/spire.api.server.agent.v1.Agent/AttestAgent", request, metadata=(), timeout=10)
    assert ending.code in (*REFUSALS, grpc.StatusCode.INVALID_ARGUMENT), ending
    assert len(cast.server.agents()) == 1


def test_the_workload_api_is_not_on_the_network(cast):
    with TLSTunnel(cast.home, cast.server.port) as path, WorkloadAPI(path) as api:
        assert api.refusal("FetchX509SVID").code in REFUSALS


def test_the_port_is_not_open_to_the_world(cast):
    """bind_address is loopback unless told otherwise."""
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            rows = [line.split() for line in lines][1:]
        listening += [
            row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == cast.server.port
        ]
    assert listening == ["0100007F"], listening
