"""Admins elsewhere: roles over mTLS and bearer tokens, contexts, budgets, the issuance record, and what a server says of itself."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from mintmark import Account, FAILED, NOT_PERMITTED, TRUST_DOMAIN, UNREACHABLE, USAGE, BAD_CONFIG, fresh_id, my_uid, poll, run, sid
from peers import TLSTunnel
from workload import WorkloadAPI

ISSUER = "https://id.example.org"
OPS, REGISTRAR, VIEWER = sid("/ops"), sid("/registrar"), sid("/viewer")
ROLES = {
    "ops": {"role": "operator", "to": [OPS, "oidc:corp:groups=ops"]},
    "team-a": {"role": "registrar", "to": REGISTRAR, "spiffe_id_prefixes": sid("/team-a"), "selector_kinds": ["unix"]},
    "lookers": {"role": "viewer", "to": [VIEWER]},
    "desk": {"role": "viewer", "to": ["uid:65534"]},
    "squad": {"role": "viewer", "to": ["gid:64001"]},
}


class Corporation:
    """An OpenID provider: keys in a file and behind a URL, and tokens of any content."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "jwks.json"
        self.file.write_text(self.jwks())
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = owner.jwks().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"

    def jwks(self) -> str:
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [jwk | {"kid": "k1", "use": "sig"}]})

    def token(self, **changes: Any) -> str:
        claims = {
            "iss": ISSUER,
            "sub": "alice",
            "aud": "mintmark",
            "exp": int(time.time()) + 600,
            "groups": ["dev", "ops"],
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "k1"})


class Cast:
    """A server with roles, its agent, and admins with SVIDs and tokens."""

    def __init__(self, roles: Any, corporation: Corporation) -> None:
        self.home = roles.home
        self.corporation = corporation
        self.server = roles.server(
            roles=ROLES,
            token_issuers={
                "corp": {"issuer": ISSUER, "audience": "mintmark", "jwks_file": str(corporation.file)},
                "far": {"issuer": "https://far.example.org", "audience": "mintmark", "jwks_url": corporation.url},
            },
            admin_ids=sid("/boss"),
            admin_socket_mode="0666",
        )
        self.agent = roles.agent(self.server).join(self.server)
        self.bundle = self.server.write_bundle()
        self.environment = {"MINTMARK_CONTEXTS": str(self.home / "contexts.yaml")}

    def cli(self, *arguments: Any, **options: Any) -> Any:
        return run(*arguments, env=self.environment | options.pop("env", {}), **options)

    def add(self, name: str, *flags: Any) -> None:
        self.cli(
            "context", "add", name, "--address", self.server.address, "--trust-domain", TRUST_DOMAIN,
            "--trust-bundle", self.bundle, *flags,
        ).expect(0)  # fmt: skip


@pytest.fixture(scope="module")
def cast(module_roles):
    corporation = Corporation(module_roles.home)
    cast = Cast(module_roles, corporation)
    for name in ("ops", "registrar", "viewer", "boss", "nobody"):
        entry = cast.server.register(sid(f"/{name}"), my_uid(), flags=["--hint", name])
        files = cast.home / name
        files.mkdir()
        cast.agent.fetch("fetch", "x509", "--write", files).expect(0)
        cast.add(name, "--cert", files / "svid.0.pem", "--key", files / "svid.0.key")
        cast.server.cli("entry", "delete", entry["id"]).expect(0)
        poll("the agent to drop the entry", lambda: sid(f"/{name}") not in cast.agent.ids())
    token = cast.home / "token"
    token.write_text(corporation.token() + "\n")
    cast.add("token", "--token-file", token)
    yield cast
    corporation.server.shutdown()


def create(path: str, *flags: Any) -> list[Any]:
    parent = ["--parent-id", sid("/spire/agent/somewhere")]
    return ["entry", "create", "--spiffe-id", sid(path), "--selector", "unix:uid:7", *parent, *flags]


