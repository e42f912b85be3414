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
from cryptography import x509

from mintmark import BAD_CONFIG, FAILED, NOT_PERMITTED, TRUST_DOMAIN, fresh_id, my_uid, poll, run, sid
from node_scenes import MAKE, BundleHost, EmulatedTPM, FakeCluster


@pytest.fixture(scope="session")
def certs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("material") / "certs"
    subprocess.run([MAKE, "--out", folder], check=True, timeout=60)
    return folder


def own_hostname() -> str:
    """A name of this machine that leads to it and is neither an address nor localhost."""
    name = socket.gethostname()
    try:
        addresses = addresses_of(name)
    except OSError:
        addresses = set()
    if not addresses or name.startswith("localhost"):
        pytest.skip(f"needs a host name that resolves: '{name}' does not")
    return name


def addresses_of(name: str) -> set[str]:
    return {entry[4][0] for entry in socket.getaddrinfo(name, None)}


def agent_id(agent) -> str:
    """The ID in the SVID that an agent keeps."""
    document = json.loads((agent.data / "agent-svid.json").read_text())
    leaf = x509.load_der_x509_certificate(base64.b64decode(document["chain"][0]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)[0]


def way(kind: str, certs: Path, roles=None) -> tuple[dict, dict]:
    """The settings of a server and an agent for one way to attest; what it needs ends with the roles."""
    if kind == "tpm_devid":
        tpm = roles.keep(EmulatedTPM(roles.home, certs))
        return (
            {"tpm_devid": {"devid_ca_path": str(certs / "devid/ca.pem"), "endorsement_ca_path": str(tpm.maker)}},
            {
                "tpm_devid": {
                    "devid_cert_path": str(tpm.certificates),
                    "devid_priv_path": str(tpm.private),
                    "devid_pub_path": str(tpm.public),
                    "tpm_device_path": str(tpm.socket),
                }
            },
        )
    if kind == "k8s_psat":
        return in_cluster(roles.keep(FakeCluster(certs)), roles.home)
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
        {"http_challenge": {"allowed_dns_patterns": [name], "allow_loopback": True}},
        {"http_challenge": {"hostname": name, "agentname": "test", "port": 0}},
    )


def in_cluster(cluster: FakeCluster, home: Path) -> tuple[dict, dict]:
    """The settings of a server and an agent, both of which have the tokens that the cluster gave them."""
    for name, token in (("issuer-token", cluster.issuer_token), ("agent-token", cluster.token)):
        (home / name).write_text(f"{token}\n")
    production = {
        "service_account_allow_list": ["spire:spire-agent"],
        "server": cluster.url,
        "ca_path": str(cluster.authority),
        "token_path": str(home / "issuer-token"),
        "allowed_node_label_keys": ["zone"],
    }
    return (
        {"k8s_psat": {"clusters": {"production": production}}},
        {"k8s_psat": {"cluster": "production", "token_path": str(home / "agent-token")}},
    )


def by_kubeconfig(on_server: dict, path: Path, **changes: object) -> dict:
    """The same way to reach the cluster, as a kubeconfig file has it: the authority within, the token beside."""
    production = on_server["k8s_psat"]["clusters"]["production"]
    server, authority, token = (production.pop(name) for name in ("server", "ca_path", "token_path"))
    path.with_name("kube-token").write_text(Path(token).read_text())
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(Path(authority).read_bytes()).decode()}
    user = changes.pop("user", {"tokenFile": "kube-token"})
    contents = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "there", "context": {}}, {"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster | changes}], "users": [{"name": "u", "user": user}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(contents))
    production["kube_config_file"] = str(path)
    return on_server


def start_pair(roles, certs, kind, **settings):
    on_server, on_agent = way(kind, certs, roles)
    server = roles.server(node_attestors=on_server, **settings)
    agent = roles.agent(server, node_attestor=on_agent)
    agent.start("--trust-bundle", server.write_bundle())
    return server, agent


EVERY_WAY = [
    "x509pop-ec", "x509pop-rsa", "sshpop-ed25519", "sshpop-ecdsa", "sshpop-rsa", "http_challenge", "tpm_devid", "k8s_psat",
]  # fmt: skip


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
def test_a_token_of_a_pod_that_is_gone_lets_nobody_in(roles, certs):
    cluster = roles.keep(FakeCluster(certs))
    on_server, on_agent = in_cluster(cluster, roles.home)
    server = roles.server(node_attestors=on_server)
    first = roles.agent(server, node_attestor=on_agent)
    first.start("--trust-bundle", server.write_bundle())
    # Whoever copies the token is the same agent, and the one that was there is out; as with SPIRE, it names its bearer.
    copy = roles.agent(server, "copy", node_attestor=on_agent)
    copy.start("--trust-bundle", server.write_bundle())
    [listed] = server.agents()
    assert listed["spiffe_id"] == sid(f"/spire/agent/k8s_psat/production/{cluster.node_uid}")
    assert "k8s_psat:agent_node_label:zone:b" in listed["selectors"]
    for one in (first, copy):
        one.kill()
        shutil.rmtree(one.data)
    cluster.has_pod = False
    copy.start("--trust-bundle", server.write_bundle(), wait=False)
    copy.wait_exit().refusal(NOT_PERMITTED)
    cluster.has_pod, cluster.token = True, "another"
    copy.start("--trust-bundle", server.write_bundle(), wait=False)
    copy.wait_exit().refusal(NOT_PERMITTED)


@pytest.mark.limit(60)
@pytest.mark.parametrize("user", [{"tokenFile": "kube-token"}, {"token": FakeCluster.issuer_token}], ids=["file", "inline"])
def test_a_cluster_is_reached_by_a_kubeconfig_file(roles, certs, user):
    on_server, on_agent = in_cluster(roles.keep(FakeCluster(certs)), roles.home)
    server = roles.server(node_attestors=by_kubeconfig(on_server, roles.home / "kube.yaml", user=user))
    roles.agent(server, node_attestor=on_agent).start("--trust-bundle", server.write_bundle())
    assert [one["attestation_type"] for one in server.agents()] == ["k8s_psat"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": {"client-certificate-data": "AAAA"}}, ["token", "client certificates"]),
        ({"insecure-skip-tls-verify": True}, ["insecure-skip-tls-verify"]),
        ({"certificate-authority-data": "???"}, ["base64"]),
        ({"certificate-authority-data": ""}, ["certificate-authority"]),
        ({"server": "http://127.0.0.1:6443"}, ["https://"]),
    ],
)
def test_a_kubeconfig_file_that_cannot_be_used_is_named(home, certs, changes, words):
    cluster = FakeCluster(certs)
    on_server, _ = in_cluster(cluster, home)
    cluster.close()
    on_server = by_kubeconfig(on_server, home / "kube.yaml", **changes)
    path = home / "server.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": TRUST_DOMAIN, "node_attestors": on_server}))
    run("server", "validate", "--config", path).refusal(BAD_CONFIG, saying=[*words, "kube.yaml"])


