"""The clients of these tests answer a challenge, and the mute one does not.

A false agent sends an HTTP/2 PING for the call and answers only once its payload has come back, as the real one does.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mintmark import Account
from stage import SOURCES, Player, Programs, Verdict

WHO = Account(61700, 61700)
IDENTITY = "spiffe://example.org/challenged"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
PREFACE = 24


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(number: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + length + value


class FalseAgent(threading.Thread):
    """Serves one connection after the other."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen()

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(10)
                try:
                    self.serve(peer)
                except (OSError, EOFError):
                    continue

    def serve(self, peer: socket.socket) -> None:
        reader = peer.makefile("rb")
        peer.sendall(frame(SETTINGS, 0, 0))
        assert reader.read(PREFACE).startswith(b"PRI * HTTP/2.0")
        challenge = os.urandom(8)
        while True:
            head = reader.read(9)
            if len(head) < 9:
                raise EOFError
            kind, flags = head[3], head[4]
            payload = reader.read(int.from_bytes(head[:3], "big"))
            if kind in (DATA, HEADERS) and flags & 1:
                peer.sendall(frame(SETTINGS, 1, 0) + frame(PING, 0, 0, challenge))
            if kind == PING and flags & 1 and payload == challenge:
                break
        # A certificate follows the name, as it does in what the real one sends.
        svid = field(1, IDENTITY.encode()) + field(2, bytes(200))
        message = field(1, svid)
        status = bytes([0x88])  # ':status: 200', by its number
        peer.sendall(frame(HEADERS, 4, 1, status))
        # In two pieces.
        body = b"\0" + struct.pack(">I", len(message)) + message
        peer.sendall(frame(DATA, 0, 1, body[:7]) + frame(DATA, 0, 1, body[7:]))
        reader.read(1)


@pytest.fixture(scope="module")
def agent(programs: Programs, module_home: Path) -> Iterator[Path]:
    path = module_home / "false.sock"
    server = FalseAgent(path)
    server.start()
    yield path
    server.listener.close()


def run(*argv: object) -> Verdict:
    player = Player(argv, WHO)
    try:
        return player.verdict()
    finally:
        player.end()


def test_the_client_in_c_answers(agent: Path, programs: Programs):
    verdict = run(programs.trusted, "fetch", agent)
    assert (verdict.ids, verdict.pings) == ((IDENTITY,), 1), verdict


def test_the_client_in_python_answers(agent: Path, programs: Programs, module_home: Path):
    script = module_home / "fetch.py"
    script.write_text((SOURCES / "fetch.py").read_text())
    verdict = run(programs.interpreter("python3"), script, agent)
    assert (verdict.ids, verdict.pings) == ((IDENTITY,), 1), verdict


def test_the_client_in_node_answers(agent: Path, programs: Programs, module_home: Path):
    script = module_home / "fetch.js"
    script.write_text((SOURCES / "fetch.js").read_text())
    assert run(programs.interpreter("node"), script, agent).ids == (IDENTITY,)


def test_the_mute_one_hears_the_challenge_and_gets_nothing(agent: Path, programs: Programs):
    verdict = run(programs.attacker, "child-mute-to-pings", "attack", agent, programs.trusted, "/tmp")
    assert (verdict.ids, verdict.pings, verdict.ended) == ((), 1, "silence"), verdict
