"""The official Python client (`spiffe`) as the workload: nothing of the client side is ours."""

from __future__ import annotations

import threading

import pytest
from spiffe import JwtSource, SpiffeId, TrustDomain, WorkloadApiClient, X509Source
from spiffe.svid.jwt_svid import JwtSvid
from spiffe.workloadapi.errors import (
    FetchJwtBundleError,
    FetchJwtSvidError,
    FetchX509BundleError,
    FetchX509SvidError,
    ValidateJwtSvidError,
)

from mintmark import TRUST_DOMAIN, fresh_id, my_executable, my_uid, poll, sha256, sid
from workload import NO_IDENTITY_TEXT

FIRST, SECOND = sid("/client/first"), sid("/client/second")
DOMAIN = TrustDomain(TRUST_DOMAIN)


@pytest.fixture(scope="module")
def served(start_module_up):
    """Two identities for this very executable, registered by its digest. No test here changes that."""
    up = start_module_up()
    digest = f"unix:sha256:{sha256('/proc/self/exe')}"
    up.register(FIRST, my_uid(), digest, flags=["--hint", "first"])
    up.register(SECOND, my_uid(), f"unix:path:{my_executable()}")
    return up


@pytest.fixture
def client(served):
    client = WorkloadApiClient(served.endpoint, default_timeout=10)
    yield client
    client.close()


@pytest.fixture
def stranger(up):
    """The client of a process without an identity."""
    client = WorkloadApiClient(up.endpoint, default_timeout=10)
    yield client
    client.close()


# --- X.509 ----------------------------------------------------------------------------------------


def test_fetch_x509_svid(client, served):
    svid = client.fetch_x509_svid()
    assert str(svid.spiffe_id) in (FIRST, SECOND)
    assert svid.private_key.public_key() == svid.leaf.public_key()
    svid.leaf.verify_directly_issued_by(served.authorities()[0][0])


def test_fetch_x509_svids(client):
    svids = client.fetch_x509_svids()
    assert {str(svid.spiffe_id) for svid in svids} == {FIRST, SECOND}
    assert client.fetch_x509_svid().spiffe_id == svids[0].spiffe_id, "the default identity is the first"


def test_fetch_x509_context(client, served):
    context = client.fetch_x509_context()
    assert {str(svid.spiffe_id) for svid in context.x509_svids} == {FIRST, SECOND}
    bundle = context.x509_bundle_set.get_bundle_for_trust_domain(DOMAIN)
    assert bundle is not None and bundle.x509_authorities == set(served.authorities()[0])


def test_fetch_x509_bundles(client, served):
    bundles = client.fetch_x509_bundles()
    assert [bundle.trust_domain for bundle in bundles.bundles] == [DOMAIN]
    assert bundles.get_bundle_for_trust_domain(DOMAIN).x509_authorities == set(served.authorities()[0])


def test_x509_source(served):
    with X509Source(socket_path=served.endpoint, timeout_in_seconds=10) as source:
        assert str(source.get_x509_context().default_svid.spiffe_id) in (FIRST, SECOND)
        assert source.get_bundle_for_trust_domain(DOMAIN).x509_authorities == set(served.authorities()[0])


def test_x509_source_picks_an_identity(served):
    def pick(svids):
        return next(svid for svid in svids if str(svid.spiffe_id) == SECOND)

    with X509Source(socket_path=served.endpoint, timeout_in_seconds=10, svid_picker=pick) as source:
        assert str(source.get_x509_context().default_svid.spiffe_id) == SECOND


# --- JWT ------------------------------------------------------------------------------------------


def test_fetch_jwt_svid(client):
    svid = client.fetch_jwt_svid({"a", "b"}, subject=SpiffeId(SECOND))
    assert (str(svid.spiffe_id), svid.audience) == (SECOND, {"a", "b"})


def test_fetch_jwt_svids(client):
    svids = client.fetch_jwt_svids({"a"})
    assert {str(svid.spiffe_id) for svid in svids} == {FIRST, SECOND}
    assert client.fetch_jwt_svid({"a"}).spiffe_id == svids[0].spiffe_id


def test_fetch_jwt_bundles(client, served):
    bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(DOMAIN)
    assert set(bundle.jwt_authorities) == set(served.authorities()[1])


def test_a_token_verifies_against_the_bundle(client):
    token = client.fetch_jwt_svid({"a"}, subject=SpiffeId(FIRST)).token
    bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(DOMAIN)
    assert str(JwtSvid.parse_and_validate(token, bundle, {"a"}).spiffe_id) == FIRST


