"""What happens over time and to those in the way: authorities rotate, agents are banned, pipes break, servers are rebuilt."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import time

import pytest

from mintmark import FAILED, bin_dir, call_as, clean_environment, fresh_id, my_uid, poll, run
from workload import certificates_in

from cryptography import x509


def issuer_of(svid) -> bytes:
    leaf = certificates_in(svid.x509_svid)[0]
    return leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier


@pytest.mark.limit(60)
def test_authorities_rotate_under_a_stream_and_every_svid_has_its_authority(start_up):
    """A new authority is published before it signs, and takes over without a gap."""
    up = start_up("--ca-ttl", "12s", "--x509-ttl", "2s")
    up.register(fresh_id("rotation"), my_uid())
    seen: set[bytes] = set()
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        while len(seen) < 3:
            svid = watch.next(within=20).svids[0]
            seen.add(issuer_of(svid))
            published = {
                c.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
                for c in certificates_in(svid.bundle)
            }
            assert issuer_of(svid) in published, "an SVID came before its authority"
    assert len(seen) == 3


def test_a_banned_embedded_agent_leaves_the_issuer_running_and_comes_back(up):
    identity = fresh_id("ban")
    up.register(identity, my_uid())
    agent = "spiffe://example.org/spire/agent/embedded"
    up.cli("agent", "ban", agent).expect(0)
    poll("the banned agent to stop serving", lambda: up.fetch("fetch", "x509").code != 0)
    up.cli("agent", "show", agent).expect(0)
    up.cli("agent", "evict", agent).expect(0)
    poll("the agent to be let in again", lambda: up.fetch("fetch", "x509").code == 0, within=30)
    assert identity in up.ids()


def test_a_ban_outlives_a_restart_and_can_be_lifted_then(up):
    identity = fresh_id("ban")
    up.register(identity, my_uid())
    agent = "spiffe://example.org/spire/agent/embedded"
    up.cli("agent", "ban", agent).expect(0)
    assert up.stop().code == 0
    up.start(wait=False)
    poll("the admin socket to answer", lambda: up.cli("agent", "show", agent).code == 0)
    assert up.json("agent", "show", agent)["banned"] is True
    up.fetch("fetch", "x509").refusal(69, 77)
    up.cli("agent", "evict", agent).expect(0)
    up.wait_ready()
    assert identity in up.ids()


@pytest.mark.limit(60)
def test_a_sleep_longer_than_the_authoritys_life_is_survived(up):
    """Every SVID and authority has ended on waking; the entry gets a new SVID of a new authority by itself."""
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("needs faketime (Debian package 'faketime')")
    assert up.stop().code == 0
    clock = up.folder / "clock"
    clock.touch()
    follow = {"FAKETIME_FOLLOW_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    up.start(wrapper=[faketime, "-f", "%"], env=follow | {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    identity = fresh_id("sleep")
    up.register(identity, my_uid())
    before = up.fetch("fetch", "x509", "--output", "json").expect(0).json()["svids"][0]

    def has_woken() -> bool:
        wake = time.time() + 50 * 3600
        os.utime(clock, (wake, wake))
        result = up.fetch("fetch", "x509", "--output", "json")
        return result.code == 0 and result.json()["svids"][0]["expires_at"] > before["expires_at"]

    poll("an SVID after the sleep", has_woken, within=30, every=0.5)
    after = up.fetch("fetch", "x509", "--output", "json").expect(0).json()["svids"][0]
    assert after["spiffe_id"] == identity and after["bundle"] != before["bundle"]


def test_a_log_that_cannot_be_written_does_not_end_the_service(home):
    process = subprocess.Popen(
        [bin_dir() / "mintmark", "up", "--state", home / "s", "--ready-file", home / "ready"],
        stdout=open("/dev/full", "wb"),
        stderr=open("/dev/full", "wb"),
        env=clean_environment(),
    )
    try:
        poll("the server to be ready", lambda: (home / "ready").exists() or process.poll() is not None)
        assert process.poll() is None, f"it ended with {process.poll()}"
        run("entry", "count", "--state", home / "s").expect(0)
        process.terminate()
        process.wait(20)
    finally:
        process.kill()


def test_output_that_cannot_be_written_is_a_failure_and_no_crash():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [bin_dir() / "mintmark", "version"], stdout=full, stderr=subprocess.PIPE, env=clean_environment(), timeout=20
        )
    assert done.returncode == FAILED and b"standard output" in done.stderr, done


def test_a_long_list_of_groups_is_read_to_its_end(up, nobody):
    """A list cut short in the middle of a number would name another group."""
    for gid in ("1", "10", "100", "1000", "10000"):
        up.register(fresh_id("group"), f"unix:supplementary_gid:{gid}", wait=False)
    many = range(100_000, 112_000)
    assert call_as(up.socket, dataclasses.replace(nobody, groups=(10,)))["code"] == "OK", "the control"
    for fewer in range(8):
        crowd = dataclasses.replace(nobody, groups=tuple(many[fewer:]))
        assert call_as(up.socket, crowd)["code"] == "PERMISSION_DENIED"


@pytest.mark.limit(90)
def test_entries_too_large_for_one_message_reach_an_agent_in_pages(roles):
    server = roles.server()
    agent = roles.agent(server).join(server)
    parent = server.agents()[0]["spiffe_id"]
    long = [f"unix:path:/{'x' * 3900}/{number}" for number in range(48)]
    for number in range(30):
        selectors = [flag for text in long for flag in ("--selector", f"{text}-{number}")]
        server.cli("entry", "create", "--spiffe-id", fresh_id("large"), "--parent-id", parent, *selectors).expect(0)
    identity = fresh_id("after")
    server.register(identity, my_uid(), flags=["--parent-id", parent])
    assert identity in agent.ids()
    assert len(server.entries()) == 31


@pytest.mark.limit(90)
def test_an_agent_joins_a_rebuilt_server_with_a_new_token_and_bundle(roles):
    old = roles.server("old")
    agent = roles.agent(old).join(old)
    assert agent.stop().code == 0
    assert old.stop().code == 0
    new = roles.server("new", bind_port=old.port)
    again = roles.agent(new).join(new)
    parent = new.agents()[0]["spiffe_id"]
    identity = fresh_id("rebuilt")
    new.register(identity, my_uid(), flags=["--parent-id", parent])
    poll("the new identity", lambda: identity in again.ids())
