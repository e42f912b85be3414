"""Assurance levels of entries: defaults, what is asked for, what is refused, and who is handed what."""

from __future__ import annotations

import hashlib
import os

import pytest

from mintmark import FAILED, USAGE, fresh_id, my_executable, my_uid, poll

NOBODYS = "unix:uid:4294967"
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def shared(start_module_up):
    """Tests here use entries that no process gets."""
    return start_module_up()


def create(up, *flags, selectors=(NOBODYS,), output="json"):
    named = [part for selector in selectors for part in ("--selector", selector)]
    return up.cli("entry", "create", "--spiffe-id", fresh_id("level"), *named, *flags, "--output", output)


def terms(entry):
    return entry["min_assurance"], entry["allow_jit"]


# --- Defaults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "selectors, flags, expected",
    [
        ([NOBODYS], [], (0, False)),
        ([NOBODYS, "unix:group:wheel"], [], (0, False)),
        ([NOBODYS, "unix:path:/opt/agent"], [], (2, False)),
        ([f"unix:sha256:{DIGEST}"], [], (2, False)),
        ([f"exec:sha256:{DIGEST}"], [], (3, False)),
        (["systemd:id:x.service"], [], (2, False)),
        (["k8s:ns:default"], [], (0, False)),
        (["unix:path:/opt/jit"], ["--allow-jit"], (3, True)),
        (["unix:path:/opt/jit2"], ["--allow-jit", "--min-assurance", "2"], (2, True)),
        ([NOBODYS, "unix:gid:8"], ["--min-assurance", "3"], (3, False)),
        (["unix:path:/opt/weak"], ["--min-assurance", "1"], (1, False)),
    ],
)
def test_terms_follow_from_selectors_unless_they_are_named(shared, selectors, flags, expected):
    entry = create(shared, *flags, selectors=selectors).expect(0).json()
    assert terms(entry) == expected
    assert shared.json("entry", "show", entry["id"]) == entry
    assert entry in shared.entries()


def test_people_see_the_level(shared):
    made = create(shared, "--allow-jit", "--id", "seen", selectors=["unix:path:/opt/seen"], output="table").expect(0)
    assert "AL3+jit" in made.out
    [line] = [line for line in shared.cli("entry", "list").expect(0).out.splitlines() if line.startswith("seen ")]
    assert "AL3+jit" in line
    assert "min_assurance: 3\nallow_jit: true" in shared.cli("entry", "show", "seen", "--output", "yaml").expect(0).out


# --- Weak and impossible wishes ---------------------------------------------------------------------


def test_a_level_that_can_be_faked_is_stored_with_a_warning_that_says_how(shared):
    result = create(shared, "--min-assurance", "1", selectors=[f"unix:sha256:{DIGEST}", "unix:gid:3"]).expect(0)
    for attack in ("after it has connected", "handed another's connection", "executable link", "in memory"):
        assert attack in result.err
    assert "warning" not in create(shared, selectors=["unix:path:/opt/strong"]).expect(0).err


def test_a_level_below_what_a_selector_needs_is_refused_by_name(shared):
    create(shared, "--min-assurance", "2", selectors=["exec:path:/opt/agent"]).refusal(
        FAILED, saying=["exec:path:/opt/agent", "level 3"])


@pytest.mark.parametrize("level", ["4", "-1", "x", ""])
def test_a_level_that_there_is_not_is_a_usage_error(shared, level):
    create(shared, f"--min-assurance={level}").refusal(USAGE)


# --- Selectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "selector, nearest",
    [
        (f"exec:sha265:{DIGEST}", f"exec:sha256:{DIGEST}"),
        ("exec:path:opt", "exec:path:/opt"),
        ("cod:anon-exec:none", "code:anon-exec:none"),
        ("proc:tracd:false", "proc:traced:false"),
        ("ns:user:host", "ns:user:init"),
        ("exe:writable_by_caller:false", "exe:writable-by-caller:false"),
        ("sytemd:id:x.service", "systemd:id:x.service"),
    ],
)
def test_a_misspelt_selector_is_refused_with_the_nearest_one(shared, selector, nearest):
    create(shared, selectors=[selector]).refusal(FAILED, saying=["did you mean", f"'{nearest}'"])


def test_a_kind_that_is_yet_to_come_is_refused_as_such(shared):
    create(shared, "--force", selectors=["launch:profile:triage"]).refusal(FAILED, saying=["later version"])


