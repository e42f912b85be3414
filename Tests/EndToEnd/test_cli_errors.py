"""What commands say when they cannot: exit codes 64, 69, 77, and always the next step."""

from __future__ import annotations

import socket

import pytest

from mintmark import BAD_CONFIG, NOT_PERMITTED, UNREACHABLE, USAGE, fresh_id, my_uid, run

ADMIN_COMMANDS = [
    ["token", "create"],
    ["entry", "create", "--spiffe-id", "spiffe://example.org/w", "--selector", "unix:uid:1"],
    ["entry", "list"],
    ["entry", "show", "x"],
    ["entry", "update", "x", "--hint", "h"],
    ["entry", "delete", "x"],
    ["entry", "count"],
    ["bundle", "show"],
    ["bundle", "list"],
    ["bundle", "delete", "other.example"],
    ["federation", "create", "other.example", "--url", "https://127.0.0.1/", "--profile", "https_web"],
    ["federation", "list"],
    ["federation", "show", "other.example"],
    ["federation", "update", "other.example", "--url", "https://127.0.0.1/"],
    ["federation", "delete", "other.example"],
    ["federation", "refresh", "other.example"],
    ["agent", "list"],
    ["healthcheck"],
]
WORKLOAD_COMMANDS = [
    ["svid", "fetch", "x509"],
    ["svid", "fetch", "jwt", "--audience", "a"],
    ["svid", "watch"],
    ["svid", "validate", "--audience", "a", "e30.e30.AA"],
]


def named(command):
    return " ".join(word for word in command if not word.startswith(("-", "spiffe:", "unix:", "e30")))


# --- Nobody there: 69 -----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ADMIN_COMMANDS, ids=named)
@pytest.mark.parametrize("way", ["--admin-socket", "--state", "MINTMARK_ADMIN_SOCKET", "MINTMARK_STATE"])
def test_an_issuer_that_is_not_there_is_unreachable(home, command, way):
    place = home / "admin.sock" if "SOCKET" in way.upper() else home
    if way.startswith("--"):
        result = run(*command, way, place, timeout=10)
    else:
        result = run(*command, env={way: str(place)}, timeout=10)
    result.refusal(UNREACHABLE, saying=[str(home)])


@pytest.mark.parametrize("command", WORKLOAD_COMMANDS, ids=named)
@pytest.mark.parametrize("way", ["--socket", "SPIFFE_ENDPOINT_SOCKET", "--state", "MINTMARK_STATE"])
def test_an_agent_that_is_not_there_is_unreachable(home, command, way):
    place = f"unix://{home}/workload.sock" if "SOCKET" in way.upper() else str(home)
    if way.startswith("--"):
        result = run(*command, way, place, timeout=10)
    else:
        result = run(*command, env={way: place}, timeout=10)
    result.refusal(UNREACHABLE, saying=[str(home)])


@pytest.mark.parametrize("command", [["entry", "list"], ["svid", "fetch", "x509"]], ids=named)
def test_a_stale_socket_is_unreachable(home, command):
    """What `kill -9` leaves behind."""
    for name in ("admin.sock", "workload.sock"):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(home / name))
    run(*command, "--state", home).refusal(UNREACHABLE)


@pytest.mark.parametrize("command", [["entry", "list"], ["svid", "fetch", "x509"]], ids=named)
@pytest.mark.limit(40)
def test_a_socket_that_never_answers_does_not_hold_a_command_for_ever(home, command):
    with socket.socket(socket.AF_UNIX) as admin, socket.socket(socket.AF_UNIX) as workload:
        for listener, name in ((admin, "admin.sock"), (workload, "workload.sock")):
            listener.bind(str(home / name))
            listener.listen()
        run(*command, "--state", home, timeout=25).refusal(UNREACHABLE)


def test_health_is_an_exit_code(up):
    up.cli("healthcheck").expect(0)
    assert up.stop().code == 0
    up.cli("healthcheck").refusal(UNREACHABLE)


# --- Not for you: 77 ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", WORKLOAD_COMMANDS[:3], ids=named)
def test_a_workload_without_an_identity_is_not_permitted(up, command):
    result = run(*command, "--socket", up.endpoint).refusal(NOT_PERMITTED)
    assert "mintmark entry create" in result.err, f"expected the next step{result}"
    assert result.out.strip() == "", result


def test_an_identity_that_is_not_granted_is_not_permitted(up):
    up.register(fresh_id(), my_uid())
    up.fetch("fetch", "jwt", "--audience", "a", "--spiffe-id", fresh_id()).refusal(NOT_PERMITTED)


