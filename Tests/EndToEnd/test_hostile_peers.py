"""Crowds, silence and nonsense: service goes on, and nothing is left behind."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import threading

import grpc
import pytest
from spiffe._proto import workload_pb2

from mintmark import HERE, clean_environment, fresh_id, my_uid, poll
from peers import GREETING, MISBEHAVIOURS, hangs_up, many, say, tcp, unix
from workload import WorkloadAPI

IDENTITY = "spiffe://example.org/hostile"
# Descriptors that come and go by themselves: connections just closed, files of the database.
SLACK = 12


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(IDENTITY, my_uid())
    up.ids()
    return up


def settles(daemon, before):
    """Descriptors go back to about what they were."""
    return poll(
        f"descriptors to go back to {before}", lambda: daemon.descriptors() <= before + SLACK, within=20, every=0.1
    )


# --- Crowds ---------------------------------------------------------------------------------------


@pytest.mark.limit(120)
def test_a_thousand_connections_at_once_are_all_served(start_up):
    """With the soft limit of descriptors that most shells give, held open until the last one has its SVID."""
    prlimit = shutil.which("prlimit")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if prlimit is None or (hard != resource.RLIM_INFINITY and hard < 4096):
        pytest.skip("needs prlimit and a hard limit of at least 4096 descriptors")
    up = start_up(wrapper=[prlimit, "--nofile=1024:"])
    up.register(IDENTITY, my_uid())
    assert up.ids() == [IDENTITY]
    before = up.descriptors()
    swarms = [
        subprocess.Popen(
            [sys.executable, HERE / "swarm.py", str(up.socket), "250"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment(),
        )
        for _ in range(4)
    ]
    reports = []
    try:
        for swarm in swarms:
            line = swarm.stdout.readline()
            assert line.startswith("{"), f"a swarm failed: {line}{swarm.stdout.read()}{up.result()}"
            reports.append(json.loads(line))
        held = up.descriptors()
    finally:
        for swarm in swarms:
            swarm.kill()
            swarm.communicate()
    assert reports == [{"ids": {IDENTITY: 250}, "failures": {}}] * 4, up.result()
    assert held >= before + 1000, "the thousand were held open at the same time"
    settles(up, before)
    assert up.ids() == [IDENTITY]


@pytest.mark.limit(60)
def test_new_connections_are_served_while_many_are_silent(served):
    before = served.descriptors()
    with many(200, lambda: unix(served.socket)):
        with many(200, lambda: unix(served.socket)) as greeting:
            for peer in greeting:
                say(peer, GREETING)
            for _ in range(20):
                assert served.ids() == [IDENTITY]
    settles(served, before)


def test_a_thousand_peers_that_hang_up_leave_nothing_behind(served):
    before = served.descriptors()
    for _ in range(1000):
        unix(served.socket).close()
    assert served.ids() == [IDENTITY]
    settles(served, before)


def test_one_client_with_many_calls_does_not_starve_the_others(served):
    with served.api() as greedy:
        calls = [greedy.start("FetchX509SVID", timeout=60) for _ in range(100)]
        for _ in range(5):
            assert served.ids() == [IDENTITY]
        for call in calls:
            call.cancel()


def test_many_threads_on_one_connection_all_get_tokens(served):
    tokens, failures = [], []

    def ask(number):
        try:
            tokens.append(api.jwt(f"audience-{number % 10}")[0].svid)
        except grpc.RpcError as error:
            failures.append(error)

    with served.api() as api:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert not failures and len(tokens) == 60


# --- Nonsense -------------------------------------------------------------------------------------


@pytest.mark.parametrize("misbehave", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS.keys())
def test_a_peer_that_does_not_behave_harms_nobody(served, misbehave):
    before, memory = served.descriptors(), served.resident_megabytes()
    with many(5, lambda: unix(served.socket)) as peers:
        for peer in peers:
            misbehave(peer)
        assert served.ids() == [IDENTITY], "others are served meanwhile"
    settles(served, before)
    assert served.ids() == [IDENTITY]
    grown = served.resident_megabytes() - memory
    assert grown < 100, f"memory grew by {grown:.0f} MB"


@pytest.mark.parametrize("name", ["random bytes", "HTTP/1.1", "a TLS client hello", "a frame said to be 16 MiB long"])
def test_a_peer_that_speaks_no_grpc_is_hung_up_on(served, name):
    with unix(served.socket) as peer:
        MISBEHAVIOURS[name](peer)
        assert hangs_up(peer), "the connection is still open"


@pytest.mark.parametrize(
    "request_",
    [
        workload_pb2.JWTSVIDRequest(audience=["a" * (5 << 20)]),
        workload_pb2.JWTSVIDRequest(audience=["a" * (1 << 20)]),
        workload_pb2.JWTSVIDRequest(audience=[f"a{n}" for n in range(100_000)]),
        workload_pb2.JWTSVIDRequest(audience=["a"], spiffe_id="spiffe://example.org/" + "x" * (1 << 20)),
        workload_pb2.ValidateJWTSVIDRequest(audience="a", svid="x" * (5 << 20)),
        workload_pb2.ValidateJWTSVIDRequest(audience="a", svid="x" * (1 << 20)),
    ],
    ids=["audience 5 MiB", "audience 1 MiB", "100,000 audiences", "ID 1 MiB", "token 5 MiB", "token 1 MiB"],
)
def test_a_request_that_is_too_large_is_refused(served, request_):
    method = "FetchJWTSVID" if isinstance(request_, workload_pb2.JWTSVIDRequest) else "ValidateJWTSVID"
    options = [("grpc.max_send_message_length", -1)]
    with WorkloadAPI(served.socket, options) as api:
        ending = api.refusal(method, request_)
    assert ending.code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAVAILABLE,
    ), ending
    assert served.ids() == [IDENTITY]


def test_metadata_that_is_too_large_is_refused(served):
    with served.api() as api:
        ending = api.refusal("FetchX509SVID", metadata=(("workload.spiffe.io", "true"), ("x", "y" * 65536)))
    assert ending.code not in (grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED), ending
    assert served.ids() == [IDENTITY]


# --- The same on the server's port ----------------------------------------------------------------


@pytest.mark.limit(90)
def test_the_servers_port_withstands_silence_and_nonsense(roles):
    server = roles.server()
    agent = roles.agent(server, "before").join(server)
    before, memory = server.descriptors(), server.resident_megabytes()
    with many(200, lambda: tcp(server.port)):
        for misbehave in MISBEHAVIOURS.values():
            with tcp(server.port) as peer:
                misbehave(peer)
        identity = fresh_id("hostile")
        server.register(identity, my_uid())
        assert agent.ids() == [identity]
        roles.agent(server, "after").join(server)
    settles(server, before)
    assert server.resident_megabytes() - memory < 100
    assert len(server.agents()) == 2
