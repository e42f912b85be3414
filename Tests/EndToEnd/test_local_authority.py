"""Authorities changed by hand: prepare, activate, taint, revoke, while everyone goes on."""

from __future__ import annotations

import time

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mintmark import FAILED, USAGE, fresh_id, mode, my_uid, openssl, poll
from tokens import header_of, verify
from workload import certificates_in, ids_of

KINDS = ("x509", "jwt")


def show(server, kind: str) -> dict:
    return server.json("authority", "show", kind)


def rotate(server, kind: str) -> tuple[str, str]:
    """Prepares and activates a new authority; returns the IDs of the old and the new one."""
    old = show(server, kind)["active"]["id"]
    new = server.json("authority", "prepare", kind)["id"]
    server.json("authority", "activate", kind, new)
    return old, new


def key_identifier(leaf) -> str:
    """Which authority signed a leaf, as 'authority show' names it."""
    extension = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return extension.key_identifier.hex()


def openssl_verify(folder, chain: bytes, bundle: bytes):
    """What OpenSSL thinks of a chain of DER certificates under a bundle of such."""
    def pem(certificates):
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)

    leaf, *above = certificates_in(chain)
    (folder / "leaf.pem").write_bytes(pem([leaf]))
    (folder / "roots.pem").write_bytes(pem(certificates_in(bundle)))
    untrusted = []
    if above:
        (folder / "above.pem").write_bytes(pem(above))
        untrusted = ["-untrusted", folder / "above.pem"]
    return openssl(
        "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", folder / "roots.pem", *untrusted,
        folder / "leaf.pem",
    )


