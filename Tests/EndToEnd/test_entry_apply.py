"""Entries as files say them: applied, pruned, refused, watched; and what such entries narrow."""

from __future__ import annotations

import base64
import getpass
import json
import os
import random
import threading

import grpc
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mintmark import FAILED, USAGE, fresh_id, my_uid, poll, run, sha256, sid

NOBODYS = "unix:uid:4294967"


def manifest(*paths, **more):
    return {"entries": [{"spiffe_id": sid(path), "selectors": [NOBODYS]} | more for path in paths]}


def write(folder, name, document):
    folder.mkdir(exist_ok=True)
    # By way of JSON, so that what two entries share is written twice: aliases are refused.
    text = document if isinstance(document, str) else yaml.safe_dump(json.loads(json.dumps(document)))
    (folder / name).write_text(text)
    return folder


def apply(up, path, *flags, **options):
    return up.cli("entry", "apply", "-f", path, "--output", "json", *flags, **options)


def applied(up, path, *flags):
    return apply(up, path, "--yes", *flags).expect(0).json()


def paths(up):
    return {entry["spiffe_id"].removeprefix(sid("")) for entry in up.entries()}


# --- Applying -------------------------------------------------------------------------------------


def test_a_folder_applied_twice_changes_nothing(up, home):
    folder = write(home / "entries", "a.yaml", manifest("/a", "/b", labels={"env": "prod"}))
    write(folder, "b.json", json.dumps(manifest("/c")))
    write(folder, "notes.txt", "not an entry")
    first = applied(up, folder)
    assert (first["created"], first["updated"], first["deleted"], first["applied"]) == (3, 0, 0, True)
    before = up.entries()
    second = applied(up, folder)
    assert (second["created"], second["updated"], second["deleted"], second["unchanged"]) == (0, 0, 0, 3)
    assert second["steps"] == [] and up.entries() == before
    assert {tuple(entry["labels"].items()) for entry in before} >= {(("env", "prod"), ("managed-by", "apply"))}


def test_a_dry_run_is_the_diff_and_changes_nothing(up, home):
    folder = write(home / "entries", "a.yaml", manifest("/a"))
    applied(up, folder)
    write(folder, "a.yaml", manifest("/a", hint="new", x509_svid_ttl="30m"))
    write(folder, "b.yaml", manifest("/b"))
    dry = apply(up, folder, "--dry-run").expect(0).json()
    assert not dry["applied"]
    assert [step["action"] for step in dry["steps"]] == ["update", "create"]
    changes = {change["field"]: (change["before"], change["after"]) for change in dry["steps"][0]["changes"]}
    assert changes == {"hint": ("", "new"), "x509_svid_ttl": ("", "1800s")}
    assert dry["steps"][0]["source"].endswith("a.yaml:2")
    [entry] = up.entries()
    assert entry["hint"] == "" and entry["revision"] == 0
    table = up.cli("entry", "apply", "-f", folder, "--dry-run").expect(0).out
    assert "hint: (default) -> new" in table and "1 to create, 1 to update" in table


def test_pruning_takes_what_has_the_same_keeper_and_nothing_else(up, home):
    up.register(sid("/by-hand"), NOBODYS, wait=False)
    applied(up, write(home / "other", "o.yaml", manifest("/others")), "--managed-by", "other")
    folder = write(home / "mine", "m.yaml", manifest("/keep", "/drop"))
    applied(up, folder, "--managed-by", "mine")
    write(folder, "m.yaml", manifest("/keep"))
    assert applied(up, folder, "--managed-by", "mine")["deleted"] == 0
    assert applied(up, folder, "--managed-by", "mine", "--prune")["deleted"] == 1
    assert paths(up) == {"/by-hand", "/others", "/keep"}


def test_what_others_keep_is_left_alone_unless_adopted(up, home):
    up.register(sid("/by-hand"), NOBODYS, wait=False)
    folder = write(home / "entries", "a.yaml", manifest("/by-hand", "/new"))
    apply(up, folder, "--yes").refusal(FAILED, saying=["--adopt"])
    assert paths(up) == {"/by-hand"}
    assert applied(up, folder, "--adopt")["updated"] == 1


BAD = {
    "a typing error": ("entries:\n  - hint: x\n    selektors: []\n", ["a.yaml:3", "selectors"]),
    "broken YAML": ("entries: [\n", ["a.yaml:"]),
    "another document": ("kind: Pod\n", ["a.yaml:1", "unknown key 'kind'"]),
    "an alias": ("entries: [&a {spiffe_id: x}, *a]\n", ["anchors"]),
    "no text": ("entries:\n  - spiffe_id: [a]\n", ["a.yaml:2", "not a text"]),
    "a reserved name": (yaml.safe_dump(manifest("/spire/agent/x")), ["a.yaml:2", "reserved"]),
    "a weak agent": (yaml.safe_dump(manifest("/x", **{"class": "agent"})), ["a.yaml:2", "class agent", "--force"]),
}


