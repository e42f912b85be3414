"""The record of issuance when things go wrong: what was answered is on record, once."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter

import grpc
import jwt
import pytest

import stubs
from callers import TIMEOUT
from mintmark import Server, poll

REQUEST = stubs.svid.MintJWTSVIDRequest(id=stubs.id_of("spiffe://example.org/recorded"), audience=["a"], ttl=60)


def mint(channel: grpc.Channel) -> str:
    """Has a token signed; returns its `jti`."""
    answer = stubs.svid_grpc.SVIDStub(channel).MintJWTSVID(REQUEST, timeout=TIMEOUT)
    return jwt.decode(answer.svid.token, options={"verify_signature": False})["jti"]


def recorded(server: Server) -> list[str]:
    found = server.json("audit", "query", "--spiffe-id", "spiffe://example.org/recorded", "--limit", "100000")
    return [each["jti"] for each in found["issuances"] if each["outcome"] == "issued"]


def test_what_was_answered_is_on_record_once_however_the_server_ends(tmp_path):
    server = Server(tmp_path, "killed")
    answered: list[str] = []
    for pause in (0.03, 0.11, 0.24, 0.37):
        server.start()
        stopping = threading.Event()

        def ask() -> None:
            with grpc.insecure_channel(f"unix:{server.admin_socket}") as channel:
                while not stopping.is_set():
                    try:
                        answered.append(mint(channel))
                    except grpc.RpcError:
                        return

        callers = [threading.Thread(target=ask) for _ in range(3)]
        for caller in callers:
            caller.start()
        time.sleep(pause)
        server.kill()
        stopping.set()
        for caller in callers:
            caller.join()
    assert len(answered) > 20
    server.start()
    kept = Counter(recorded(server))
    assert set(answered) <= set(kept), "an answer is not on record"
    assert max(kept.values()) == 1, "a record is doubled"
    server.stop()
    server.start()
    assert Counter(recorded(server)) == kept
    server.stop()


def test_a_full_disk_issues_nothing_and_loses_nothing(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "mintmark-tests", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("needs root and the right to mount a tmpfs, as a disk that can be filled")
    server = Server(tmp_path, "full", data_dir=str(folder / "data"))
    try:
        server.start()
        with grpc.insecure_channel(f"unix:{server.admin_socket}") as channel:
            answered = [mint(channel) for _ in range(20)]
            ballast = folder / "ballast"
            with open(ballast, "wb", buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(bytes(4096))
            # What fits into the page that is already there may still be issued.
            refusal = None
            for _ in range(200):
                try:
                    answered.append(mint(channel))
                except grpc.RpcError as error:
                    refusal = error
                    break
            assert refusal is not None and refusal.code() == grpc.StatusCode.UNAVAILABLE, refusal
            assert "nothing was issued" in refusal.details()
            ballast.unlink()
            answered.append(poll("a token again", lambda: _or_none(channel)))
        kept = Counter(poll("the record", lambda: _recorded_or_none(server, len(answered))))
        assert set(answered) <= set(kept) and max(kept.values()) == 1
    finally:
        server.kill()
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


def _or_none(channel: grpc.Channel) -> str | None:
    try:
        return mint(channel)
    except grpc.RpcError:
        return None


def _recorded_or_none(server: Server, count: int) -> list[str] | None:
    kept = recorded(server)
    return kept if len(kept) >= count else None
