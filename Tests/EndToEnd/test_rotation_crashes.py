"""A server that is killed at every state of an authority's life and in the middle of every step, and an agent beside it.

What was answered is there afterwards; what was not answered is there as a whole or not at all.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mintmark import fresh_id, my_uid, poll
from rotation import IS_LONG, Subject, agent_signer, own_key, show
from workload import ids_of

ROUNDS = 12 if IS_LONG else 2
SERVICE = "/spire.api.server.localauthority.v1.LocalAuthority"
METHODS = {
    ("prepare", "x509"): "PrepareX509Authority",
    ("activate", "x509"): "ActivateX509Authority",
    ("taint", "x509"): "TaintX509Authority",
    ("revoke", "x509"): "RevokeX509Authority",
    ("prepare", "jwt"): "PrepareJWTAuthority",
    ("activate", "jwt"): "ActivateJWTAuthority",
    ("taint", "jwt"): "TaintJWTAuthority",
    ("revoke", "jwt"): "RevokeJWTAuthority",
}
VERBS = ("prepare", "activate", "taint", "revoke")


@pytest.fixture
def scene(roles) -> Iterator[SimpleNamespace]:
    server = roles.server(x509_svid_ttl="20s", jwt_svid_ttl="20s", agent_ttl="45s")
    agent = roles.agent(server).join(server)
    server.register(fresh_id("crashes"), my_uid())
    subject = Subject(roles.home, agent)
    subject.check()
    yield SimpleNamespace(server=server, agent=agent, subject=subject)
    subject.close()


def state(server) -> dict[str, Any]:
    """All that is told of the authorities; those in use are published."""
    told = {kind: show(server, kind) for kind in ("x509", "jwt")}
    certificates, keys = server.authorities()
    told["published"] = {"x509": {own_key(certificate) for certificate in certificates}, "jwt": set(keys)}
    for kind in ("x509", "jwt"):
        used = {one["id"] for one in (told[kind][name] for name in ("active", "prepared", "old")) if one}
        assert used <= told["published"][kind], f"a {kind} authority is not published"
    return told


def whose(server, verb: str, kind: str) -> str:
    """Which authority a step is for."""
    standing = show(server, kind)
    return {"prepare": "", "activate": (standing["prepared"] or {}).get("id"), "taint": standing["old"] and standing["old"]["id"],
            "revoke": standing["old"] and standing["old"]["id"]}[verb] or ""  # fmt: skip


def start_step(channel: grpc.Channel, verb: str, kind: str, authority: str) -> grpc.Future:
    # One field, a string with the number 1; a preparation has none.
    request = b"\x0a" + bytes([len(authority)]) + authority.encode() if authority else b""
    return channel.unary_unary(f"{SERVICE}/{METHODS[verb, kind]}").future(request, timeout=10)


def is_next(verb: str, before: dict[str, Any], after: dict[str, Any], authority: str) -> bool:
    """Whether one state of a kind follows from another by a whole step."""
    if verb == "prepare":
        new = after["prepared"]
        return new is not None and new != before["prepared"] and {**after, "prepared": None} == {**before, "prepared": None}
    if verb == "activate":
        return after["active"] == before["prepared"] and after["prepared"] is None and after["old"] == before["active"]
    if verb == "taint":
        return after == {**before, "old": {**before["old"], "tainted": True}}
    return before["old"]["id"] == authority and after == {**before, "old": None}


def crash(server) -> None:
    server.kill()
    server.start()


def wait_for_others(scene: SimpleNamespace, verb: str, kind: str, authority: str) -> None:
    """Does as an admin must between two steps, so that nobody is left behind."""
    if verb == "activate":
        # The server itself presents what the new authority signed, so an agent that was away since would not know it.
        poll(
            "the agent to know the prepared one",
            lambda: all(trust.knows(kind, authority) for trust in scene.subject.verifiers), within=25,
        )  # fmt: skip
    if verb == "revoke":
        wait_until_replaced(scene, kind, authority)


def wait_until_replaced(scene: SimpleNamespace, kind: str, old: str) -> None:
    """Nothing that is still used may be under what is about to be revoked."""
    if kind == "x509":
        poll(
            "SVIDs of another authority",
            lambda: old not in (scene.subject.top, agent_signer(scene.agent)), within=25,
        )  # fmt: skip
    else:
        poll(
            "a token of another key", lambda: scene.subject.check_token() != old, within=25,
            ignoring=(grpc.RpcError, KeyError, AssertionError),
        )  # fmt: skip


def recovered(scene: SimpleNamespace) -> None:
    """Without anybody's help, both have something newer than the last crash."""
    identity = fresh_id("crashes")
    scene.server.register(identity, my_uid())
    poll("the new identity", lambda: identity in scene.agent.ids(), within=30, ignoring=(grpc.RpcError,))
    poll("the workload to hold it", lambda: identity in ids_of(scene.subject.svids.newest), within=30)
    scene.subject.check()
    poll("a token", scene.subject.check_token, within=20, ignoring=(grpc.RpcError, KeyError))