@pytest.fixture(scope="module")
def shared(start_module_up):
    return start_module_up()


@pytest.mark.parametrize("what", BAD)
def test_anything_wrong_is_told_with_its_line_and_changes_nothing(shared, home, what):
    text, saying = BAD[what]
    folder = write(home / "entries", "a.yaml", text)
    write(folder, "fine.yaml", manifest(f"/fine/{random.random()}"))
    before = shared.entries()
    apply(shared, folder, "--yes").refusal(FAILED, saying=saying)
    assert shared.entries() == before


def test_without_a_terminal_yes_is_needed(shared, home):
    folder = write(home / "entries", "a.yaml", manifest("/unasked"))
    apply(shared, folder).refusal(USAGE, saying=["--yes"])
    assert sid("/unasked") not in {entry["spiffe_id"] for entry in shared.entries()}


def test_files_that_are_not_there_and_empty_folders(shared, home):
    apply(shared, home / "none.yaml", "--yes").refusal(FAILED, saying=["none.yaml"])
    (home / "empty").mkdir()
    assert applied(shared, home / "empty")["steps"] == []


def test_what_is_listed_can_be_applied_again(up, home):
    up.register(sid("/one"), NOBODYS, wait=False, flags=["--hint", "h", "--audience", "api", "--owner", "me"])
    up.register(sid("/two"), NOBODYS, wait=False, flags=["--expires-at", "2099-01-01T00:00:00Z", "--x509-ttl", "10m"])
    listed = up.cli("entry", "list", "--output", "yaml").expect(0).out
    result = applied(up, write(home / "back", "l.yaml", listed) / "l.yaml", "--adopt", "--force")
    assert (result["created"], result["updated"]) == (0, 2)
    assert {change["field"] for step in result["steps"] for change in step["changes"]} == {"labels"}


# --- At once, and cut short -----------------------------------------------------------------------


