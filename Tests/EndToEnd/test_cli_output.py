"""Every command in every output form, and its help."""

from __future__ import annotations

import datetime
import json
import re
import signal

import pytest

from mintmark import TRUST_DOMAIN, USAGE, SVIDWatch, fresh_id, my_uid, poll, run, sid
from workload import pem_certificates, uris_of

IDENTITY = sid("/cli/output")
ENTRY_ID = "output-1"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

COMMANDS = [
    "up",
    "server run",
    "server validate",
    "server config",
    "agent run",
    "agent validate",
    "agent config",
    "agent list",
    "token create",
    "entry create",
    "entry list",
    "entry show",
    "entry update",
    "entry delete",
    "entry count",
    "bundle show",
    "bundle list",
    "bundle set",
    "bundle delete",
    "federation create",
    "federation list",
    "federation show",
    "federation update",
    "federation delete",
    "federation refresh",
    "svid fetch x509",
    "svid fetch jwt",
    "svid watch",
    "svid validate",
    "healthcheck",
    "version",
]


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(IDENTITY, my_uid(), flags=["--id", ENTRY_ID, "--hint", "out"])
    return up


# --- Help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    result = run(*command.split(), "--help").expect(0)
    assert "example" in result.out.lower() and f"mintmark {command}" in result.out, result
    assert result.err == "", result


@pytest.mark.parametrize("command", ["", "server", "agent", "token", "entry", "bundle", "federation", "svid", "svid fetch"])
def test_help_of_a_group_lists_its_commands(command):
    result = run(*command.split(), "--help").expect(0)
    for known in COMMANDS:
        if known.startswith(command):
            word = known.removeprefix(command).split()[0]
            assert re.search(rf"^\s+{word}\b", result.out, re.MULTILINE), f"{word!r} is missing{result}"


def test_sample_agent_has_help_as_well():
    result = run("--help", program="sample-agent").expect(0)
    assert "--audience" in result.out and "--write" in result.out, result


# --- Three forms ----------------------------------------------------------------------------------

# Command, what a table must show, and what the JSON must have. All of them say the same when asked again.
READING = {
    "entry list": (["entry", "list"], IDENTITY, {"entries"}),
    "entry show": (["entry", "show", ENTRY_ID], IDENTITY, {"id", "spiffe_id", "parent_id", "selectors"}),
    "entry count": (["entry", "count"], "1", {"count"}),
    "agent list": (["agent", "list"], f"spiffe://{TRUST_DOMAIN}/", {"agents"}),
    "svid fetch x509": (["svid", "fetch", "x509"], IDENTITY, {"svids"}),
    "svid fetch jwt": (["svid", "fetch", "jwt", "--audience", "a"], IDENTITY, {"svids"}),
    "healthcheck": (["healthcheck"], "", set()),
    "version": (["version"], "", set()),
}


@pytest.mark.parametrize("command, shown, members", READING.values(), ids=READING.keys())
def test_reading_commands_say_the_same_in_every_form(served, command, shown, members):
    forms = {form: served.cli(*command, "--output", form).expect(0) for form in ("table", "json", "yaml")}
    document = forms["json"].json()
    assert isinstance(document, dict) and document and members <= set(document), forms["json"]
    assert forms["yaml"].yaml() == document, forms
    assert shown in forms["table"].out and forms["table"].out.strip(), forms["table"]
    with pytest.raises(ValueError):
        json.loads(forms["table"].out)
    assert "\x1b" not in forms["table"].out, "no colours outside a terminal"


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_writing_commands_speak_every_form(served, form):
    def said(*arguments, showing):
        result = served.cli(*arguments, "--output", form).expect(0)
        assert showing in result.out, result
        if form == "table":
            return None
        return result.json() if form == "json" else result.yaml()

    identity, number = fresh_id("form"), f"form-{form}"
    create = ["entry", "create", "--spiffe-id", identity, "--selector", "unix:uid:4294967", "--id", number]
    created = said(*create, showing=identity)
    updated = said("entry", "update", number, "--hint", "changed", showing=identity)
    deleted = said("entry", "delete", number, showing=number)
    token = said("token", "create", showing="")
    if form != "table":
        assert (created["id"], created["hint"], updated["hint"]) == (number, "", "changed")
        assert deleted == {"deleted": [number]}
        assert set(token) == {"token", "expires_at"} and len(token["token"]) >= 32


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_bundle_and_validation_speak_every_form(served, form):
    read = (lambda result: result.json()) if form == "json" else (lambda result: result.yaml())
    assert read(served.cli("bundle", "show", "--output", form).expect(0))
    token = (
        served.cli("svid", "fetch", "jwt", "--audience", "a", "--output", "json").expect(0).json()["svids"][0]["token"]
    )
    validated = read(served.cli("svid", "validate", "--audience", "a", token, "--output", form).expect(0))
    assert validated["spiffe_id"] == IDENTITY and validated["claims"]["aud"] == ["a"]


