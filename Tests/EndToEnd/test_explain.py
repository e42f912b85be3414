"""What the agent tells about processes: `explain`, `entry suggest`, `entry test`, `doctor` and `whois`."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import mintmark
from mintmark import (
    FAILED, NOT_PERMITTED, UNREACHABLE, USAGE, Account, clean_environment, fresh_id, my_uid, poll, sha256,
)

MINE, OTHER = Account(61500, 61500), Account(61501, 61501)
NO_PROCESS = 4_194_305
FACTS = {
    "uid", "gid", "groups", "login", "tracer", "seccomp", "capabilities", "user namespace", "pid namespace",
    "executable", "executable digest", "executable owner", "entry point", "anonymous executable memory", "mapped code",
    "executed", "executed digest", "scripts", "ancestors", "cgroup", "unit", "container",
}


@pytest.fixture(scope="module")
def up(start_module_up, measured):
    return start_module_up("--exec-journal-mount", measured)


@pytest.fixture(scope="module")
def sleeper(up, measured) -> Path:
    """A program that only waits, where the journal sees it executed."""
    return copied(shutil.which("sleep"), measured / "sleeper")


def copied(program: str, path: Path) -> Path:
    shutil.copy(program, path)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def process(*argv: Any, account: Account | None = None, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is there until it is no longer needed."""
    started = subprocess.Popen(
        list(map(str, argv)), cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=clean_environment(),
        **mintmark._identity(account), **options)
    try:
        yield started
    finally:
        started.kill()
        started.wait(10)