@pytest.mark.limit(90)
def test_a_node_that_is_trusted_on_first_use_comes_back_by_its_key(roles, certs):
    server, agent = start_pair(roles, certs, "http_challenge", agent_ttl="12s")
    agent.wait_log("node key registered")
    # Let in anew after an eviction, it has no key there any more, and registers it again.
    server.cli("agent", "evict", agent_id(agent)).expect(0)
    server.wait_log("agent evicted")
    poll("the key to be there again", lambda: agent.log.count("node key registered") == 2, within=20)
    agent.kill()
    time.sleep(13)
    agent.start()
    agent.wait_log("agent came back by its node key", within=20)
    [listed] = server.agents()
    assert listed["attestation_type"] == "http_challenge"


@pytest.mark.limit(60)
def test_a_name_that_leads_to_this_machine_is_not_asked(roles, certs):
    name = own_hostname()
    if not all(address.startswith("127.") or address == "::1" for address in addresses_of(name)):
        pytest.skip(f"needs a host name that leads to loopback: '{name}' leads elsewhere")
    on_server, on_agent = way("http_challenge", certs)
    del on_server["http_challenge"]["allow_loopback"]
    server = roles.server(node_attestors=on_server)
    agent = roles.agent(server, node_attestor=on_agent)
    agent.start("--trust-bundle", server.write_bundle(), wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED)
    assert server.agents() == []


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
    key = agent.data / "join-key.der"
    key.touch(mode=0o600)
    key.write_bytes(base64.b64decode(document["key"]))
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


@pytest.mark.limit(90)
@pytest.mark.parametrize("is_elsewhere", [True, False], ids=["mark elsewhere", "no mark"])
def test_a_database_in_another_folder_serves_no_agent_until_it_is_accepted(roles, is_elsewhere):
    place = {"security_mark_path": str(roles.home / "mark")} if is_elsewhere else {}
    server = roles.server(**place)
    agent, banned = roles.agent(server).join(server), roles.agent(server, "banned").join(server)
    identity, other = fresh_id("node"), fresh_id("node")
    known = agent_id(banned)
    for parent in (agent_id(agent), known):
        server.register(identity, my_uid(), flags=["--parent-id", parent])
    assert agent.ids() == banned.ids() == [identity]
    assert server.stop().code == 0
    backup = roles.home / "backup"
    shutil.copytree(server.data, backup)
    (backup / "mintmark.db-mark").unlink(missing_ok=True)
    server.start()
    server.cli("agent", "ban", known).expect(0)
    poll("nothing to be served", lambda: banned.ids() == [], within=20, ignoring=(grpc.RpcError,))
    assert server.stop().code == 0

    shutil.rmtree(server.data)
    shutil.copytree(backup, server.data)
    server.start()
    server.wait_log("older than it was")
    agent.wait_log("sync failed; trying again", within=20)
    assert agent.ids() == [identity], "what it holds stays good"
    assert banned.ids() == [], "its ban was forgotten, and nobody is served"
    shown = server.json("server", "accept-rollback", "--dry-run")
    assert shown["found"] is True and (shown["marked_revision"] is None) is not is_elsewhere
    server.cli("agent", "ban", known).expect(0)
    assert server.json("server", "accept-rollback")["accepted"] is True
    server.register(other, my_uid(), flags=["--parent-id", agent_id(agent)], wait=False)
    poll("the new identity", lambda: other in agent.ids(), within=20)
    assert banned.ids() == []
    assert (roles.home / "mark" if is_elsewhere else server.data / "mintmark.db-mark").exists()


