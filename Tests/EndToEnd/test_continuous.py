"""What becomes of an identity when the process that holds it changes, and what a refused caller is told."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import mintmark
from mintmark import HERE, Account, Up, call_as, clean_environment, fresh_id, my_executable, my_uid, poll
from test_explain import traced
from workload import NO_IDENTITY_TEXT

USER = Account(61510, 61510)
PUSHES = 10.0


class Holder:
    """A process of its own that holds a stream; see holder.py."""

    def __init__(self, up: Up, method: str = "FetchX509SVID", account: Account | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "holder.py", up.socket, method],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), **mintmark._identity(account))
        self._events: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._events.put(json.loads(line))
        self._events.put({"event": "silent"})

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, command: str) -> None:
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def until(self, *events: str, within: float = PUSHES) -> dict[str, Any]:
        """The next of some events; others are passed over."""
        deadline, seen = time.monotonic() + within, []
        while True:
            try:
                event = self._events.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"none of {events} within {within:g} s; saw {seen}") from None
            if event["event"] in events:
                return event
            assert event["event"] != "silent", f"it ended; saw {seen}"
            seen.append(event)

    def is_quiet(self, seconds: float) -> bool:
        """Whether its stream goes on without an end."""
        with contextlib.suppress(queue.Empty):
            deadline = time.monotonic() + seconds
            while True:
                event = self._events.get(timeout=max(0.001, deadline - time.monotonic()))
                if event["event"] in ("closed", "status", "silent"):
                    return False
        return True

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()


@pytest.fixture(scope="module")
def up(start_module_up, measured):
    """Its journal looks at processes; no file system is marked but one of this file's own."""
    return start_module_up("--exec-journal-mount", measured)


@pytest.fixture
def served(up) -> Iterator[dict[str, Any]]:
    """An entry for Python programs of root that asks AL2."""
    made = up.register(fresh_id("held"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])
    yield made
    up.cli("entry", "delete", made["id"]).expect(0)


@pytest.fixture
def hold(up) -> Iterator[Any]:
    held: list[Holder] = []

    def start(identity: str, **options: Any) -> Holder:
        held.append(Holder(up, **options))
        assert held[-1].until("message", "closed", "status") == {"event": "message", "ids": [identity]}
        return held[-1]

    yield start
    for holder in held:
        holder.end()


def incident(up: Up, holder: Holder, kind: str, entry: dict[str, Any]) -> None:
    """The issuer's record of it."""
    line = up.wait_log(rf"no longer what was attested.*workload\.pid={holder.pid}\b")
    assert f"incident.kind={kind}" in line and f"entry.ids={entry['id']}" in line, line


def no_incident(up: Up, holder: Holder) -> None:
    assert f"workload.pid={holder.pid} " not in "\n".join(
        line for line in up.log.splitlines() if "no longer what was attested" in line)


# --- What ends a stream -----------------------------------------------------------------------------


def test_a_process_that_executes_another_program_loses_its_connection(up, served, hold):
    other, changed = hold(served["spiffe_id"]), hold(served["spiffe_id"])
    changed.tell("exec")
    assert changed.until("drains")
    changed.until("closed", within=3)
    incident(up, changed, "executed", served)
    assert other.is_quiet(1), "another process's stream ended with it"
    no_incident(up, other)


def test_a_process_that_becomes_another_user_loses_its_connection(up, served, hold):
    other, changed = hold(served["spiffe_id"]), hold(served["spiffe_id"])
    changed.tell(f"uid {USER.uid}")
    changed.until("closed", within=3)
    incident(up, changed, "ids-changed", served)
    assert other.is_quiet(1)


def test_a_process_that_is_traced_loses_its_stream(up, served, hold):
    other, victim = hold(served["spiffe_id"]), hold(served["spiffe_id"])
    with traced(victim.pid):
        assert "status" in victim.until("status", "closed", within=5)["event"]
        incident(up, victim, "traced", served)
    assert other.is_quiet(1)


def test_a_process_that_was_traced_does_not_get_its_identity_again(up, served, hold):
    victim = hold(served["spiffe_id"])
    with traced(victim.pid):
        victim.until("status", "closed", within=5)
    told = up.json("explain", victim.pid)
    assert told["level"] == 1 and "untainted" in {missing["fact"] for missing in told["missing"]}
    assert told["matches"] == []


