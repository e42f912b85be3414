"""The client library against agents of all kinds: ours, one of another make, and those that break every rule.

The program under test is always the same: `sample-agent --follow`, which prints a line for each state its source holds.
"""

from __future__ import annotations

import itertools
import json
import os
import signal

import grpc
import pytest

from hostile_agent import HANG_UP, HOLD_ON, Authority, PlainAgent, RawAgent, drip, noise
from mintmark import Daemon, my_uid, poll, run, sid

ID = sid("/w")
GOOD = Authority()
# What one follower may grow to, in MB: it begins with about 30 in a debug build.
MEMORY = 120


class Follower(Daemon):
    """`sample-agent --follow`."""

    program = "sample-agent"

    def __init__(self, folder, endpoint, name="follower") -> None:
        super().__init__(folder, name)
        self.endpoint = endpoint

    def arguments(self):
        return ["--follow", "--wait", "120"]

    def begin(self) -> Follower:
        self.start(wait=False, env={"SPIFFE_ENDPOINT_SOCKET": self.endpoint})
        return self

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]

    def wait(self, what, accept, within: float = 25.0):
        """Waits until the last line is like that."""

        def matches():
            assert self.is_running, f"the follower ended{self.result()}"
            lines = self.lines()
            return lines and accept(lines[-1]) and lines[-1]

        return poll(f"a line with {what}; now {self.lines()[-2:]}", matches, within)

    def wait_ids(self, *ids, **options):
        return self.wait(f"{ids}", lambda line: line["event"] == "update" and line["ids"] == list(ids), **options)

    def wait_withdrawn(self):
        return self.wait("nothing", lambda line: line["event"] == "withdrawn" and line["reason"] == "no_identity")


@pytest.fixture
def follow(home):
    """Starts followers; ends them after the test."""
    started = []

    def begin(endpoint):
        follower = Follower(home, endpoint, f"follower{len(started)}")
        started.append(follower)
        return follower.begin()

    yield begin
    for follower in started:
        follower.close()


@pytest.fixture
def path(home):
    return home / "agent.sock"


# --- Our agent -------------------------------------------------------------------------------------


def test_an_entry_that_comes_later_is_waited_for_and_one_that_goes_is_withdrawn(up, follow):
    """WLEP-24, WLAPI-40, WLAPI-41."""
    follower = follow(up.endpoint)
    up.register(sid("/someone-else"), "unix:uid:12345")
    assert follower.lines() == []
    entry = up.register(ID, my_uid())
    first = follower.wait_ids(ID)
    assert first["domains"] == ["example.org"]
    up.cli("entry", "delete", entry["id"]).expect(0)
    follower.wait_withdrawn()
    up.register(ID, my_uid())
    assert follower.wait_ids(ID)["serials"] != first["serials"]
    assert follower.stop(signal.SIGTERM).code == -signal.SIGTERM


def test_of_two_identities_the_one_that_goes_is_gone(up, follow):
    """WLAPI-35."""
    one, two = up.register(sid("/1"), my_uid()), up.register(sid("/2"), my_uid())
    follower = follow(up.endpoint)
    both = follower.wait("both", lambda line: len(line["ids"]) == 2)
    gone, kept = (one, two) if both["ids"][0] == sid("/1") else (two, one)
    up.cli("entry", "delete", gone["id"]).expect(0)
    follower.wait_ids(both["ids"][1])


@pytest.mark.limit(90)
def test_a_source_survives_the_death_of_its_agent(start_up, follow):
    """WLAPI-33."""
    up = start_up()
    up.register(ID, my_uid())
    follower = follow(up.endpoint)
    follower.wait_ids(ID)
    for number in range(2):
        before = len(follower.lines())
        up.kill()
        up.start()
        later = up.register(sid(f"/later{number}"), my_uid())
        follower.wait("the new entry", lambda line: sid(f"/later{number}") in line["ids"])
        assert all(line["event"] == "update" for line in follower.lines()[before:]), "what it had was still good"
        up.cli("entry", "delete", later["id"]).expect(0)
        follower.wait_ids(ID)


@pytest.mark.limit(90)
def test_rotation_reaches_the_source(start_up, follow):
    up = start_up("--x509-ttl", "20s")
    up.register(ID, my_uid())
    follower = follow(up.endpoint)
    poll("two rotations", lambda: len({line["serials"][0] for line in follower.lines()}) >= 3, within=60)
    assert {line["event"] for line in follower.lines()} == {"update"}


# --- An agent of another make ----------------------------------------------------------------------


