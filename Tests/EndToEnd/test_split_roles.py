"""Server and agent as two processes: joining, staying, and finding each other again."""

from __future__ import annotations

import re
import time

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from mintmark import BAD_CONFIG, FAILED, NOT_PERMITTED, TRUST_DOMAIN, USAGE, Up, call_as, fresh_id, my_uid, poll, sid
from tokens import verify
from workload import ids_of

AGENT_ID = re.compile(
    rf"spiffe://{TRUST_DOMAIN}/spire/agent/join_token/[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
)


@pytest.fixture
def joined(roles):
    """A server with one agent that joined by token."""
    server = roles.server()
    agent = roles.agent(server).join(server)
    return server, agent


# --- Joining --------------------------------------------------------------------------------------


def test_an_agent_joins_and_serves(joined):
    server, agent = joined
    identity = fresh_id("split")
    entry = server.register(identity, my_uid())
    [listed] = server.agents()
    assert AGENT_ID.fullmatch(listed["spiffe_id"]) and listed["attestation_type"] == "join_token", listed
    assert entry["parent_id"] == listed["spiffe_id"]
    assert agent.ids() == [identity]
    assert call_as(agent.socket)["spiffe_ids"] == [identity]
    with agent.api() as api:
        token = api.jwt("a")[0].svid
        assert api.validate(token, "a").spiffe_id == identity
        verify(token, server.authorities()[1], "a")


def test_the_agents_name_says_nothing_of_its_token(roles):
    server = roles.server()
    token = server.token()
    roles.agent(server).join(server, token)
    [listed] = server.agents()
    assert AGENT_ID.fullmatch(listed["spiffe_id"]), listed
    assert token not in str(listed)
    parts = [part for part in re.split(r"[^0-9A-Za-z]", token) if len(part) >= 8]
    assert not any(part.lower() in listed["spiffe_id"] for part in parts), (token, listed)


@pytest.mark.parametrize("way", ["flag", "config"])
def test_a_token_may_come_from_a_file(roles, way):
    server = roles.server()
    file = roles.home / "token"
    file.write_text(server.token() + "\n")
    file.chmod(0o600)
    if way == "flag":
        agent = roles.agent(server)
        agent.start("--join-token-file", file, "--trust-bundle", server.write_bundle())
    else:
        agent = roles.agent(server, join_token_file=str(file), trust_bundle=str(server.write_bundle()))
        agent.start()
    assert len(server.agents()) == 1 and agent.is_running


def test_no_log_has_the_token(roles):
    server = roles.server(log_level="debug")
    token = server.token()
    agent = roles.agent(server, log_level="debug").join(server, token)
    second = roles.agent(server, "second").join(server, token, wait=False)
    second.wait_exit()
    for daemon in (server, agent, second):
        assert token not in daemon.log, f"{daemon.name} logs the token"
    assert server.agents()[0]["spiffe_id"] in server.log, server.result()


def test_a_used_token_is_refused(roles):
    server = roles.server()
    token = server.token()
    roles.agent(server, "first").join(server, token)
    second = roles.agent(server, "second").join(server, token, wait=False)
    second.wait_exit().refusal(NOT_PERMITTED, saying=["token"])
    assert not second.ready_file.exists()
    assert len(server.agents()) == 1


@pytest.mark.limit(60)
def test_of_two_agents_that_race_for_a_token_one_wins(roles):
    server = roles.server()
    bundle = server.write_bundle()
    for race in range(3):
        token = server.token()
        rivals = [roles.agent(server, f"rival-{race}-{n}") for n in range(2)]
        for rival in rivals:
            rival.start("--join-token", token, "--trust-bundle", bundle, wait=False)
        poll(
            "one to be ready and one to give up",
            lambda: sorted((rival.is_ready(), rival.is_running) for rival in rivals) == [(False, False), (True, True)],
            within=20,
        )
        [loser] = [rival for rival in rivals if not rival.is_running]
        loser.wait_exit().refusal(NOT_PERMITTED, saying=["token"])
        assert len(server.agents()) == race + 1


@pytest.mark.parametrize("token", ["nonsense", "A" * 43, ""], ids=["short", "plausible", "empty"])
def test_a_token_that_was_never_given_out_is_refused(roles, token):
    server = roles.server()
    agent = roles.agent(server)
    agent.start("--join-token", token, "--trust-bundle", server.write_bundle(), wait=False)
    codes = (NOT_PERMITTED,) if token else (NOT_PERMITTED, USAGE, BAD_CONFIG)
    agent.wait_exit().refusal(*codes, saying=["token"])
    assert server.agents() == []