def test_two_who_apply_at_once_end_with_what_one_of_them_said(up, home):
    folders = []
    for side in "ab":
        document = {
            "entries": [
                {"id": f"shared-{n}", "spiffe_id": sid(f"/shared/{n}"), "selectors": [NOBODYS], "hint": f"{side}{n}"}
                for n in range(60)
            ]
        }
        folders.append(write(home / side, "e.yaml", document))
    for _ in range(4):
        results = []
        threads = [
            threading.Thread(target=lambda f=folder: results.append(apply(up, f, "--yes", "--prune"))) for folder in folders
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            result.expect(0)
        entries = [entry for entry in up.entries() if entry["id"].startswith("shared-")]
        assert len(entries) == 60
        assert len({entry["hint"][0] for entry in entries}) == 1, "half of one and half of the other"


@pytest.mark.limit(180)
def test_a_kill_in_the_middle_leaves_all_or_nothing(start_up, home):
    up = start_up()
    sizes = []
    for attempt in range(12):
        document = {
            "entries": [
                {"spiffe_id": sid(f"/k/{attempt}/{n}"), "parent_id": sid("/p"), "selectors": [NOBODYS]}
                for n in range(1500)
            ]
        }
        folder = write(home / f"k{attempt}", "e.yaml", document)
        before = len(up.entries())
        thread = threading.Thread(target=lambda f=folder: apply(up, f, "--yes", timeout=30))
        thread.start()
        thread.join(0.05 + 0.15 * attempt)
        up.kill()
        thread.join()
        up.start()
        count = len(up.entries()) - before
        assert count in (0, 1500), f"{count} entries of one transaction"
        sizes.append(count)
    assert set(sizes) == {0, 1500}, f"the kills came too early or too late to tell: {sizes}"


def test_waiting_ends_when_agents_have_what_is_gone(up, home):
    folder = write(home / "entries", "a.yaml", {"entries": [{"spiffe_id": sid("/mine"), "selectors": [my_uid()]}]})
    up.cli("entry", "apply", "-f", folder, "--yes", "--wait").expect(0)
    assert sid("/mine") in up.ids()
    write(folder, "a.yaml", {"entries": []})
    up.cli("entry", "apply", "-f", folder, "--yes", "--prune", "--wait").expect(0)
    assert sid("/mine") not in up.ids()
    entry = up.register(sid("/other"), my_uid())
    up.cli("entry", "update", "--id", entry["id"], "--disabled", "--wait").expect(0)
    assert sid("/other") not in up.ids()
    up.cli("entry", "update", entry["id"], "--no-disabled", "--wait").expect(0)
    assert sid("/other") in up.ids()
    up.cli("entry", "delete", entry["id"], "--wait").expect(0)
    assert sid("/other") not in up.ids()
    up.cli("entry", "update", "--hint", "x").refusal(USAGE, saying=["--id"])


# --- Lint -----------------------------------------------------------------------------------------


def test_lint_tells_of_overlap_shadow_and_what_never_matches(up, home):
    assert up.cli("entry", "lint").expect(0).out.strip() == "nothing found"
    up.register(sid("/a"), "unix:uid:1", wait=False)
    up.register(sid("/a"), "unix:uid:1", "unix:gid:1", wait=False)
    up.register(sid("/h1"), "unix:uid:5", wait=False, flags=["--hint", "x"])
    up.register(sid("/h2"), "unix:gid:5", wait=False, flags=["--hint", "x"])
    up.register(sid("/never"), "unix:uid:1", "unix:uid:2", wait=False)
    found = up.cli("entry", "lint", "--output", "json").expect(FAILED).json()["findings"]
    assert {finding["kind"] for finding in found} == {"redundant", "shadowed", "unreachable"}


# --- The watched folder ---------------------------------------------------------------------------


SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


def health(up, service):
    """What grpc.health.v1 says on the admin socket, as bytes: one field, the status."""
    with grpc.insecure_channel(f"unix:{up.admin_socket}") as channel:
        name = service.encode()
        return channel.unary_unary("/grpc.health.v1.Health/Check")(b"\x0a" + bytes([len(name)]) + name, timeout=5)


@pytest.mark.limit(90)
def test_a_watched_folder_is_followed_and_a_broken_file_changes_nothing(start_up, home):
    folder = write(home / "watched", "a.yaml", manifest("/a"))
    up = start_up("--entries", folder)
    up.register(sid("/by-hand"), NOBODYS, wait=False)
    poll("the folder to be applied", lambda: paths(up) == {"/a", "/by-hand"}, within=15)
    write(folder, "b.yaml", manifest("/b"))
    poll("a new file", lambda: paths(up) == {"/a", "/b", "/by-hand"}, within=15)
    write(folder, "a.yaml", "entries: [")
    up.wait_log("entries folder not applied.*a.yaml")
    assert health(up, "entries-folder") == NOT_SERVING and health(up, "") == SERVING
    assert paths(up) == {"/a", "/b", "/by-hand"}
    write(folder, "a.yaml", manifest("/c"))
    poll("the mended file", lambda: paths(up) == {"/c", "/b", "/by-hand"}, within=15)
    poll("health to be back", lambda: health(up, "entries-folder") == SERVING)
    [drifted] = [entry for entry in up.entries() if entry["spiffe_id"] == sid("/b")]
    up.cli("entry", "update", drifted["id"], "--hint", "by hand").expect(0)
    poll("drift to be undone", lambda: all(entry["hint"] == "" for entry in up.entries()), within=15)
    for file in folder.iterdir():
        file.unlink()
    up.wait_log("holds no .yaml")
    assert paths(up) == {"/c", "/b", "/by-hand"}, "an empty folder takes nothing with it"


def test_a_servers_folder_is_not_given_to_whichever_node_comes_first(roles, home):
    folder = write(home / "watched", "a.yaml", manifest("/a"))
    server = roles.server("foldered", entries_folder=str(folder))
    roles.agent(server, "first").join(server)
    server.wait_log("entries folder not applied.*parent_id")
    assert server.entries() == []
    parent = sid("/spire/agent/chosen")
    server = roles.server("parented", entries_folder=str(folder), entries_parent=parent)
    [entry] = poll("the folder to be applied", server.entries, within=15)
    assert entry["parent_id"] == parent


# --- What entries narrow, as workloads see it -----------------------------------------------------


def jwt(up, audience):
    with up.api() as api:
        return [json.loads(base64.urlsafe_b64decode(svid.svid.split(".")[1] + "==")) for svid in api.jwt(audience)]


def test_audiences_are_kept_to(up):
    up.register(sid("/a"), my_uid(), flags=["--audience", "api", "--audience", "db"])
    assert jwt(up, "api")[0]["aud"] == ["api"]
    with up.api() as api, pytest.raises(grpc.RpcError) as refusal:
        api.jwt("other")
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "audience" in refusal.value.details()


@pytest.mark.parametrize("type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_the_key_type_is_the_entrys(up, type):
    up.register(sid("/k"), my_uid(), flags=["--key-type", type])
    with up.api() as api:
        [svid] = api.first("FetchX509SVID").svids
    key = x509.load_der_x509_certificate(svid.x509_svid).public_key()
    if type == "rsa-2048":
        assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == {"ec-p256": "secp256r1"}.get(
            type, "secp384r1"
        )
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    assert load_der_private_key(svid.x509_svid_key, None).public_key() == key


def test_an_update_takes_fields_back_to_their_defaults(shared):
    flags = ["--audience", "a", "--owner", "o", "--label", "x=1", "--expires-at", "2099-01-01T00:00:00Z", "--hint", "h"]
    entry = shared.register(fresh_id("clear"), NOBODYS, wait=False, flags=flags)
    cleared = [part for field in ("audience", "owner", "label", "expires-at") for part in ("--clear", field)]
    after = shared.json("entry", "update", entry["id"], *cleared)
    assert (after["audiences"], after["owner"], after["labels"], after["expires_at"]) == ([], "", {}, None)
    assert after["hint"] == "h" and after["revision"] == 1
    shared.cli("entry", "update", entry["id"], "--clear", "selectors").refusal(USAGE)


def test_disabled_withdraws_at_once_and_enabled_gives_back(up):
    entry = up.register(sid("/d"), my_uid())
    assert up.ids() == [sid("/d")]
    up.cli("entry", "update", entry["id"], "--disabled").expect(0)
    poll("the identity to be withdrawn", lambda: up.ids() == [])
    up.cli("entry", "update", entry["id"], "--no-disabled").expect(0)
    poll("the identity to be back", lambda: up.ids() == [sid("/d")])


def test_any_of_and_none_of(up):
    uid = my_uid()
    others = "unix:gid:4294961 | unix:gid:4294962"
    up.register(sid("/fits"), uid, flags=["--any-of", f"unix:gid:{os.getegid()} | unix:gid:4294961"])
    up.register(sid("/no-choice"), uid, flags=["--any-of", others])
    up.register(sid("/absent"), uid, flags=["--none-of", "unix:gid:4294961"])
    up.register(sid("/present"), uid, flags=["--none-of", f"unix:gid:{os.getegid()}"])
    assert set(up.ids()) == {sid("/fits"), sid("/absent")}
    create = ["entry", "create", "--spiffe-id", sid("/never"), "--selector", uid, "--none-of"]
    up.cli(*create, "proc:traced:false").refusal(FAILED, saying=["would never match"])
    up.cli(*create, uid).refusal(FAILED, saying=["both asked for and forbidden"])


def test_a_template_gives_each_user_an_identity(up):
    up.register(sid("/agent"), my_uid(), flags=["--id-template", "users/{unix:user}"])
    identity = sid(f"/agent/users/{getpass.getuser()}")
    assert up.ids() == [identity]
    assert jwt(up, "a")[0]["sub"] == identity


def test_each_process_has_its_own_key_when_the_entry_says_so(up):
    def key(*arguments):
        out = up.fetch("fetch", "x509", "--output", "json").expect(0).json()
        return out["svids"][0]["certificates"] if "certificates" in out["svids"][0] else json.dumps(out["svids"][0])

    entry = up.register(sid("/own"), my_uid())
    assert key() == key(), "shared"
    up.cli("entry", "update", entry["id"], "--per-instance-keys").expect(0)

    def differs():
        return key() != key()

    poll("keys to be apart", differs)
    with up.api() as api, up.api() as again:
        one, two = api.first("FetchX509SVID").svids[0], again.first("FetchX509SVID").svids[0]
        assert one.x509_svid == two.x509_svid, "one process, one key"


def test_a_digest_set_rolls_over_with_its_grace_window(up):
    up.cli("digest-set", "create", "release", "--file", "/bin/true", "--grace", "1h").expect(0)
    entry = up.register(sid("/r"), NOBODYS, wait=False, flags=["--digest-set", "release"])
    assert entry["min_assurance"] == 3 and entry["digest_sets"] == ["release"]
    shown = up.json("digest-set", "add", "release", "--file", "/bin/false")
    assert [version["number"] for version in shown["versions"]] == [1, 2]
    assert shown["versions"][0]["sha256"] == [sha256("/bin/true")] and shown["versions"][0]["valid_until"]
    assert shown["versions"][1]["valid_until"] is None and shown["entries"] == 1
    assert up.json("entry", "show", entry["id"])["revision"] == 1
    up.cli("digest-set", "delete", "release").refusal(FAILED, saying=["1 entries"])
    dropped = up.json("digest-set", "add", "release", "--file", "/bin/true", "--drop-others")
    assert len(dropped["versions"]) == 1
    up.cli("entry", "delete", entry["id"]).expect(0)
    up.cli("digest-set", "delete", "release").expect(0)
    assert up.json("digest-set", "list")["digest_sets"] == []
    up.cli("digest-set", "create", "x", "--sha256", "zz").refusal(USAGE)
