"""The HTTP examples: a service that knows its callers, a client that knows its service, and those who are neither."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import ssl
import subprocess

import pytest
from cryptography import x509

import mintmark
from mintmark import TRUST_DOMAIN, USAGE, Daemon, clean_environment, fresh_id, openssl, poll, run, sid
from workload import uris_of

SERVICE, CALLER, FILES = sid("/web"), sid("/caller"), sid("/files")
AUDIENCE = "web"


def by_path(program):
    # What the kernel says is executed has no links in it.
    return f"unix:path:{(mintmark.bin_dir() / program).resolve()}"


class HTTPService(Daemon):
    """The example service, on a port of the kernel's choice."""

    program = "example-http-service"

    def __init__(self, folder, up, *flags, name="service"):
        super().__init__(folder, name)
        self.up, self.flags = up, flags

    def arguments(self):
        return ["--listen", "127.0.0.1:0", *self.flags]

    def start(self, **options):
        return super().start(env={"SPIFFE_ENDPOINT_SOCKET": self.up.endpoint}, **options)

    def is_ready(self):
        return self.port is not None

    @property
    def port(self):
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log)
        return int(found[1]) if found else None

    def url(self, scheme="https"):
        return f"{scheme}://127.0.0.1:{self.port}/whoami"

    def curl(self, *arguments, scheme="https"):
        """The status and the body; status 0 when the connection came to nothing."""
        ended = subprocess.run(
            ["curl", "-sk", "--max-time", "10", "-w", "\n%{http_code}", *map(str, arguments), self.url(scheme)],
            capture_output=True, text=True, timeout=20, env=clean_environment(),
        )
        body, _, status = ended.stdout.rpartition("\n")
        return int(status), body

    def s_client(self, *arguments, version="-tls1_3"):
        """Sends one request over `openssl s_client` and returns all that was said."""
        request = b"GET /whoami HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        return openssl(
            "s_client", "-connect", f"127.0.0.1:{self.port}", version, "-ign_eof", *arguments, input=request
        )


def register(up):
    for identity, program in (
        (SERVICE, "example-http-service"), (CALLER, "example-http-client"), (FILES, "mintmark"),
    ):
        up.register(identity, by_path(program))


def svid_files(up, folder):
    """The files of /files as curl takes them."""
    folder.mkdir(exist_ok=True)
    up.fetch("fetch", "x509", "--write", folder).expect(0)
    chain, key = sorted(folder.glob("svid*.pem")), sorted(folder.glob("svid*.key"))
    return ["--cert", chain[0], "--key", key[0]]


def token(up, audience=AUDIENCE):
    return up.fetch("fetch", "jwt", "--audience", audience, "--output", "json").expect(0).json()["svids"][0]["token"]


@contextlib.contextmanager
def running(service):
    try:
        yield service.start()
    except BaseException as error:
        error.add_note(str(service.result()))
        raise
    finally:
        service.close()


@pytest.fixture(scope="module", autouse=True)
def examples():
    for program in ("example-http-service", "example-http-client"):
        assert (mintmark.bin_dir() / program).exists(), f"MINTMARK_BIN_DIR has no executable '{program}'"


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    register(up)
    return up


@pytest.fixture(scope="module")
def certificate(served, module_home):
    return svid_files(served, module_home / "files")


@pytest.fixture(scope="module")
def mutual(served, module_home):
    """Certificates alone, from all of the trust domain."""
    with running(HTTPService(module_home, served, "--allow-domain", TRUST_DOMAIN, name="mutual")) as service:
        yield service


@pytest.fixture(scope="module")
def either(served, module_home):
    """Tokens or certificates, from all of the trust domain."""
    flags = ("--allow-domain", TRUST_DOMAIN, "--audience", AUDIENCE)
    with running(HTTPService(module_home, served, *flags, name="either")) as service:
        yield service


def call(up, *arguments):
    return run(*arguments, program="example-http-client", env={"SPIFFE_ENDPOINT_SOCKET": up.endpoint})


# --- The two examples -----------------------------------------------------------------------------


def test_the_service_knows_the_client_by_its_certificate(served, mutual):
    assert call(served, "--expect", SERVICE, mutual.url()).expect(0).out == f"{CALLER} by certificate\n"


def test_the_service_knows_the_client_by_its_token(served, either):
    result = call(served, "--expect", SERVICE, "--audience", AUDIENCE, either.url()).expect(0)
    assert result.out == f"{CALLER} by token\n"


