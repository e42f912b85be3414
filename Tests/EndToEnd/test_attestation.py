"""Who gets an identity: by executable, digest, user and groups, and only when all selectors match."""

from __future__ import annotations

import grp
import os
import pwd
import shutil

import pytest

import mintmark
from mintmark import NOT_PERMITTED, Account, call_as, fresh_id, my_executable, my_uid, sha256, sid
from workload import NO_IDENTITY_TEXT

MINTMARK = ["fetch", "x509", "--output", "json"]


@pytest.fixture
def copy_of_sample(home):
    """Makes copies of the sample agent, each with its own ending, so that each has its own digest."""

    def make(name, ending=b""):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(mintmark.bin_dir() / "sample-agent", path)
        with open(path, "ab") as file:
            file.write(ending)
        path.chmod(0o755)
        return path

    return make


def digest_of(path):
    return f"unix:sha256:{sha256(path)}"


def is_issued(result, identity):
    assert result.expect(0).json()["spiffe_id"] == identity, result


def is_refused(result):
    """What the sample agent says without an identity."""
    result.expect(1)
    assert f"refused: {NO_IDENTITY_TEXT}" in result.err.splitlines(), result
    assert result.out.strip() == "", result


# --- By executable --------------------------------------------------------------------------------


def test_the_registered_executable_is_issued_and_any_other_of_the_same_user_refused(up):
    """The heart of it: sample agent registered by digest; `mintmark` and Python run as the same user."""
    identity = fresh_id("sample")
    up.register(identity, my_uid(), digest_of(mintmark.bin_dir() / "sample-agent"))
    is_issued(up.sample(), identity)
    up.fetch(*MINTMARK).refusal(NOT_PERMITTED)
    assert call_as(up.socket) == {"code": "PERMISSION_DENIED", "details": NO_IDENTITY_TEXT, "spiffe_ids": []}
    assert up.ids() == []


def test_and_the_other_way_around(up):
    identity = fresh_id("mintmark")
    up.register(identity, my_uid(), digest_of(mintmark.bin_dir() / "mintmark"))
    assert [svid["spiffe_id"] for svid in up.fetch(*MINTMARK).expect(0).json()["svids"]] == [identity]
    is_refused(up.sample())
    assert up.ids() == []


def test_an_interpreter_is_an_executable_too(up):
    """This test process, whose digest is Python's."""
    identity = fresh_id("python")
    up.register(identity, digest_of("/proc/self/exe"))
    assert up.ids() == [identity]
    assert call_as(up.socket)["spiffe_ids"] == [identity]
    is_refused(up.sample())


def test_one_byte_more_is_another_executable(up, copy_of_sample):
    identity = fresh_id("digest")
    good, bad = copy_of_sample("good"), copy_of_sample("bad", b"\0")
    up.register(identity, digest_of(good))
    is_issued(up.sample(program=good), identity)
    is_refused(up.sample(program=bad))


def test_a_digest_does_not_care_where_the_file_is_and_a_path_does(up, copy_of_sample):
    identity = fresh_id("digest")
    here, there = copy_of_sample("here/agent", b"1"), copy_of_sample("there/agent", b"1")
    entry = up.register(identity, digest_of(here))
    is_issued(up.sample(program=here), identity)
    is_issued(up.sample(program=there), identity)
    up.cli("entry", "delete", entry["id"]).expect(0)
    up.register(identity, digest_of(here), f"unix:path:{here}")
    is_issued(up.sample(program=here), identity)
    is_refused(up.sample(program=there))


def test_a_path_is_that_of_the_file_not_of_a_link_to_it(up, copy_of_sample, home):
    identity = fresh_id("link")
    real = copy_of_sample("real/agent")
    link = home / "link"
    link.symlink_to(real)
    up.register(fresh_id("link"), f"unix:path:{link}")
    is_refused(up.sample(program=link))
    up.register(identity, f"unix:path:{real}")
    is_issued(up.sample(program=link), identity)


def test_a_link_with_the_registered_path_does_not_lend_its_name(up, copy_of_sample, home):
    registered, other = home / "registered", copy_of_sample("other")
    up.register(fresh_id("link"), f"unix:path:{registered}")
    registered.symlink_to(other)
    is_refused(up.sample(program=registered))