# --- Roles over mTLS ------------------------------------------------------------------------------


def test_an_admin_elsewhere_does_what_the_role_allows(cast):
    assert cast.cli("agent", "list", "--context", "ops", "--output", "json").expect(0).json()["agents"]
    assert cast.cli("token", "create", "--context", "ops", "--output", "json").expect(0).json()["token"]
    cast.cli("agent", "list", "--context", "viewer").expect(0)
    cast.cli("bundle", "show", "--context", "nobody").refusal(NOT_PERMITTED)
    cast.cli("entry", "count", "--context", "boss").expect(0)


@pytest.mark.parametrize(
    ("context", "command"),
    [
        ("nobody", ["agent", "list"]),
        ("viewer", ["token", "create"]),
        ("viewer", create("/team-a/x")),
        ("ops", create("/team-a/x")),
        ("registrar", ["token", "create"]),
        ("registrar", create("/team-b/x")),
        ("registrar", create("/team-a/x", "--selector", "k8s:ns:prod", "--force")),
        ("boss", ["logger", "get"]),
        ("boss", ["debug"]),
    ],
)
def test_an_admin_elsewhere_does_nothing_else(cast, context, command):
    before = cast.server.entries()
    cast.cli(*command, "--context", context).refusal(NOT_PERMITTED)
    assert cast.server.entries() == before


def test_a_registrar_registers_within_the_scope_and_takes_nothing_over(cast):
    theirs = cast.server.json(*create("/team-b/theirs"))
    own = cast.cli(*create("/team-a/own"), "--context", "registrar", "--output", "json").expect(0).json()
    remote = ["--context", "registrar"]
    cast.cli("entry", "update", theirs["id"], "--hint", "x", *remote).refusal(NOT_PERMITTED)
    cast.cli("entry", "delete", theirs["id"], *remote).refusal(NOT_PERMITTED)
    cast.cli("entry", "update", own["id"], "--hint", "x", *remote).expect(0)
    cast.cli("entry", "delete", own["id"], *remote).expect(0)
    assert theirs["id"] in [entry["id"] for entry in cast.server.entries()]
    cast.server.cli("entry", "delete", theirs["id"]).expect(0)


def test_an_account_of_this_machine_has_the_role_it_was_given(cast, nobody, public_bin):
    environment = {"MINTMARK_ADMIN_SOCKET": str(cast.server.admin_socket)}
    run("agent", "list", env=environment, account=nobody, bin=public_bin).expect(0)
    run("token", "create", env=environment, account=nobody, bin=public_bin).refusal(NOT_PERMITTED, saying=["uid:65534"])


def test_a_group_has_the_role_it_was_given_whichever_of_the_groups_it_is(cast, root, public_bin):
    environment = {"MINTMARK_ADMIN_SOCKET": str(cast.server.admin_socket)}
    many = tuple(range(60_000, 60_100))
    for gid, groups in ((64001, ()), (64002, (64001,)), (64002, (*many, 64001))):
        member = Account(65533, gid, groups)
        run("agent", "list", env=environment, account=member, bin=public_bin).expect(0)
        run("token", "create", env=environment, account=member, bin=public_bin).refusal(NOT_PERMITTED)
    for groups in ((), (64000, 64003), many):
        stranger = Account(65533, 64002, groups)
        run("agent", "list", env=environment, account=stranger, bin=public_bin).refusal(NOT_PERMITTED)


# --- Bearer tokens --------------------------------------------------------------------------------


def test_a_token_stands_for_its_subject(cast):
    assert cast.cli("agent", "list", "--context", "token", "--output", "json").expect(0).json()["agents"]
    cast.cli(*create("/team-a/x"), "--context", "token").refusal(NOT_PERMITTED, saying=["oidc:corp:alice"])


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "other"},
        {"iss": "https://elsewhere.example.org"},
        {"groups": ["dev"]},
        {"nbf": 4_000_000_000},
        {"sub": None},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_token_with_one_thing_wrong_is_refused(cast, changes):
    command = f"printf %s {cast.corporation.token(**changes)}"
    cast.add("bad", "--token-command", command)
    cast.cli("agent", "list", "--context", "bad").refusal(NOT_PERMITTED)


