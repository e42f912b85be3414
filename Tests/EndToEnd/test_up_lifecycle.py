"""`mintmark up`: starting, stopping, being killed, and everything that can be wrong with its state folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import threading
from pathlib import Path

import grpc
import pytest

from mintmark import CANNOT_CREATE, FAILED, TRUST_DOMAIN, USAGE, fresh_id, mode, my_uid, poll, run, sid
from peers import GREETING, say, unix
from workload import uris_of

# --- What a start leaves behind -------------------------------------------------------------------


def test_stdout_is_the_line_to_export_and_logs_are_elsewhere(up):
    assert up.out == f"export SPIFFE_ENDPOINT_SOCKET=unix://{up.state}/workload.sock\n", up.result()
    assert up.log, "expected logs on stderr"


def test_a_relative_state_folder_becomes_an_absolute_endpoint(start_up, home):
    up = start_up(state="s", cwd=home)
    assert up.out == f"export SPIFFE_ENDPOINT_SOCKET=unix://{home}/s/workload.sock\n", up.result()


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077], ids=oct)
def test_modes_of_files_do_not_depend_on_the_umask(start_up, umask):
    up = start_up(umask=umask)
    up.register(fresh_id(), my_uid())
    modes = {str(path.relative_to(up.state)): mode(path) for path in up.state.rglob("*")}
    shown = {name: oct(bits) for name, bits in modes.items()}
    assert mode(up.state) & 0o755 == 0o755 and mode(up.state) & 0o022 == 0, oct(mode(up.state))
    assert modes["workload.sock"] & 0o666 == 0o666, f"anyone may connect: {shown}"
    assert modes["admin.sock"] == 0o600, shown
    assert modes["keys"] == 0o700, shown
    assert any(name.startswith("keys/") for name in modes), shown
    for name, bits in modes.items():
        if name.startswith(("mintmark.db", "keys/")):
            assert bits == (0o700 if (up.state / name).is_dir() else 0o600), f"{name} in {shown}"
        assert name == "workload.sock" or bits & 0o022 == 0, f"others may write {name}: {shown}"
    assert "lock" in modes, shown


def test_the_trust_domain_flag_names_the_authority(start_up):
    up = start_up("--trust-domain", "prod.example")
    certificates, _ = up.authorities()
    assert [uris_of(certificate) for certificate in certificates] == [["spiffe://prod.example"]]
    up.cli("entry", "create", "--spiffe-id", "spiffe://example.org/w", "--selector", my_uid()).refusal(FAILED, USAGE)


def test_ready_means_that_svids_can_be_fetched_at_once(start_up):
    up = start_up()
    identity = fresh_id()
    up.register(identity, my_uid())
    up.stop()
    up.start()
    assert up.ids() == [identity]


def test_an_ordinary_user_can_run_it(start_up, home, nobody, public_bin):
    state = home / "s"
    state.mkdir()
    os.chown(state, nobody.uid, nobody.gid)
    up = start_up(state=state, ready_file=state / "ready", account=nobody, bin=public_bin, cwd="/")
    identity = fresh_id()
    create = ["entry", "create", "--spiffe-id", identity, "--selector", f"unix:uid:{nobody.uid}", "--wait"]
    up.cli(*create, account=nobody, bin=public_bin).expect(0)
    fetched = up.fetch("fetch", "x509", "--output", "json", account=nobody, bin=public_bin).expect(0).json()
    assert [svid["spiffe_id"] for svid in fetched["svids"]] == [identity]


# --- Stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_a_signal_stops_it_cleanly_under_an_open_stream(up, by):
    """GS-03: a stream that the server ends with Cancelled would never be opened again by go-spiffe."""
    up.register(fresh_id(), my_uid())
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        watch.next()
        result = up.stop(by)
        ending = watch.end()
    assert result.code == 0, result
    assert ending.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK), ending
    assert not up.socket.exists() and not up.admin_socket.exists(), os.listdir(up.state)


def test_a_peer_that_never_answers_does_not_hold_up_the_end(up):
    with unix(up.socket) as silent, unix(up.socket) as deaf:
        say(deaf, GREETING)
        assert up.is_running
        result = up.stop(within=20)
        assert silent.fileno() >= 0
    assert result.code == 0, result


def test_a_restart_keeps_entries_keys_and_trust(up):
    identity = fresh_id()
    up.register(identity, my_uid(), flags=["--hint", "kept", "--x509-ttl", "10m", "--dns", "kept.example"])
    before = (up.entries(), up.bundle_pem(), up.authorities()[1])
    with up.api() as api:
        token = api.jwt("a")[0].svid
    assert up.stop().code == 0
    up.start()
    assert (up.entries(), up.bundle_pem(), up.authorities()[1]) == before
    assert up.ids() == [identity]
    with up.api() as api:
        assert api.validate(token, "a").spiffe_id == identity


# --- Being killed ---------------------------------------------------------------------------------


@pytest.mark.limit(120)
def test_kill_9_while_entries_are_created_loses_none_and_makes_no_second_authority(up):
    first = up.authorities()
    acknowledged: dict[str, str] = {}
    up.register(sid("/mine"), my_uid())

    def create(name: str, over: threading.Event) -> None:
        number = 0
        while not over.is_set():
            identity = sid(f"/killed/{name}/{number}")
            created = up.cli(
                "entry", "create", "--spiffe-id", identity, "--selector", "unix:uid:4294967", "--output", "json"
            )
            if created.code != 0:
                return
            acknowledged[identity] = created.json()["id"]
            number += 1

    for life in range(5):
        over, before = threading.Event(), len(acknowledged)
        creators = [threading.Thread(target=create, args=(f"{life}-{n}", over)) for n in range(2)]
        for creator in creators:
            creator.start()
        try:
            poll("entries to be created", lambda: len(acknowledged) > before + life, within=20, every=0.001)
            up.kill()
        finally:
            over.set()
            for creator in creators:
                creator.join(25)
        up.start()
        assert up.authorities() == first, f"after kill {life + 1}"
        assert up.ids() == [sid("/mine")], "the workload socket serves again"

    kept = [(entry["spiffe_id"], entry["id"]) for entry in up.entries()]
    assert len(kept) == len({identity for identity, _ in kept}), "an entry exists twice"
    lost = set(acknowledged.items()) - set(kept)
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged entries are gone: {lost}"


@pytest.mark.parametrize("moment", ["lock", "mintmark.db", "keys", "keys/*", "admin.sock", "workload.sock"])
def test_kill_9_during_the_first_start_leaves_one_authority_of_each_kind(start_up, moment):
    up = start_up(wait=False)
    poll(f"{moment} to appear", lambda: list(up.state.glob(moment)), within=20, every=0.0005)
    up.kill()
    up.start()
    certificates, keys = up.authorities()
    assert (len(certificates), len(keys)) == (1, 1)
    identity = fresh_id()
    up.register(identity, my_uid())
    assert up.ids() == [identity]


def test_stale_sockets_are_replaced(up):
    identity = fresh_id()
    up.register(identity, my_uid())
    up.kill()
    assert up.socket.is_socket() and up.admin_socket.is_socket(), "kill -9 leaves the sockets behind"
    up.start()
    assert up.ids() == [identity]


# --- What is in the way ---------------------------------------------------------------------------


def test_a_second_up_on_the_same_state_is_refused_and_harms_nothing(up):
    identity = fresh_id()
    up.register(identity, my_uid())
    inodes = [path.stat().st_ino for path in (up.socket, up.admin_socket)]
    run("up", "--state", up.state).refusal(CANNOT_CREATE, saying=[str(up.state)])
    assert [path.stat().st_ino for path in (up.socket, up.admin_socket)] == inodes
    assert up.ids() == [identity]
    assert len(up.entries()) == 1


@pytest.mark.parametrize("name", ["workload.sock", "admin.sock"])
def test_a_socket_that_someone_else_serves_is_left_alone(home, name):
    state = home / "s"
    state.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(state / name))
        listener.listen()
        inode = (state / name).stat().st_ino
        run("up", "--state", state).refusal(CANNOT_CREATE, saying=[name])
        assert (state / name).stat().st_ino == inode
        unix(state / name).close()


def test_a_file_that_is_no_socket_is_not_replaced(home):
    state = home / "s"
    state.mkdir()
    (state / "workload.sock").write_text("mine")
    run("up", "--state", state).refusal(CANNOT_CREATE, saying=["workload.sock"])
    assert (state / "workload.sock").read_text() == "mine"


@pytest.mark.parametrize("place", ["file", "file/state"])
def test_a_state_folder_that_cannot_be_made_is_an_error(home, place):
    (home / "file").write_text("mine")
    run("up", "--state", home / place).refusal(CANNOT_CREATE, saying=[str(home / place)])
    assert (home / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["read-only", "read-only/state"])
def test_a_read_only_place_is_an_error(home, nobody, public_bin, place):
    (home / "read-only").mkdir(mode=0o755)
    run("up", "--state", home / place, account=nobody, bin=public_bin).refusal(CANNOT_CREATE, saying=[place])
    assert os.listdir(home / "read-only") == []


def test_a_path_too_long_for_a_socket_is_an_error(home):
    """A Unix socket's path has at most 107 bytes."""
    run("up", "--state", home / ("x" * 110)).refusal(CANNOT_CREATE, USAGE)