def test_nothing_is_written_without_an_identity(up, home):
    folder = home / "w"
    folder.mkdir()
    up.fetch("fetch", "x509", "--write", folder).refusal(NOT_PERMITTED)
    assert list(folder.iterdir()) == []


def test_the_admin_socket_is_not_for_others(up, nobody, public_bin):
    """Mode 0600."""
    for command in (["entry", "list"], ["token", "create"]):
        up.cli(*command, account=nobody, bin=public_bin).refusal(NOT_PERMITTED, UNREACHABLE)


# --- Not like that: 64 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["frobnicate"],
        ["entry", "frobnicate"],
        ["entry", "list", "--frobnicate"],
        ["entry", "list", "--output"],
        ["entry", "list", "surplus"],
        ["token", "create", "--ttl", "soon"],
        ["token", "create", "--spiffe-id", "nonsense"],
        ["svid", "fetch", "jwt"],
        ["svid", "validate", "e30.e30.AA"],
        ["svid", "validate", "--audience", "a"],
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_is_a_usage_error(home, command):
    result = run(*command, env={"MINTMARK_STATE": str(home)}).refusal(USAGE)
    assert result.out == "", result


@pytest.mark.parametrize(
    "address",
    [
        "unix://run/agent.sock",
        "unix:///",
        "unix://",
        "unix:a.sock",
        "/run/a.sock",
        "unix:///a?x=1",
        "unix:///a#f",
        "http://1.2.3.4:5",
        "tcp://localhost:8000",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:8000/foo",
        "tcp:127.0.0.1:80",
        "tcp://1.2.3.4:99999",
    ],
)
def test_a_socket_address_that_breaks_a_rule_is_a_usage_error(address):
    """E02 to E08."""
    run("svid", "fetch", "x509", "--socket", address).refusal(USAGE)


@pytest.mark.parametrize("address", ["unix://run/agent.sock", "http://1.2.3.4:5", "tcp://localhost:8000"])
def test_an_address_in_the_environment_obeys_the_same_rules(address):
    env = {"SPIFFE_ENDPOINT_SOCKET": address}
    run("svid", "fetch", "x509", env=env).refusal(USAGE, BAD_CONFIG, saying=["SPIFFE_ENDPOINT_SOCKET"])


# --- Which issuer, which agent --------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(start_module_up):
    """Two of them; an entry each, so that the answers differ: one entry here, two there."""
    here, there = start_module_up(), start_module_up()
    here.register("spiffe://example.org/here", my_uid())
    there.register("spiffe://example.org/there", my_uid())
    there.register("spiffe://example.org/also-there", "unix:uid:4294967")
    return here, there


def test_the_admin_socket_is_looked_for_in_order(two):
    """--admin-socket, --state, MINTMARK_ADMIN_SOCKET, MINTMARK_STATE: each beats what follows."""
    here, there = two
    ways = [
        lambda up: (["--admin-socket", up.admin_socket], {}),
        lambda up: (["--state", up.state], {}),
        lambda up: ([], {"MINTMARK_ADMIN_SOCKET": str(up.admin_socket)}),
        lambda up: ([], {"MINTMARK_STATE": str(up.state)}),
    ]

    def count(*pairs):
        flags = [flag for more, _ in pairs for flag in more]
        env = {name: value for _, more in pairs for name, value in more.items()}
        return run("entry", "count", "--output", "json", *flags, env=env).expect(0).json()["count"]

    for way in ways:
        assert (count(way(here)), count(way(there))) == (1, 2)
    for stronger, weaker in zip(ways, ways[1:]):
        assert count(stronger(here), weaker(there)) == 1
        assert count(stronger(there), weaker(here)) == 2


def test_the_workload_socket_is_found_by_flag_or_environment(two):
    here, there = two
    for flags, env in (
        (["--socket", here.endpoint], {}),
        (["--state", here.state], {}),
        ([], {"SPIFFE_ENDPOINT_SOCKET": here.endpoint}),
        ([], {"SPIFFE_ENDPOINT_SOCKET": f"unix:{here.socket}"}),
        ([], {"MINTMARK_STATE": str(here.state)}),
        (["--socket", here.endpoint], {"SPIFFE_ENDPOINT_SOCKET": there.endpoint}),
        (["--socket", here.endpoint], {"MINTMARK_STATE": str(there.state)}),
    ):
        fetched = run("svid", "fetch", "x509", "--output", "json", *flags, env=env).expect(0).json()
        assert [svid["spiffe_id"] for svid in fetched["svids"]] == ["spiffe://example.org/here"], (flags, env)