def test_a_token_signed_by_somebody_else_is_refused(cast):
    stranger = jwt.encode(
        {"iss": ISSUER, "sub": "alice", "aud": "mintmark", "exp": int(time.time()) + 600, "groups": ["ops"]},
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers={"kid": "k1"},
    )
    cast.add("forged", "--token-command", f"printf %s {stranger}")
    cast.cli("agent", "list", "--context", "forged").refusal(NOT_PERMITTED, saying=["signature"])


def test_keys_are_fetched_from_where_the_issuer_has_them(cast):
    """The issuer 'far' gives its keys over HTTP; nobody gave its subjects a role."""
    cast.add("far", "--token-command", f"printf %s {cast.corporation.token(iss='https://far.example.org')}")
    cast.cli("agent", "list", "--context", "far").refusal(NOT_PERMITTED, saying=["oidc:far:alice"])


def test_a_command_that_fails_gives_no_token(cast):
    cast.add("broken", "--token-command", "exit 3")
    cast.cli("agent", "list", "--context", "broken").refusal(FAILED, saying=["status 3"])


# --- Contexts -------------------------------------------------------------------------------------


def test_contexts_are_named_used_shown_and_removed(cast, home):
    environment = {"MINTMARK_CONTEXTS": str(home / "mine.yaml"), "HOME": str(home)}

    def cli(*arguments: Any) -> Any:
        return run("context", *arguments, env=environment)

    flags = ["--address", cast.server.address, "--trust-domain", TRUST_DOMAIN, "--trust-bundle", cast.bundle]
    assert cli("list", "--output", "json").expect(0).json() == {"contexts": []}
    cli("show").refusal(BAD_CONFIG)
    cli("add", "one", *flags).refusal(USAGE, saying=["proof"])
    cli("add", "one", *flags, "--cert", "x.pem").refusal(USAGE)
    cli("add", "one", *flags, "--token-file", "/nowhere", "--use").expect(0)
    cli("add", "two", *flags, "--token-file", cast.home / "token").expect(0)
    assert [each["current"] for each in cli("list", "--output", "json").expect(0).json()["contexts"]] == [True, False]
    assert oct((home / "mine.yaml").stat().st_mode & 0o777) == "0o600"
    run("agent", "list", env=environment).refusal(BAD_CONFIG, saying=["/nowhere"])
    cli("use", "two").expect(0)
    run("agent", "list", env=environment).expect(0)
    run("agent", "list", env=environment | {"MINTMARK_CONTEXT": "one"}).refusal(BAD_CONFIG)
    run("agent", "list", "--admin-socket", cast.server.admin_socket, env=environment).expect(0)
    run("agent", "list", "--admin-socket", "x", "--context", "two", env=environment).refusal(USAGE)
    assert cli("show", "--output", "json").expect(0).json()["name"] == "two"
    cli("remove", "two").expect(0)
    cli("use", "two").refusal(BAD_CONFIG)


def test_a_server_of_another_trust_domain_gets_no_token(cast, roles):
    """Nothing is said to a server that the bundle does not vouch for."""
    other = roles.server("other")
    bundle = other.write_bundle()
    cast.cli(
        "context", "add", "wrong", "--address", cast.server.address, "--trust-domain", TRUST_DOMAIN,
        "--trust-bundle", bundle, "--token-file", cast.home / "token",
    ).expect(0)  # fmt: skip
    cast.cli("agent", "list", "--context", "wrong", timeout=30).refusal(UNREACHABLE)