def test_an_expired_token_is_refused(roles):
    server = roles.server()
    bundle = server.write_bundle()
    token, created = server.token("--ttl", "1s"), time.time()
    poll("the token to expire", lambda: time.time() > created + 2)
    agent = roles.agent(server)
    agent.start("--join-token", token, "--trust-bundle", bundle, wait=False)
    agent.wait_exit().refusal(NOT_PERMITTED, saying=["token"])
    assert server.agents() == []


def test_a_token_outlives_a_restart_of_the_server_and_still_works_once(roles):
    server = roles.server()
    used, unused = server.token(), server.token()
    roles.agent(server, "first").join(server, used)
    server.kill()
    server.start()
    roles.agent(server, "second").join(server, unused)
    third = roles.agent(server, "third").join(server, used, wait=False)
    third.wait_exit().refusal(NOT_PERMITTED)
    assert len(server.agents()) == 2


def test_an_agent_without_token_or_past_does_not_start(roles):
    server = roles.server()
    agent = roles.agent(server)
    agent.start("--trust-bundle", server.write_bundle(), wait=False)
    agent.wait_exit().refusal(USAGE, NOT_PERMITTED, BAD_CONFIG, saying=["token"])


def test_an_agent_without_a_bundle_trusts_nobody(roles):
    """Trust on first use would hand the token to whoever answers."""
    server = roles.server()
    token = server.token()
    agent = roles.agent(server)
    agent.start("--join-token", token, wait=False)
    agent.wait_exit().refusal(USAGE, BAD_CONFIG, saying=["bundle"])
    roles.agent(server, "right").join(server, token)
    assert len(server.agents()) == 1


@pytest.mark.limit(60)
def test_a_server_of_another_authority_is_not_trusted_and_never_sees_the_token(roles):
    """Same trust domain by name, another CA: what an impostor would have."""
    server = roles.server()
    impostor = roles.server("impostor")
    token = server.token()
    agent = roles.agent(server)
    agent.start("--join-token", token, "--trust-bundle", impostor.write_bundle(), wait=False)
    agent.wait_log("untrusted|not trusted", within=20)
    assert not agent.ready_file.exists(), agent.result()
    assert server.agents() == []
    if agent.is_running:
        agent.kill()
    else:
        assert agent.wait_exit().code != 0
    roles.agent(server, "right").join(server, token)
    assert len(server.agents()) == 1, "the token was not used up"


def test_a_trust_bundle_that_cannot_be_read_is_named(roles):
    server = roles.server()
    nonsense = roles.home / "nonsense.pem"
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for number, path in enumerate((nonsense, roles.home / "missing.pem")):
        agent = roles.agent(server, f"agent-{number}")
        agent.start("--join-token", server.token(), "--trust-bundle", path, wait=False)
        agent.wait_exit().refusal(BAD_CONFIG, saying=[path.name])


# --- Staying --------------------------------------------------------------------------------------


def test_a_restarted_agent_needs_no_token(joined):
    server, agent = joined
    identity = fresh_id("split")
    server.register(identity, my_uid())
    [before] = server.agents()
    assert agent.stop().code == 0
    assert not agent.socket.exists()
    agent.start()
    assert poll("the identity", agent.ids, ignoring=(grpc.RpcError,)) == [identity]
    agent.kill()
    agent.start()
    assert poll("the identity", agent.ids, ignoring=(grpc.RpcError,)) == [identity]
    [after] = server.agents()
    assert after["spiffe_id"] == before["spiffe_id"]


def test_an_agent_keeps_its_keys_to_itself(joined):
    _, agent = joined
    files = [path for path in agent.data.rglob("*") if path.is_file()]
    assert files, "expected the agent's SVID in its data folder"
    for path in files:
        if b"PRIVATE KEY" in path.read_bytes() or path.suffix in (".key", ".pk8"):
            assert path.stat().st_mode & 0o077 == 0, f"others may read {path}: {path.stat().st_mode:o}"


@pytest.mark.limit(60)
def test_an_agent_that_comes_before_its_server_waits_for_it(roles):
    server = roles.server()
    token, bundle = server.token(), server.write_bundle()
    assert server.stop().code == 0
    agent = roles.agent(server)
    agent.start("--join-token", token, "--trust-bundle", bundle, wait=False)
    agent.wait_log("unreachable|unavailable|refused|retry", within=20)
    assert agent.is_running and not agent.ready_file.exists(), agent.result()
    server.start()
    agent.wait_ready(within=40)
    assert len(server.agents()) == 1


