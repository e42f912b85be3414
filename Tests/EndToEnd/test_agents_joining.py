"""How agents come in: not in step with each other, not later than they can, and nothing lost when they are killed."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

import grpc
import pytest

from mintmark import fresh_id, my_uid, poll
from node_scenes import MAKE


def attempts(agent) -> list[float]:
    """When an agent tried in vain to reach its server."""
    lines = re.findall(r"(?m)^(\S+Z) \w+ issuer cannot be reached; trying again", agent.log)
    return [datetime.fromisoformat(line).timestamp() for line in lines]


@pytest.mark.limit(60)
def test_a_fleet_that_waits_for_its_server_does_not_ask_in_step(roles):
    server = roles.server()
    agents = [roles.agent(server, f"agent-{number}") for number in range(5)]
    tokens = [server.token() for _ in agents]
    bundle = server.write_bundle()
    server.kill()
    for agent, token in zip(agents, tokens):
        agent.start("--join-token", token, "--trust-bundle", bundle, wait=False)
    poll("five attempts of each", lambda: all(len(attempts(agent)) >= 5 for agent in agents), within=30)
    pauses = [[later - earlier for earlier, later in zip(all_, all_[1:])] for all_ in map(attempts, agents)]
    for own in pauses:
        for number, pause in enumerate(own[:4]):
            # Between half of a pause that doubles and all of it; an attempt takes a moment as well.
            assert 0.1 * 2**number <= pause + 0.002, own
    # Chance alone makes all five draw nearly the same once in a while, but hardly three times.
    drawn = [sorted(own[number] / 2**number for own in pauses) for number in range(1, 4)]
    assert max(row[-1] - row[0] for row in drawn) > 0.03, f"in step: {drawn}"
    server.start()
    for agent in agents:
        agent.wait_ready()
    assert len(server.agents()) == len(agents)


@pytest.mark.limit(60)
def test_an_agent_that_is_let_in_again_goes_on_at_once(roles, tmp_path):
    """With SVIDs of seconds there is no time to wait after coming back."""
    certs = tmp_path / "certs"
    subprocess.run([MAKE, "--out", certs], check=True, timeout=60)
    nodes = certs / "nodes"
    server = roles.server(node_attestors={"x509pop": {"ca_bundle_path": str(nodes / "ca.pem")}}, agent_ttl="6s")
    agent = roles.agent(server, node_attestor={"x509pop": {
        "certificate_path": str(nodes / "node-ec.pem"), "private_key_path": str(nodes / "node-ec.key"),
        "intermediates_path": str(nodes / "intermediate.pem"),
    }})  # fmt: skip
    agent.start("--trust-bundle", server.write_bundle())
    [listed] = server.agents()
    for number in range(1, 4):
        server.cli("agent", "evict", listed["spiffe_id"]).expect(0)
        poll("the agent to be in again", lambda: agent.log.count("agent joined again") == number, within=15, every=0.01)
        identity = fresh_id("again")
        server.register(identity, my_uid(), wait=False)
        # The pause after a refusal is two and a half seconds at least.
        poll("the new identity", lambda: identity in agent.ids(), within=2, ignoring=(grpc.RpcError,))


@pytest.mark.limit(120)
def test_an_agent_killed_while_it_registers_its_key_comes_back_by_it(roles):
    """Whether or not it had heard that its key is registered."""
    server = roles.server(agent_ttl="5s")
    agents = [roles.agent(server, f"agent-{number}") for number in range(6)]
    bundle = server.write_bundle()
    unheard = 0
    for number, agent in enumerate(agents):
        agent.start("--join-token", server.token(), "--trust-bundle", bundle, wait=False)
        poll(
            "the key to be registered", lambda number=number: server.log.count("node key registered") > number,
            within=20, every=0.0005,
        )  # fmt: skip
        agent.kill()
        unheard += "node key registered" not in agent.log
    # What is on disk for certain when the moment was missed each time.
    doubtful = agents[0].data / "node-key.json"
    text = doubtful.read_text()
    assert re.search(r'"agent_id":"spiffe://', text), "the key would not be tried"
    doubtful.write_text(re.sub(r'"registered":\w+', '"registered":false', text))
    time.sleep(6)
    for agent in agents:
        agent.start(wait=False)
    for agent in agents:
        agent.wait_log("agent came back by its node key", within=20)
        agent.wait_ready()
    assert len(server.agents()) == len(agents)
    agents[0].wait_log("node key registered")
    poll("the doubt to be over", lambda: '"registered":true' in doubtful.read_text())


def test_a_key_file_of_an_earlier_version_counts_as_registered(roles):
    """Which wrote the agent's ID when the server had answered, and not before."""
    server = roles.server(agent_ttl="4s")
    agent = roles.agent(server).join(server)
    agent.wait_log("node key registered")
    file: Path = agent.data / "node-key.json"
    agent.kill()
    file.write_text(re.sub(r',?"registered":\w+', "", file.read_text()))
    assert "registered" not in file.read_text()
    time.sleep(5)
    agent.start(wait=False)
    agent.wait_log("agent came back by its node key", within=20)
    agent.wait_ready()
    assert "node key registered" not in agent.log