def test_a_workload_socket_gives_the_admins_svid(cast):
    entry = cast.server.register(OPS, my_uid())
    cast.cli(
        "context", "add", "socket", "--address", cast.server.address, "--trust-domain", TRUST_DOMAIN,
        "--workload-socket", cast.agent.endpoint,
    ).expect(0)  # fmt: skip
    cast.cli("agent", "list", "--context", "socket").expect(0)
    cast.server.cli("entry", "delete", entry["id"]).expect(0)


# --- What is on record ----------------------------------------------------------------------------


def test_every_issue_and_every_denial_is_on_record(cast):
    spiffe_id = fresh_id("audited")
    entry = cast.server.register(spiffe_id, my_uid())
    # Which of several identities comes first is not this test's business.
    cast.agent.fetch("fetch", "jwt", "--audience", "ledger", "--spiffe-id", spiffe_id).expect(0)
    found = cast.server.json("audit", "query", "--spiffe-id", spiffe_id)["issuances"]
    token = next(each for each in found if each["jti"])
    assert token["audience"] == ["ledger"] and token["outcome"] == "issued" and token["entry_id"] == entry["id"]
    assert token["caller_class"] == "agent" and token["limited_by"] == "issuer_default"
    agent = token["principal"]
    assert cast.server.json("audit", "query", "--agent", agent, "--spiffe-id", spiffe_id)["issuances"] == found
    certificate = next(each for each in found if each["serial_number"])
    by_serial = cast.server.json("audit", "query", "--credential", certificate["serial_number"])["issuances"]
    assert [each["number"] for each in by_serial] == [certificate["number"]]
    cast.server.cli("entry", "delete", entry["id"]).expect(0)

    with TLSTunnel(cast.home, cast.server.port) as path, WorkloadAPI(path) as api:
        api.refusal("/spire.api.server.svid.v1.SVID/NewJWTSVID", b"", metadata=(), timeout=10)
    denied = cast.server.json("audit", "query", "--outcome", "denied", "--limit", "1")["issuances"][0]
    assert denied["principal"] == "stranger:127.0.0.1" and denied["reason"] == "agent is not attested"
    assert cast.server.json("audit", "query", "--until", "2020-01-01T00:00:00Z")["issuances"] == []


def test_the_record_survives_a_restart(roles):
    server = roles.server("audited")
    agent = roles.agent(server, "audited-agent").join(server)
    entry = server.register(fresh_id(), my_uid())
    poll("an SVID", agent.ids)
    before = server.json("audit", "query")["issuances"]
    assert entry["spiffe_id"] in [each["spiffe_id"] for each in before]
    server.stop()
    server.start()
    after = server.json("audit", "query", "--limit", "100000")["issuances"]
    assert before == [each for each in after if each["number"] <= before[0]["number"]]


# --- Budgets --------------------------------------------------------------------------------------


def attest(channel: grpc.Channel) -> grpc.RpcError | None:
    """An attestation with a made-up token and no signing request."""
    call = channel.stream_stream(
        "/spire.api.server.agent.v1.Agent/AttestAgent",
        request_serializer=None,
        response_deserializer=None,
    )(iter([b""]), timeout=10)
    try:
        list(call)
    except grpc.RpcError as error:
        return error
    return None


