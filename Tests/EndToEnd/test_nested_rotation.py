"""A server below another whose authorities are replaced, tainted and revoked: those below are never without a sound chain."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from mintmark import FAILED, fresh_id, my_uid, poll, sid
from rotation import IS_LONG, Subject, Trust, agent_signer, own_key, show
from workload import WorkloadAPI

ROOT_LIFETIMES = {"x509_svid_ttl": "10s", "agent_ttl": "10s"}
LIFETIMES = {"x509_svid_ttl": "6s", "jwt_svid_ttl": "4s", "agent_ttl": "8s"}


def start(roles, above: dict[str, str], below: dict[str, str]) -> SimpleNamespace:
    """A server with an agent, a server below with an agent of its own, and a workload that all verify."""
    root = roles.server("root", **above)
    root_agent = roles.agent(root, "root-agent").join(root)
    root.register(sid("/downstream"), my_uid(), flags=["--downstream"])
    nested = roles.server(
        "below",
        upstream_authority={
            "kind": "issuer", "server_address": root.address, "workload_socket": root_agent.endpoint,
        },
        **below,
    )  # fmt: skip
    agent = roles.agent(nested).join(nested)
    nested.register(fresh_id("nested"), my_uid())
    subject = Subject(roles.home, agent)
    api = WorkloadAPI(root_agent.socket)
    # Whoever believes the server above.
    subject.verifiers.append(Trust(api))
    return SimpleNamespace(
        root=root, root_agent=root_agent, below=nested, agent=agent, subject=subject, api=api, above=subject.verifiers[1])


@pytest.fixture
def scene(roles) -> Iterator[SimpleNamespace]:
    scene = start(roles, ROOT_LIFETIMES, LIFETIMES)
    yield scene
    scene.subject.close()
    scene.api.channel.close()


def go_on(scene: SimpleNamespace, what: str, is_reached: Any, within: float = 25) -> None:
    """Verifies again and again until something is reached."""
    deadline = time.monotonic() + within
    while not is_reached():
        scene.subject.check()
        check_token(scene)
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        time.sleep(0.1)


def check_token(scene: SimpleNamespace) -> str:
    return scene.subject.check_token()


def under(scene: SimpleNamespace) -> str:
    """The root that the authority below is under, as the server below says."""
    return show(scene.below, "x509")["active"]["upstream_key_id"]


def all_under(scene: SimpleNamespace, root: str) -> bool:
    """Whether server, agent and workload below have all moved to a root."""
    authority = show(scene.below, "x509")["active"]["id"]
    return under(scene) == root and scene.subject.top == root and agent_signer(scene.agent) == authority


@pytest.mark.limit(500 if IS_LONG else 150)
def test_those_below_follow_a_root_that_is_replaced_tainted_and_revoked(scene):
    root, below = scene.root, scene.below
    go_on(scene, "the verifier above to know the key below", lambda: True)
    for _ in range(2 if IS_LONG else 1):
        old, chain = show(root, "x509")["active"]["id"], show(below, "x509")["active"]["id"]
        assert under(scene) == old
        new = root.json("authority", "prepare", "x509")["id"]
        go_on(
            scene, "everyone to know the new root",
            lambda: all(verifier.knows("x509", new) for verifier in scene.subject.verifiers),
        )  # fmt: skip
        root.json("authority", "activate", "x509", new)
        # What the old root signed is good, and nobody hurries.
        scene.subject.check()
        assert under(scene) == old
        root.json("authority", "taint", "x509", old)
        go_on(scene, "all below to be under the new root", lambda: all_under(scene, new))
        assert show(below, "x509")["active"]["id"] != chain
        go_on(scene, "the agent above to be under the new root", lambda: agent_signer(scene.root_agent) == new)
        root.json("authority", "revoke", "x509", old)
        go_on(scene, "nobody above to trust the old root", lambda: not scene.above.knows("x509", old))
        if not IS_LONG:
            # Below, it is believed for two minutes more at most, unless an admin says so there as well.
            below.json("authority", "revoke", "x509", "--upstream", old)
        go_on(
            scene, "nobody below to trust the old root",
            lambda: not any(verifier.knows("x509", old) for verifier in scene.subject.verifiers), within=150,
        )  # fmt: skip
        assert old not in {own_key(certificate) for certificate in below.authorities()[0]}
        # And what is below goes on without it, also what is new.
        identity = fresh_id("nested")
        below.register(identity, my_uid())
        poll("the new identity", lambda: identity in scene.agent.ids(), within=20)
    scene.subject.check_history()


@pytest.mark.limit(150)
def test_jwt_keys_below_are_published_above_before_they_sign_and_not_after_they_are_revoked(scene):
    root, below = scene.root, scene.below
    for _ in range(3 if IS_LONG else 1):
        old = check_token(scene)
        new = below.json("authority", "prepare", "jwt")["id"]
        assert new in root.authorities()[1], "a key that is prepared is not known above"
        go_on(
            scene, "everyone to know the new key",
            lambda: all(verifier.knows("jwt", new) for verifier in scene.subject.verifiers),
        )  # fmt: skip
        below.json("authority", "activate", "jwt", new)
        below.json("authority", "taint", "jwt", old)
        go_on(scene, "tokens of the new key", lambda: check_token(scene) == new)
        below.json("authority", "revoke", "jwt", old)
        go_on(scene, "those below to forget the old key", lambda: not scene.subject.verifiers[0].knows("jwt", old))
    # The root's own may go as well; the one from below stays where it was.
    mine = show(root, "jwt")["active"]["id"]
    next_one = root.json("authority", "prepare", "jwt")["id"]
    root.json("authority", "activate", "jwt", next_one)
    root.json("authority", "taint", "jwt", mine)
    root.json("authority", "revoke", "jwt", mine)
    go_on(scene, "the root's key to be gone below", lambda: not scene.subject.verifiers[0].knows("jwt", mine))
    assert check_token(scene) in root.authorities()[1]


@pytest.mark.limit(150)
def test_those_below_go_on_while_the_root_is_away_and_after(scene):
    root, below = scene.root, scene.below
    scene.subject.check()
    check_token(scene)
    told = {kind: show(below, kind) for kind in ("x509", "jwt")}
    root.kill()
    held = scene.subject.chain[0].serial_number
    # Nothing new can be made without it, and nothing is half made.
    for kind in ("x509", "jwt"):
        below.cli("authority", "prepare", kind, timeout=60).refusal(FAILED, 69)
    assert {kind: show(below, kind) for kind in ("x509", "jwt")} == told
    go_on(scene, "a renewal without the root", lambda: scene.subject.chain[0].serial_number != held)
    # Below, it is killed as well, and comes back although nobody above answers.
    below.kill()
    below.start()
    held = scene.subject.chain[0].serial_number
    go_on_without_tokens(scene, "a renewal after a start without the root", lambda: scene.subject.chain[0].serial_number != held)
    root.start()
    for kind in ("x509", "jwt"):
        poll(
            f"a new {kind} authority can be made again",
            lambda kind=kind: below.cli("authority", "prepare", kind, timeout=60).code == 0, within=40, every=0.5,
        )  # fmt: skip
        new = show(below, kind)["prepared"]["id"]
        if kind == "jwt":
            go_on(scene, "everyone to know it", lambda: all(v.knows("jwt", new) for v in scene.subject.verifiers))
        below.json("authority", "activate", kind, new)
    go_on(scene, "a token of the new key", lambda: check_token(scene) == new)
    scene.subject.check_history()


def go_on_without_tokens(scene: SimpleNamespace, what: str, is_reached: Any) -> None:
    poll(what, lambda: scene.subject.check() or is_reached(), within=25)
    poll("a token", lambda: check_token(scene), within=20, ignoring=(grpc.RpcError,))


@pytest.mark.limit(400)
@pytest.mark.skipif(not IS_LONG, reason="needs MINTMARK_LONG=1 (deploy/test --long): takes two minutes")
def test_generations_above_and_below_at_once(roles):
    """Both servers replace their authorities by themselves, every few seconds."""
    scene = start(
        roles, {"ca_ttl": "40s", "x509_svid_ttl": "6s", "agent_ttl": "6s"},
        {"ca_ttl": "18s", "x509_svid_ttl": "3s", "jwt_svid_ttl": "3s", "agent_ttl": "5s"},
    )  # fmt: skip
    try:
        roots: set[str] = set()
        chains: set[str] = set()

        def reached() -> bool:
            roots.add(scene.subject.top)
            chains.add(show(scene.below, "x509")["active"]["id"])
            return len(roots) >= 4 and len(chains) >= 8

        go_on(scene, "four roots and eight authorities below", reached, within=200)
        scene.subject.check_history()
    finally:
        scene.subject.close()
        scene.api.channel.close()
