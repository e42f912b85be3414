"""Fetches X.509-SVIDs with nothing but Python's own library, and reports like the programs in C.

The one argument is the path of the socket.
"""

import json
import re
import socket
import struct
import sys

DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers():
    for name, value in (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/SpiffeWorkloadAPI/FetchX509SVID"),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("workload.spiffe.io", "true"),
    ):
        yield bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def fetch(path):
    told = {"ids": [], "messages": 0, "status": -1, "message": "", "ending": "", "pings": 0, "note": "python"}
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(path)
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"\0\1" + bytes(4)))
        peer.sendall(frame(HEADERS, 4, 1, b"".join(headers())) + frame(DATA, 1, 1, bytes(5)))
        held, body = b"", b""
        while not told["messages"] and not told["ending"]:
            more = peer.recv(65536)
            if not more:
                told["ending"] = "closed"
            held += more
            while len(held) >= 9 and len(held) >= 9 + int.from_bytes(held[:3], "big"):
                length, kind, flags = int.from_bytes(held[:3], "big"), held[3], held[4]
                payload, held = held[9 : 9 + length], held[9 + length :]
                if kind == SETTINGS and not flags & 1:
                    peer.sendall(frame(SETTINGS, 1, 0))
                elif kind == PING and not flags & 1:
                    told["pings"] += 1
                    peer.sendall(frame(PING, 1, 0, payload))
                elif kind == DATA:
                    body += payload
                    if len(body) >= 5 and len(body) >= 5 + int.from_bytes(body[1:5], "big"):
                        told["messages"] = 1
                        # Field 1 of field 1: what stands before the certificate.
                        told["ids"] = re.findall(r"\n.(spiffe://[\x21-\x7e]+)\x12", body.decode("latin-1"))
                elif kind == HEADERS and flags & 1:
                    told["ending"] = "refused"
                elif kind == GOAWAY:
                    told["ending"] = "goaway"
    return told


print(json.dumps(fetch(sys.argv[1])), flush=True)