@contextlib.contextmanager
def entry(up: Any, *selectors: str, flags: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    made = up.register(fresh_id("explain"), *selectors, flags=flags)
    try:
        yield made
    finally:
        up.cli("entry", "delete", made["id"]).expect(0)


def explained(up: Any, pid: int, **options: Any) -> Any:
    return up.json("explain", pid, **options)


def at_level(up: Any, pid: int, level: int) -> Any:
    """Measuring takes a moment."""
    last: list[Any] = []

    def reached() -> Any:
        last[:] = [explained(up, pid)]
        return last[0] if last[0]["level"] == level else None

    try:
        return poll(f"process {pid} at AL{level}", reached)
    except AssertionError as error:
        reasons = "; ".join(missing["reason"] for missing in last[0]["missing"])
        if "lost" in reasons:
            pytest.skip(f"the kernel dropped events of this busy machine: {reasons}")
        raise AssertionError(f"{error}\nmissing: {reasons}") from None


# --- explain ----------------------------------------------------------------------------------------


def test_facts_have_names_values_and_where_they_are_from(up, sleeper):
    with process(sleeper, 60, account=MINE) as started:
        told = at_level(up, started.pid, 3)
    facts = {fact["name"]: fact for fact in told["facts"]}
    assert FACTS <= facts.keys()
    assert len(facts) == len(told["facts"]), "a name stands twice"
    assert told["pid"] == started.pid and "/" in told["instance"] and told["level_admitting_jit"] == 3
    assert (facts["uid"]["value"], facts["uid"]["from"]) == (f"{MINE.uid}", "proc")
    assert facts["executable"]["value"] == str(sleeper)
    assert facts["executable digest"]["value"] == f"sha256:{sha256(sleeper)}"
    assert facts["executed"]["from"] == "journal"
    assert facts["tracer"]["value"] == "none"
    for fact in told["facts"]:
        assert (fact["value"] is None) == (fact["unknown"] is not None) == (fact["from"] is None), fact
    assert f"exec:sha256:{sha256(sleeper)}" in told["selectors"]
    assert told["selectors"] == sorted(told["selectors"])
    assert {"credentials", "pidfd", "liveness", "code-map", "exec-journal"} <= set(told["methods"])
    assert told["missing"] == [] and told["matches"] == []


def test_what_the_next_level_lacks_is_named(up):
    """A program outside of the mount that the journal looks at: its script, if there is one, was not seen."""
    with process(shutil.which("sleep"), 60) as started:
        told = explained(up, started.pid)
    for missing in told["missing"]:
        assert missing["level"] > told["level"] and missing["fact"] and missing["reason"]
    levels = [missing["level"] for missing in told["missing"]]
    assert levels == sorted(levels)


def test_matches_and_near_misses_say_what_was_found_and_what_would_mend_it(up, sleeper):
    uid, absent = f"unix:uid:{MINE.uid}", "0" * 64
    with (
        process(sleeper, 60, account=MINE) as started,
        entry(up, uid, f"exec:sha256:{sha256(sleeper)}") as right,
        entry(up, uid, f"unix:sha256:{absent}") as wrong_digest,
        entry(up, uid, f"unix:path:{sleeper}", "systemd:id:x.service") as wrong_unit,
        entry(up, f"unix:uid:{OTHER.uid}") as others,
    ):
        at_level(up, started.pid, 3)
        told = explained(up, started.pid)
        table = up.cli("explain", started.pid).expect(0).out
    assert told["matches"] == [{"entry_id": right["id"], "spiffe_id": right["spiffe_id"], "hint": ""}]
    misses = {miss["entry_id"]: miss for miss in told["near_misses"]}
    assert misses.keys() == {wrong_digest["id"], wrong_unit["id"], others["id"]}
    [digest] = misses[wrong_digest["id"]]["missing_selectors"]
    assert digest["selector"] == f"unix:sha256:{absent}"
    assert digest["found"] == [f"unix:sha256:{sha256(sleeper)}"]
    assert digest["found"][0] in digest["remedy"]
    [unit] = misses[wrong_unit["id"]]["missing_selectors"]
    assert unit["selector"] == "systemd:id:x.service" and unit["found"] == [] and unit["remedy"]
    for text in ("Facts", "Entries that match", right["id"], "Nearest of the others", f"lacks unix:sha256:{absent}"):
        assert text in table


def test_a_level_that_is_missing_is_told_apart_from_a_selector(up, sleeper):
    """A program that is started by somebody who traces it."""
    with (
        process(sleeper, 60) as started,
        entry(up, my_uid(), f"unix:path:{shutil.which('sleep')}", flags=["--min-assurance", "2"]) as elsewhere,
        entry(up, my_uid(), f"unix:path:{sleeper}", flags=["--min-assurance", "2"]) as wanted,
        traced(started.pid),
    ):
        told = explained(up, started.pid)
        misses = {miss["entry_id"]: miss for miss in told["near_misses"]}
        assert told["level"] == 1
        assert "not-traced" in {missing["fact"] for missing in told["missing"]}
        miss = misses[wanted["id"]]
        assert (miss["missing_selectors"], miss["assurance_missing"], miss["min_assurance"]) == ([], True, 2)
        assert not miss["jit_would_do"]
        assert misses[elsewhere["id"]]["missing_selectors"]
        assert "asks for AL2" in up.cli("explain", started.pid).expect(0).out


@contextlib.contextmanager
def traced(pid: int) -> Iterator[None]:
    """Another process traces it meanwhile."""
    script = (
        "import ctypes, os, sys; c = ctypes.CDLL(None, use_errno=True); "
        f"r = c.ptrace(0x4206, {pid}, None, None); print(r, ctypes.get_errno(), flush=True); sys.stdin.read()"
    )
    tracer = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
    try:
        said = tracer.stdout.readline().split()
        if said[0] != b"0":
            pytest.skip(f"this host lets nobody trace: {os.strerror(int(said[1]))}")
        yield
    finally:
        tracer.stdin.close()
        tracer.wait(10)
        tracer.stdout.close()


def test_shapes_are_the_same_in_json_and_yaml(up, sleeper):
    with process(sleeper, 60) as started:
        at_level(up, started.pid, 3)
        for command in (["explain"], ["entry", "suggest"]):
            as_json = up.cli(*command, started.pid, "--output", "json").expect(0).json()
            assert up.cli(*command, started.pid, "--output", "yaml").expect(0).yaml() == as_json
    assert up.cli("doctor", "--output", "yaml").expect(0).yaml().keys() == {"highest_level", "checks"}


@pytest.mark.parametrize("pid", ["0", "-1", "abc", "", "1.5", "99999999999", "0x1"])
@pytest.mark.parametrize("command", ["explain", "entry suggest"])
def test_what_is_no_process_number_is_a_usage_error(up, command, pid):
    up.cli(*command.split(), "--", pid).refusal(USAGE)


def test_a_process_that_is_not_there_is_said_so(up):
    for command in (["explain"], ["entry", "suggest"], ["entry", "test", "--selector", "unix:uid:0", "--pid"]):
        up.cli(*command, NO_PROCESS).refusal(FAILED, saying=[f"no process has number {NO_PROCESS}"])


def test_without_an_agent_it_says_how_to_name_one(home):
    for command in (["explain", "1"], ["doctor"], ["whois", "80"]):
        result = mintmark.run(*command, "--state", home / "none")
        result.refusal(UNREACHABLE, saying=["--state", "--agent-socket"])


def test_a_path_cannot_draw_on_the_screen_of_who_asks(up, measured):
    liar = copied(shutil.which("sleep"), measured / "a\x1b[2J\nEntries that match\nX  spiffe:\u202e")
    with process(liar, 60) as started:
        at_level(up, started.pid, 3)
        for command in (["explain"], ["entry", "suggest"]):
            result = up.cli(*command, started.pid).expect(0)
            assert "\x1b" not in result.out + result.err and "\u202e" not in result.out + result.err
        table = up.cli("explain", started.pid).expect(0).out
        assert table.count("\nEntries that match\n") == 1
        facts = {fact["name"]: fact["value"] for fact in explained(up, started.pid)["facts"]}
    assert facts["executable"] == str(liar)


# --- Who may ask ------------------------------------------------------------------------------------


def test_users_may_ask_about_their_own_processes_and_no_others(up, sleeper, public_bin):
    with process(sleeper, 60, account=MINE) as own, process(sleeper, 60, account=OTHER) as foreign:
        at_level(up, own.pid, 3)
        told = explained(up, own.pid, account=MINE, bin=public_bin)
        assert (told["pid"], told["level"]) == (own.pid, 3)
        for pid in (foreign.pid, up.pid, 1):
            result = up.cli("explain", pid, account=MINE, bin=public_bin)
            result.refusal(NOT_PERMITTED, saying=["not one of", "root"])
            assert result.out == ""
            up.cli("entry", "suggest", pid, account=MINE, bin=public_bin).refusal(NOT_PERMITTED)
            up.cli(
                "entry", "test", "--pid", pid, "--selector", "unix:uid:0", account=MINE, bin=public_bin
            ).refusal(NOT_PERMITTED)


def test_the_admin_socket_is_for_root_alone(up, public_bin):
    path = up.state / "agent-admin.sock"
    assert mintmark.mode(path) == 0o600
    up.cli("explain", "1", "--agent-socket", path, account=MINE, bin=public_bin).refusal(NOT_PERMITTED, saying=["root"])


def test_a_process_with_another_users_rights_left_is_not_its_users(up, sleeper, public_bin):
    """Effective user MINE, but it can become root again."""
    script = f"import os, time; os.setresuid({MINE.uid}, {MINE.uid}, 0); print(1, flush=True); time.sleep(60)"
    started = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=clean_environment(), cwd="/")
    try:
        started.stdout.readline()
        up.cli("explain", started.pid, account=MINE, bin=public_bin).refusal(NOT_PERMITTED)
    finally:
        started.kill()
        started.communicate()


