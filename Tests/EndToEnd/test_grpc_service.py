"""The gRPC example, both of its sides, on the library that is shipped: with itself, with OpenSSL and with grpcio."""

from __future__ import annotations

import shutil
import signal
import ssl
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from mintmark import FAILED, USAGE, Daemon, bin_dir, openssl, poll, run, sid
from peers import GREETING, SETTINGS, TLSTunnel, hear, say, tcp, trusting_context
from tokens import claims_of
from workload import WorkloadAPI, uris_of

SERVER, CLIENT, STRANGER = sid("/greeter"), sid("/greeted"), sid("/stranger")
AUDIENCE = "greeter.example"
SAY_HELLO = "/mintmark.examples.Greeter/SayHello"


def hello(name: str) -> bytes:
    """HelloRequest and HelloReply alike: one text, field 1."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


class Service(Daemon):
    """`example-grpc-service serve`, as a workload."""

    def __init__(self, folder: Path, program: Path, up) -> None:
        super().__init__(folder, "service")
        self.program, self.up = program, up

    def arguments(self):
        return ["serve", "--listen", "127.0.0.1:0", "--allow", CLIENT, "--token-audience", AUDIENCE]

    def start(self, **options):
        return super().start(env={"SPIFFE_ENDPOINT_SOCKET": self.up.endpoint}, **options)

    def is_ready(self) -> bool:
        return "listening on " in self.out

    @property
    def port(self) -> int:
        return int(self.out.partition("listening on ")[2].split()[0])

    def served(self) -> x509.Certificate:
        """What it presents on a new connection, which ends as soon as that is known."""
        with trusting_context().wrap_socket(tcp(self.port)) as peer:
            return x509.load_der_x509_certificate(peer.getpeercert(binary_form=True))


class Cast:
    """A service, and others known to the agent by their executables."""

    def __init__(self, home: Path, up) -> None:
        self.home, self.up = home, up
        source = bin_dir() / "example-grpc-service"
        assert source.exists(), f"MINTMARK_BIN_DIR has no executable 'example-grpc-service': {source}"
        self.programs = {}
        for name, identity in (("greeter", SERVER), ("greeted", CLIENT), ("stranger", STRANGER)):
            self.programs[name] = home / name
            shutil.copy(source, home / name)
            up.register(identity, f"unix:path:{home / name}")
        # What the other programs of these tests show was fetched by this one.
        up.register(CLIENT, f"unix:path:{(bin_dir() / 'mintmark').resolve()}")
        self.files = home / "svid"
        self.files.mkdir()
        up.fetch("fetch", "x509", "--write", self.files).expect(0)
        self.service = Service(home, self.programs["greeter"], up)

    def call(self, *flags, program="greeted", expect=SERVER, **options):
        env = {"SPIFFE_ENDPOINT_SOCKET": self.up.endpoint}
        address = f"127.0.0.1:{self.service.port}"
        return run("call", address, "--expect", expect, *flags, program=self.programs[program], env=env, **options)

    def context(self) -> ssl.SSLContext:
        """Shows the SVID that was written to files."""
        context = trusting_context()
        context.load_cert_chain(self.files / "svid.0.pem", self.files / "svid.0.key")
        return context

    def grpcio(self, context: ssl.SSLContext, *tokens: str):
        """Python's gRPC, which knows nothing of SPIFFE; its own TLS insists on host names, so another carries it."""
        metadata = [("authorization", f"Bearer {token}") for token in tokens]
        with TLSTunnel(self.home, self.service.port, context) as path, WorkloadAPI(path) as api:
            return api.first(SAY_HELLO, hello("me"), metadata=metadata, timeout=10)


@pytest.fixture(scope="module")
def cast(start_module_up, module_home):
    cast = Cast(module_home, start_module_up())
    cast.service.start()
    yield cast
    cast.service.close()


# --- With itself ----------------------------------------------------------------------------------


def test_the_service_knows_who_calls(cast):
    assert cast.call("--name", "Ada").expect(0).out == f"Hello, {CLIENT}, also known as Ada\n"


def test_a_token_says_it_as_well(cast):
    """JWT-24."""
    assert cast.call("--token-audience", AUDIENCE).expect(0).out.startswith(f"Hello, {CLIENT},")


def test_a_token_for_another_is_refused(cast):
    """J12: the certificate beside it is good, and does not help."""
    result = cast.call("--token-audience", "somebody.else").expect(FAILED)
    assert result.err == "refused: the caller has not proven who it is\n", result
    assert "token is meant for another audience" in cast.service.log