@pytest.mark.limit(90)
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_agent_outlives_its_server_and_finds_it_again(joined, end):
    server, agent = joined
    first, second = fresh_id("split"), fresh_id("split")
    server.register(first, my_uid())
    with agent.api() as api:
        cached = api.jwt("cached")[0].svid
        watch = api.watch("FetchX509SVID")
        assert ids_of(watch.next()) == {first}
        getattr(server, end)()
        assert agent.ids() == [first], "served from what the agent has, over a new connection"
        assert call_as(agent.socket)["spiffe_ids"] == [first]
        assert api.jwt("cached")[0].svid == cached
        with pytest.raises(grpc.RpcError) as refused:
            api.jwt("not cached")
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE, refused.value
        assert api.validate(cached, "cached").spiffe_id == first
        server.start()
        server.register(second, my_uid(), wait=False)
        assert ids_of(watch.until(lambda message: second in ids_of(message), within=45)) == {first, second}
        assert api.jwt("not cached")
    assert len(server.agents()) == 1 and agent.is_running


@pytest.mark.limit(90)
def test_an_agent_renews_its_own_svid_and_those_of_its_workloads(roles):
    """With lives of 20 s, everything has been renewed at least once after 30 s."""
    server = roles.server(agent_ttl="20s", x509_svid_ttl="20s")
    agent = roles.agent(server).join(server)
    identity = fresh_id("split")
    server.register(identity, my_uid())
    started, agent_serials = time.monotonic(), set()
    with agent.api() as api:
        watch = api.watch("FetchX509SVID")

        def thirty_seconds_have_passed():
            assert agent.ids() == [identity]
            [listed] = server.agents()
            agent_serials.add(listed["serial_number"])
            return time.monotonic() > started + 31

        poll("the end of the test", thirty_seconds_have_passed, within=40, every=1)
        workload_serials = {message.svids[0].x509_svid for _, message in watch.messages}
    assert len(agent_serials) >= 2, "the agent's own SVID was not renewed"
    assert len(workload_serials) >= 3, "a workload's SVID was not renewed"
    later = fresh_id("split")
    server.register(later, my_uid())
    assert set(agent.ids()) == {identity, later}, "the renewed agent is still trusted by the server"
    assert agent.stop().code == 0
    agent.start()
    assert set(poll("the identities", agent.ids, ignoring=(grpc.RpcError,))) == {identity, later}, (
        "the renewed SVID was stored"
    )


def test_a_stopped_server_leaves_no_socket(roles):
    server = roles.server()
    assert server.admin_socket.is_socket()
    assert server.stop().code == 0
    assert not server.admin_socket.exists()


# --- Several agents -------------------------------------------------------------------------------


def test_an_entry_counts_under_its_parent_alone(roles):
    server = roles.server()
    here, there = [roles.agent(server, name).join(server) for name in ("here", "there")]
    identity = fresh_id("parent")
    server.cli("entry", "create", "--spiffe-id", identity, "--selector", my_uid()).refusal(
        FAILED, USAGE, saying=["--parent-id"]
    )
    for agent in server.agents():
        server.register(f"{identity}/{agent['spiffe_id'][-12:]}", my_uid(), flags=["--parent-id", agent["spiffe_id"]])
    found = [agent.ids() for agent in (here, there)]
    assert sorted(map(len, found)) == [1, 1] and found[0] != found[1], found


def test_an_entry_before_any_agent_needs_a_parent(roles):
    server = roles.server()
    create = ["entry", "create", "--spiffe-id", fresh_id(), "--selector", my_uid()]
    server.cli(*create).refusal(FAILED, USAGE, saying=["--parent-id"])
    server.cli(*create, "--parent-id", sid("/somewhere")).expect(0)


def test_a_token_may_carry_an_alias_for_its_agent(roles):
    """`token create --spiffe-id`: entries may name the alias as their parent."""
    server = roles.server()
    alias, identity = sid("/nodes/blue"), fresh_id("alias")
    agent = roles.agent(server).join(server, server.token("--spiffe-id", alias))
    server.register(identity, my_uid(), flags=["--parent-id", alias])
    assert agent.ids() == [identity]
    assert AGENT_ID.fullmatch(server.agents()[0]["spiffe_id"])


# --- Authorities ----------------------------------------------------------------------------------


def test_a_server_keeps_its_trust_over_a_restart(joined):
    server, agent = joined
    before = server.authorities()
    server.kill()
    server.start()
    assert server.authorities() == before
    with agent.api() as api:
        identity = fresh_id("split")
        server.register(identity, my_uid(), wait=False)
        poll("the agent to be back", lambda: identity in agent.ids(), within=25)
        key = serialization.load_der_private_key(api.first("FetchX509SVID").svids[0].x509_svid_key, password=None)
        assert key.key_size == 256


def test_up_and_server_keep_out_of_each_others_way(roles):
    """Their defaults and sockets are told apart by their folders alone."""
    server = roles.server()
    up = roles.keep(Up(roles.home))
    up.start()
    assert server.authorities()[0] != up.authorities()[0]
    assert server.agents() == [] and len(up.json("agent", "list")["agents"]) == 1
