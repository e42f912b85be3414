"""A workload that holds a stream, and changes into something else when told: everything over one raw connection.

Arguments: the socket, and the method (FetchJWTSVID with a blank and an identity). Says one JSON object a line: "message", "status" or "closed". Reads one command a
line from stdin:

    exec      executes another program (this one again) that keeps the socket
    uid N     becomes user N for good
    map       makes anonymous memory executable
    leave     ends, while a child of it keeps the socket
    end       ends
"""

from __future__ import annotations

import json
import mmap
import os
import re
import select
import socket
import struct
import sys

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7


def say(event: str, **more: object) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header_block(method: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/SpiffeWorkloadAPI/{method}",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
        "workload.spiffe.io": "true",
    }
    block = b""
    for name, value in fields.items():
        block += bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


class Holder:
    def __init__(self, path: str, method: str) -> None:
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.connect(path)
        self.held = b""
        self.body = b""
        self.peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"\0\1" + bytes(4)))
        method, _, identity = method.partition(" ")
        request = b""
        if identity:
            # An audience, and the identity.
            request = b"\n\1a\x12" + bytes([len(identity)]) + identity.encode()
        self.peer.sendall(frame(HEADERS, 4, 1, header_block(method)))
        self.peer.sendall(frame(DATA, 1, 1, b"\0" + struct.pack(">I", len(request)) + request))

    def read(self) -> None:
        """Reads what is there; ends the process at the connection's end."""
        try:
            more = self.peer.recv(65536)
        except OSError as error:
            more = b""
            say("closed", why=error.strerror)
            sys.exit()
        if not more:
            say("closed", why="end")
            sys.exit()
        self.held += more
        while len(self.held) >= 9 and len(self.held) >= 9 + int.from_bytes(self.held[:3], "big"):
            length, kind, flags = int.from_bytes(self.held[:3], "big"), self.held[3], self.held[4]
            payload, self.held = self.held[9 : 9 + length], self.held[9 + length :]
            self.take(kind, flags, payload)

    def take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & 1:
            self.peer.sendall(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags & 1:
            self.peer.sendall(frame(PING, 1, 0, payload))
        elif kind == DATA:
            self.body += payload
            while len(self.body) >= 5 and len(self.body) >= 5 + int.from_bytes(self.body[1:5], "big"):
                length = int.from_bytes(self.body[1:5], "big")
                message, self.body = self.body[5 : 5 + length], self.body[5 + length :]
                # Field 1 of field 1: what stands before the certificate.
                say("message", ids=re.findall(r"\n.(spiffe://[\x21-\x7e]+)\x12", message.decode("latin-1")))
        elif kind == HEADERS and flags & 1:
            say("status", block=payload.decode("latin-1"))
        elif kind == RESET:
            say("status", block="reset")

    def obey(self, command: str) -> None:
        if command == "exec":
            self.peer.set_inheritable(True)
            os.execv(sys.executable, [sys.executable, __file__, "drain", str(self.peer.fileno())])
        elif command.startswith("uid "):
            number = int(command.split()[1])
            os.setresgid(number, number, number)
            os.setresuid(number, number, number)
        elif command == "map":
            self.code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        elif command == "leave":
            if os.fork() == 0:
                drain(self.peer)
            os._exit(0)
        else:
            sys.exit()
        say("done", command=command)

    def run(self) -> None:
        while True:
            for ready in select.select([self.peer, sys.stdin], [], [])[0]:
                if ready is self.peer:
                    self.read()
                else:
                    self.obey(sys.stdin.readline().strip())


def drain(peer: socket.socket) -> None:
    """Waits for the connection's end, and answers nothing."""
    say("drains")
    try:
        while peer.recv(65536):
            pass
        say("closed", why="end")
    except OSError as error:
        say("closed", why=error.strerror)
    os._exit(0)


if sys.argv[1] == "drain":
    drain(socket.socket(fileno=int(sys.argv[2])))
Holder(*sys.argv[1:]).run()
