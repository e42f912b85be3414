"""Registration entries: created, looked up, patched, deleted, refused."""

from __future__ import annotations

import datetime
import re

import pytest

from mintmark import FAILED, USAGE, fresh_id, my_uid, sid

NOBODYS = "unix:uid:4294967"
REFUSED = (FAILED, USAGE)


@pytest.fixture(scope="module")
def shared(start_module_up):
    """Tests here use entries of their own, and none that this process would get."""
    return start_module_up()


def create(up, *flags, identity=None, selectors=(NOBODYS,)):
    named = [part for selector in selectors for part in ("--selector", selector)]
    return up.cli("entry", "create", "--spiffe-id", identity or fresh_id("entry"), *named, *flags, "--output", "json")


# --- Creating -------------------------------------------------------------------------------------


def test_a_plain_entry_has_the_defaults(shared):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    identity = fresh_id("entry")
    entry = create(shared, identity=identity).expect(0).json()
    created = datetime.datetime.fromisoformat(entry.pop("created_at"))
    assert before <= created <= datetime.datetime.now(datetime.timezone.utc)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", entry.pop("id"))
    [agent] = shared.json("agent", "list")["agents"]
    expected = {
        "spiffe_id": identity,
        "parent_id": agent["spiffe_id"],
        "selectors": [NOBODYS],
        "x509_svid_ttl": 0,
        "jwt_svid_ttl": 0,
        "hint": "",
        "dns_names": [],
        "federates_with": [],
        "admin": False,
        "downstream": False,
        "expires_at": None,
        "revision": 0,
    }
    assert {name: entry.get(name) for name in expected} == expected


def test_every_flag_ends_up_in_the_entry(shared):
    identity, parent = fresh_id("entry"), sid("/some/parent")
    # Entries federate only with domains whose bundle is there; the server's own authorities will do for one.
    bundle = shared.folder / "other.pem"
    bundle.write_text(shared.bundle_pem())
    shared.cli("bundle", "set", "other.org", "--file", bundle).expect(0)
    flags = ["--parent-id", parent, "--x509-ttl", "10m", "--jwt-ttl", "90s", "--hint", "internal"]
    flags += ["--dns", "a.example", "--dns", "b.example", "--federates-with", "other.org", "--admin", "--downstream"]
    flags += ["--expires-at", "2099-01-02T03:04:05Z", "--id", "every-flag"]
    entry = create(shared, *flags, identity=identity, selectors=[NOBODYS, "unix:gid:7"]).expect(0).json()
    expected = {
        "id": "every-flag",
        "spiffe_id": identity,
        "parent_id": parent,
        "x509_svid_ttl": 600,
        "jwt_svid_ttl": 90,
        "hint": "internal",
        "dns_names": ["a.example", "b.example"],
        "federates_with": ["other.org"],
        "admin": True,
        "downstream": True,
        "expires_at": "2099-01-02T03:04:05Z",
    }
    assert {name: entry.get(name) for name in expected} == expected
    assert set(entry["selectors"]) == {NOBODYS, "unix:gid:7"}
    assert shared.json("entry", "show", "every-flag") == entry


def test_the_same_entry_again_is_refused(shared):
    """The order of selectors makes no difference."""
    identity = fresh_id("entry")
    first = create(shared, identity=identity, selectors=[NOBODYS, "unix:gid:7"]).expect(0).json()
    again = create(shared, "--hint", "other", identity=identity, selectors=["unix:gid:7", NOBODYS])
    again.refusal(FAILED, saying=["already exists"])
    create(shared, identity=identity, selectors=[NOBODYS]).expect(0)
    assert shared.json("entry", "show", first["id"]) == first


def test_an_id_that_is_taken_is_refused(shared):
    create(shared, "--id", "taken").expect(0)
    create(shared, "--id", "taken").refusal(FAILED, saying=["taken"])
    create(shared, "--id", "no/slash").refusal(*REFUSED)


@pytest.mark.parametrize(
    "selector, nearest",
    [
        ("unix:sha265:" + "0" * 64, "sha256"),
        ("unix:udi:0", "uid"),
        ("unix:usr:root", "user"),
        ("unix:suplementary_gid:4", "supplementary_gid"),
        ("unx:uid:0", "unix"),
        ("unix:sha256:" + "A" * 64, "a" * 64),
    ],
)
def test_a_misspelt_selector_is_refused_with_the_nearest_spelling(shared, selector, nearest):
    create(shared, selectors=[selector]).refusal(*REFUSED, saying=["did you mean", nearest])


@pytest.mark.parametrize(
    "selector",
    ["unix", "unix:", ":uid:0", "unix:uid", "unix:uid:", "unix:uid:abc", "unix:uid:-1", "unix:gid:4294967296"]
    + ["unix:uid:00", "unix:sha256:abc", "unix:path:relative", ""],
)
def test_a_selector_that_can_never_match_is_refused(shared, selector):
    create(shared, selectors=[selector]).refusal(*REFUSED)


@pytest.mark.parametrize(
    "identity",
    [
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a//b",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/%61",
        "spiffe://Example.org/a",
        "spiffe://example.org:80/a",
        "https://example.org/a",
        "example.org/a",
        "",
        "spiffe://other.org/a",
        "spiffe://example.org/spire/server",
        "spiffe://example.org/spire/agent/x",
        "spiffe://example.org/" + "a" * 2048,
    ],
    ids=lambda identity: identity[:48] or "empty",
)
def test_an_identity_that_may_not_be_issued_is_refused(shared, identity):
    """ID-02 to ID-12, X509-03, X05."""
    shared.cli("entry", "create", "--spiffe-id", identity, "--selector", NOBODYS).refusal(*REFUSED)