def test_an_entry_that_asks_less_outlives_a_tracer(up, hold):
    entry = up.register(fresh_id("weak"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "1"])
    try:
        victim = hold(entry["spiffe_id"])
        with traced(victim.pid):
            assert victim.is_quiet(2)
    finally:
        up.cli("entry", "delete", entry["id"]).expect(0)


def test_memory_that_becomes_executable_ends_a_stream_at_the_next_look(up, served, hold):
    other, changed = hold(served["spiffe_id"]), hold(served["spiffe_id"])
    changed.tell("map")
    changed.until("done")
    changed.until("status", "closed", within=PUSHES)
    incident(up, changed, "assurance-lost", served)
    assert other.is_quiet(1)


def test_memory_that_became_executable_gets_no_push(up, served, hold):
    """Something new is there to be said, and is not said to it."""
    changed = hold(served["spiffe_id"])
    changed.tell("map")
    changed.until("done")
    more = up.register(fresh_id("more"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])
    try:
        assert changed.until("status", "closed", "message", within=PUSHES)["event"] != "message"
    finally:
        up.cli("entry", "delete", more["id"]).expect(0)


def test_a_socket_that_is_left_to_a_child_ends_with_its_owner(up, served, hold):
    other, gone = hold(served["spiffe_id"]), hold(served["spiffe_id"])
    gone.tell("leave")
    gone.until("drains")
    gone.until("closed", within=3)
    assert other.is_quiet(1)
    no_incident(up, gone)


def test_an_honest_end_is_no_incident(up, served, hold):
    holder = hold(served["spiffe_id"])
    holder.tell("end")
    holder.process.wait(10)
    time.sleep(0.5)
    no_incident(up, holder)


def test_an_entry_that_is_deleted_ends_a_stream_and_is_no_incident(up, hold):
    entry = up.register(fresh_id("gone"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])
    holder = hold(entry["spiffe_id"])
    up.cli("entry", "delete", entry["id"]).expect(0)
    holder.until("status", within=PUSHES)
    time.sleep(1)
    no_incident(up, holder)


def test_one_change_does_not_hide_the_next(up, hold):
    """A tracer, which this entry does not mind, and then another program."""
    entry = up.register(fresh_id("twice"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "1"])
    try:
        holder = hold(entry["spiffe_id"])
        with traced(holder.pid):
            up.wait_log(rf"no longer what was attested.*incident\.kind=traced.*workload\.pid={holder.pid}\b")
        holder.tell("exec")
        holder.until("closed", within=3)
        up.wait_log(rf"no longer what was attested.*incident\.kind=executed.*workload\.pid={holder.pid}\b")
    finally:
        up.cli("entry", "delete", entry["id"]).expect(0)


def test_an_incident_names_the_identity_that_was_fetched_and_no_other(up):
    """A token for one of two identities, on a connection that is then given away."""
    asked, other = (up.register(fresh_id("token"), "unix:uid:0", f"unix:path:{my_executable()}") for _ in range(2))
    holder = Holder(up, f"FetchJWTSVID {asked['spiffe_id']}")
    try:
        holder.until("message")
        holder.tell(f"uid {USER.uid}")
        holder.until("closed", within=3)
        incident(up, holder, "ids-changed", asked)
        assert other["id"] not in up.wait_log(rf"no longer what was attested.*workload\.pid={holder.pid}\b")
    finally:
        holder.end()
        for entry in (asked, other):
            up.cli("entry", "delete", entry["id"]).expect(0)


def test_bundle_streams_end_as_well(up, served):
    for method in ("FetchX509Bundles", "FetchJWTBundles"):
        holder = Holder(up, method)
        try:
            holder.until("message")
            holder.tell(f"uid {USER.uid}")
            holder.until("closed", within=3)
        finally:
            holder.end()


def test_many_streams_end_one_by_one(up, served, hold):
    """Each when its own process changes, and the rest goes on."""
    holders = [hold(served["spiffe_id"]) for _ in range(12)]
    for number, holder in enumerate(holders[::2]):
        holder.tell("exec" if number % 2 else f"uid {USER.uid}")
    for holder in holders[::2]:
        holder.until("closed", within=5)
    assert all(holder.is_quiet(0.2) for holder in holders[1::2])