@pytest.mark.limit(90)
@pytest.mark.parametrize("source", ["url", "file"])
def test_an_agent_finds_a_server_that_was_made_anew(roles, certs, source):
    host, kept = roles.keep(BundleHost(certs)), roles.home / "first-bundle.pem"

    def publish(text: str) -> None:
        host.text = text
        kept.write_text(text)

    on_server, on_agent = way("x509pop-ec", certs)
    server = roles.server(node_attestors=on_server)
    publish(server.bundle_pem())
    where = (
        {"trust_bundle_url": f"{host.url}/bundle", "trust_bundle_url_authorities": str(host.authority)}
        if source == "url"
        else {"trust_bundle": str(kept)}
    )
    agent = roles.agent(
        server, node_attestor=on_agent, rebootstrap_mode="auto" if source == "url" else "always",
        rebootstrap_delay="2s", **where,
    )  # fmt: skip
    patient = roles.agent(server, "patient", node_attestor=way("x509pop-rsa", certs)[1], **where)
    for one in (agent, patient):
        one.start()
    server.kill()
    shutil.rmtree(server.data)
    server.start()
    agent.wait_log("the bootstrap bundle does not know it either", within=20)
    assert server.agents() == []
    publish(server.bundle_pem())
    agent.wait_log("agent joined a server that was a stranger", within=30)
    identity = fresh_id("node")
    server.register(identity, my_uid(), wait=False)
    poll("the identity", lambda: agent.ids() == [identity], within=20, ignoring=(grpc.RpcError,))
    assert [one["spiffe_id"] for one in server.agents()] == [agent_id(agent)], "one that was not told to waits"
    # The new bundle is what it keeps.
    agent.kill()
    agent.start()
    assert poll("the identity", agent.ids, within=20, ignoring=(grpc.RpcError,)) == [identity]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trust_bundle_url": "http://bundles.example.org/x"}, ["https://"]),
        ({"trust_bundle_url": "https://127.0.0.1:1/x", "trust_bundle_url_authorities": "/nowhere"}, ["/nowhere"]),
        ({"rebootstrap_mode": "always"}, ["node_attestor"]),
        ({"rebootstrap_mode": "sometimes"}, ["rebootstrap_mode", "never, auto or always"]),
        ({"metrics": {"address": "127.0.0.1"}}, ["metrics.port"]),
        ({"rebootstrap_delay": "0s"}, ["rebootstrap_delay"]),
    ],
)
def test_a_bundle_that_cannot_be_trusted_again_is_named(home, settings, words):
    path = home / "agent.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": TRUST_DOMAIN} | settings))
    run("agent", "validate", "--config", path).refusal(BAD_CONFIG, saying=words)


def test_rebootstrap_that_cannot_be_is_said_by_auto_and_refused_by_always(roles):
    server = roles.server("strict")
    agent = roles.agent(server, "hopeful", rebootstrap_mode="auto").join(server)
    assert "rebootstrap_mode auto has no effect" in agent.log
    strict = roles.agent(server, "strict-agent", rebootstrap_mode="always")
    strict.start("--join-token", server.token(), "--trust-bundle", server.write_bundle(), wait=False)
    strict.wait_exit().refusal(BAD_CONFIG, saying=["rebootstrap_mode always needs a node_attestor"])


@pytest.mark.limit(60)
def test_agents_are_listed_and_counted_by_what_is_known_of_them(roles, certs):
    server, _ = start_pair(roles, certs, "x509pop-ec")
    by_token = roles.agent(server, "by-token").join(server)
    token_id = agent_id(by_token)

    def listed(*flags: str) -> set[str]:
        found = [one["attestation_type"] for one in server.json("agent", "list", *flags)["agents"]]
        assert server.json("agent", "count", *flags)["count"] == len(found)
        return set(found)

    server.cli("agent", "ban", token_id).expect(0)
    assert listed() == {"x509pop", "join_token"}
    assert listed("--attestation-type", "x509pop") == {"x509pop"}
    assert listed("--selector", "x509pop:san:region:north") == {"x509pop"}
    assert listed("--selector", "x509pop:san:region:north", "--match-selectors-on", "exact") == set()
    assert listed("--selector", "x509pop:a:b", "--selector", "x509pop:san:region:north", "--match-selectors-on", "any") == {"x509pop"}
    assert listed("--banned", "true") == {"join_token"}
    assert listed("--can-reattest", "true", "--banned", "false") == {"x509pop"}
    assert listed("--expires-before", "2001-01-01T00:00:00Z") == set()
    shown = server.json("agent", "show", token_id)
    assert shown["last_seen_at"] is not None and isinstance(shown["bundle_serial"], int)


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
