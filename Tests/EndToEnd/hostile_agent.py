"""Agents for workloads that know only the standard: one in grpcio that keeps it, and many that do not, byte for byte."""

from __future__ import annotations

import contextlib
import datetime
import queue
import random
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from spiffe._proto import workload_pb2

from peers import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame

GOAWAY, PUSH_PROMISE = 7, 5
DER = serialization.Encoding.DER


# --- What an issuer would make ---------------------------------------------------------------------


class Authority:
    """Issues whatever a test needs, for one trust domain."""

    def __init__(self, domain: str = "example.org") -> None:
        self.domain = domain
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority of {domain}")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = self._sign(self.name, self.key.public_key(), f"spiffe://{domain}", True, usage)

    def _sign(self, subject: x509.Name, key: Any, uri: str, is_authority: bool, usage: x509.KeyUsage) -> bytes:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)

    def svid(self, path: str = "/w", hint: str = "") -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        uri = f"spiffe://{self.domain}{path}"
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "w")])
        return workload_pb2.X509SVID(
            spiffe_id=uri,
            x509_svid=self._sign(subject, key.public_key(), uri, False, usage),
            x509_svid_key=key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            bundle=self.certificate,
            hint=hint,
        )

    def message(self, *paths: str) -> Any:
        return workload_pb2.X509SVIDResponse(svids=[self.svid(path) for path in paths or ("/w",)])


def noise(seed: int) -> Any:
    """A message that parses as Protobuf and holds random bytes wherever it can."""
    source = random.Random(seed)

    def some() -> bytes:
        return source.randbytes(source.choice([0, 1, 2, 7, 64, 700]))

    def text() -> str:
        return some().decode("latin-1")

    svids = [
        workload_pb2.X509SVID(
            spiffe_id=source.choice(["spiffe://example.org/w", text()]),
            x509_svid=some(),
            x509_svid_key=some(),
            bundle=some(),
            hint=text(),
        )
        for _ in range(source.randrange(3))
    ]
    message = workload_pb2.X509SVIDResponse(svids=svids, crl=[some() for _ in range(source.randrange(3))])
    for _ in range(source.randrange(3)):
        message.federated_bundles[text()] = some()
    return message


# --- The one that keeps the standard ---------------------------------------------------------------