def test_a_flood_of_strangers_costs_no_agent_its_budget(roles):
    server = roles.server(
        "flooded", limits={"attestation": {"rate": 0.2, "burst": 5}, "signing": {"rate": 50, "burst": 50}}
    )
    agent = roles.agent(server, "flooded-agent").join(server)
    server.register(fresh_id(), my_uid())
    poll("an SVID", agent.ids)
    with TLSTunnel(roles.home, server.port) as path, grpc.insecure_channel(f"unix:{path}") as channel:
        endings = [attest(channel) for _ in range(60)]
    refused = [each for each in endings if each.code() == grpc.StatusCode.RESOURCE_EXHAUSTED]
    # The agent has attested from this address as well.
    assert len(refused) >= 55, [each.code() for each in endings]
    metadata = dict(refused[-1].trailing_metadata())
    assert 0 < int(metadata["retry-after-ms"]) <= 5000
    assert b"google.rpc.RetryInfo" in metadata["grpc-status-details-bin"]
    # Whoever is attested goes on: new identities arrive, and the admin socket is not limited.
    spiffe_id = fresh_id()
    server.register(spiffe_id, my_uid())
    assert poll("the new identity", lambda: spiffe_id in agent.ids())
    budgets = {each["name"]: each for each in server.json("debug")["budgets"]}
    assert budgets["attestation"]["refused"] >= 55 and budgets["attestation"]["burst"] == 5
    assert budgets["signing"]["refused"] == 0 and budgets["signing"]["admitted"] > 0
    # All that was refused is on record, and most of it as a count.
    server.stop()
    server.start()
    denied = server.json("audit", "query", "--outcome", "denied", "--principal", "stranger:127.0.0.1")["issuances"]
    denied = [each for each in denied if each["method"].endswith("/AttestAgent")]
    assert len(denied) <= 22
    assert sum(each["repeats"] or 1 for each in denied) == 60, [each["reason"] for each in denied]
    assert any("budget" in each["reason"] for each in denied)


def test_budgets_are_told_to_whoever_may_look(cast):
    budgets = cast.cli("debug", "--budgets", "--context", "viewer", "--output", "json").expect(0).json()["budgets"]
    assert {each["name"] for each in budgets} == {"attestation", "signing", "reporting", "reading", "querying"}
    cast.cli("debug", "--budgets", "--context", "nobody").refusal(NOT_PERMITTED)


def test_a_denied_bearer_is_on_record_by_name(cast):
    cast.cli("debug", "--context", "token").refusal(NOT_PERMITTED)
    with TLSTunnel(cast.home, cast.server.port) as path, WorkloadAPI(path) as api:
        bearer = (("authorization", f"Bearer {cast.corporation.token()}"),)
        api.refusal("/spire.api.server.svid.v1.SVID/MintJWTSVID", b"", metadata=bearer, timeout=10)
    found = cast.server.json("audit", "query", "--outcome", "denied", "--limit", "1")["issuances"][0]
    assert found["method"].endswith("/MintJWTSVID") and found["principal"].startswith("oidc:corp:"), found


def test_nobody_takes_all_connections(roles):
    server = roles.server("crowded", limits={"connections_per_address": 3})

    def is_open(connection: socket.socket) -> bool:
        connection.settimeout(0.3)
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False

    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5)) for _ in range(6)
        ]
        assert sum(is_open(each) for each in connections) == 3
        other = stack.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=5, source_address=("127.0.0.9", 0))
        )
        assert is_open(other), "another address has room of its own"
    poll("room", lambda: is_open(socket.create_connection(("127.0.0.1", server.port), timeout=5)))


# --- Metrics --------------------------------------------------------------------------------------