def test_a_token_for_another_audience_is_refused_in_spite_of_the_certificate(served, either):
    """JWT-15."""
    result = call(served, "--expect", SERVICE, "--audience", "another", either.url()).expect(1)
    assert "answered 401" in result.err, result


@pytest.mark.parametrize("expected", [sid("/another"), "spiffe://other.example/web"])
def test_the_client_does_not_talk_to_another_service(served, mutual, expected):
    result = call(served, "--expect", expected, mutual.url()).expect(1)
    assert f"refused: {SERVICE} is not {expected}" in result.err and result.out == "", result


def test_the_client_does_not_talk_without_tls(served, mutual):
    result = call(served, "--expect", SERVICE, "--audience", AUDIENCE, mutual.url("http")).expect(1)
    assert "not https" in result.err and result.out == "", result


def test_a_client_that_is_not_allowed_gets_no_answer(served, home):
    with running(HTTPService(home, served, "--allow", sid("/somebody/else"))) as service:
        result = call(served, "--expect", SERVICE, service.url()).expect(1)
        assert result.out == "", result


def test_several_identities_can_be_allowed(served, home, certificate):
    with running(HTTPService(home, served, "--allow", CALLER, "--allow", sid("/other"))) as service:
        call(served, "--expect", SERVICE, service.url()).expect(0)
        assert service.curl(*certificate) == (0, "")


@pytest.mark.parametrize("program", ["example-http-service", "example-http-client"])
def test_wrong_arguments_are_answered_with_the_usage(program):
    for arguments in ([], ["--nonsense"], ["--listen"], ["--expect", SERVICE]):
        assert "usage:" in run(*arguments, program=program).expect(USAGE).err
    assert "usage:" in run("--help", program=program).expect(0).out


def test_they_say_when_they_were_not_told_where_to_ask():
    """E09: no default is guessed."""
    for program, arguments in (
        ("example-http-service", ["--listen", "127.0.0.1:0", "--allow", CALLER]),
        ("example-http-client", ["--expect", SERVICE, "https://127.0.0.1:1/"]),
    ):
        result = run(*arguments, program=program).expect(1)
        assert "SPIFFE_ENDPOINT_SOCKET" in result.err, result


# --- Other clients --------------------------------------------------------------------------------


def test_curl_is_known_by_the_files_that_mintmark_wrote(mutual, certificate):
    assert mutual.curl(*certificate) == (200, f"{FILES} by certificate\n")


def test_curl_without_a_certificate_gets_no_answer(mutual):
    assert mutual.curl() == (0, "")


def test_plain_http_gets_no_answer(mutual):
    assert mutual.curl(scheme="http")[0] in (0, 400)


def test_the_service_shows_its_svid(mutual, certificate):
    flags = ["-cert", certificate[1], "-key", certificate[3], "-showcerts"]
    result = mutual.s_client(*flags)
    assert f"{FILES} by certificate" in result.out, result
    shown = x509.load_pem_x509_certificate(re.search(r"-----BEGIN.*?END CERTIFICATE-----", result.out, re.S)[0].encode())
    assert uris_of(shown) == [SERVICE]


def test_curl_is_known_by_a_token(served, either):
    """JWT-23: the scheme's case does not matter."""
    bearer = token(served)
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert either.curl("-H", f"Authorization: {scheme} {bearer}") == (200, f"{FILES} by token\n")
    assert bearer.split(".")[1] not in either.log


def test_without_any_proof_a_token_is_asked_for(either):
    status, answer = either.curl("-i")
    assert status == 401
    assert re.search(r"^www-authenticate: Bearer\r?$", answer, re.I | re.M), answer
    assert answer.splitlines()[-1] == "no_identity"


def test_bad_tokens_are_refused_in_spite_of_the_certificate(served, either, certificate):
    """JWT-15, JWT-23."""
    good = token(served)
    head, claims, signature = good.split(".")
    refused = {
        "another audience": [f"Bearer {token(served, 'another')}"],
        "no signature": [f"Bearer {head}.{claims}."],
        "a changed signature": [f"Bearer {head}.{claims}.{signature[::-1]}"],
        "not a token": ["Bearer nonsense"],
        "two headers": [f"Bearer {good}", f"Bearer {good}"],
        "two kinds": ["Basic dTpw", f"Bearer {good}"],
        "two in one": [f"Bearer {good}, Bearer {good}"],
    }
    for what, headers in refused.items():
        sent = [part for value in headers for part in ("-H", f"Authorization: {value}")]
        status, answer = either.curl("-i", *certificate, *sent)
        assert status == 401, what
        assert 'error="invalid_token"' in answer, what
        assert answer.splitlines()[-1] == "invalid_identity", f"{what}: nothing more is said"
    assert either.log.count("request refused") >= len(refused)
    assert signature not in either.log
    assert either.curl(*certificate) == (200, f"{FILES} by certificate\n")


