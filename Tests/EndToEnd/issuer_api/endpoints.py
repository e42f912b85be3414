"""Bundle endpoints of other trust domains, as a hostile or an honest peer would run one."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hostile_agent import Authority


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()


def _jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _number(numbers.x), "y": _number(numbers.y)}


class Domain(Authority):
    """Another trust domain, with one X.509 and one JWT authority."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.jwt_key = ec.generate_private_key(ec.SECP256R1())
        self.key_id = "jwt-1"

    def document(self, sequence: int | None = 1, hint: int | None = None) -> bytes:
        """The domain's bundle as SPIFFE writes it."""
        certificate = x509.load_der_x509_certificate(self.certificate)
        authority = _jwk(certificate.public_key()) | {
            "use": "x509-svid", "x5c": [base64.b64encode(self.certificate).decode()],
        }
        token_key = _jwk(self.jwt_key.public_key()) | {"use": "jwt-svid", "kid": self.key_id}
        document: dict[str, Any] = {"keys": [authority, token_key]}
        if sequence is not None:
            document["spiffe_sequence"] = sequence
        if hint is not None:
            document["spiffe_refresh_hint"] = hint
        return json.dumps(document).encode()

    def write_svid(self, folder: Path, path: str) -> Path:
        """An X.509-SVID with its key, PEM."""
        svid = self.svid(path)
        key = serialization.load_der_private_key(svid.x509_svid_key, None)
        pem = folder / f"{self.domain}{path.replace('/', '-')}.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(
            x509.load_der_x509_certificate(svid.x509_svid).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem


class Endpoint:
    """An HTTPS server on loopback that answers every GET alike, until it is told otherwise."""

    def __init__(self, pem: Path) -> None:
        self.answer: Callable[[http.server.BaseHTTPRequestHandler], None] = lambda request: None
        self.requests: list[str] = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                endpoint.requests.append(self.path)
                endpoint.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> Any:
                peer, address = super().get_request()
                # In the thread of the connection, so that a peer that says nothing holds up nobody.
                return context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, *_: Any) -> None:
                """A peer that refuses this endpoint's certificate is what some tests want."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}/bundle"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    def serve(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """From now on, answers with this."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)

        self.answer = answer

    def serve_endlessly(self) -> None:
        """From now on, answers with a body that does not end."""

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Transfer-Encoding", "chunked")
            request.end_headers()
            try:
                while True:
                    request.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            except OSError:
                request.close_connection = True

        self.answer = answer

    def fall_silent(self) -> threading.Event:
        """From now on, takes requests and says nothing until the event is set."""
        go_on = threading.Event()

        def answer(request: http.server.BaseHTTPRequestHandler) -> None:
            go_on.wait(60)
            request.close_connection = True

        self.answer = answer
        return go_on