@pytest.mark.parametrize("side", ["server", "agent"])
def test_config_lists_every_key_with_its_default(side):
    keys = {
        "server": {
            "trust_domain": "",
            "data_dir": "",
            "bind_address": "127.0.0.1",
            "bind_port": "8081",
            "admin_socket": "",
            "ca_ttl": "24h",
            "x509_svid_ttl": "1h",
            "jwt_svid_ttl": "5m",
            "agent_ttl": "",
            "ca_key_type": "ec-p256",
            "jwt_key_type": "ec-p256",
            "jwt_issuer": "",
            "log_level": "info",
        },
        "agent": {
            "trust_domain": "",
            "data_dir": "",
            "server_address": "127.0.0.1:8081",
            "workload_socket": "",
            "join_token_file": "",
            "trust_bundle": "",
            "log_level": "info",
        },
    }[side]
    forms = {form: run(side, "config", "--output", form).expect(0) for form in ("table", "json", "yaml")}
    for key, default in keys.items():
        [line] = [line for line in forms["table"].out.splitlines() if re.search(rf"\b{key}\b", line)][:1] or [""]
        assert key in line and default in line, f"{key} with default {default!r}{forms['table']}"
        assert key in forms["json"].out and key in forms["yaml"].out, forms
    assert forms["yaml"].yaml() == forms["json"].json()


def test_an_unknown_form_is_a_usage_error(served):
    served.cli("entry", "list", "--output", "xml").refusal(USAGE)


# --- Shapes ---------------------------------------------------------------------------------------


def test_the_agent_of_up_is_listed(served):
    [agent] = served.json("agent", "list")["agents"]
    members = {
        "spiffe_id",
        "attestation_type",
        "serial_number",
        "expires_at",
        "banned",
        "can_reattest",
        "selectors",
        "version",
    }
    assert members <= set(agent), agent
    assert agent["spiffe_id"].startswith(f"spiffe://{TRUST_DOMAIN}/spire/agent/"), agent
    assert agent["banned"] is False and isinstance(agent["can_reattest"], bool), agent
    assert isinstance(agent["selectors"], list) and agent["attestation_type"] and agent["serial_number"], agent
    assert INSTANT.fullmatch(agent["expires_at"]), agent
    assert served.json("entry", "show", ENTRY_ID)["parent_id"] == agent["spiffe_id"]


def test_a_fetched_x509_svid_is_whole(served):
    [svid] = served.json("svid", "fetch", "x509")["svids"]
    assert {"spiffe_id", "hint", "expires_at", "certificates", "bundle"} <= set(svid)
    assert (svid["spiffe_id"], svid["hint"]) == (IDENTITY, "out")
    leaf = pem_certificates(svid["certificates"])[0]
    assert uris_of(leaf) == [IDENTITY]
    assert pem_certificates(svid["bundle"]) == served.authorities()[0]
    end = datetime.datetime.fromisoformat(svid["expires_at"])
    assert INSTANT.fullmatch(svid["expires_at"]) and end == leaf.not_valid_after_utc
    assert "PRIVATE KEY" not in json.dumps(svid), "a key is written to a file or not at all"


def test_a_fetched_jwt_svid_is_whole(served):
    [svid] = served.json("svid", "fetch", "jwt", "--audience", "a")["svids"]
    assert {"spiffe_id", "hint", "token", "expires_at"} <= set(svid)
    assert (svid["spiffe_id"], svid["hint"]) == (IDENTITY, "out")
    assert svid["token"].count(".") == 2 and INSTANT.fullmatch(svid["expires_at"])


@pytest.mark.parametrize("ttl, seconds", [(None, 600), ("90s", 90), ("15m", 900), ("24h", 86400)])
def test_a_join_token_lives_as_long_as_was_asked(served, ttl, seconds):
    token = served.json("token", "create", *(["--ttl", ttl] if ttl else []))
    end = datetime.datetime.fromisoformat(token["expires_at"])
    left = (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert seconds - 30 < left <= seconds + 1, token


def test_join_tokens_are_different(served):
    tokens = {served.json("token", "create")["token"] for _ in range(5)}
    assert len(tokens) == 5


def test_svid_watch_follows_the_entries_line_by_line(up, home):
    first, second = fresh_id("watch"), fresh_id("watch")
    up.register(first, my_uid())
    watch = SVIDWatch(home, up)
    try:
        watch.start(wait=False)
        poll("the first line", lambda: len(watch.documents()) == 1, within=15)
        up.register(second, my_uid())
        poll("the second line", lambda: len(watch.documents()) == 2, within=15)
        lines = [{svid["spiffe_id"] for svid in document["svids"]} for document in watch.documents()]
        assert lines == [{first}, {first, second}]
        assert watch.stop(signal.SIGINT).code == 0, watch.result()
    finally:
        watch.close()