def test_entries_of_other_users_are_counted_and_not_shown(up, sleeper, public_bin):
    with (
        process(sleeper, 60, account=MINE) as started,
        entry(up, f"unix:uid:{OTHER.uid}") as others,
        entry(up, f"unix:path:{sleeper}-2") as nobodys,
        entry(up, f"unix:uid:{MINE.uid}", "unix:gid:7") as own,
    ):
        at_level(up, started.pid, 3)
        result = up.cli("explain", started.pid, "--output", "json", account=MINE, bin=public_bin).expect(0)
        told = result.json()
        assert [miss["entry_id"] for miss in told["near_misses"]] == [own["id"]]
        assert told["hidden_near_misses"] == 0
        for hidden in (others, nobodys):
            assert hidden["id"] not in result.out and hidden["spiffe_id"] not in result.out
            # And it cannot be asked about by name: the answer is that of an entry that is not there.
            for name in (hidden["id"], "no-such-entry"):
                up.cli(
                    "entry", "test", "--pid", started.pid, "--entry", name, account=MINE, bin=public_bin
                ).refusal(FAILED, saying=[f"no entry with ID '{name}'"])
        assert explained(up, started.pid)["hidden_near_misses"] == 0


# --- entry suggest ----------------------------------------------------------------------------------


def proposed_command(text: str) -> list[str]:
    """The command at the end of the table, as a shell would read it."""
    command = text.split("Proposed (*):\n", 1)[1].replace("\\\n", " ")
    words = shlex.split(command)
    assert words[:3] == ["mintmark", "entry", "create"], text
    return words[1:]


