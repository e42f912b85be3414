"""`spire.api.server.svid.v1.SVID`, call by call."""

from __future__ import annotations

import time
import uuid

import grpc
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import stubs
from callers import TIMEOUT, Identity, refused

Code = grpc.StatusCode
Batch, Params = stubs.svid.BatchNewX509SVIDRequest, stubs.svid.NewX509SVIDParams


@pytest.fixture(scope="module")
def entry(issuer):
    """An entry of the node."""
    return register(issuer, issuer.node.id)


@pytest.fixture(scope="module")
def foreign(issuer):
    """An entry of somebody else."""
    return register(issuer, "spiffe://example.org/spire/agent/join_token/another")


def register(issuer, parent, **changes):
    fields = {
        "spiffe_id": stubs.id_of(f"spiffe://example.org/svid/{uuid.uuid4().hex}"),
        "parent_id": stubs.id_of(parent),
        "selectors": [stubs.types.Selector(type="unix", value="uid:4711")],
        "x509_svid_ttl": 600, "jwt_svid_ttl": 120, "hint": "h", "dns_names": ["w.example"],
    }
    request = stubs.entry.BatchCreateEntryRequest(entries=[stubs.types.Entry(**(fields | changes))])
    [result] = issuer.admin.entries.BatchCreateEntry(request, timeout=TIMEOUT).results
    assert result.status.code == 0, result
    return result.entry


def batch(caller, *params):
    return list(caller.svids.BatchNewX509SVID(Batch(params=params), timeout=TIMEOUT).results)


def authorities(issuer):
    return issuer.admin.bundles.GetBundle(stubs.bundle.GetBundleRequest(), timeout=TIMEOUT)


def assert_signed(issuer, identity):
    [authority] = authorities(issuer).x509_authorities
    assert len(identity.chain) == 1
    identity.leaf.verify_directly_issued_by(x509.load_der_x509_certificate(authority.asn1))
    assert identity.leaf.public_key() == identity.key.public_key()


# --- For workloads, through a node ----------------------------------------------------------------


def test_an_entry_decides_everything_but_the_key(issuer, entry):
    identity = Identity()
    csr = identity.request("spiffe://example.org/another", ("evil.example",))
    [result] = batch(issuer.agent, Params(entry_id=entry.id, csr=csr))
    assert result.status.code == 0, result
    identity.chain = list(result.svid.cert_chain)
    assert_signed(issuer, identity)
    assert identity.id == stubs.text_of(entry.spiffe_id) == stubs.text_of(result.svid.id)
    assert result.svid.hint == "h" and 0 < result.svid.expires_at - time.time() <= 600
    names = identity.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["w.example"]


def test_results_of_a_batch_stand_alone(issuer, entry, foreign):
    good = Identity()
    damaged = bytearray(Identity().request())
    damaged[-3] ^= 1
    results = batch(
        issuer.agent, Params(entry_id="missing", csr=good.request()), Params(entry_id=foreign.id, csr=good.request()),
        Params(entry_id=entry.id, csr=b""), Params(entry_id=entry.id, csr=bytes(damaged)),
        Params(entry_id="", csr=good.request()), Params(entry_id=entry.id, csr=good.request()),
    )
    codes = [result.status.code for result in results]
    expected = [
        Code.NOT_FOUND, Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT, Code.OK,
    ]
    assert codes == [code.value[0] for code in expected], results
    # Nobody finds out by the words which entries of others there are.
    assert results[0].status.message == results[1].status.message
    assert not any(result.HasField("svid") for result in results[:5])


def weak(key):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("key", ["rsa-1024", "p224"])
def test_weak_keys_are_refused(issuer, entry, key):
    made = rsa.generate_private_key(65537, 1024) if key == "rsa-1024" else ec.generate_private_key(ec.SECP224R1())
    [result] = batch(issuer.agent, Params(entry_id=entry.id, csr=weak(made)))
    assert result.status.code == Code.INVALID_ARGUMENT.value[0], result


def test_a_batch_is_bounded(issuer, entry):
    params = [Params(entry_id=entry.id, csr=b"x")] * 501
    with refused(Code.INVALID_ARGUMENT):
        batch(issuer.agent, *params)
    with refused(Code.INVALID_ARGUMENT):
        batch(issuer.agent)


def test_a_token_for_a_workload(issuer, entry):
    request = stubs.svid.NewJWTSVIDRequest(entry_id=entry.id, audience=["one", "two"])
    svid = issuer.agent.svids.NewJWTSVID(request, timeout=TIMEOUT).svid
    keys = {key.key_id: key.public_key for key in authorities(issuer).jwt_authorities}
    key = serialization.load_der_public_key(keys[jwt.get_unverified_header(svid.token)["kid"]])
    claims = jwt.decode(svid.token, key, algorithms=["ES256"], audience="two")
    assert claims["sub"] == stubs.text_of(entry.spiffe_id) == stubs.text_of(svid.id)
    assert claims["exp"] == svid.expires_at and svid.expires_at - svid.issued_at <= 120 and svid.hint == "h"


