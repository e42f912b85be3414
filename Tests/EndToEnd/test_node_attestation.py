"""Nodes that prove themselves in each way, come back after a sleep, and stay out once banned.

The certificates are made by `certs/make`, with openssl and ssh-keygen.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import grpc
import pytest
import yaml

from mintmark import BAD_CONFIG, FAILED, HERE, NOT_PERMITTED, TRUST_DOMAIN, fresh_id, my_uid, poll, run, sid

MAKE = HERE.parents[1] / "certs" / "make"


@pytest.fixture(scope="session")
def certs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("material") / "certs"
    subprocess.run([MAKE, "--out", folder], check=True, timeout=60)
    return folder


def own_hostname() -> str:
    """A name of this machine that leads to it and is neither an address nor localhost."""
    name = socket.gethostname()
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    if not addresses or name.startswith("localhost"):
        pytest.skip(f"needs a host name that resolves: '{name}' does not")
    return name


def way(kind: str, certs: Path) -> tuple[dict, dict]:
    """The settings of a server and an agent for one way to attest."""
    if kind.startswith("x509pop"):
        key = kind.removeprefix("x509pop-")
        return (
            {"x509pop": {"ca_bundle_path": str(certs / "nodes/ca.pem"), "verify_client_ip": True}},
            {
                "x509pop": {
                    "certificate_path": str(certs / f"nodes/node-{key}.pem"),
                    "private_key_path": str(certs / f"nodes/node-{key}.key"),
                    "intermediates_path": str(certs / "nodes/intermediate.pem"),
                }
            },
        )
    if kind.startswith("sshpop"):
        key = kind.removeprefix("sshpop-")
        return (
            {
                "sshpop": {
                    "cert_authorities_path": str(certs / "ssh/ca.pub"),
                    "canonical_domain": "example.org",
                    "agent_path_template": "/{{ .PluginName }}/{{ .Hostname }}",
                }
            },
            {
                "sshpop": {
                    "host_key_path": str(certs / f"ssh/host_{key}"),
                    "host_cert_path": str(certs / f"ssh/host_{key}-cert.pub"),
                }
            },
        )
    assert kind == "http_challenge"
    name = own_hostname()
    return (
        {"http_challenge": {"allowed_dns_patterns": [name]}},
        {"http_challenge": {"hostname": name, "agentname": "test", "port": 0}},
    )


def start_pair(roles, certs, kind, **settings):
    on_server, on_agent = way(kind, certs)
    server = roles.server(node_attestors=on_server, **settings)
    agent = roles.agent(server, node_attestor=on_agent)
    agent.start("--trust-bundle", server.write_bundle())
    return server, agent


EVERY_WAY = ["x509pop-ec", "x509pop-rsa", "sshpop-ed25519", "sshpop-ecdsa", "sshpop-rsa", "http_challenge"]


@pytest.mark.limit(90)
@pytest.mark.parametrize("kind", EVERY_WAY)
def test_a_node_joins_by_what_it_proves(roles, certs, kind):
    server, agent = start_pair(roles, certs, kind)
    [listed] = server.agents()
    assert listed["attestation_type"] == kind.partition("-")[0]
    assert listed["spiffe_id"].startswith(sid(f"/spire/agent/{kind.partition('-')[0]}/"))
    assert listed["can_reattest"] is (kind != "http_challenge")
    identity = fresh_id("node")
    server.register(identity, my_uid())
    assert agent.ids() == [identity]

    # A power cut, on either side: it goes on where it was.
    agent.kill()
    server.kill()
    server.start()
    agent.start()
    assert poll("the identity", agent.ids, within=20, ignoring=(grpc.RpcError,)) == [identity]
    assert [one["spiffe_id"] for one in server.agents()] == [listed["spiffe_id"]]

    # A lost state folder: a proof that works again lets it in again, one that is trusted on first use does not.
    agent.kill()
    shutil.rmtree(agent.data)
    bundle = server.write_bundle()
    if kind == "http_challenge":
        agent.start("--trust-bundle", bundle, wait=False)
        agent.wait_exit().refusal(NOT_PERMITTED, saying=["first use"])
        server.cli("agent", "evict", listed["spiffe_id"]).expect(0)
    agent.start("--trust-bundle", bundle)
    assert poll("the identity", agent.ids, within=20, ignoring=(grpc.RpcError,)) == [identity]


@pytest.mark.limit(60)
def test_the_selectors_of_a_node_give_it_an_alias(roles, certs):
    server, agent = start_pair(roles, certs, "x509pop-ec")
    [listed] = server.agents()
    assert {"x509pop:subject:cn:node-ec", "x509pop:san:region:north", "x509pop:san:rack:7/left"} <= set(
        listed["selectors"]
    )
    group, identity, elsewhere = sid("/group/north"), fresh_id("alias"), fresh_id("alias")
    server.json(
        "entry", "create", "--spiffe-id", group, "--parent-id", sid("/spire/server"), "--force",
        "--selector", "x509pop:san:region:north", "--selector", "x509pop:subject:cn:node-ec",
    )  # fmt: skip
    server.json(
        "entry", "create", "--spiffe-id", sid("/group/south"), "--parent-id", sid("/spire/server"), "--force",
        "--selector", "x509pop:san:region:south",
    )  # fmt: skip
    server.register(identity, my_uid(), flags=["--parent-id", group])
    server.register(elsewhere, my_uid(), flags=["--parent-id", sid("/group/south")], wait=False)
    assert agent.ids() == [identity]


@pytest.mark.limit(90)
@pytest.mark.parametrize("kind", ["x509pop-ec", "sshpop-rsa"])
def test_a_node_that_proves_itself_again_and_again_outlives_many_svids(roles, certs, kind):
    server, agent = start_pair(roles, certs, kind, agent_ttl="4s")
    serials = set()

    def several():
        [listed] = server.agents()
        serials.add(listed["serial_number"])
        return len(serials) >= 4

    poll("three new SVIDs of the agent", several, within=40, every=0.2)
    assert agent.is_running
    identity = fresh_id("node")
    server.register(identity, my_uid())
    assert agent.ids() == [identity]


@pytest.mark.limit(90)
@pytest.mark.parametrize("end", ["kill", "stop", "suspend"])
def test_a_node_that_slept_past_its_svid_comes_back_by_its_key(roles, end):
    server = roles.server(agent_ttl="4s")
    agent = roles.agent(server).join(server)
    agent.wait_log("node key registered")
    identity = fresh_id("node")
    server.register(identity, my_uid())
    [before] = server.agents()
    if end == "suspend":
        os.kill(agent.pid, signal.SIGSTOP)
        time.sleep(6)
        os.kill(agent.pid, signal.SIGCONT)
    else:
        getattr(agent, end)()
        time.sleep(6)
        agent.start()
    agent.wait_log("agent came back by its node key", within=20)
    assert poll("the identity", agent.ids, within=20, ignoring=(grpc.RpcError,)) == [identity]
    [after] = server.agents()
    assert after["spiffe_id"] == before["spiffe_id"] and after["attestation_type"] == "join_token"
    key = agent.data / "node-key.json"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (agent.data / "join-key.der").exists(), "the key of a join that was answered is of no more use"


@pytest.mark.limit(90)
@pytest.mark.parametrize("verb", ["ban", "evict"])
def test_a_node_that_slept_does_not_come_back_once_banned_or_evicted(roles, verb):
    server = roles.server(agent_ttl="4s")
    agent = roles.agent(server).join(server)
    agent.wait_log("node key registered")
    [listed] = server.agents()
    agent.kill()
    server.cli("agent", verb, listed["spiffe_id"]).expect(0)
    time.sleep(5)
    agent.start(wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED)
    assert not agent.ready_file.exists()
    server.wait_log("agent refused")


@pytest.mark.limit(60)
@pytest.mark.parametrize("kind", ["x509pop-ec", "sshpop-ed25519"])
def test_a_banned_node_stays_out_whatever_it_proves(roles, certs, kind):
    server, agent = start_pair(roles, certs, kind)
    identity = fresh_id("node")
    server.register(identity, my_uid())
    assert agent.ids() == [identity]
    [listed] = server.agents()
    server.cli("agent", "ban", listed["spiffe_id"]).expect(0)
    poll("nothing to be served", lambda: agent.ids() == [], within=20, ignoring=(grpc.RpcError,))
    agent.kill()
    shutil.rmtree(agent.data)
    agent.start("--trust-bundle", server.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED, saying=["banned"])


@pytest.mark.limit(60)
@pytest.mark.parametrize("wrong", ["stranger", "expired"])
def test_a_node_with_the_wrong_certificate_is_refused(roles, certs, wrong):
    on_server, on_agent = way("x509pop-ec", certs)
    on_agent["x509pop"] |= {
        "certificate_path": str(certs / f"nodes/{wrong}.pem"),
        "private_key_path": str(certs / f"nodes/{wrong}.key"),
    }
    server = roles.server(node_attestors=on_server)
    agent = roles.agent(server, node_attestor=on_agent)
    agent.start("--trust-bundle", server.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED)
    assert server.agents() == []


@pytest.mark.limit(60)
def test_an_answer_that_was_lost_is_given_again_to_the_same_key(roles):
    """The agent dies after the server used up the token and before it kept the answer."""
    server = roles.server()
    token, bundle = server.token(), server.write_bundle()
    agent = roles.agent(server)
    agent.start("--join-token", token, "--trust-bundle", bundle)
    [before] = server.agents()
    agent.kill()
    # What it would have: the key it asked with, and no SVID.
    document = json.loads((agent.data / "agent-svid.json").read_text())
    (agent.data / "join-key.der").write_bytes(base64.b64decode(document["key"]))
    for name in ("agent-svid.json", "node-key.json"):
        (agent.data / name).unlink(missing_ok=True)
    agent.start("--join-token", token, "--trust-bundle", bundle)
    assert [one["spiffe_id"] for one in server.agents()] == [before["spiffe_id"]]
    # Anybody else has nothing of the token.
    other = roles.agent(server, "other")
    other.start("--join-token", token, "--trust-bundle", bundle, wait=False)
    other.wait_exit().refusal(NOT_PERMITTED)


@pytest.mark.limit(90)
def test_a_database_that_was_brought_back_lets_nobody_in_until_it_is_accepted(roles):
    server = roles.server()
    early, bundle = server.token("--ttl", "1h"), server.write_bundle()
    assert server.stop().code == 0
    backup = server.folder / "backup.db"
    shutil.copy(server.data / "mintmark.db", backup)
    server.start()
    agent = roles.agent(server).join(server, token=early)
    [listed] = server.agents()
    server.cli("agent", "ban", listed["spiffe_id"]).expect(0)
    agent.kill()
    assert server.stop().code == 0

    for name in ("mintmark.db", "mintmark.db-wal", "mintmark.db-shm"):
        (server.data / name).unlink(missing_ok=True)
    shutil.copy(backup, server.data / "mintmark.db")
    server.start()
    server.wait_log("store is older than it was")
    server.cli("healthcheck").expect(FAILED)
    thief = roles.agent(server, "thief")
    thief.start("--join-token", early, "--trust-bundle", bundle, wait=False)
    thief.wait_exit().refusal(NOT_PERMITTED, saying=["older"])
    shown = server.json("server", "accept-rollback", "--dry-run")
    assert shown["found"] is True and shown["accepted"] is False
    assert shown["stored_revision"] < shown["marked_revision"]

    accepted = server.json("server", "accept-rollback")
    assert accepted["accepted"] is True and accepted["dropped_tokens"] == 1
    server.cli("healthcheck").expect(0)
    thief.start("--join-token", early, "--trust-bundle", bundle, wait=False)
    thief.wait_exit().refusal(NOT_PERMITTED)
    roles.agent(server, "new").join(server)
    assert server.stop().code == 0
    server.start()
    server.cli("healthcheck").expect(0)
    assert server.json("server", "accept-rollback")["found"] is False


@pytest.mark.limit(60)
def test_agents_whose_svids_ended_are_purged(roles, certs):
    server, agent = start_pair(roles, certs, "x509pop-ec", agent_ttl="2s")
    by_token = roles.agent(server, "by-token").join(server)
    for one in (agent, by_token):
        one.kill()
    names = {one["attestation_type"]: one["spiffe_id"] for one in server.agents()}
    assert server.json("agent", "purge", "--dry-run")["purged"] == [], "a month is the default"
    poll(
        "the SVIDs to have ended",
        lambda: len(server.json("agent", "purge", "--expired-for", "1s", "--all", "--dry-run")["purged"]) == 2,
    )
    assert server.json("agent", "purge", "--expired-for", "1s")["purged"] == [names["x509pop"]]
    assert [one["spiffe_id"] for one in server.agents()] == [names["join_token"]]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"x509pop": {}}, ["ca_bundle_path"]),
        ({"x509pop": {"ca_bundle_path": "/nowhere.pem"}}, ["/nowhere.pem"]),
        ({"x509pop": {"mode": "spiffe", "ca_bundle_path": "/x"}}, ["spiffe"]),
        ({"x509pop": {"mode": "spiffe", "agent_path_template": "/other/{{ .Fingerprint }}"}}, ["/x509pop/"]),
        ({"sshpop": {}}, ["authorities"]),
        ({"sshpop": {"cert_authorities": ["nonsense"]}}, ["authority"]),
        ({"http_challenge": {}}, ["allowed_dns_patterns"]),
        ({"http_challenge": {"allowed_dns_patterns": ["*"]}}, ["pattern"]),
        ({"http_challenge": {"allowed_dns_patterns": ["a.example.org"], "tofu": False}}, ["tofu"]),
        ({"x509": {}}, ["x509", "x509pop"]),
        ({"x509pop": {"ca_bundle": "x"}}, ["ca_bundle"]),
        ("x509pop", ["block"]),
    ],
)
def test_a_block_that_is_not_sound_is_named(home, block, words):
    path = home / "server.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": TRUST_DOMAIN, "node_attestors": block}))
    run("server", "validate", "--config", path).refusal(BAD_CONFIG, saying=words)