@pytest.mark.limit(60)
def test_after_the_agent_has_been_started_again_everything_is_looked_at_anew(start_up, measured):
    up = start_up("--exec-journal-mount", measured)
    entry = up.register(fresh_id("held"), "unix:uid:0", f"unix:path:{my_executable()}", flags=["--min-assurance", "2"])
    before = Holder(up)
    try:
        assert before.until("message")["ids"] == [entry["spiffe_id"]]
        up.stop()
        before.until("closed")
        up.start()
        after = Holder(up)
        try:
            poll("the identity", lambda: after.until("message", "closed", "status", within=15)["event"] == "message")
            after.tell(f"uid {USER.uid}")
            after.until("closed", within=5)
            incident(up, after, "ids-changed", entry)
        finally:
            after.end()
    finally:
        before.end()


# --- What a refused caller is told ------------------------------------------------------------------


def refused(socket: Path, method: str = "FetchX509SVID") -> tuple[grpc.StatusCode, str, bytes]:
    """The code, the text, and the status details of this very process's refusal."""
    with mintmark.WorkloadAPI(socket) as api:
        call = api.start(method)
        with pytest.raises(grpc.RpcError):
            next(call)
        details = dict(call.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
        return call.code(), call.details(), details


def reason_of(details: bytes) -> str:
    """The reason of the one google.rpc.ErrorInfo of a google.rpc.Status."""
    status = fields(details)
    [info] = status[3]
    kind, value = fields(info)[1][0], fields(info)[2][0]
    assert kind == b"type.googleapis.com/google.rpc.ErrorInfo"
    assert fields(value).keys() == {1, 2} and fields(value)[2] == [b"mintmark"]
    return fields(value)[1][0].decode()


def fields(message: bytes) -> dict[int, list[Any]]:
    """The fields of a protobuf message: numbers, and bytes."""
    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not message[at - 1] & 0x80:
                return value, at

    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(message):
        key, at = varint(at)
        number, at = varint(at)
        value: Any = number
        if key & 7 == 2:
            value, at = message[at : at + number], at + number
        found.setdefault(key >> 3, []).append(value)
    return found


@pytest.mark.parametrize("method", ["FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles"])
def test_a_refusal_names_a_class_and_nothing_else(start_up, measured, method):
    up = start_up("--exec-journal-mount", measured)
    assert [*refused(up.socket, method)[:2]] == [grpc.StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT]
    secret = up.register(fresh_id("secret"), "unix:uid:4242", "unix:path:/opt/secret")
    code, text, details = refused(up.socket, method)
    assert (code, text, reason_of(details)) == (grpc.StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT, "NO_MATCHING_ENTRY")
    assert fields(details)[1] == [7] and fields(details)[2] == [NO_IDENTITY_TEXT.encode()]
    for part in (secret["id"], secret["spiffe_id"], "4242", "/opt/secret", "secret"):
        assert part.encode() not in details
    # Python does not run from the mount that the journal looks at, so nothing is known of what was executed.
    if up.json("explain", os.getpid())["level"] < 3:
        executed = "exec:sha256:" + "a" * 64
        up.register(fresh_id("other"), "unix:uid:4242", executed)
        up.register(fresh_id("anyone"), executed)
        assert reason_of(refused(up.socket, method)[2]) == "NO_MATCHING_ENTRY"
        mine = up.register(fresh_id("mine"), my_uid(), executed)
        code, text, details = refused(up.socket, method)
        assert (code, text) == (grpc.StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)
        assert reason_of(details) == "ASSURANCE_TOO_LOW"
        for part in (mine["id"], mine["spiffe_id"], "aaaa"):
            assert part.encode() not in details
        up.cli("entry", "delete", mine["id"]).expect(0)
    high = up.register(fresh_id("high"), my_uid(), flags=["--min-assurance", "3"])
    if up.json("explain", os.getpid())["level"] < 3:
        code, text, details = refused(up.socket, method)
        assert (code, text) == (grpc.StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)
        assert reason_of(details) == "ASSURANCE_TOO_LOW"
        for part in (high["id"], high["spiffe_id"]):
            assert part.encode() not in details


# --- An agent without rights ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unprivileged(module_home, public_bin) -> Iterator[Up]:
    """`mintmark up` as an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("needs root: becomes another user")
    folder = module_home / "own"
    folder.mkdir(mode=0o711)
    os.chown(folder, USER.uid, USER.gid)
    up = Up(folder, "--log-level", "debug")
    up.start(account=USER, bin=public_bin, cwd="/")
    yield up
    up.close()


def as_user(up: Up, public_bin: Path, *arguments: Any) -> mintmark.Result:
    return up.cli(*arguments, account=USER, bin=public_bin)


def sample(up: Up, public_bin: Path) -> mintmark.Result:
    return up.sample(account=USER, bin=public_bin)


def create(up: Up, public_bin: Path, identity: str, *selectors: str, level: int) -> dict[str, Any]:
    named = [part for selector in selectors for part in ("--selector", selector)]
    return as_user(
        up, public_bin, "entry", "create", "--spiffe-id", identity, *named, "--min-assurance", level, "--wait",
        "--output", "json").expect(0).json()


def test_an_unprivileged_agent_serves_what_asks_for_al1_and_says_why_not_more(unprivileged, public_bin):
    up = unprivileged
    # As the kernel names it: the folder may be reached by a link.
    agent = (public_bin / "sample-agent").resolve()
    uid, path, digest = f"unix:uid:{USER.uid}", f"unix:path:{agent}", f"unix:sha256:{mintmark.sha256(agent)}"
    high = fresh_id("high")
    create(up, public_bin, high, uid, digest, level=2)
    refused = sample(up, public_bin)
    assert refused.code == 1 and NO_IDENTITY_TEXT in refused.err
    line = up.wait_log(r"no identity issued")
    assert "ASSURANCE_TOO_LOW" in line and "privileged-agent" in line
    for level, selectors in ((0, [uid]), (1, [uid, path, digest])):
        identity = fresh_id("low")
        made = create(up, public_bin, identity, *selectors, level=level)
        assert sample(up, public_bin).expect(0).json()["spiffe_id"] == identity
        as_user(up, public_bin, "entry", "delete", made["id"]).expect(0)


def test_an_unprivileged_agent_says_so_in_its_log_and_to_the_doctor(unprivileged, public_bin):
    assert "processes reach AL1 at most" in unprivileged.log
    told = as_user(unprivileged, public_bin, "doctor", "--output", "json").expect(0).json()
    assert told["highest_level"] == 1
    checks = {check["name"]: check for check in told["checks"]}
    assert checks["rights"]["standing"] == "missing" and "root" in checks["rights"]["remedy"]
    assert checks["exec journal"]["standing"] == "missing" and checks["exec journal"]["remedy"]


def test_an_unprivileged_agent_explains_its_own_users_processes(unprivileged, public_bin):
    sleep = subprocess.Popen([shutil.which("sleep"), "60"], **mintmark._identity(USER))
    try:
        told = as_user(unprivileged, public_bin, "explain", sleep.pid, "--output", "json").expect(0).json()
        assert told["level"] == 1
        assert "privileged-agent" in {missing["fact"] for missing in told["missing"]}
        assert f"unix:path:{os.path.realpath(shutil.which('sleep'))}" in told["selectors"]
        # Others' processes it cannot read: it says so, and invents nothing.
        other = as_user(unprivileged, public_bin, "explain", 1, "--output", "json")
        if other.code == 0:
            assert other.json()["level"] == 0
            assert not [s for s in other.json()["selectors"] if not s.startswith("unix:") or "path" in s]
        words = as_user(unprivileged, public_bin, "entry", "suggest", sleep.pid).expect(0)
        assert "--min-assurance 1" in words.out and "pretend" in words.err
    finally:
        sleep.kill()
        sleep.wait()


def test_an_unprivileged_agent_serves_another_user_by_account_alone(unprivileged, public_bin):
    """Whose number and groups it learns from the kernel; the executable it cannot read."""
    other = Account(USER.uid + 1, USER.gid + 1)
    identity = fresh_id("account")
    made = create(unprivileged, public_bin, identity, f"unix:uid:{other.uid}", level=0)
    assert call_as(unprivileged.socket, other)["spiffe_ids"] == [identity]
    as_user(unprivileged, public_bin, "entry", "delete", made["id"]).expect(0)
