"""Where a server keeps its signing keys: on disk, encrypted there, in a token, or nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from mintmark import BAD_CONFIG, CANNOT_CREATE, FAILED, NOT_PERMITTED, fresh_id, mode, my_uid, openssl, poll, run
from tokens import header_of, verify

PASSPHRASE = "correct horse battery staple"
PIN = "271828"
MODULE = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so") if os.path.exists(p)), "")

needs_softhsm = pytest.mark.skipif(
    not MODULE or not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"),
    reason="needs SoftHSM2 and pkcs11-tool (apt-get install softhsm2 opensc)",
)


@pytest.fixture
def secret(home):
    path = home / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def token(home, monkeypatch):
    """Settings of a key store in a token of SoftHSM2."""
    tokens = home / "tokens"
    tokens.mkdir()
    configuration = home / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "signing", "--so-pin", "314159", "--pin", PIN],
        check=True,
        capture_output=True,
    )
    pin = home / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    return {"kind": "pkcs11", "module": MODULE, "token": "signing", "pin_file": str(pin)}


def tool(*arguments: str) -> str:
    """What pkcs11-tool says, logged in."""
    command = ["pkcs11-tool", "--module", MODULE, "--token-label", "signing", "--login", "--pin", PIN, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def issues(roles, server, agent) -> None:
    """What the server signs for a new workload is sound to openssl and to PyJWT."""
    identity = fresh_id("keys")
    entry = server.register(identity, my_uid())
    poll("the workload's identity", lambda: agent.ids() == [identity])
    folder = roles.home / identity.rpartition("/")[2]
    folder.mkdir()
    agent.fetch("fetch", "x509", "--write", folder).expect(0)
    openssl("verify", "-x509_strict", "-CAfile", folder / "bundle.0.pem", folder / "svid.0.pem").expect(0)
    with agent.api() as api:
        token = api.jwt("a")[0].svid
    keys = server.authorities()[1]
    assert header_of(token)["kid"] in keys
    verify(token, keys, "a")
    server.cli("entry", "delete", entry["id"]).expect(0)


def key_files(server) -> list[Path]:
    return sorted((server.data / "keys").iterdir())


# --- Disk -----------------------------------------------------------------------------------------


@pytest.mark.limit(90)
def test_keys_in_plain_are_encrypted_once_a_passphrase_is_configured(roles, secret):
    server = roles.server()
    before = server.authorities()
    plain = {path: path.read_bytes() for path in key_files(server)}
    assert len(plain) == 2
    server.stop()
    server.settings["key_store"] = {"kind": "disk", "passphrase_file": str(secret)}
    server.start()
    server.wait_log("signing keys that were in plain are encrypted now")
    assert key_files(server) == sorted(plain), "the same files, and nothing beside them"
    for path, contents in plain.items():
        assert path.read_bytes().startswith(b"MMKEY") and mode(path) == 0o600
        assert contents[40:56] not in path.read_bytes()
    assert server.authorities() == before
    issues(roles, server, roles.agent(server).join(server))
    server.stop()
    server.start()
    assert server.authorities() == before and "encrypted now" not in server.log
    assert PASSPHRASE not in server.log


@pytest.mark.limit(60)
def test_what_others_can_read_is_not_used_for_keys(roles, secret):
    server = roles.server(key_store={"kind": "disk", "passphrase_file": str(secret)})
    before = server.authorities()
    server.stop()
    key = key_files(server)[0]
    for path, wrong, right in [(secret, 0o644, 0o600), (key, 0o640, 0o600), (key.parent, 0o755, 0o700)]:
        path.chmod(wrong)
        server.start(wait=False)
        server.wait_exit().refusal(CANNOT_CREATE, saying=[f"chmod {right:o} {path}"])
        path.chmod(right)
    real = key.with_suffix(".real")
    key.rename(real)
    key.symlink_to(real)
    server.start(wait=False)
    server.wait_exit().refusal(CANNOT_CREATE, saying=["symbolic link", str(key)])
    key.unlink()
    real.rename(key)
    server.start()
    assert server.authorities() == before


@pytest.mark.limit(60)
def test_encrypted_keys_need_their_own_secret(roles, home, secret):
    server = roles.server(key_store={"kind": "disk", "passphrase_file": str(secret)})
    files = {path: path.read_bytes() for path in key_files(server)}
    server.stop()
    secret.write_text("another long passphrase\n")
    server.start(wait=False)
    server.wait_exit().refusal(FAILED, saying=["another passphrase or key file", str(secret), "what it was encrypted with"])
    del server.settings["key_store"]
    server.start(wait=False)
    server.wait_exit().refusal(BAD_CONFIG, saying=["is encrypted", "key_store.passphrase_file"])
    secret.unlink()
    server.settings["key_store"] = {"kind": "disk", "passphrase_file": str(secret)}
    server.start(wait=False)
    server.wait_exit().refusal(CANNOT_CREATE, saying=[f"there is no file {secret}"])
    assert {path: path.read_bytes() for path in key_files(server)} == files, "no start that failed changes a key"
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE)
    server.start()


def test_a_key_file_encrypts_as_well(roles, home):
    random = home / "random"
    random.touch(mode=0o600)
    random.write_bytes(os.urandom(32))
    server = roles.server(key_store={"kind": "disk", "key_file": str(random)})
    assert all(path.read_bytes().startswith(b"MMKEY") for path in key_files(server))
    before = server.authorities()
    server.stop()
    server.start()
    assert server.authorities() == before


# --- Memory ---------------------------------------------------------------------------------------


@pytest.mark.limit(90)
def test_keys_in_memory_leave_no_trace_and_are_made_anew_at_each_start(roles):
    server = roles.server(key_store={"kind": "memory"})
    agent = roles.agent(server).join(server)
    issues(roles, server, agent)
    assert not (server.data / "keys").exists()
    certificates, keys = server.authorities()
    server.stop()
    server.start()
    again, newer = server.authorities()
    assert set(keys) < set(newer), "what was signed before can still be verified"
    assert len(again) == 2 and certificates[0] in again


# --- A token --------------------------------------------------------------------------------------


@needs_softhsm
@pytest.mark.limit(120)
@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048"])
def test_keys_in_a_token_sign_everything_and_stay_there(roles, token, key_type):
    server = roles.server(key_store=token, ca_key_type=key_type, jwt_key_type=key_type)
    assert not (server.data / "keys").exists()
    issues(roles, server, roles.agent(server).join(server))
    listing = tool("--list-objects", "--type", "privkey")
    assert listing.count("Private Key Object") == 2
    assert listing.count("sensitive, always sensitive, never extractable, local") == 2
    before = server.authorities()
    server.stop()
    server.start()
    assert server.authorities() == before
    assert PIN not in server.log


@needs_softhsm
@pytest.mark.limit(60)
def test_a_key_that_is_gone_from_the_token_ends_the_start(roles, token):
    server = roles.server(key_store=token)
    server.stop()
    label = next(line.split()[1] for line in tool("--list-objects", "--type", "privkey").splitlines() if "label:" in line)
    tool("--delete-object", "--type", "privkey", "--label", label)
    server.start(wait=False)
    name = label.removeprefix("mintmark:")
    server.wait_exit().refusal(FAILED, saying=[f"signing key '{name}' is missing in token 'signing'", "restore the token"])


@needs_softhsm
@pytest.mark.limit(60)
def test_a_wrong_pin_ends_the_start_and_says_where_the_right_one_belongs(roles, token, home):
    server = roles.server(key_store=token)
    server.stop()
    (home / "pin").write_text("161803\n")
    server.start(wait=False)
    server.wait_exit().refusal(NOT_PERMITTED, saying=["token 'signing'", "the PIN is wrong", str(home / "pin")])
    assert "161803" not in server.log
    server.settings["key_store"]["token"] = "nobody"
    server.start(wait=False)
    server.wait_exit().refusal(FAILED, saying=["there is no token with the label 'nobody'", "pkcs11-tool"])


# --- Configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block, saying",
    [
        ({"kind": "tape"}, ["key_store.kind", "memory, disk or pkcs11"]),
        ({"kind": "memory", "key_file": "/x"}, ["key_store.key_file means nothing with key_store.kind memory"]),
        ({"kind": "disk", "module": "/x"}, ["key_store.module means nothing with key_store.kind disk"]),
        ({"kind": "disk", "key_file": "/x", "passphrase_file": "/y"}, ["both a passphrase_file and a key_file"]),
        ({"kind": "pkcs11", "module": "/x", "token": "t"}, ["key_store.kind pkcs11 needs key_store.pin_file"]),
        ({"kind": "pkcs11", "modul": "/x"}, ["unknown key 'key_store.modul'", "key_store.module"]),
        ("disk", ["'key_store' is a block"]),
    ],
)
def test_a_key_store_that_makes_no_sense_is_refused_by_name(home, block, saying):
    path = home / "server.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": "example.org", "key_store": block}))
    run("server", "validate", "--config", path).refusal(BAD_CONFIG, saying=saying)


def test_keys_of_a_block_can_be_overridden(home):
    path = home / "server.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": "example.org", "key_store": {"kind": "disk"}}))
    run("server", "validate", "--config", path, env={"MINTMARK_SERVER_KEY_STORE_KIND": "memory"}).expect(0)
    run("server", "validate", "--config", path, env={"MINTMARK_SERVER_KEY_STORE_KIND": "tape"}).refusal(
        BAD_CONFIG, saying=["key_store.kind"]
    )