@pytest.mark.parametrize("content", [b"garbage " * 1024, b"SQLite format 3\0" + b"\xa5" * 8192], ids=["text", "header"])
def test_a_corrupt_database_is_an_error_and_stays_as_it_was(home, content):
    state = home / "s"
    state.mkdir()
    (state / "mintmark.db").write_bytes(content)
    run("up", "--state", state).refusal(FAILED, saying=["mintmark.db"])
    assert (state / "mintmark.db").read_bytes() == content
    assert not (state / "workload.sock").exists()


def test_a_truncated_database_is_an_error(up):
    for number in range(5):
        up.register(sid(f"/truncated/{number}"), my_uid(), wait=False)
    assert up.stop().code == 0
    for leftover in ("mintmark.db-wal", "mintmark.db-shm"):
        (up.state / leftover).unlink(missing_ok=True)
    database = up.state / "mintmark.db"
    os.truncate(database, database.stat().st_size // 2)
    run("up", "--state", up.state).refusal(FAILED)


def test_a_clock_before_the_authority_makes_new_ones_and_forgets_none(up):
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("needs faketime (Debian package 'faketime')")
    certificates, keys = up.authorities()
    assert up.stop().code == 0
    early = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    up.start(wrapper=[faketime, "-f", "-2d"], env=early)
    assert "clock is before the signing authority" in up.log
    then_certificates, then_keys = up.authorities()
    assert set(certificates) < set(then_certificates) and keys.keys() < then_keys.keys()
    # 'faketime' stands between the test and its signals.
    wrapper = up.process.pid
    os.kill(int(Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split()[0]), signal.SIGTERM)
    assert up.process.wait(timeout=10) == 0
    # The clock was wrong, and is right again: what was trusted is.
    up.start()
    now_certificates, now_keys = up.authorities()
    assert set(certificates) <= set(now_certificates) and keys.keys() <= now_keys.keys()


# --- Flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "Example.org", "exa mple.org", "example.org/x", "example.org:80", "u@example.org", "%65xample.org", "a" * 256],
    ids=["empty", "upper case", "space", "path", "port", "userinfo", "percent", "256 bytes"],
)
def test_a_trust_domain_that_breaks_a_rule_is_a_usage_error(home, name):
    """ID-02 to ID-07, S04, S07, S11, S14."""
    run("up", "--state", home / "s", "--trust-domain", name).refusal(USAGE)
    assert not (home / "s" / "mintmark.db").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--x509-ttl", "banana"],
        ["--jwt-ttl", ""],
        ["--ca-ttl", "0s"],
        ["--x509-ttl=-5s"],
        ["--ca-key-type", "dsa"],
        ["--jwt-key-type", "ed25519"],
        ["--log-level", "loud"],
        ["--no-such-flag"],
        ["surplus"],
    ],
    ids=" ".join,
)
def test_a_bad_flag_is_a_usage_error(home, flags):
    run("up", "--state", home / "s", *flags).refusal(USAGE)
    assert not (home / "s" / "mintmark.db").exists()


def test_a_state_folder_is_asked_for():
    run("up").refusal(USAGE, saying=["--state"])


def test_logs_hold_no_secret(start_up):
    up = start_up("--log-level", "debug")
    token = up.json("token", "create")["token"]
    up.register(fresh_id(), my_uid())
    with up.api() as api:
        jwt = api.jwt("a")[0].svid
        api.validate(jwt, "a")
        api.first("FetchX509SVID")
    assert up.stop().code == 0
    assert token not in up.log
    assert jwt not in up.log and jwt.rpartition(".")[2] not in up.log
    assert not re.search("PRIVATE KEY", up.log), up.result()
    assert f"spiffe://{TRUST_DOMAIN}" in up.log, f"expected identities in the debug log{up.result()}"