# --- One step after another -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_authority_goes_through_its_life(up, kind):
    first = show(up, kind)
    assert first["kind"] == kind and first["prepared"] is None and first["old"] is None
    assert first["active"]["tainted"] is False and first["active"]["upstream_key_id"] is None

    prepared = up.json("authority", "prepare", kind)
    assert prepared["state"] == "prepared" and prepared["expires_at"]
    standing = show(up, kind)
    assert standing["active"] == first["active"] and standing["prepared"]["id"] == prepared["id"]

    activated = up.json("authority", "activate", kind, prepared["id"])
    assert activated["id"] == prepared["id"] and activated["state"] == "active"
    standing = show(up, kind)
    assert standing["active"]["id"] == prepared["id"] and standing["prepared"] is None
    assert standing["old"]["id"] == first["active"]["id"] and standing["old"]["tainted"] is False

    old = standing["old"]["id"]
    assert up.json("authority", "taint", kind, old)["state"] == "tainted"
    assert show(up, kind)["old"] == {**standing["old"], "tainted": True}

    assert up.json("authority", "revoke", kind, old)["state"] == "revoked"
    standing = show(up, kind)
    assert standing["old"] is None and standing["active"]["id"] == prepared["id"]
    summary = up.json("bundle", "show")
    assert len(summary["x509_authorities"]) == 1 and len(summary["jwt_authorities"]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_preparation_takes_the_place_of_an_earlier_one(up, kind):
    first = up.json("authority", "prepare", kind)["id"]
    second = up.json("authority", "prepare", kind)["id"]
    assert first != second and show(up, kind)["prepared"]["id"] == second
    up.cli("authority", "activate", kind, first).refusal(FAILED, saying=["no such authority", "authority show"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_stage_is_skipped_and_none_comes_back(up, kind):
    def refused(verb: str, authority: str, *saying: str) -> None:
        before = show(up, kind)
        up.cli("authority", verb, kind, authority).refusal(FAILED, saying=saying)
        assert show(up, kind) == before

    active = show(up, kind)["active"]["id"]
    refused("activate", active, "active", "only a prepared one")
    refused("taint", active, "signing now", "prepare and activate")
    refused("revoke", active, "signing now")
    prepared = up.json("authority", "prepare", kind)["id"]
    refused("taint", prepared, "prepared", "signs no more")
    refused("revoke", prepared, "prepared", "only a tainted one")
    up.json("authority", "activate", kind, prepared)
    refused("activate", active, "retired")
    refused("revoke", active, "retired", "only a tainted one")
    up.json("authority", "taint", kind, active)
    refused("taint", active, "tainted")
    refused("activate", active, "tainted")
    up.json("authority", "revoke", kind, active)
    for verb in ("activate", "taint", "revoke"):
        refused(verb, active)
        refused(verb, "no-such-authority", "no such authority")


def test_the_flags_are_judged(up):
    up.cli("authority", "show").expect(USAGE)
    up.cli("authority", "show", "wit").expect(USAGE)
    up.cli("authority", "activate", "x509").expect(USAGE)
    up.cli("authority", "taint", "x509").expect(USAGE)
    up.cli("authority", "taint", "x509", "a", "--upstream", "b").expect(USAGE)
    up.cli("authority", "revoke", "jwt", "--upstream", "b").expect(USAGE)
    for verb in ("taint", "revoke"):
        up.cli("authority", verb, "x509", "--upstream", "00ff").refusal(FAILED, saying=["no upstream authority"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.limit(60)
def test_every_step_survives_a_restart(start_up, kind):
    up = start_up()

    def prepare():
        up.json("authority", "prepare", kind)

    def activate():
        up.json("authority", "activate", kind, show(up, kind)["prepared"]["id"])

    def taint():
        up.json("authority", "taint", kind, show(up, kind)["old"]["id"])

    def revoke():
        up.json("authority", "revoke", kind, show(up, kind)["old"]["id"])

    for step in [lambda: None, prepare, activate, taint, revoke]:
        step()
        standing, bundle = show(up, kind), up.json("bundle", "show")
        up.kill()
        up.start()
        assert show(up, kind) == standing
        assert up.json("bundle", "show") == bundle


# --- Keys of every kind -----------------------------------------------------------------------------


@pytest.mark.limit(90)
@pytest.mark.parametrize(
    "key_type, size", [("ec-p256", 256), ("ec-p384", 384), ("rsa-2048", 2048), ("rsa-4096", 4096)]
)
def test_openssl_verifies_what_authorities_of_every_kind_sign(start_up, home, key_type, size):
    up = start_up("--ca-key-type", key_type)
    up.register(fresh_id("kinds"), my_uid())
    with up.api() as api:
        old, new = rotate(up, "x509")
        up.json("authority", "taint", "x509", old)

        def by_the_new_one():
            svid = api.first("FetchX509SVID").svids[0]
            return svid if key_identifier(certificates_in(svid.x509_svid)[0]) == new else None

        svid = poll("an SVID of the new authority", by_the_new_one, within=20)
    openssl_verify(home, svid.x509_svid, svid.bundle).expect(0)
    for authority in certificates_in(svid.bundle):
        assert authority.public_key().key_size == size


# --- Which server this is ----------------------------------------------------------------------------


@pytest.mark.limit(60)
def test_a_server_knows_itself_by_a_file_of_its_own(start_up):
    up = start_up()
    file = up.state / "server-id"
    assert mode(file) == 0o600
    kept, authority = file.read_text(), show(up, "x509")["active"]["id"]
    up.stop()
    up.start()
    assert file.read_text() == kept and show(up, "x509")["active"]["id"] == authority
    # Lost, it is another server: with authorities of its own, while what the former one signed stays good.
    up.stop()
    file.unlink()
    up.start()
    assert file.read_text() != kept and show(up, "x509")["active"]["id"] != authority
    assert len(up.json("bundle", "show")["x509_authorities"]) == 2
    # Damaged, it is nobody.
    up.stop()
    file.write_text("somebody\n")
    up.start(wait=False)
    up.wait_exit().refusal(FAILED, saying=["server-id", "remove it"])


def test_lifetimes_that_do_not_fit_are_named_at_the_start(start_up):
    up = start_up("--ca-ttl", "1h", "--x509-ttl", "20m")
    line = up.wait_log("lifetimes do not fit")
    assert "x509_svid_ttl of 1200 s" in line or "x509_svid_ttl of 1200 s" in up.log
    assert "600 s" in up.log
    fitting = start_up()
    assert "lifetimes do not fit" not in fitting.log


# --- While workloads go on --------------------------------------------------------------------------


@pytest.mark.limit(90)
def test_a_stream_stays_valid_through_a_forced_rotation(up, home):
    identity = fresh_id("forced")
    up.register(identity, my_uid())
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        first = watch.next()
        old_token = api.jwt("a")[0].svid
        old, new = rotate(up, "x509")
        old_key, new_key = rotate(up, "jwt")
        assert key_identifier(certificates_in(first.svids[0].x509_svid)[0]) == old
        assert header_of(old_token)["kid"] == old_key

        # The taint, and nothing before it, brings a new SVID long before its time.
        up.json("authority", "taint", "x509", old)
        tainted_at = time.monotonic()
        replaced = watch.until(
            lambda message: key_identifier(certificates_in(message.svids[0].x509_svid)[0]) == new, within=15
        )
        assert time.monotonic() - tainted_at < 10
        # The cache forgets tokens of the tainted key, and still takes them for valid.
        up.json("authority", "taint", "jwt", old_key)
        token = poll(
            "a token of the new key",
            lambda: next((t for t in [api.jwt("a")[0].svid] if header_of(t)["kid"] == new_key), None),
        )
        assert api.validate(old_token, "a").spiffe_id == identity
        verify(token, up.authorities()[1], "a")
        # Until it is revoked, everyone still believes what the old one signed.
        bundle = replaced.svids[0].bundle
        assert openssl_verify(home, replaced.svids[0].x509_svid, bundle).code == 0
        assert openssl_verify(home, first.svids[0].x509_svid, bundle).code == 0

        up.json("authority", "revoke", "x509", old)
        up.json("authority", "revoke", "jwt", old_key)
        last = watch.until(lambda message: len(certificates_in(message.svids[0].bundle)) == 1)
        for _, message in watch.messages:
            assert ids_of(message) == {identity}
            svid = message.svids[0]
            openssl_verify(home, svid.x509_svid, svid.bundle).expect(0)
        openssl_verify(home, last.svids[0].x509_svid, last.svids[0].bundle).expect(0)
        assert openssl_verify(home, first.svids[0].x509_svid, last.svids[0].bundle).code != 0
        poll("the old token to be refused", lambda: _refused(api, old_token))
        assert api.validate(token, "a").spiffe_id == identity
        watch.cancel()


def _refused(api, token: str) -> bool:
    try:
        api.validate(token, "a")
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.INVALID_ARGUMENT
    return False


@pytest.mark.limit(90)
def test_agents_and_server_outlive_the_revocation_of_what_signed_them(roles):
    """Both are identities under the old authority themselves: each must have a new one before it is revoked."""
    server = roles.server()
    agent = roles.agent(server).join(server)
    identity = fresh_id("split-forced")
    server.register(identity, my_uid())
    assert agent.ids() == [identity]
    before = server.agents()[0]["serial_number"]
    old, new = rotate(server, "x509")
    server.json("authority", "taint", "x509", old)
    poll("the agent to renew its own SVID", lambda: server.agents()[0]["serial_number"] != before, within=20)
    with agent.api() as api:
        poll(
            "the workload's SVID to be replaced",
            lambda: key_identifier(certificates_in(api.first("FetchX509SVID").svids[0].x509_svid)[0]) == new,
            within=20,
        )
    server.json("authority", "revoke", "x509", old)
    # A connection of its own, by an identity and to a server that the new authority vouches for.
    agent.kill()
    agent.start()
    another = fresh_id("split-forced")
    server.register(another, my_uid())
    assert set(agent.ids()) == {identity, another}


@pytest.mark.limit(60)
def test_what_was_registered_before_keeps_its_bundle_sequence_growing(up):
    """BUNDLE-04: every step is a change that followers can see."""
    sequences = [up.json("bundle", "show")["sequence"]]
    old, _ = rotate(up, "x509")
    sequences.append(up.json("bundle", "show")["sequence"])
    for verb in ("taint", "revoke"):
        up.json("authority", verb, "x509", old)
        sequences.append(up.json("bundle", "show")["sequence"])
    assert sequences == sorted(set(sequences))