def test_a_kind_that_nobody_knows_needs_force(shared):
    create(shared, selectors=["vault:role:x"]).refusal(FAILED, saying=["vault", "--force"])
    forced = create(shared, "--force", selectors=["vault:role:x"]).expect(0)
    assert "warning" in forced.err
    # What was stored once stays when something else is changed.
    shared.cli("entry", "update", forced.json()["id"], "--hint", "x").expect(0)


def test_help_lists_every_family(shared):
    text = shared.cli("entry", "create", "--help").expect(0).out
    for family in ("unix:uid:N", "exec:script:sha256:HEX", "code:anon-exec:none|jit", "exe:pkg:deb:NAME=VALUE"):
        assert family in text


# --- Bare interpreters ------------------------------------------------------------------------------


def refused_interpreter(result):
    result.refusal(FAILED, saying=["interpreter", "exec:script:sha256", "--force"])


def test_an_entry_that_goes_by_an_interpreter_needs_force(shared, tmp_path):
    link = tmp_path / "reviewer"
    link.symlink_to(my_executable())
    for path in ("/usr/bin/python3", "/opt/node/bin/node", "/bin/sh", link):
        refused_interpreter(create(shared, selectors=[f"unix:path:{path}"]))
        refused_interpreter(create(shared, selectors=[f"exec:path:{path}"]))
    forced = create(shared, "--force", selectors=["unix:path:/usr/bin/python3"]).expect(0)
    assert "interpreter" in forced.err
    script = f"exec:script:sha256:{DIGEST}"
    create(shared, selectors=["unix:path:/usr/bin/python3", script]).expect(0)


def test_the_digest_of_an_interpreter_on_the_search_path_is_known(shared, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(my_executable()), prepend=os.pathsep)
    with open(my_executable(), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    refused_interpreter(create(shared, selectors=[f"unix:sha256:{digest}"]))
    refused_interpreter(create(shared, selectors=[NOBODYS, f"exec:sha256:{digest}"]))


def test_an_update_to_an_interpreter_needs_force_as_well(shared):
    entry = create(shared, selectors=["unix:path:/opt/to-be-changed"]).expect(0).json()
    refused_interpreter(shared.cli("entry", "update", entry["id"], "--selector", "unix:path:/usr/bin/perl"))
    shared.cli("entry", "update", entry["id"], "--selector", "unix:path:/usr/bin/perl", "--force").expect(0)


# --- Changing ---------------------------------------------------------------------------------------


def test_an_update_changes_terms_and_leaves_the_rest(shared):
    entry = create(shared, "--hint", "kept", selectors=["unix:path:/opt/patched"]).expect(0).json()

    def update(*flags):
        return shared.json("entry", "update", entry["id"], *flags)

    assert update("--min-assurance", "3") == entry | {"min_assurance": 3, "revision": 1}
    assert terms(update("--hint", "new")) == (3, False)
    assert terms(update("--allow-jit", "--min-assurance", "2")) == (2, True)
    assert terms(update("--no-allow-jit")) == (2, False)
    assert terms(update("--allow-jit")) == (3, True)
    shared.cli("entry", "update", entry["id"]).refusal(USAGE)


def test_an_account_that_gets_a_path_gets_its_level_too(shared):
    entry = create(shared, selectors=[NOBODYS, "unix:gid:77"]).expect(0).json()
    changed = shared.json("entry", "update", entry["id"], "--selector", NOBODYS, "--selector", "unix:path:/opt/later")
    assert terms(changed) == (2, False)


# --- What a level does ------------------------------------------------------------------------------


def test_a_process_that_does_not_reach_the_level_gets_nothing(start_up):
    up = start_up()
    reachable, unreachable = fresh_id("reached"), fresh_id("missed")
    up.register(unreachable, my_uid(), flags=["--min-assurance", "3"])
    up.register(reachable, my_uid())
    assert up.ids() == [reachable]
    [entry] = [entry for entry in up.entries() if entry["spiffe_id"] == unreachable]
    up.cli("entry", "update", entry["id"], "--min-assurance", "2").expect(0)
    poll("the entry that asks for less", lambda: set(up.ids()) == {reachable, unreachable})


# --- The server's settings --------------------------------------------------------------------------


def test_the_default_level_is_a_setting(roles):
    server = roles.server(default_min_assurance=1)
    parent = ("--parent-id", "spiffe://example.org/spire/agent/x")
    assert terms(create(server, *parent, selectors=["unix:path:/opt/agent"]).expect(0).json()) == (1, False)
    assert terms(create(server, *parent, selectors=["exec:path:/opt/agent"]).expect(0).json()) == (3, False)
    assert "default_min_assurance is below 2" in server.log