def test_the_proposal_works_as_it_stands(up, measured):
    """A name that a shell would take apart; the printed command is read as a shell would, and run."""
    program = copied(str(mintmark.bin_dir() / "sample-agent"), measured / "it's the $(agent)")
    environment = {"SPIFFE_ENDPOINT_SOCKET": up.endpoint}

    def fetch() -> mintmark.Result:
        return mintmark.run("--audience", "a", "--output", "json", program=program, env=environment)

    with entry(up, my_uid()):
        started = subprocess.Popen(
            [program, "--follow"], env=clean_environment(environment), stdout=subprocess.PIPE)
        try:
            assert b"update" in started.stdout.readline()
            at_level(up, started.pid, 3)
            words = proposed_command(up.cli("entry", "suggest", started.pid).expect(0).out)
        finally:
            started.kill()
            started.communicate()
    fetch().expect(1)
    identity = fresh_id("proposed")
    words[words.index("ID")] = identity
    made = up.cli(*words, "--wait", "--output", "json").expect(0).json()
    try:
        assert made["min_assurance"] == 3
        assert fetch().expect(0).json()["spiffe_id"] == identity
    finally:
        up.cli("entry", "delete", made["id"]).expect(0)


def test_what_is_suggested_is_ranked_and_says_what_it_means(up, sleeper):
    with process(sleeper, 60, account=MINE) as started:
        at_level(up, started.pid, 3)
        told = up.json("entry", "suggest", started.pid)
    strengths = [selector["strength"] for selector in told["selectors"]]
    assert strengths == sorted(strengths, reverse=True) and strengths[-1] > 0
    assert all(selector["explanation"] for selector in told["selectors"])
    proposed = {selector["selector"] for selector in told["selectors"] if selector["proposed"]}
    assert proposed == {f"unix:uid:{MINE.uid}", f"exec:sha256:{sha256(sleeper)}"}
    assert (told["min_assurance"], told["allow_jit"], told["warnings"]) == (3, False, [])
    # What is true of this one process only helps nobody.
    assert not [s for s in told["selectors"] if s["selector"].startswith(("proc:instance", "proc:gen"))]


def test_a_jit_compiler_is_proposed_as_one_and_its_script_counts(up, measured):
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    runtime = copied(node, measured / "node")
    with process(runtime, "-e", "setTimeout(() => 0, 60000)", account=MINE) as started:
        poll("memory made by a compiler", lambda: explained(up, started.pid)["level_admitting_jit"] >= 2)
        poll("levels apart", lambda: (told := explained(up, started.pid))["level"] < told["level_admitting_jit"])
        told = up.json("entry", "suggest", started.pid)
        shown = up.cli("entry", "suggest", started.pid).expect(0)
    assert told["allow_jit"] and told["min_assurance"] >= 2
    assert any("anonymous executable memory" in warning for warning in told["warnings"])
    assert any("is an interpreter" in warning for warning in told["warnings"])
    assert " --allow-jit" in shown.out and "warning: " in shown.err


def test_an_interpreter_is_warned_of_and_a_script_proposed_where_it_is_measured(up, measured):
    shell = copied(shutil.which("dash") or shutil.which("sh"), measured / "dash")
    script = measured / "service"
    script.write_text(f"#!{shell}\nwhile true; do sleep 1; done\n")
    script.chmod(0o755)
    with process(shell, "-c", "while true; do sleep 1; done", account=MINE) as bare:
        at_level(up, bare.pid, 3)
        told = up.json("entry", "suggest", bare.pid)
        assert any("is an interpreter" in warning for warning in told["warnings"])
    with process(script, account=MINE) as started:
        poll("the script to be looked at", lambda: explained(up, started.pid)["level"] >= 2)
        told = up.json("entry", "suggest", started.pid)
        words = proposed_command(up.cli("entry", "suggest", started.pid).expect(0).out)
        if told["level"] == 3:
            assert f"exec:script:sha256:{sha256(script)}" in words
            assert not any("is an interpreter" in warning for warning in told["warnings"])
        else:
            # Its folder is not guarded: then nothing is said of the script, and why not.
            reasons = [missing["reason"] for missing in explained(up, started.pid)["missing"]]
            assert any("guard its directory" in reason for reason in reasons), reasons
            assert any("is an interpreter" in warning for warning in told["warnings"])
            assert not any("script" in word for word in words)
        words[words.index("ID")] = fresh_id("script")
        made = up.cli(*words, "--force", "--wait", "--output", "json").expect(0).json()
        try:
            assert [match["entry_id"] for match in explained(up, started.pid)["matches"]] == [made["id"]]
        finally:
            up.cli("entry", "delete", made["id"]).expect(0)


