"""Authorities with lives of seconds, generation after generation, while a workload is verified in two trust domains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from mintmark import fresh_id, my_uid
from rotation import IS_LONG, Ledger, Relay, Subject, Trust, agent_signer, show
from workload import WorkloadAPI

GENERATIONS = 20 if IS_LONG else 6
LIFETIMES = {"ca_ttl": "18s", "x509_svid_ttl": "3s", "jwt_svid_ttl": "3s", "agent_ttl": "5s"}


@pytest.fixture
def scene(roles) -> Iterator[SimpleNamespace]:
    """A server with an agent and a workload, and a second trust domain where it is verified."""
    server, other = roles.server(**LIFETIMES), roles.server("other", trust_domain="other.org")
    agent = roles.agent(server).join(server)
    stranger = roles.agent(other, "stranger", trust_domain="other.org").join(other)
    relay = Relay(server, other)
    server.register(fresh_id("generations"), my_uid())
    other.register("spiffe://other.org/verifier", my_uid(), flags=["--federates-with", "example.org"])
    subject = Subject(roles.home, agent)
    api = WorkloadAPI(stranger.socket)
    subject.verifiers.append(Trust(api))
    yield SimpleNamespace(server=server, agent=agent, subject=subject, relay=relay, ledger=Ledger(server))
    relay.close()
    subject.close()
    api.channel.close()


def look(scene: SimpleNamespace) -> None:
    scene.ledger.note()
    scene.subject.check()
    scene.subject.check_token(scene.ledger.ends)


def go_on(scene: SimpleNamespace, what: str, is_reached, within: float) -> None:
    """Looks again and again until something is reached."""
    deadline = time.monotonic() + within
    while not is_reached():
        look(scene)
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        time.sleep(0.1)


def force(scene: SimpleNamespace, kind: str) -> None:
    """Replaces an authority by command, as soon as each step has reached everyone, and has the old one trusted no more."""
    old = show(scene.server, kind)["active"]["id"]
    new = scene.server.json("authority", "prepare", kind)["id"]
    verifiers = scene.subject.verifiers
    go_on(scene, "all to know the prepared one", lambda: all(trust.knows(kind, new) for trust in verifiers), 10)
    activated = scene.server.cli("authority", "activate", kind, new)
    # Its time may have come by itself meanwhile, and even that of the next one.
    assert activated.code == 0 or show(scene.server, kind)["active"]["id"] != old, activated
    scene.ledger.note()
    scene.server.cli("authority", "taint", kind, old).expect(0)
    if kind == "x509":
        go_on(
            scene, "agent and workload to have SVIDs of another authority",
            lambda: old not in (scene.subject.top, agent_signer(scene.agent)), 10,
        )  # fmt: skip
    else:
        go_on(scene, "tokens of another key", lambda: scene.subject.check_token(scene.ledger.ends) != old, 10)
    scene.server.cli("authority", "revoke", kind, old).expect(0)
    go_on(scene, "nobody to trust the revoked one", lambda: not any(t.knows(kind, old) for t in verifiers), 10)


@pytest.mark.limit(600 if IS_LONG else 120)
def test_svids_are_valid_everywhere_through_generations_of_authorities(scene):
    go_on(scene, "a second generation", lambda: scene.ledger.generations >= 2, 40)
    force(scene, "x509")
    force(scene, "jwt")
    for goal in range(3, GENERATIONS + 1):
        go_on(scene, f"generation {goal}", lambda goal=goal: scene.ledger.generations >= goal, 40)
        if goal % 6 == 0 and goal < GENERATIONS:
            force(scene, "jwt")
            force(scene, "x509")
    scene.subject.check_history()
    assert scene.subject.checks > 20 * GENERATIONS
    signers = {signer for signer in scene.ledger.active["x509"]}
    assert len(signers) >= GENERATIONS
    # Short-lived ones do not pile up in what everyone has to carry.
    assert len(scene.subject.verifiers[1].x509) <= 6
