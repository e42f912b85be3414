"""`mintmark verify-server`: alone, and asked by nginx and Envoy as deploy/examples configures them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import socket
import time

import grpc
import pytest

from mintmark import CANNOT_CREATE, FAILED, NOBODY, USAGE, mode, my_uid, poll, run, sid
from peers import hear, say
from proxies import AUDIENCE, Envoy, Nginx, Service, VerifyServer, ask, bearer, running
from tokens import compact, es256, private_key_in

CALLER, STRANGER = sid("/caller"), sid("/stranger")


def token(up, *audience, as_=CALLER):
    with up.api() as api:
        return api.jwt(*(audience or [AUDIENCE]), spiffe_id=as_)[0].svid


def forged(up, **claims):
    """A token signed with the issuer's own key, so that nothing but the claims is wrong."""
    found = private_key_in(up.state / "keys", up.authorities()[1])
    if found is None:
        pytest.skip("needs the JWT key as an unencrypted PKCS#8 file in the state folder's keys/")
    now = int(time.time())
    return compact(
        {"alg": "ES256", "kid": found[1], "typ": "JWT"},
        {"sub": CALLER, "aud": [AUDIENCE], "exp": now + 300, "iat": now} | claims,
        es256(found[0]),
    )


def register(up):
    up.register(CALLER, my_uid())
    up.register(STRANGER, my_uid())


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    register(up)
    return up


ONLY_CALLER = ("--audience", "other", "--audience", AUDIENCE, "--allow", CALLER)


@pytest.fixture(scope="module", params=["unix", "loopback"])
def verifier(served, module_home, request):
    server = VerifyServer(
        module_home, served, *ONLY_CALLER, unix=request.param == "unix", name=f"verify-{request.param}"
    )
    with running(server):
        yield server.start()


# --- What it says ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/verify", "/verify/orders/7?x=y"])
def test_a_proven_caller_is_named(served, verifier, method, path):
    answer = verifier.ask(bearer(token(served)), path, method=method)
    assert answer.status == 200
    assert answer.headers["x-spiffe-id"] == CALLER
    assert answer.headers["x-spiffe-trust-domain"] == "example.org"
    assert answer.headers["x-spiffe-proof"] == "jwt"
    end = time.strptime(answer.headers["x-spiffe-expires-at"], "%Y-%m-%dT%H:%M:%SZ")
    assert 200 < time.mktime(end) - time.mktime(time.gmtime()) <= 300
    assert method == "HEAD" and answer.body == b"" or answer.json()["spiffe_id"] == CALLER


REFUSED = {
    "nothing": (lambda up: {}, 401, "no_identity"),
    "basic": (lambda up: {"Authorization": "Basic dTpw"}, 401, "no_identity"),
    "garbage": (lambda up: bearer("garbage"), 401, "invalid_identity"),
    "J15 expired": (lambda up: bearer(forged(up, exp=int(time.time()) - 61)), 401, "invalid_identity"),
    "J13 another audience": (lambda up: bearer(token(up, "elsewhere")), 401, "invalid_identity"),
    "J20 another trust domain": (lambda up: bearer(forged(up, sub="spiffe://other.org/w")), 401, "invalid_identity"),
    "two headers": (
        lambda up: [("Authorization", f"Bearer {token(up)}"), ("authorization", f"Bearer {token(up)}")],
        401,
        "invalid_identity",
    ),
    "not allowed": (lambda up: bearer(token(up, as_=STRANGER)), 403, "not_authorized"),
}