# --- entry test -------------------------------------------------------------------------------------


def test_made_up_selectors_are_tried_on_a_process(up, sleeper):
    def tried(*selectors: str, flags: Sequence[str] = ()) -> mintmark.Result:
        named = [part for selector in selectors for part in ("--selector", selector)]
        return up.cli("entry", "test", "--pid", started.pid, *named, *flags, "--output", "json")

    uid, digest = f"unix:uid:{MINE.uid}", f"exec:sha256:{sha256(sleeper)}"
    with process(sleeper, 60, account=MINE) as started:
        at_level(up, started.pid, 3)
        told = tried(uid, digest).expect(0).json()
        assert (told["matches"], told["miss"], told["pid"]) == (True, None, started.pid)
        tried(uid, digest, flags=["--min-assurance", "3"]).expect(0)
        missed = tried(uid, digest, "unix:gid:1")
        missed.refusal(FAILED, saying=[f"explain {started.pid}"])
        [missing] = missed.json()["miss"]["missing_selectors"]
        assert (missing["selector"], missing["found"]) == ("unix:gid:1", [f"unix:gid:{MINE.gid}"])
        # Nobody can be spelt so that it passes for somebody else.
        tried("unix:path:/a\u0301").expect(FAILED)
    assert "matches process" not in missed.out