@pytest.mark.parametrize(
    "flags",
    [
        ["--x509-ttl", "banana"],
        ["--jwt-ttl", "0s"],
        ["--expires-at", "tomorrow"],
        ["--expires-at", "2001-01-01T00:00:00Z"],
        ["--parent-id", "spiffe://other.org/agent"],
        ["--parent-id", "agent"],
        ["--dns", "not a name"],
        ["--dns", "-x.example"],
        ["--federates-with", "Other.org"],
        ["--federates-with", "example.org"],
        ["--no-such-flag"],
    ],
    ids=" ".join,
)
def test_a_flag_that_breaks_a_rule_is_refused(shared, flags):
    before = shared.json("entry", "count")
    create(shared, *flags).refusal(*REFUSED)
    assert shared.json("entry", "count") == before


def test_what_is_needed_is_asked_for(shared):
    shared.cli("entry", "create", "--selector", NOBODYS).refusal(USAGE, saying=["--spiffe-id"])
    shared.cli("entry", "create", "--spiffe-id", fresh_id()).refusal(*REFUSED, saying=["selector"])
    for command in ("show", "update", "delete"):
        shared.cli("entry", command).refusal(USAGE)


# --- Reading --------------------------------------------------------------------------------------


def test_a_list_is_filtered_by_everything_that_is_asked(up):
    one, two = sid("/list/one"), sid("/list/two")
    parent = sid("/some/parent")
    a = create(up, identity=one, selectors=[NOBODYS]).expect(0).json()["id"]
    b = create(up, identity=one, selectors=[NOBODYS, "unix:gid:7"]).expect(0).json()["id"]
    c = create(up, "--parent-id", parent, identity=two, selectors=["unix:gid:7"]).expect(0).json()["id"]

    def listed(*flags):
        return {entry["id"] for entry in up.json("entry", "list", *flags)["entries"]}

    assert listed() == {a, b, c}
    assert listed("--spiffe-id", one) == {a, b}
    assert listed("--spiffe-id", sid("/list/none")) == set()
    assert listed("--parent-id", parent) == {c}
    assert listed("--selector", "unix:gid:7") >= {c} and a not in listed("--selector", "unix:gid:7")
    assert listed("--spiffe-id", one, "--parent-id", parent) == set()
    assert up.json("entry", "count") == {"count": 3}


def test_an_empty_list_is_still_a_list(up):
    assert up.json("entry", "list") == {"entries": []}
    assert up.json("entry", "count") == {"count": 0}


# --- Changing -------------------------------------------------------------------------------------


def test_an_update_is_a_patch(shared):
    flags = ["--hint", "old", "--x509-ttl", "10m", "--dns", "a.example", "--expires-at", "2099-01-02T03:04:05Z"]
    entry = create(shared, *flags, selectors=[NOBODYS, "unix:gid:7"]).expect(0).json()
    updated = shared.json("entry", "update", entry["id"], "--hint", "new")
    assert updated == entry | {"hint": "new", "revision": entry["revision"] + 1}
    updated = shared.json("entry", "update", entry["id"], "--x509-ttl", "20m", "--dns", "b.example")
    assert (updated["x509_svid_ttl"], updated["dns_names"], updated["hint"]) == (1200, ["b.example"], "new")
    assert updated["selectors"] == entry["selectors"] and updated["created_at"] == entry["created_at"]
    updated = shared.json("entry", "update", entry["id"], "--selector", "unix:gid:8")
    assert updated["selectors"] == ["unix:gid:8"]
    assert shared.json("entry", "show", entry["id"]) == updated


def test_an_update_obeys_the_same_rules(shared):
    entry = create(shared).expect(0).json()
    for flags in (["--hint", "h" * 1025], ["--selector", "unix:sha265:0"], ["--x509-ttl", "banana"]):
        shared.cli("entry", "update", entry["id"], *flags).refusal(*REFUSED)
    assert shared.json("entry", "show", entry["id"]) == entry


def test_an_update_cannot_make_a_second_entry_of_the_same_kind(shared):
    identity = fresh_id("entry")
    create(shared, identity=identity, selectors=["unix:gid:7"]).expect(0)
    other = create(shared, identity=identity, selectors=["unix:gid:8"]).expect(0).json()
    shared.cli("entry", "update", other["id"], "--selector", "unix:gid:7").refusal(FAILED, saying=["already exists"])
    assert shared.json("entry", "show", other["id"]) == other


def test_a_deleted_entry_is_gone(shared):
    entry = create(shared).expect(0).json()
    assert shared.json("entry", "delete", entry["id"]) == {"deleted": [entry["id"]]}
    for command in ("show", "delete"):
        shared.cli("entry", command, entry["id"]).refusal(FAILED, saying=[entry["id"]])


@pytest.mark.parametrize("command", [["show"], ["delete"], ["update", "--hint", "x"]], ids=lambda command: command[0])
def test_an_unknown_id_is_refused_with_the_next_step(shared, command):
    result = shared.cli("entry", *command, "no-such-entry").refusal(FAILED, saying=["no-such-entry"])
    assert "mintmark entry list" in result.err, result


def test_a_hint_can_be_taken_away_again(shared):
    entry = create(shared, "--hint", "old").expect(0).json()
    assert shared.json("entry", "update", entry["id"], "--hint", "")["hint"] == ""


def test_an_issued_svid_follows_the_entry_it_was_issued_for(up):
    """A change of what is in the certificate makes a new one."""
    identity = fresh_id("entry")
    entry = up.register(identity, my_uid())
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        first = watch.next().svids[0].x509_svid
        up.cli("entry", "update", entry["id"], "--dns", "changed.example").expect(0)
        changed = watch.until(lambda message: b"changed.example" in message.svids[0].x509_svid)
    assert b"changed.example" not in first and changed.svids[0].spiffe_id == identity