@pytest.mark.parametrize(("headers", "status", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_everyone_else_is_refused_with_one_word(served, verifier, headers, status, reason):
    answer = verifier.ask(headers(served))
    assert (answer.status, answer.reason) == (status, reason)
    assert not [name for name in answer.headers if name.startswith("x-spiffe")]
    challenge = {"no_identity": "Bearer", "invalid_identity": 'Bearer error="invalid_token"'}.get(reason)
    assert answer.headers.get("www-authenticate") == challenge


def test_a_sound_forgery_is_accepted_so_that_the_others_fail_for_their_flaw(served, verifier):
    assert verifier.ask(bearer(forged(served))).status == 200


def test_any_of_its_names_will_do(served, verifier):
    assert verifier.ask(bearer(token(served, "other"))).status == 200
    assert verifier.ask(bearer(token(served, "elsewhere", "other"))).status == 200


def test_a_strangers_path_does_not_lead_to_the_page_that_is_always_fine(verifier):
    assert verifier.ask(path="/healthz").status == 200
    for path in ("/verify/../healthz", "/verify/..%2fhealthz", "/verify//healthz"):
        assert verifier.ask(path=path).status == 401
    for path in ("/", "/healthz/x", "/verifyx"):
        assert verifier.ask(path=path).status == 404


def test_a_certificate_in_a_header_counts_for_nothing_unless_asked_for(served, verifier, module_home):
    certificate, _ = x509_files(served, module_home / "unasked")
    assert verifier.ask(forwarded(certificate)).reason == "no_identity"


def test_no_token_is_ever_logged(served, verifier):
    tokens = [token(served), token(served, as_=STRANGER), forged(served, exp=1), "garbage.of-some.length"]
    for one in tokens:
        verifier.ask(bearer(one), "/verify/secret-path")
    log = verifier.wait_log("expired")
    assert "request refused" in log and "code=invalid_identity" in log
    written = verifier.log + verifier.out
    assert "secret-path" not in written
    assert not [part for one in tokens for part in one.split(".") if part in written]


# --- Flags and sockets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "saying"),
    [
        ([], "--listen"),
        (["--listen", "127.0.0.1:0", "--unix", "x"], "either"),
        (["--listen", "0.0.0.0:9191"], "loopback"),
        (["--listen", "[::]:9191"], "loopback"),
        (["--listen", "localhost:9191"], "loopback"),
        (["--listen", "127.0.0.1"], "127.0.0.1:9191"),
        (["--unix", "x", "--allow-any", "--allow", CALLER, "--audience", "a"], "--allow-any"),
        (["--unix", "x", "--audience", "a"], "--allow-any"),
        (["--unix", "x", "--allow-any"], "--audience"),
        (["--unix", "x", "--allow-any", "--audience", ""], "--audience"),
        (
            ["--unix", "x", "--allow-any", "--audience", "a", "--trust-forwarded-certificate", "x-id"],
            "x-ssl-client-cert",
        ),
        (["--unix", "x", "--audience", "a", "--allow", "example.org/x"], "spiffe://"),
    ],
)
def test_flags_that_would_let_too_many_in_are_refused(home, flags, saying):
    run("verify-server", *flags, "--socket", f"unix://{home}/none", cwd=home).refusal(USAGE, saying=[saying])
    assert not list(home.iterdir())


def test_the_unix_socket_is_open_to_all_and_gone_afterwards(served, home):
    server = VerifyServer(home, served)
    with running(server):
        server.start()
        assert mode(server.socket) == 0o666
        second = VerifyServer(home, served, name="second")
        second.socket = server.socket
        with running(second):
            second.start(wait=False)
            second.wait_exit().refusal(CANNOT_CREATE, saying=["listens"])
        assert server.ask().status == 401
        assert server.stop().code == 0
        assert not server.socket.exists() and not server.ready_file.exists()


def test_a_stale_socket_is_replaced_and_a_file_is_not(served, home):
    server = VerifyServer(home, served)
    with running(server):
        server.start()
        server.kill()
        assert server.socket.exists()
        server.start()
        assert server.ask().status == 401
        server.stop()
        server.socket.write_text("precious")
        server.start(wait=False)
        server.wait_exit().refusal(CANNOT_CREATE, saying=["not a socket"])
        assert server.socket.read_text() == "precious"


def test_a_socket_in_no_folder_is_an_error_with_a_next_step(served, home):
    flags = ["--unix", home / "none/verify.sock", "--audience", "a", "--allow-any"]
    run("verify-server", *flags, "--socket", served.endpoint).refusal(CANNOT_CREATE, saying=["create the folder"])


def test_a_taken_port_is_an_error_with_a_next_step(served, home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        run(
            "verify-server", "--listen", address, "--audience", "a", "--allow-any", "--socket", served.endpoint
        ).refusal(CANNOT_CREATE, saying=["in use"])


# --- The agent comes and goes ---------------------------------------------------------------------


def test_it_says_503_until_the_agent_is_there(start_up, home):
    up = start_up()
    register(up)
    one = bearer(token(up))
    up.stop()
    server = VerifyServer(home, up)
    with running(server):
        server.start(wait=False)
        server.wait_log("info listening")
        assert server.ask(one).status == 503
        assert server.ask().status == 401
        assert server.ask(path="/healthz").status == 503
        assert not server.is_ready()
        up.start()
        server.wait_ready()
        assert server.ask(one).status == 200
        assert server.ask(path="/healthz").status == 200


def test_it_stops_at_once_while_it_waits(home, served):
    server = VerifyServer(home, served)
    with running(server):
        server.workloads = type("Nowhere", (), {"endpoint": f"unix://{home}/none"})()
        server.start(wait=False)
        server.wait_log("info listening")
        assert server.stop(within=3).code == 0


def test_an_endpoint_that_could_never_give_bundles_is_an_error(home):
    """WLEP-22: asking again would not help, so it does not go on saying 503 for ever."""
    stranger = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    stranger.add_insecure_port(f"unix:{home}/stranger.sock")
    stranger.start()
    try:
        flags = ["--unix", home / "verify.sock", "--audience", "a", "--allow-any"]
        run("verify-server", *flags, "--socket", f"unix://{home}/stranger.sock").refusal(FAILED, saying=["no bundles"])
    finally:
        stranger.stop(None)
    assert not (home / "verify.sock").exists()


def test_an_agent_that_is_gone_for_a_while_changes_nothing(start_up, home):
    up = start_up()
    register(up)
    server = VerifyServer(home, up)
    with running(server):
        server.start()
        one = bearer(token(up))
        up.kill()
        assert server.ask(one).status == 200
        up.start()
        assert server.ask(one).status == 200
        assert server.ask(bearer(token(up))).status == 200


@pytest.mark.limit(60)
def test_new_authorities_replace_the_old_ones(start_up, home):
    """An issuer that was built anew under the same address: what the old one signed is worth nothing."""
    up = start_up()
    register(up)
    server = VerifyServer(home, up)
    with running(server):
        server.start()
        old = bearer(token(up))
        assert server.ask(old).status == 200
        up.stop()
        shutil.rmtree(up.state)
        up.start()
        register(up)
        new = bearer(token(up))
        poll("the new authority to count", lambda: server.ask(new).status == 200, within=30)
        assert server.ask(old).status == 401


@pytest.mark.limit(60)
def test_without_an_entry_it_knows_nobody(start_up, home):
    """WLAPI-40: the agent takes back what it gave, and the verifier lets nobody in by it."""
    up = start_up()
    entry = up.register(CALLER, my_uid())
    server = VerifyServer(home, up)
    with running(server):
        server.start()
        one = bearer(token(up))
        assert server.ask(one).status == 200
        up.cli("entry", "delete", entry["id"]).expect(0)
        poll("the verifier to be blind", lambda: server.ask(one).status == 503, within=20)
        assert server.ask(path="/healthz").status == 503
        up.register(CALLER, my_uid())
        poll("the verifier to see", lambda: server.ask(one).status == 200, within=30)


# --- Hostile clients ------------------------------------------------------------------------------


RUBBISH = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    "no version": b"GET /verify\r\n\r\n",
    "HTTP/9.9": b"GET /verify HTTP/9.9\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a blank in the name": b"GET /verify HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer x\r\n\r\n",
    "NUL in a value": b"GET /verify HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "two lengths": b"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a negative length": b"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": (
        b"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    "a huge header": b"GET /verify HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "many headers": b"GET /verify HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "a huge path": b"GET /verify/" + b"x" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH.keys())
def test_rubbish_is_never_answered_with_a_yes(served, verifier, rubbish):
    with contextlib.closing(verifier.peer()) as peer:
        say(peer, rubbish)
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_WR)
        heard = hear(peer)
        assert not heard or heard.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/2.0 4")), heard[:200]
    assert verifier.ask(bearer(token(served))).status == 200


def test_a_token_as_long_as_tokens_get_still_fits(served, verifier):
    answer = verifier.ask(bearer("x" * 60_000) | {"Cookie": "y" * 20_000})
    assert (answer.status, answer.reason) == (401, "invalid_identity")


def test_requests_behind_each_other_get_answers_in_order(served, verifier):
    good = f"GET /verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(served)}\r\n\r\n".encode()
    bad = b"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with contextlib.closing(verifier.peer()) as peer:
        say(peer, good + bad + good + last)
        heard = hear(peer)
    assert re.findall(rb"HTTP/1\.1 (\d+)", heard) == [b"200", b"401", b"200", b"200"]


@pytest.mark.limit(60)
def test_a_thousand_at_once_all_get_their_answer(served, verifier):
    good, barred = bearer(token(served)), bearer(token(served, as_=STRANGER))

    def one(number):
        headers, expected = [(good, 200), (barred, 403), ({}, 401)][number % 3]
        with contextlib.closing(verifier.connection()) as connection:
            connection.timeout = 30
            answer = ask(connection, "/verify", headers)
        return answer.status == expected and (expected == 200) == ("x-spiffe-id" in answer.headers)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert all(pool.map(one, range(1000)))


@pytest.mark.limit(60)
def test_slow_and_silent_clients_hold_nobody_up_and_leave_with_the_server(served, home):
    server = VerifyServer(home, served)
    with running(server), contextlib.ExitStack() as stack:
        server.start()
        good = bearer(token(served))
        kept = stack.enter_context(contextlib.closing(server.connection()))
        assert ask(kept, "/verify", good).status == 200
        for beginning in (b"", b"G", b"GET /verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bea"):
            for _ in range(200):
                peer = server.peer()
                stack.callback(peer.close)
                say(peer, beginning)
        before = time.monotonic()
        for _ in range(20):
            assert server.ask(good).status == 200
        assert time.monotonic() - before < 5
        assert ask(kept, "/verify", good).status == 200
        assert server.stop(within=8).code == 0


@pytest.mark.limit(60)
def test_an_endless_body_is_neither_read_nor_kept(served, home):
    server = VerifyServer(home, served)
    with running(server):
        server.start()
        before = server.resident_megabytes()
        with contextlib.closing(server.peer()) as peer:
            say(peer, b"POST /verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
            say(peer, *[b"x" * (1 << 20)] * 64)
            assert hear(peer, 1.0).startswith(b"HTTP/1.1 401")
            assert server.resident_megabytes() < before + 30
        assert server.ask(bearer(token(served))).status == 200


# --- Certificates that a proxy passes on ----------------------------------------------------------


def x509_files(up, folder):
    """The caller's certificate and key, as files."""
    up.fetch("fetch", "x509", "--write", folder, "--output", "json").expect(0)
    return folder / "svid.0.pem", folder / "svid.0.key"


def forwarded(certificate, header="X-SSL-Client-Cert"):
    escaped = certificate.read_text().replace("+", "%2B").replace("\n", "%0A").replace(" ", "%20")
    return {header: escaped}


@pytest.fixture
def sole(start_up):
    """An agent that gives this process one identity."""
    up = start_up()
    up.register(CALLER, my_uid())
    return up


def test_a_forwarded_certificate_is_verified_here(sole, start_up, home):
    server = VerifyServer(home, sole, *ONLY_CALLER, "--trust-forwarded-certificate", "x-ssl-client-cert")
    elsewhere = start_up(name="elsewhere")
    elsewhere.register(CALLER, my_uid())
    with running(server):
        server.start()
        certificate, _ = x509_files(sole, home / "caller")
        answer = server.ask(forwarded(certificate))
        assert (answer.status, answer.headers["x-spiffe-id"], answer.headers["x-spiffe-proof"]) == (200, CALLER, "x509")
        assert server.ask(forwarded(certificate) | bearer(token(sole))).status == 200
        assert server.ask(forwarded(certificate) | bearer("garbage")).status == 401
        # The same name, from an authority that nobody here trusts.
        other, _ = x509_files(elsewhere, home / "other")
        assert server.ask(forwarded(other)).reason == "invalid_identity"
        # Nobody said that Envoy's header can be believed.
        envoys = f'Cert="{forwarded(certificate)["X-SSL-Client-Cert"]}"'
        assert server.ask({"X-Forwarded-Client-Cert": envoys}).reason == "no_identity"


# --- Behind nginx and Envoy -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def service():
    with Service() as service:
        yield service


HEADERS = {"nginx": "x-ssl-client-cert", "envoy": "x-forwarded-client-cert"}


@pytest.fixture(params=["nginx", "envoy"])
def proxied(sole, home, service, request):
    """A proxy with its verifier; what it may let through is the caller alone."""
    server = VerifyServer(home, sole, *ONLY_CALLER, "--trust-forwarded-certificate", HEADERS[request.param])
    proxy = {"nginx": Nginx, "envoy": Envoy}[request.param](home, server.socket, service.port)
    x509_files(sole, proxy.prefix)
    options = {}
    if os.geteuid() == 0:
        # Any user can run the examples.
        for path in (proxy.prefix, *proxy.prefix.iterdir()):
            os.chown(path, NOBODY.uid, NOBODY.gid)
        options = {"account": NOBODY, "cwd": proxy.prefix}
    with running(server, proxy):
        server.start()
        proxy.verifier = server
        yield proxy.start(**options)


def test_a_proxy_lets_the_proven_caller_through_and_names_it(sole, proxied):
    answer = proxied.ask(bearer(token(sole)), "/orders?id=7")
    assert answer.status == 200
    got = answer.json()
    assert got["x-spiffe-id"] == CALLER
    assert got["x-spiffe-trust-domain"] == "example.org"
    assert got["x-spiffe-proof"] == "jwt"
    assert "authorization" not in got and not set(HEADERS.values()) & set(got)
    assert proxied.ask(bearer(token(sole)), method="POST", body=b"x" * 100_000).status == 200


def test_a_proxy_lets_nobody_else_through(sole, proxied):
    sole.register(STRANGER, my_uid())
    for headers, status in [
        ({}, 401),
        (bearer("garbage"), 401),
        (bearer(token(sole, "elsewhere")), 401),
        (bearer(forged(sole, exp=int(time.time()) - 61)), 401),
        (bearer(token(sole, as_=STRANGER)), 403),
    ]:
        answer = proxied.ask(headers)
        assert answer.status == status, headers
        assert status != 401 or answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/healthz", "/../healthz", "/verify", "/_verify", "/%2e%2e/healthz", "//healthz"):
        assert proxied.ask(path=path).status in (400, 401, 404), path


def test_what_a_client_says_about_itself_is_overwritten(sole, proxied, home):
    lies = {name: "spiffe://example.org/admin" for name in ("X-SPIFFE-ID", "x-spiffe-trust-domain", "X-Spiffe-Proof")}
    got = proxied.ask(bearer(token(sole)) | lies).json()
    assert (got["x-spiffe-id"], got["x-spiffe-trust-domain"], got["x-spiffe-proof"]) == (CALLER, "example.org", "jwt")
    assert proxied.ask(lies).status == 401
    # To many servers an underscore is a dash: nginx drops such headers, Envoy refuses them.
    disguised = proxied.ask(bearer(token(sole)) | {"X_SPIFFE_ID": "spiffe://example.org/admin"})
    assert disguised.status == 400 or not [name for name in disguised.json() if "_" in name], disguised
    # A stolen certificate without its key, in whichever header.
    certificate, _ = x509_files(sole, home / "stolen")
    escaped = forwarded(certificate)["X-SSL-Client-Cert"]
    for lie in ({"X-SSL-Client-Cert": escaped}, {"X-Forwarded-Client-Cert": f'Cert="{escaped}"'}):
        assert proxied.ask(lie).status == 401
        assert proxied.ask(bearer(token(sole)) | lie).json()["x-spiffe-proof"] == "jwt"


def test_a_client_certificate_is_proof_of_its_own(sole, start_up, proxied, home):
    answer = proxied.ask(certificate=x509_files(sole, home / "caller"))
    assert answer.status == 200
    assert (answer.json()["x-spiffe-id"], answer.json()["x-spiffe-proof"]) == (CALLER, "x509")
    elsewhere = start_up(name="elsewhere")
    elsewhere.register(CALLER, my_uid())
    untrusted = x509_files(elsewhere, home / "untrusted")
    assert proxied.ask(certificate=untrusted).status == 401
    # A certificate that does not hold is not made good by a token.
    assert proxied.ask(bearer(token(sole)), certificate=untrusted).status == 401


@pytest.mark.limit(60)
def test_a_proxy_lets_nobody_through_while_it_cannot_ask(sole, proxied):
    one = bearer(token(sole))
    assert proxied.ask(one).status == 200
    sole.kill()
    assert proxied.ask(one).status == 200
    sole.start()
    assert proxied.ask(bearer(token(sole))).status == 200
    proxied.verifier.kill()
    for _ in range(5):
        assert proxied.ask(one).status == 503
        assert proxied.ask().status == 503
    proxied.verifier.start()
    poll("the proxy to find the verifier again", lambda: proxied.ask(one).status == 200, within=20)
    # One that is there and does not answer.
    proxied.verifier.process.send_signal(signal.SIGSTOP)
    try:
        assert proxied.ask(one).status == 503
    finally:
        proxied.verifier.process.send_signal(signal.SIGCONT)
    poll("the verifier to go on", lambda: proxied.ask(one).status == 200, within=20)


def test_without_bundles_the_proxy_says_503(sole, proxied):
    one = bearer(token(sole))
    sole.cli("entry", "delete", sole.entries()[0]["id"]).expect(0)
    poll("the verifier to be blind", lambda: proxied.ask(one).status == 503, within=20)


@pytest.mark.parametrize("proxied", ["nginx"], indirect=True)
def test_nginx_takes_tokens_without_tls_too_and_passes_the_services_own_errors_on(sole, proxied):
    assert proxied.ask_plain(bearer(token(sole))).json()["x-spiffe-id"] == CALLER
    assert proxied.ask_plain().status == 401
    assert proxied.ask_plain({"X-SSL-Client-Cert": "x"}).status == 401
    assert proxied.ask(bearer(token(sole)), "/broken").status == 500