BAD_TOKENS = {
    "no audience": (dict(audience=[]), Code.INVALID_ARGUMENT),
    "an empty audience": (dict(audience=[""]), Code.INVALID_ARGUMENT),
    "too many audiences": (dict(audience=[f"a{n}" for n in range(1000)]), Code.INVALID_ARGUMENT),
    "an audience that is too long": (dict(audience=["a" * 100_000]), Code.INVALID_ARGUMENT),
    "no entry": (dict(entry_id=""), Code.INVALID_ARGUMENT),
    "a missing entry": (dict(entry_id="missing"), Code.NOT_FOUND),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_bad_token_requests_are_refused(issuer, entry, name):
    changes, code = BAD_TOKENS[name]
    request = stubs.svid.NewJWTSVIDRequest(**({"entry_id": entry.id, "audience": ["a"]} | changes))
    with refused(code):
        issuer.agent.svids.NewJWTSVID(request, timeout=TIMEOUT)


def test_the_entry_of_another_node_gives_no_token(issuer, foreign):
    request = stubs.svid.NewJWTSVIDRequest(entry_id=foreign.id, audience=["a"])
    with refused(Code.NOT_FOUND):
        issuer.agent.svids.NewJWTSVID(request, timeout=TIMEOUT)


# --- Minted by an admin ---------------------------------------------------------------------------


def test_an_admin_mints_outside_of_entries(issuer):
    identity, name = Identity(), f"spiffe://example.org/minted/{uuid.uuid4().hex}"
    request = stubs.svid.MintX509SVIDRequest(csr=identity.request(name, ("m.example",)), ttl=300)
    svid = issuer.admin.svids.MintX509SVID(request, timeout=TIMEOUT).svid
    identity.chain = list(svid.cert_chain)
    assert_signed(issuer, identity)
    assert identity.id == name == stubs.text_of(svid.id) and 0 < svid.expires_at - time.time() <= 300
    request = stubs.svid.MintJWTSVIDRequest(id=stubs.id_of(name), audience=["a"], ttl=60)
    token = issuer.admin.svids.MintJWTSVID(request, timeout=TIMEOUT).svid
    assert stubs.text_of(token.id) == name and 0 < token.expires_at - time.time() <= 60


BAD_REQUESTS = {
    "nothing": b"",
    "noise": b"\x30\x80\x00\x00",
    "no SPIFFE ID": Identity().request(),
    "the ID of another domain": Identity().request("spiffe://other.example/a"),
    "an ID without a path": Identity().request("spiffe://example.org"),
    "a URI that is no SPIFFE ID": Identity().request("https://example.org/a"),
    "the ID of a server": Identity().request("spiffe://example.org/spire/server"),
    "the ID of an agent": Identity().request("spiffe://example.org/spire/agent/join_token/x"),
    "a path with dots": Identity().request("spiffe://example.org/a/../b"),
    "a DNS name that is none": Identity().request("spiffe://example.org/a", ("not_a_name",)),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_signing_requests_are_refused(issuer, name):
    with refused(Code.INVALID_ARGUMENT):
        request = stubs.svid.MintX509SVIDRequest(csr=BAD_REQUESTS[name])
        issuer.admin.svids.MintX509SVID(request, timeout=TIMEOUT)


BAD_MINTS = {
    "no ID": dict(id=None),
    "the ID of another domain": dict(id=stubs.id_of("spiffe://other.example/a")),
    "an ID without a path": dict(id=stubs.types.SPIFFEID(trust_domain="example.org")),
    "the ID of a server": dict(id=stubs.id_of("spiffe://example.org/spire/server")),
    "the ID of an agent": dict(id=stubs.id_of("spiffe://example.org/spire/agent/join_token/x")),
    "a negative lifetime": dict(ttl=-1),
    "no audience": dict(audience=[]),
    "an empty audience": dict(audience=["a", ""]),
}


@pytest.mark.parametrize("name", BAD_MINTS)
def test_bad_mints_are_refused(issuer, name):
    fields = {"id": stubs.id_of("spiffe://example.org/minted"), "audience": ["a"]} | BAD_MINTS[name]
    with refused(Code.INVALID_ARGUMENT):
        issuer.admin.svids.MintJWTSVID(stubs.svid.MintJWTSVIDRequest(**fields), timeout=TIMEOUT)
