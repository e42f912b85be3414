"""The example that the quickstart runs: an agent process that fetches its own identity."""

from __future__ import annotations

import datetime

import pytest

from mintmark import USAGE, fresh_id, mode, my_uid, openssl, run, sid
from tokens import claims_of, verify
from workload import NO_IDENTITY_TEXT, pem_certificates, uris_of

IDENTITY = sid("/sample")


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(IDENTITY, my_uid())
    return up


def test_it_says_who_it_is(served):
    said = served.sample("--audience", "a", "--output", "json").expect(0).json()
    assert said["spiffe_id"] == IDENTITY
    end = datetime.datetime.fromisoformat(said["certificate_expires_at"])
    left = (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 0 < left <= 3601
    assert verify(said["token"], served.authorities()[1], "a")["sub"] == IDENTITY


def test_it_says_so_in_words_too(served):
    assert IDENTITY in served.sample("--audience", "a").expect(0).out


def test_it_writes_what_other_programs_need(served, home):
    folder = home / "w"
    folder.mkdir()
    served.sample("--audience", "a", "--write", folder, umask=0).expect(0)
    assert {path.name for path in folder.iterdir()} == {"svid.pem", "svid.key", "bundle.pem", "token.jwt"}
    assert mode(folder / "svid.key") == 0o600
    assert mode(folder / "token.jwt") & 0o077 == 0, "a token is a bearer credential"
    openssl("verify", "-x509_strict", "-CAfile", folder / "bundle.pem", folder / "svid.pem").expect(0)
    openssl("pkey", "-in", folder / "svid.key", "-noout", "-check").expect(0)
    assert uris_of(pem_certificates((folder / "svid.pem").read_text())[0]) == [IDENTITY]
    token = (folder / "token.jwt").read_text().strip()
    assert claims_of(token)["aud"] == ["a"]
    served.fetch("validate", "--audience", "a", token).expect(0)


def test_it_is_refused_without_an_entry(up, home):
    folder = home / "w"
    folder.mkdir()
    result = up.sample("--audience", "a", "--write", folder).expect(1)
    assert f"refused: {NO_IDENTITY_TEXT}" in result.err.splitlines(), result
    assert list(folder.iterdir()) == []


def test_it_says_when_no_agent_is_there(home):
    env = {"SPIFFE_ENDPOINT_SOCKET": f"unix://{home}/nobody.sock"}
    result = run("--audience", "a", program="sample-agent", env=env)
    assert result.code not in (0, -6, -11) and result.err.strip(), result
    assert "nobody.sock" in result.err, result


def test_it_says_when_it_was_not_told_where_to_ask():
    """E09: no default is guessed."""
    result = run("--audience", "a", program="sample-agent")
    assert result.code not in (0, -6, -11) and "SPIFFE_ENDPOINT_SOCKET" in result.err, result


def test_an_audience_is_asked_for(served):
    result = served.sample("--output", "json").expect(USAGE)
    assert "--audience" in result.err, result


def test_it_takes_the_identity_that_comes_first(up):
    """WLAPI-11: the default identity is index 0."""
    for _ in range(3):
        up.register(fresh_id("default"), my_uid())
    assert up.sample().expect(0).json()["spiffe_id"] == up.ids()[0]