def test_a_digest_is_not_remembered_past_a_change(up, copy_of_sample):
    """Same path, inode, size and time of modification; another content."""
    identity = fresh_id("changed")
    program = copy_of_sample("agent", bytes(64))
    up.register(identity, my_uid(), digest_of(program))
    is_issued(up.sample(program=program), identity)
    before = program.stat()
    with open(program, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    os.utime(program, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = program.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    is_refused(up.sample(program=program))


def test_a_file_put_in_place_of_the_registered_one_is_refused(up, copy_of_sample, home):
    identity = fresh_id("replaced")
    program = copy_of_sample("agent")
    up.register(identity, digest_of(program), f"unix:path:{program}")
    is_issued(up.sample(program=program), identity)
    os.replace(copy_of_sample("intruder", b"\0"), program)
    is_refused(up.sample(program=program))


# --- By user and group ----------------------------------------------------------------------------


def own_selectors():
    """What is true of this very process, with something that is not."""
    uid, gid = os.getuid(), os.getgid()
    return [
        (f"unix:uid:{uid}", f"unix:uid:{uid + 1}"),
        (f"unix:gid:{gid}", f"unix:gid:{gid + 1}"),
        (f"unix:user:{pwd.getpwuid(uid).pw_name}", "unix:user:nobody-at-all"),
        (f"unix:group:{grp.getgrgid(gid).gr_name}", "unix:group:nobody-at-all"),
        (f"unix:path:{my_executable()}", f"unix:path:{my_executable()}x"),
        (digest_of("/proc/self/exe"), "unix:sha256:" + "0" * 64),
    ]


@pytest.fixture(scope="module")
def shared(start_module_up):
    return start_module_up()


@pytest.mark.parametrize("true, untrue", own_selectors(), ids=lambda selector: selector.split(":")[1])
def test_one_true_selector_suffices_and_one_untrue_one_spoils_it(shared, true, untrue):
    """An entry matches when its selectors are a subset of what was found."""
    spoilt, untrue_alone, plain = fresh_id("subset"), fresh_id("subset"), fresh_id("subset")
    shared.register(spoilt, true, untrue)
    shared.register(untrue_alone, untrue)
    shared.register(plain, true)
    ids = shared.ids()
    assert plain in ids and spoilt not in ids and untrue_alone not in ids


def test_all_true_selectors_together_match(up):
    identity = fresh_id("all")
    up.register(identity, *[true for true, _ in own_selectors()])
    assert up.ids() == [identity]


def test_a_selector_of_a_kind_that_nobody_found_does_not_match(up):
    up.register(fresh_id("kind"), my_uid(), "k8s:ns:default")
    assert up.ids() == []


# --- As other users -------------------------------------------------------------------------------


@pytest.fixture
def groups(root):
    """A named group, and a number without a name."""
    named = next(group for group in grp.getgrall() if group.gr_gid not in (0, 65534))
    taken = {group.gr_gid for group in grp.getgrall()}
    return named, next(number for number in range(54321, 54400) if number not in taken)


def test_each_user_gets_what_is_registered_for_it(up, nobody):
    """As user nobody and as root."""
    mine, theirs = fresh_id("uid"), fresh_id("uid")
    up.register(mine, "unix:uid:0")
    up.register(theirs, f"unix:uid:{nobody.uid}", f"unix:user:{pwd.getpwuid(nobody.uid).pw_name}")
    assert call_as(up.socket, nobody)["spiffe_ids"] == [theirs]
    assert up.ids() == [mine]
    stranger = call_as(up.socket, Account(nobody.uid - 1, nobody.gid))
    assert (stranger["code"], stranger["details"]) == ("PERMISSION_DENIED", NO_IDENTITY_TEXT)


def test_a_user_without_a_name_is_known_by_number(up, root):
    taken = {user.pw_uid for user in pwd.getpwall()}
    uid = next(number for number in range(54321, 54400) if number not in taken)
    identity = fresh_id("uid")
    up.register(identity, f"unix:uid:{uid}")
    up.register(fresh_id("uid"), f"unix:uid:{uid}", "unix:user:root")
    assert call_as(up.socket, Account(uid, uid))["spiffe_ids"] == [identity]


def test_primary_and_supplementary_groups_are_different_things(up, nobody, groups):
    named, nameless = groups
    matching = {
        "gid": f"unix:gid:{nobody.gid}",
        "group": f"unix:group:{grp.getgrgid(nobody.gid).gr_name}",
        "supplementary-gid": f"unix:supplementary_gid:{named.gr_gid}",
        "supplementary-group": f"unix:supplementary_group:{named.gr_name}",
        "nameless": f"unix:supplementary_gid:{nameless}",
    }
    missing = {
        "gid": f"unix:gid:{named.gr_gid}",
        "group": f"unix:group:{named.gr_name}",
        "supplementary-gid": f"unix:supplementary_gid:{nameless + 1}",
        "supplementary-group": "unix:supplementary_group:root",
    }
    for name, selector in missing.items():
        up.register(sid(f"/missing/{name}"), selector)
    for name, selector in matching.items():
        up.register(sid(f"/matching/{name}"), selector)
    account = Account(nobody.uid, nobody.gid, (named.gr_gid, nameless))
    assert set(call_as(up.socket, account)["spiffe_ids"]) == {sid(f"/matching/{name}") for name in matching}


def test_executables_are_told_apart_under_another_user(up, nobody, public_bin):
    """Sample agent and `mintmark` as nobody, attested by an agent that is root."""
    identity = fresh_id("nobody")
    up.register(identity, f"unix:uid:{nobody.uid}", digest_of(public_bin / "sample-agent"))
    is_issued(up.sample(account=nobody, bin=public_bin), identity)
    up.fetch(*MINTMARK, account=nobody, bin=public_bin).refusal(NOT_PERMITTED)
    is_refused(up.sample())
    assert call_as(up.socket, nobody)["code"] == "PERMISSION_DENIED"