class PlainAgent:
    """A Workload API of another make: says what it is told to say, to whoever is connected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._streams: list[queue.Queue[Any]] = []
        self._state: Any = grpc.StatusCode.PERMISSION_DENIED
        self.calls = 0
        self.refused_calls = 0

    def __enter__(self) -> PlainAgent:
        self.path.unlink(missing_ok=True)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        stream = grpc.unary_stream_rpc_method_handler(
            self._fetch,
            request_deserializer=workload_pb2.X509SVIDRequest.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("SpiffeWorkloadAPI", {"FetchX509SVID": stream}),)
        )
        self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._each():
            stream.put(grpc.StatusCode.UNAVAILABLE)
        self._server.stop(0).wait(10)

    def say(self, state: Any) -> None:
        """From now on everyone gets this: a message, or a status that ends the stream."""
        with self._lock:
            self._state = state
            for stream in self._streams:
                stream.put(state)

    def pass_on(self, *messages: Any) -> None:
        """Sends these to those who are connected now."""
        for stream in self._each():
            for message in messages:
                stream.put(message)

    def _each(self) -> list[queue.Queue[Any]]:
        with self._lock:
            return list(self._streams)

    def _fetch(self, _: Any, context: Any) -> Iterator[Any]:
        with self._lock:
            self.calls += 1
        if ("workload.spiffe.io", "true") not in [tuple(item) for item in context.invocation_metadata()]:
            self.refused_calls += 1
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing from request")
        stream: queue.Queue[Any] = queue.Queue()
        with self._lock:
            stream.put(self._state)
            self._streams.append(stream)
        context.add_callback(lambda: stream.put(grpc.StatusCode.CANCELLED))
        try:
            while not isinstance(message := stream.get(), grpc.StatusCode):
                yield message
            context.abort(message, "as the script has it")
        finally:
            with self._lock:
                self._streams.remove(stream)


# --- Those that do not -----------------------------------------------------------------------------


class RawAgent:
    """Listens on a Unix socket and does one thing with every connection."""

    def __init__(self, path: Path, behave: Callable[[socket.socket], None]) -> None:
        self.path, self._behave = path, behave
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> RawAgent:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread in accept() keeps a closed listener alive; shutting it down wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self.connections += 1
                self._open.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(20)
            self._behave(peer)


def _hear_out(peer: socket.socket) -> None:
    """Waits until the other side hangs up."""
    with contextlib.suppress(OSError):
        while peer.recv(65536):
            pass


def _request(peer: socket.socket) -> None:
    """Greets, and reads until the request is there: it is always on stream 1."""
    peer.sendall(frame(SETTINGS) + frame(SETTINGS, 1))
    heard = b""
    while b"FetchX509SVID" not in heard and len(heard) < 100 and (part := peer.recv(65536)):
        heard += part


def _text(name: bytes, value: bytes) -> bytes:
    def length(count: int) -> bytes:
        if count < 127:
            return bytes([count])
        rest, out = count - 127, bytearray([127])
        while rest >= 128:
            out.append(rest % 128 + 128)
            rest //= 128
        out.append(rest)
        return bytes(out)

    return b"\x00" + length(len(name)) + name + length(len(value)) + value


# ":status: 200" is entry 8 of HPACK's static table (RFC 7541, appendix A).
OK_HEADERS = b"\x88" + _text(b"content-type", b"application/grpc")
ACCEPTED = frame(HEADERS, END_HEADERS, 1, OK_HEADERS)


def grpc_message(body: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(body)) + body


def after_request(*parts: bytes, then_hang_up: bool = False) -> Callable[[socket.socket], None]:
    """Lets the request in, answers with these bytes, and waits or hangs up."""

    def behave(peer: socket.socket) -> None:
        _request(peer)
        for part in parts:
            peer.sendall(part)
        if not then_hang_up:
            _hear_out(peer)

    return behave


def at_once(*parts: bytes) -> Callable[[socket.socket], None]:
    """Sends these bytes to whoever connects, whatever it says, and hangs up."""

    def behave(peer: socket.socket) -> None:
        for part in parts:
            peer.sendall(part)

    return behave


def drip(message: Any) -> Callable[[socket.socket], None]:
    """A good answer, one byte at a time, in frames of one byte each."""

    def behave(peer: socket.socket) -> None:
        _request(peer)
        frames = b"".join(frame(DATA, 0, 1, bytes([byte])) for byte in grpc_message(message.SerializeToString()))
        for byte in ACCEPTED + frames:
            peer.sendall(bytes([byte]))
        _hear_out(peer)

    return behave


def _many_headers() -> bytes:
    field = _text(b"x", b"y" * 8000)
    return frame(HEADERS, 0, 1, OK_HEADERS) + frame(CONTINUATION, 0, 1, field) * 2000


def _trailers(status: int, message: bytes) -> bytes:
    fields = OK_HEADERS + _text(b"grpc-status", b"%d" % status) + _text(b"grpc-message", message)
    return frame(HEADERS, END_HEADERS | END_STREAM, 1, fields)


HANG_UP: dict[str, Callable[[socket.socket], None]] = {
    "hangs up": at_once(),
    "says random bytes": at_once(random.Random(1).randbytes(65536)),
    "speaks HTTP/1.1": at_once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
    "sends half a frame": at_once(frame(SETTINGS)[:5]),
    "says a frame is 16 MiB long": at_once(frame(SETTINGS), b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(70000)),
    "sends 16 MiB of headers": after_request(_many_headers(), then_hang_up=True),
    "sends HPACK nonsense": after_request(frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f")),
    "resets the stream": after_request(frame(RST_STREAM, 0, 1, struct.pack(">I", 7))),
    "resets the stream 10,000 times": after_request(frame(RST_STREAM, 0, 1, struct.pack(">I", 7)) * 10000),
    "resets streams that are not open": after_request(
        *[frame(RST_STREAM, 0, number, struct.pack(">I", 8)) for number in range(1, 20001, 2)], then_hang_up=True
    ),
    "says goodbye": after_request(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)), then_hang_up=True),
    "promises what nobody asked for": after_request(frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + b"\x82")),
    "sends data on a stream that is not open": after_request(frame(DATA, 0, 99, b"x")),
    "overflows the window": after_request(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2),
    "sends a message said to be 4 GiB long": after_request(
        ACCEPTED, frame(DATA, 0, 1, b"\x00\xff\xff\xff\xff" + bytes(10000))
    ),
    "sends what is no Protobuf": after_request(ACCEPTED, frame(DATA, 0, 1, grpc_message(b"\xff" * 100))),
    "sends what claims to be compressed": after_request(ACCEPTED, frame(DATA, 0, 1, grpc_message(b"\x1f\x8b" * 9, 1))),
    "ends with a status of 60 KiB": after_request(_trailers(14, b"x" * 12000), then_hang_up=True),
    "ends with a status that does not exist": after_request(_trailers(999, b"%00%FF%")),
    "answers with HTTP 503": after_request(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x08\x03503")),
}

HOLD_ON: dict[str, Callable[[socket.socket], None]] = {
    "says nothing": _hear_out,
    "greets and says nothing": after_request(),
    "answers and says nothing": after_request(ACCEPTED),
    "sends 100,000 pings": after_request(*[frame(PING, 0, 0, bytes(8)) * 1000] * 100),
    "sends 100,000 settings": after_request(*[frame(SETTINGS) * 1000] * 100),
    "sends 100,000 empty frames": after_request(ACCEPTED, *[frame(DATA, 0, 1) * 1000] * 100),
    "sends one byte of a message": after_request(ACCEPTED, frame(DATA, 0, 1, b"\x00")),
}


@contextlib.contextmanager
def socket_path() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mm-", dir="/tmp"))
    try:
        yield folder / "agent.sock"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
