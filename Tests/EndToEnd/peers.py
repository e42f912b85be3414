"""Peers that do not behave: HTTP/2 frame by frame, and a tunnel into TLS with any certificate or none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(value: bytes) -> bytes:
    """An HPACK string literal (RFC 7541 §5.2), not Huffman-coded."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, length = len(value) - 127, bytearray([127])
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    length.append(rest)
    return bytes(length) + value


def header_block(path: str, extra: list[tuple[bytes, bytes]] | None = None) -> bytes:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"workload.spiffe.io", b"true"),
        *(extra or []),
    ]
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields)


FETCH = header_block("/SpiffeWorkloadAPI/FetchX509SVID")
GREETING = PREFACE + frame(SETTINGS)


def unix(path: Path | str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(10)
    peer.connect(str(path))
    return peer


def tcp(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def say(peer: socket.socket, *parts: bytes) -> None:
    """Sends as much as the other side takes; being cut off is what a hostile peer may expect."""
    peer.settimeout(5)
    with contextlib.suppress(OSError):
        for part in parts:
            peer.sendall(part)


def hear(peer: socket.socket, within: float = 5.0) -> bytes:
    """What the other side says until it hangs up or falls silent."""
    peer.settimeout(within)
    heard = b""
    with contextlib.suppress(OSError):
        while part := peer.recv(65536):
            heard += part
    return heard


def hangs_up(peer: socket.socket, within: float = 15.0) -> bool:
    """Whether the other side ends the connection, whatever it says before."""
    peer.settimeout(within)
    try:
        while peer.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


# --- Ways to misbehave, by name -------------------------------------------------------------------


def _rapid_reset(peer: socket.socket) -> None:
    cancel = struct.pack(">I", 8)
    pairs = (
        frame(HEADERS, END_HEADERS, stream, FETCH) + frame(RST_STREAM, 0, stream, cancel)
        for stream in range(1, 1001, 2)
    )
    say(peer, GREETING, *pairs)


def _random_bytes(peer: socket.socket) -> None:
    # The same bytes in every run; random enough for a parser.
    state, noise = 0x9E3779B9, bytearray()
    for _ in range(4096):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        noise.append(state >> 24)
    say(peer, bytes(noise))


MISBEHAVIOURS: dict[str, Callable[[socket.socket], None]] = {
    "nothing at all": lambda peer: None,
    "random bytes": _random_bytes,
    "HTTP/1.1": lambda peer: say(peer, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a TLS client hello": lambda peer: say(peer, bytes.fromhex("16030100310100002d0303") + bytes(38)),
    "the preface alone": lambda peer: say(peer, PREFACE),
    "half the preface": lambda peer: say(peer, PREFACE[:11]),
    "half a frame": lambda peer: say(peer, GREETING, frame(HEADERS, END_HEADERS, 1, FETCH)[:20]),
    "a frame said to be 16 MiB long": lambda peer: say(peer, GREETING, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
    "DATA on stream 0": lambda peer: say(peer, GREETING, frame(DATA, 0, 0, b"x")),
    "a request that never ends": lambda peer: say(peer, GREETING, frame(HEADERS, END_HEADERS, 1, FETCH)),
    "an even stream number": lambda peer: say(peer, GREETING, frame(HEADERS, END_HEADERS, 2, FETCH)),
    "HPACK nonsense": lambda peer: say(peer, GREETING, frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f")),
    "64 KiB of headers": lambda peer: say(
        peer,
        GREETING,
        frame(HEADERS, 0, 1, FETCH),
        *[frame(CONTINUATION, 0, 1, b"\x00" + _text(b"x-%d" % n) + _text(b"y" * 8000)) for n in range(8)],
    ),
    "endless CONTINUATION": lambda peer: say(
        peer, GREETING, frame(HEADERS, 0, 1, FETCH), *[frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y")] * 5000
    ),
    "rapid reset": _rapid_reset,
    "a flood of pings": lambda peer: say(peer, GREETING, *[frame(PING, 0, 0, bytes(8)) * 100] * 100),
    "a flood of settings": lambda peer: say(peer, GREETING, *[frame(SETTINGS) * 100] * 50),
    "a flow-control window overflow": lambda peer: say(
        peer, GREETING, *[frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF))] * 2
    ),
}


# --- TLS ------------------------------------------------------------------------------------------


def trusting_context() -> ssl.SSLContext:
    """A client that does not care who the server is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


class TLSTunnel:
    """Lets a plaintext gRPC client on a Unix socket speak to a TLS port, with any client certificate or none."""

    def __init__(self, folder: Path, port: int, context: ssl.SSLContext | None = None) -> None:
        self.path = folder / "tunnel.sock"
        self.port, self.context = port, context or trusting_context()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Path:
        self.path.unlink(missing_ok=True)
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()
        assert listening.wait(10), "the test's own TLS tunnel does not listen"
        return self.path

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_unix_server(self._accept, path=str(self.path)))
        listening.set()
        self._loop.run_forever()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._loop.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=self.context, server_hostname=""
            )
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@contextlib.contextmanager
def many(count: int, connect: Callable[[], socket.socket]) -> Iterator[list[socket.socket]]:
    """That many connections at once, closed at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect()) for _ in range(count)]