def scrape(address: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def samples(text: str) -> dict[str, float]:
    """Names with labels, and values; everything else must be HELP or TYPE."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert line.split()[1] in ("HELP", "TYPE")
            continue
        name, _, value = line.rpartition(" ")
        assert name not in found
        found[name] = float(value)
    return found


def metrics_address(daemon) -> str:
    line = poll(
        "the metrics' address",
        lambda: next((each for each in daemon.log.splitlines() if "metrics are served" in each), None),
    )
    return line.split("address=")[1].split()[0].strip('"')


def test_an_agent_measures_itself_and_names_no_workload(roles):
    server = roles.server("measured-agent")
    agent = roles.agent(server, "measuring", metrics={"port": 0}).join(server)
    identity = fresh_id("measured")
    entry = server.register(identity, my_uid())
    poll("the identity", lambda: identity in agent.ids())
    text = scrape(metrics_address(agent))
    numbers = samples(text)
    assert numbers["mintmark_agent_serving"] == 1 and numbers["mintmark_agent_entries"] >= 1
    assert numbers['mintmark_agent_syncs_total{outcome="ok"}'] >= 1
    assert numbers['mintmark_agent_svids{kind="x509"}'] >= 1
    assert 0 < numbers["mintmark_agent_svid_remaining_seconds"] <= 3 * 3600
    assert 0 <= numbers["mintmark_agent_last_sync_age_seconds"] < 60
    assert any(name.startswith("mintmark_agent_calls_total{") and "FetchX509SVID" in name for name in numbers)
    assert identity not in text and entry["id"] not in text and "uid:" not in text
    server.stop()
    failed = 'mintmark_agent_syncs_total{outcome="failed"}'
    poll("a failed round", lambda: f"{failed} 0" not in scrape(metrics_address(agent)), within=30)


def test_one_process_for_both_halves_measures_both(start_up):
    daemon = start_up("--metrics-port", "0")
    text = scrape(metrics_address(daemon))
    assert "mintmark_entries " in text and "mintmark_agent_entries " in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names)), "each metric is told once"


def test_metrics_count_what_is_done_and_name_nobody(roles):
    server = roles.server("measured", metrics={"port": 0}, limits={"attestation": {"rate": 0.1, "burst": 3}})
    address = metrics_address(server)
    assert address.startswith("127.0.0.1:")
    agent = roles.agent(server, "measured-agent").join(server)
    server.register(fresh_id(), my_uid())
    poll("an SVID", agent.ids)
    with TLSTunnel(roles.home, server.port) as path, grpc.insecure_channel(f"unix:{path}") as channel:
        endings = [attest(channel) for _ in range(10)]
    refused = sum(each.code() == grpc.StatusCode.RESOURCE_EXHAUSTED for each in endings)
    assert refused > 0
    text = scrape(address)
    found = samples(text)
    agents = "spire.api.server.agent.v1.Agent"
    assert found[f'mintmark_calls_total{{method="{agents}/AttestAgent",code="ok"}}'] == 1
    assert found[f'mintmark_calls_total{{method="{agents}/AttestAgent",code="resourceExhausted"}}'] == refused
    assert found['mintmark_budget_refused_total{budget="attestation",class="any"}'] == refused
    assert found['mintmark_attestations_total{type="join_token",outcome="issued"}'] == 1
    assert any(name.startswith('mintmark_credentials_total{kind="x509",outcome="issued"') for name in found)
    assert 0 < found['mintmark_authority_remaining_seconds{kind="x509"}'] <= 86400
    assert found["mintmark_entries"] == 1 and found['mintmark_agents{state="active"}'] == 1
    assert found["mintmark_store_errors_total"] == 0
    assert "spiffe://" not in text and "127.0.0.1" not in text
    with pytest.raises(urllib.error.HTTPError, match="404"):
        scrape(address, "/")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(urllib.request.Request(f"http://{address}/metrics", data=b"x"), timeout=10)


def test_without_the_key_nothing_is_measured_over_http(cast):
    assert "metrics are served" not in cast.server.log


# --- What a server says of itself -----------------------------------------------------------------


def test_the_log_level_changes_while_the_server_runs(roles):
    server = roles.server("talkative")
    assert server.json("logger", "get") == {"current_level": "info", "launch_level": "info"}
    server.json(*create("/quiet"))
    assert " debug " not in server.log
    server.json("logger", "set", "debug")
    with TLSTunnel(roles.home, server.port) as path, WorkloadAPI(path) as api:
        for _ in range(30):
            api.refusal("/spire.api.server.svid.v1.SVID/NewJWTSVID", b"", metadata=(), timeout=10)
    poll("a line at debug", lambda: " debug " in server.log)
    assert server.json("logger", "reset") == {"current_level": "info", "launch_level": "info"}
    server.cli("logger", "set", "loud").refusal(USAGE)


def test_debug_tells_what_the_server_holds(cast):
    found = cast.server.json("debug")
    assert found["svid_chain"][0]["spiffe_id"] == sid("/spire/server")
    assert found["agents"] == 1 and found["uptime"] >= 0


def test_tools_learn_the_api_from_the_server(cast):
    """grpcio's own client of server reflection builds every message from what the server hands out."""
    with grpc.insecure_channel(f"unix:{cast.server.admin_socket}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = database.get_services()
        assert {"spire.api.server.entry.v1.Entry", "mintmark.v1.Audit", "grpc.health.v1.Health"} <= set(services)
        pool = DescriptorPool(database)
        for name in services:
            service = pool.FindServiceByName(name)
            assert service.methods, name
            for method in service.methods:
                assert method.input_type.full_name and method.output_type.full_name
        entry = pool.FindMessageTypeByName("spire.api.types.Entry")
        assert entry.fields_by_name["hint"].number > 0


def test_health_is_listed(cast):
    with grpc.insecure_channel(f"unix:{cast.server.admin_socket}") as channel:
        answer = channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=10)
    assert b"\x08\x01" in answer, "the whole server, SERVING"


# --- Configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "saying"),
    [
        ({"roles": {"a": {"role": "king", "to": ["uid:1"]}}}, ["roles.a.role", "registrar"]),
        ({"roles": {"a": {"role": "viewer"}}}, ["roles.a.to"]),
        ({"roles": {"a": {"role": "viewer", "to": ["bob"]}}}, ["'bob'"]),
        ({"roles": {"a": {"role": "viewer", "to": ["oidc:none:sub=x"]}}}, ["'none'"]),
        ({"roles": {"a": {"role": "registrar", "to": ["uid:1"]}}}, ["spiffe_id_prefixes"]),
        ({"roles": {"a": {"role": "viewer", "to": ["uid:1"], "spiffe_id_prefixes": [sid("/x")]}}}, ["unknown key"]),
        ({"roles": ["a"]}, ["roles"]),
        ({"limits": {"signing": {"rate": -1}}}, ["limits.signing.rate"]),
        ({"limits": {"coffee": {"rate": 1}}}, ["'coffee'"]),
        ({"limits": {"entries": 0}}, ["limits.entries"]),
        ({"limits": {"connections": "many"}}, ["limits.connections"]),
        ({"metrics": {"address": "127.0.0.1"}}, ["metrics.port"]),
        ({"metrics": {"port": 1, "address": "localhost"}}, ["metrics.address"]),
        ({"entries_parent": "agent"}, ["entries_parent"]),
        ({"admin_ids": "nobody"}, ["'nobody'"]),
        ({"admin_ids": "spiffe://other.example/boss"}, ["admin_ids", "other.example"]),
        ({"roles": {"a": {"role": "viewer", "to": ["spiffe://other.example/x"]}}}, ["a:", "other.example"]),
        ({"admin_socket_mode": "0777"}, ["admin_socket_mode"]),
        ({"admin_socket_mode": "0060"}, ["admin_socket_mode"]),
        ({"admin_socket_group": "no-such-group"}, ["admin_socket_group"]),
        ({"two_person": "maybe"}, ["two_person"]),
        ({"token_issuers": {"a": {"issuer": "x", "audience": "y"}}}, ["jwks_file"]),
        ({"token_issuers": {"a": {"issuer": "x", "audience": "y", "jwks_url": "http://far.example"}}}, ["jwks_url"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_bad_configuration_is_refused_with_the_key_that_is_wrong(home, settings, saying):
    config = home / "server.yaml"
    config.write_text(yaml.safe_dump({"trust_domain": TRUST_DOMAIN} | settings))
    run("server", "validate", "--config", config).refusal(BAD_CONFIG, saying=saying)