def test_a_stranger_is_refused(cast):
    cast.call(program="stranger").expect(FAILED)
    assert STRANGER in cast.service.log, "the service tells whom it refused"


def test_the_caller_refuses_the_wrong_service(cast):
    result = cast.call(expect=sid("/another")).expect(FAILED)
    assert f"{SERVER} is not {sid('/another')}" in result.err, result


@pytest.mark.parametrize("arguments", [[], ["serve"], ["call", "x", "--expect", SERVER], ["dance"]], ids=str)
def test_it_says_how_it_is_used(cast, arguments):
    assert "usage: " in run(*arguments, program=cast.programs["greeted"]).expect(USAGE).err


# --- With others ----------------------------------------------------------------------------------


def s_client(cast, *flags, **options):
    bundle = cast.home / "bundle.pem"
    bundle.write_text(cast.up.bundle_pem())
    return openssl(
        *("s_client", "-connect", f"127.0.0.1:{cast.service.port}", "-alpn", "h2", "-CAfile", bundle),
        *("-verify_return_error", *flags),
        **options,
    )


def test_the_service_presents_its_svid(cast):
    leaf = cast.service.served()
    assert uris_of(leaf) == [SERVER]
    leaf.verify_directly_issued_by(cast.up.authorities()[0][0])


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_openssl_is_let_in_with_an_svid_and_not_without(cast, version):
    flag = version.lower().replace("v", "")
    # Listens for longer than the handshake: that is when a TLS 1.3 server says whether the certificate will do.
    refused = s_client(cast, f"-{flag}", "-ign_eof", input=GREETING)
    alerts = {"TLSv1_2": "alert handshake failure", "TLSv1_3": "alert certificate required"}
    assert alerts[version] in refused.err, refused
    shown = ("-cert", cast.files / "svid.0.pem", "-key", cast.files / "svid.0.key")
    met = s_client(cast, f"-{flag}", *shown).expect(0)
    assert "Verify return code: 0 (ok)" in met.out and "ALPN protocol: h2" in met.out, met
    context = cast.context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with context.wrap_socket(tcp(cast.service.port)) as peer:
        say(peer, GREETING)
        assert hear(peer, within=1)[3:4] == bytes([SETTINGS]), "the server's own greeting"


def test_grpcio_is_answered_with_an_svid_and_not_without(cast):
    assert cast.grpcio(cast.context()) == hello(f"Hello, {CLIENT}, also known as me")
    with pytest.raises(grpc.RpcError) as refused:
        cast.grpcio(trusting_context())
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE


def test_one_token_is_the_callers_word_and_two_are_none(cast):
    """JWT-24."""
    fetched = cast.up.fetch("fetch", "jwt", "--audience", AUDIENCE, "--output", "json").expect(0).json()
    token = fetched["svids"][0]["token"]
    assert claims_of(token)["sub"] == CLIENT
    assert cast.grpcio(cast.context(), token) == hello(f"Hello, {CLIENT}, also known as me")
    for tokens in ([token, token], ["x"]):
        with pytest.raises(grpc.RpcError) as refused:
            cast.grpcio(cast.context(), *tokens)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert refused.value.details() == "the caller has not proven who it is"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_no_session_is_resumed(cast, version):
    """GS-17: a resumed session skips the check of the peer's certificate."""
    context = cast.context()
    context.minimum_version = context.maximum_version = version
    with context.wrap_socket(tcp(cast.service.port)) as first:
        say(first, GREETING)
        hear(first, within=1)
        session = first.session
    with context.wrap_socket(tcp(cast.service.port), session=session) as second:
        assert not second.session_reused


# --- Over time ------------------------------------------------------------------------------------


@pytest.mark.limit(90)
def test_it_follows_rotation_and_ends_when_asked(start_up, home):
    cast = Cast(home, start_up("--x509-ttl", "20s"))
    service = cast.service.start()
    try:
        first = service.served().serial_number
        pid = service.pid
        poll("a new certificate", lambda: service.served().serial_number != first, within=40, every=0.5)
        assert cast.call().expect(0).out.startswith(f"Hello, {CLIENT},")
        assert service.pid == pid and service.is_running
        assert service.out.count(f"{SERVER}, valid until ") >= 2, "it tells of each certificate"
        assert service.stop(signal.SIGTERM).code == 0, service.result()
    finally:
        service.close()