@pytest.mark.limit(120)
def test_every_state_is_there_again_after_a_crash(scene):
    """Killed as soon as the answer is there; the agent as well, every other time."""
    for kind in ("x509", "jwt"):
        for number, verb in enumerate(VERBS):
            authority = whose(scene.server, verb, kind)
            wait_for_others(scene, verb, kind, authority)
            scene.server.cli("authority", verb, kind, *([authority] if authority else [])).expect(0)
            if number % 2:
                scene.agent.kill()
            told = state(scene.server)
            crash(scene.server)
            if number % 2:
                scene.agent.start(wait=False)
            assert state(scene.server) == told, verb
            scene.subject.check()
    recovered(scene)
    scene.subject.check_history()


@pytest.mark.limit(1200 if IS_LONG else 200)
def test_a_step_that_a_crash_cuts_is_whole_or_was_never_taken(scene):
    """The moment is drawn; over the rounds it falls before, into and behind the work."""
    chance = random.Random(20261124)
    cut = {True: 0, False: 0}
    longest = 0.0
    before = state(scene.server)
    for _ in range(ROUNDS):
        for kind in ("x509", "jwt"):
            for verb in VERBS:
                authority = whose(scene.server, verb, kind)
                wait_for_others(scene, verb, kind, authority)
                for attempt in itertools.count(1):
                    with grpc.insecure_channel(f"unix:{scene.server.admin_socket}") as channel:
                        grpc.channel_ready_future(channel).result(10)
                        begun = time.monotonic()
                        step = start_step(channel, verb, kind, authority)
                        # Answers take a few milliseconds; longer where the processors are busy.
                        time.sleep(chance.uniform(0, 0.012 * attempt))
                        is_answered = step.done() and step.exception() is None
                        longest = max(longest, time.monotonic() - begun)
                        scene.server.kill()
                    if chance.random() < 0.25:
                        scene.agent.kill()
                        scene.agent.start(wait=False)
                    scene.server.start()
                    after = state(scene.server)
                    other = "jwt" if kind == "x509" else "x509"
                    assert after[other] == before[other]
                    is_done = is_next(verb, before[kind], after[kind], authority)
                    assert is_done or after == before, f"half of '{verb} {kind}': {before} became {after}"
                    assert is_done or not is_answered, f"'{verb} {kind}' was answered and is lost"
                    scene.subject.check()
                    cut[is_done] += 1
                    before = after
                    if is_done:
                        break
        recovered(scene)
    scene.subject.check_history()
    assert cut[True] == 8 * ROUNDS
    # Both must have happened, or the crash never came in the middle of anything.
    assert cut[False] > 0, f"every step was whole; the longest wait was {longest * 1000:.0f} ms"
    # Of each kind only the active one is left: no key of a step that was cut, and none of what was revoked.
    kept = sorted(path.name for path in (scene.server.data / "keys").iterdir())
    assert [name.partition("-")[0] for name in kept] == ["jwt", "x509"], kept
    assert "key without a record" not in scene.server.log


@pytest.mark.limit(60)
def test_both_can_be_killed_again_and_again_while_they_start(scene):
    """A start that is cut leaves nothing that keeps the next one from it."""
    chance = random.Random(5)
    told = state(scene.server)
    for _ in range(20 if IS_LONG else 5):
        scene.server.kill()
        scene.agent.kill()
        for daemon in (scene.server, scene.agent):
            daemon.start(wait=False)
        time.sleep(chance.uniform(0, 0.3))
    scene.server.wait_ready()
    scene.agent.wait_ready()
    assert state(scene.server) == told
    recovered(scene)