def test_where_certificates_alone_count_a_token_changes_nothing(served, mutual, certificate):
    assert mutual.curl("-H", f"Authorization: Bearer {token(served)}") == (0, "")
    assert mutual.curl("-H", "Authorization: Bearer nonsense", *certificate)[0] == 200


# --- Sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_does_not_replace_a_certificate(mutual, certificate, home, version):
    flags = ["-cert", certificate[1], "-key", certificate[3]]
    session = home / "session"
    first = mutual.s_client(*flags, "-sess_out", session, version=version)
    assert f"{FILES} by certificate" in first.out, first
    assert session.exists(), f"the server gave nothing to resume, so nothing was tried{first}"
    without = mutual.s_client("-sess_in", session, version=version)
    assert "Reused" not in without.out and "HTTP/1.1" not in without.out, without
    again = mutual.s_client(*flags, "-sess_in", session, version=version)
    assert "Reused" not in again.out and f"{FILES} by certificate" in again.out, again


# --- Over time ------------------------------------------------------------------------------------


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.limit(90)
def test_a_renewed_certificate_is_shown_to_new_connections_while_old_ones_stay(start_up, home):
    up = start_up("--x509-ttl", "30s")
    register(up)
    files = svid_files(up, home / "files")
    # Who only looks shows no certificate, since one of this life could have ended by then.
    with running(HTTPService(home, up, "--allow-domain", TRUST_DOMAIN, "--audience", AUDIENCE)) as service:
        context = unverified()
        context.load_cert_chain(files[1], files[3])
        connection = http.client.HTTPSConnection("127.0.0.1", service.port, context=context, timeout=10)

        def whoami():
            connection.request("GET", "/whoami")
            return connection.getresponse().read().decode()

        def serial():
            fresh = http.client.HTTPSConnection("127.0.0.1", service.port, context=unverified())
            with contextlib.closing(fresh):
                fresh.connect()
                return x509.load_der_x509_certificate(fresh.sock.getpeercert(binary_form=True)).serial_number

        with contextlib.closing(connection):
            assert whoami() == f"{FILES} by certificate\n"
            first, port = serial(), connection.sock.getsockname()
            poll("a renewed certificate", lambda: serial() != first, within=40, every=0.5)
            assert whoami() == f"{FILES} by certificate\n" and connection.sock.getsockname() == port
        call(up, "--expect", SERVICE, service.url()).expect(0)


@pytest.mark.limit(60)
def test_what_the_agent_takes_back_the_service_no_longer_uses(start_up, home):
    """WLAPI-35, WLAPI-40: no identity to show, so no new connections; no bundles, so no judgement of tokens."""
    up = start_up()
    register(up)
    flags = ("--allow-domain", TRUST_DOMAIN, "--audience", AUDIENCE)
    with running(HTTPService(home, up, *flags)) as service:
        bearer = {"Authorization": f"Bearer {token(up)}"}
        connection = http.client.HTTPSConnection("127.0.0.1", service.port, context=unverified(), timeout=10)

        def ask():
            connection.request("GET", "/whoami", headers=bearer)
            response = connection.getresponse()
            return response.status, response.read().decode()

        with contextlib.closing(connection):
            assert ask() == (200, f"{FILES} by token\n")
            entry = next(entry for entry in up.entries() if entry["spiffe_id"] == SERVICE)
            up.cli("entry", "delete", entry["id"]).expect(0)
            poll("the lack of bundles to show", lambda: ask() == (503, "unavailable\n"), within=20)
        poll("new connections to be refused", lambda: service.curl() == (0, ""))
        up.register(SERVICE, by_path("example-http-service"))
        poll("the service to recover", lambda: service.curl("-H", f"Authorization: Bearer {token(up)}")[0] == 200, 20)


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_to_with_a_connection_open(served, home, certificate, by):
    service = HTTPService(home, served, "--allow-domain", TRUST_DOMAIN)
    with running(service):
        context = unverified()
        context.load_cert_chain(certificate[1], certificate[3])
        with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", service.port, context=context)) as idle:
            idle.request("GET", "/whoami")
            idle.getresponse().read()
            service.stop(by, within=10).expect(0)