def test_a_registered_entry_is_tried_by_its_id(up, sleeper):
    with (
        process(sleeper, 60, account=MINE) as started,
        entry(up, f"unix:uid:{MINE.uid}") as right,
        entry(up, f"unix:uid:{OTHER.uid}") as wrong,
    ):
        at_level(up, started.pid, 3)
        command = ["entry", "test", "--pid", started.pid, "--entry"]
        assert "matches process" in up.cli(*command, right["id"]).expect(0).out
        result = up.cli(*command, wrong["id"])
        result.refusal(FAILED)
        assert f"lacks unix:uid:{OTHER.uid}" in result.out
        up.cli(*command, "no-such-entry").refusal(FAILED, saying=["no entry with ID 'no-such-entry'"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pid", "1"],
        ["--selector", "unix:uid:0"],
        ["--pid", "1", "--selector", "unix:uid:0", "--entry", "x"],
        ["--pid", "1", "--selector", "nonsense"],
        ["--pid", "1", "--selector", "unix:uid:0", "--min-assurance", "4"],
        ["--pid", "1", "--selector", "unix:uid:0", "--min-assurance", "-1"],
        ["--pid", "0", "--selector", "unix:uid:0"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_cannot_be_tried_is_a_usage_error(up, arguments):
    up.cli("entry", "test", *arguments).refusal(USAGE)


def test_more_selectors_than_an_entry_has_are_refused(up, sleeper):
    named = [part for number in range(65) for part in ("--selector", f"unix:gid:{number}")]
    with process(sleeper, 60) as started:
        up.cli("entry", "test", "--pid", started.pid, *named).refusal(FAILED, saying=["1 to 64"])


# --- doctor -----------------------------------------------------------------------------------------


def test_doctor_says_what_can_be_proven_and_why_not_more(up, public_bin):
    told = up.json("doctor")
    checks = {check["name"]: check for check in told["checks"]}
    assert told["highest_level"] == 3
    assert {"rights", "SO_PEERPIDFD", "pidfs", "running files", "user namespaces", "ptrace", "exec journal"} <= set(checks)
    assert checks["rights"]["standing"] == "good"
    # On a busy machine events are lost, and it says so.
    assert checks["exec journal"]["standing"] == "good" or "lost events" in checks["exec journal"]["detail"]
    for check in told["checks"]:
        assert check["standing"] in ("good", "limited", "missing") and check["detail"]
        # What is good needs no remedy, and what is not has one and says what it costs.
        assert (check["standing"] == "good") == (check["consequence"] == "") == (check["remedy"] == ""), check
    table = up.cli("doctor").expect(0).out
    assert table.startswith("Processes of this machine can reach AL3.\n")
    # It tells of no process, so everybody may ask; how busy the agent is with others, only an admin.
    asked = up.json("doctor", account=MINE, bin=public_bin)
    assert asked["highest_level"] == 3
    assert {"workload socket", "admin socket"} & {check["name"] for check in asked["checks"]} == set()
    told = {check["name"]: check["detail"] for check in up.json("doctor")["checks"]}
    assert re.search(r"[1-9]\d* accepted.*; calls: .*[1-9]\d* DescribeHost ok", told["workload socket"]), told
    assert re.search(r"1 connections open, .*[1-9]\d* DescribeHost ok", told["admin socket"]), told
    assert re.search(r"\d+ found, \d+ not found", told["digest cache"]), told


# --- whois ------------------------------------------------------------------------------------------

LISTEN = """
import socket, sys, time
kind, where = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
listener.bind(where if kind == "unix" else ("127.0.0.1", 0))
listener.listen()
print(where if kind == "unix" else listener.getsockname()[1], flush=True)
peer = listener.accept()[0]
time.sleep(60)
"""


@contextlib.contextmanager
def listening(kind: str, where: Any = "-", account: Account | None = None) -> Iterator[tuple[int, str]]:
    """A process that listens, and accepts one connection: its number, and where."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    started = subprocess.Popen(
        [python, "-c", LISTEN, kind, str(where)], stdout=subprocess.PIPE, cwd="/", env=clean_environment(),
        **mintmark._identity(account))
    try:
        yield started.pid, started.stdout.readline().decode().strip()
    finally:
        started.kill()
        started.communicate()


def roles(up: Any, where: Any, **options: Any) -> dict[int, str]:
    return {peer["pid"]: peer["role"] for peer in up.json("whois", where, **options)["peers"]}


def test_a_port_leads_to_who_listens_and_to_who_is_connected(up):
    with listening("tcp") as (pid, port), socket.create_connection(("127.0.0.1", int(port))) as client:
        poll("the connection to be accepted", lambda: pid in roles(up, port))
        assert "listens" in roles(up, port)[pid]
        [mine] = [role for number, role in roles(up, client.getsockname()[1]).items() if number == os.getpid()]
        assert "connected" in mine
        with entry(up, my_uid()) as known:
            [peer] = [peer for peer in up.json("whois", port)["peers"] if peer["pid"] == pid]
            assert [match["entry_id"] for match in peer["matches"]] == [known["id"]]
            assert peer["failure"] is None and peer["level"] >= 1
            assert known["spiffe_id"] in up.cli("whois", port).expect(0).out


def test_a_path_leads_to_who_listens_there_and_an_inode_to_its_other_end(up, home):
    path = home / "service.sock"
    with listening("unix", path) as (pid, _), socket.socket(socket.AF_UNIX) as client:
        assert roles(up, path) == {pid: f"listens at {path}"}
        client.connect(str(path))
        inode = int(re.search(r"\d+", os.readlink(f"/proc/self/fd/{client.fileno()}"))[0])
        poll("the other end", lambda: up.cli("whois", f"inode:{inode}").code == 0)
        assert list(roles(up, f"inode:{inode}")) == [pid]
    up.cli("whois", path).refusal(FAILED, saying=["no process of this machine holds that socket"])


def test_where_nobody_is_it_ends_with_one(up):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for nothing in (port, "/no/such/socket", "inode:1", f"inode:{2**64 - 1}"):
        result = up.cli("whois", nothing, "--output", "json")
        result.refusal(FAILED)
        assert result.json() == {"peers": []}


@pytest.mark.parametrize("name", ["0", "65536", "-1", "x", "", "inode:", "inode:-1", "inode:x", "./a", "80:81", "+80"])
def test_what_names_no_socket_is_a_usage_error(up, name):
    up.cli("whois", "--", name).refusal(USAGE)


def test_users_see_only_themselves_behind_sockets(up, public_bin):
    with listening("tcp", account=MINE) as (pid, port):
        assert list(roles(up, port, account=MINE, bin=public_bin)) == [pid]
        for_other = up.cli("whois", port, "--output", "json", account=OTHER, bin=public_bin)
        for_other.refusal(FAILED)
        assert for_other.json() == {"peers": []}