def test_validate_jwt_svid(client):
    svid = client.fetch_jwt_svid({"a"}, subject=SpiffeId(FIRST))
    assert str(client.validate_jwt_svid(svid.token, "a").spiffe_id) == FIRST
    with pytest.raises(ValidateJwtSvidError, match="INVALID_ARGUMENT"):
        client.validate_jwt_svid(svid.token, "b")
    with pytest.raises(ValidateJwtSvidError, match="INVALID_ARGUMENT"):
        client.validate_jwt_svid(svid.token[:-6] + "AAAAAA", "a")


def test_jwt_source(served):
    with JwtSource(socket_path=served.endpoint, timeout_in_seconds=10) as source:
        svid = source.fetch_svid({"a"}, subject=SpiffeId(FIRST), timeout=10)
        assert str(svid.spiffe_id) == FIRST
        bundle = source.get_bundle_for_trust_domain(DOMAIN)
        assert str(JwtSvid.parse_and_validate(svid.token, bundle, {"a"}).spiffe_id) == FIRST


def test_an_id_that_is_not_granted_is_denied(client):
    with pytest.raises(FetchJwtSvidError, match="PERMISSION_DENIED"):
        client.fetch_jwt_svid({"a"}, subject=SpiffeId(sid("/client/third")))


# --- No identity, and one that comes and goes -----------------------------------------------------


@pytest.mark.parametrize(
    "fetch, error",
    [
        (lambda client: client.fetch_x509_svid(), FetchX509SvidError),
        (lambda client: client.fetch_x509_bundles(), FetchX509BundleError),
        (lambda client: client.fetch_jwt_svid({"a"}), FetchJwtSvidError),
        (lambda client: client.fetch_jwt_bundles(), FetchJwtBundleError),
    ],
    ids=["X.509-SVID", "X.509 bundles", "JWT-SVID", "JWT bundles"],
)
def test_a_process_without_an_entry_is_refused(stranger, fetch, error):
    """SP-01: clients look for this text."""
    with pytest.raises(error, match=NO_IDENTITY_TEXT):
        fetch(stranger)


def test_sources_started_before_the_registration_get_their_identity(up):
    identity = fresh_id()
    found, failed = [], []

    def wait_for(make, use):
        try:
            with make(socket_path=up.endpoint, timeout_in_seconds=20) as source:
                found.append(use(source))
        except Exception as error:
            failed.append(error)

    waiters = [
        threading.Thread(
            target=wait_for, args=(X509Source, lambda s: str(s.get_x509_context().default_svid.spiffe_id))
        ),
        threading.Thread(target=wait_for, args=(JwtSource, lambda s: str(s.fetch_svid({"a"}, timeout=10).spiffe_id))),
    ]
    for waiter in waiters:
        waiter.start()
    up.register(identity, my_uid())
    for waiter in waiters:
        waiter.join(25)
    assert (found, failed) == ([identity] * 2, [])


def test_stream_of_contexts_follows_the_entries(up):
    first, second = fresh_id(), fresh_id()
    up.register(first, my_uid())
    contexts, errors = [], []
    client = WorkloadApiClient(up.endpoint)
    handle = client.stream_x509_contexts(contexts.append, errors.append, retry_connect=False)
    try:
        poll("the first context", lambda: contexts)
        entry = up.register(second, my_uid())

        def latest():
            return {str(svid.spiffe_id) for svid in contexts[-1].x509_svids}

        poll("both identities", lambda: latest() == {first, second})
        up.cli("entry", "delete", entry["id"]).expect(0)
        poll("the second to go", lambda: latest() == {first})
        up.cli("entry", "delete", up.entries()[0]["id"]).expect(0)
        poll("the end of the stream", lambda: errors)
        assert "PERMISSION_DENIED" in str(errors[0])
    finally:
        handle.cancel()
        client.close()


@pytest.mark.limit(60)
def test_a_source_survives_a_restart(up):
    """GS-01: clients come back by themselves, after a clean stop and after a crash."""
    first, second, third = fresh_id(), fresh_id(), fresh_id()
    entry = up.register(first, my_uid())
    with X509Source(socket_path=up.endpoint, timeout_in_seconds=10) as source:

        def identity():
            return str(source.get_x509_context().default_svid.spiffe_id)

        assert identity() == first
        for end, replacement in ((up.stop, second), (up.kill, third)):
            end()
            up.start()
            up.cli("entry", "delete", entry["id"]).expect(0)
            entry = up.register(replacement, my_uid())
            poll("the new identity", lambda: identity() == replacement, within=20)
        assert identity() == third