def test_an_agent_of_another_make_will_do(path, follow):
    """A05, A12, A13, WLAPI-33..41, against a server of gRPC's own C core."""
    other = Authority("other.example")
    with PlainAgent(path) as agent:
        follower = follow(f"unix://{path}")
        poll("a few refused calls", lambda: agent.calls >= 3)
        assert follower.lines() == []
        message = GOOD.message("/1", "/2")
        message.federated_bundles["spiffe://other.example"] = other.certificate
        agent.say(message)
        assert follower.wait_ids(sid("/1"), sid("/2"))["domains"] == ["example.org", "other.example"]
        agent.say(GOOD.message("/2"))
        assert follower.wait_ids(sid("/2"))["domains"] == ["example.org"]

        count = len(follower.lines())
        empty, broken = GOOD.message(), GOOD.message("/1", "/2", "/3")
        del empty.svids[:]
        broken.svids[1].x509_svid_key = b""
        agent.pass_on(empty, broken, GOOD.message("/after"))
        follower.wait_ids(sid("/after"))
        assert len(follower.lines()) == count + 1, follower.lines()

        agent.say(grpc.StatusCode.PERMISSION_DENIED)
        follower.wait_withdrawn()
        agent.say(GOOD.message("/back"))
        follower.wait_ids(sid("/back"))
        # GS-03: the end of a stream is not the end of the source, whatever its status.
        for number, status in enumerate([grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN]):
            agent.pass_on(status)
            agent.say(GOOD.message(f"/{number}"))
            follower.wait_ids(sid(f"/{number}"))
        assert agent.refused_calls == 0, "every call carries the metadata (WLEP-17)"
    with PlainAgent(path) as agent:
        agent.say(GOOD.message("/next"))
        follower.wait_ids(sid("/next"))


@pytest.mark.parametrize(
    ("status", "reason"), [(grpc.StatusCode.INVALID_ARGUMENT, "as the script"), (grpc.StatusCode.UNIMPLEMENTED, "as the")]
)
def test_a_refusal_for_good_ends_the_start(path, status, reason):
    """WLEP-22, WLEP-25."""
    with PlainAgent(path) as agent:
        agent.say(status)
        ended = run("--follow", program="sample-agent", env={"SPIFFE_ENDPOINT_SOCKET": f"unix://{path}"})
        assert ended.expect(1).err.startswith("error: ") and reason in ended.err, ended
        assert agent.calls == 1


@pytest.mark.limit(120)
def test_a_flood_costs_no_memory(path, follow):
    updates = 1_000_000 if os.environ.get("MINTMARK_LONG") == "1" else 20_000
    with PlainAgent(path) as agent:
        agent.say(GOOD.message())
        follower = follow(f"unix://{path}")
        follower.wait_ids(ID)
        one, two = GOOD.message("/1"), GOOD.message("/2")
        agent.pass_on(*itertools.islice(itertools.cycle([one, two]), updates), GOOD.message("/last"))
        follower.wait_ids(sid("/last"), within=100)
        assert follower.resident_megabytes() < MEMORY


def test_noise_in_well_formed_messages_changes_nothing(path, follow):
    with PlainAgent(path) as agent:
        agent.say(GOOD.message())
        follower = follow(f"unix://{path}")
        follower.wait_ids(ID)
        agent.pass_on(*[noise(seed) for seed in range(2000)], GOOD.message("/last"))
        follower.wait_ids(sid("/last"))
        assert [line["ids"] for line in follower.lines()] == [[ID], [sid("/last")]]
        assert agent.calls == 1, "the stream was kept"
        # They are reported, but not two thousand times.
        assert 0 < follower.log.count("unreadable message discarded") < 20


# --- Agents that break every rule ------------------------------------------------------------------


def test_a_message_that_drips_in_is_read(path, follow):
    with RawAgent(path, drip(GOOD.message())) as agent:
        follower = follow(f"unix://{path}")
        follower.wait_ids(ID)
        assert agent.connections == 1


def _recovers(follower, path):
    """Whatever was there before: a good agent in its place is found."""
    with PlainAgent(path) as agent:
        agent.say(GOOD.message())
        follower.wait_ids(ID)
    assert follower.resident_megabytes() < MEMORY


@pytest.mark.limit(60)
@pytest.mark.parametrize("name", HANG_UP)
def test_an_agent_that_breaks_off_is_tried_again_but_not_in_a_circle(path, follow, name):
    with RawAgent(path, HANG_UP[name]) as agent:
        follower = follow(f"unix://{path}")
        poll("three connections", lambda: agent.connections >= 3, within=20)
        assert follower.is_running and follower.lines() == []
        # Pauses of at least 0.1, 0.2, 0.4 … s: nobody gets far within the time that three take.
        assert agent.connections < 20
    _recovers(follower, path)


@pytest.mark.limit(60)
@pytest.mark.parametrize("name", HOLD_ON)
def test_an_agent_that_holds_on_and_says_nothing_costs_nothing(path, follow, name):
    with RawAgent(path, HOLD_ON[name]) as agent:
        follower = follow(f"unix://{path}")
        poll("a connection", lambda: agent.connections >= 1, within=20)
        assert follower.is_running and follower.lines() == []
    _recovers(follower, path)


@pytest.mark.limit(60)
def test_an_agent_that_greets_and_hangs_up_is_not_asked_in_a_circle(path, follow):
    """WLAPI-33 says at once; a stream that brings a message and ends would be asked without end."""
    with PlainAgent(path) as agent:
        agent.say(GOOD.message())
        follower = follow(f"unix://{path}")
        follower.wait_ids(ID)
        for _ in range(5):
            calls = agent.calls
            agent.pass_on(grpc.StatusCode.UNAVAILABLE)
            poll("another call", lambda: agent.calls > calls, within=20)
        assert {line["event"] for line in follower.lines()} == {"update"}
