"""JWT-SVIDs and published bundles, judged by PyJWT. The JWT and B numbers are those of the conformance reference."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from cryptography import x509

from mintmark import FAILED, TRUST_DOMAIN, USAGE, fresh_id, my_uid, sid
from tokens import claims_of, header_of, public_pem, unbase64url, verify

IDENTITY = sid("/jwt/plain")
SHORT = sid("/jwt/short")


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(IDENTITY, my_uid())
    up.register(SHORT, my_uid(), flags=["--jwt-ttl", "90s"])
    return up


def fetch(up, *audience, spiffe_id=IDENTITY):
    with up.api() as api:
        [svid] = api.jwt(*audience, spiffe_id=spiffe_id)
    return svid.svid


def spiffe_document(up):
    return up.cli("bundle", "show", "--format", "spiffe").expect(0).json()


# --- The token ------------------------------------------------------------------------------------


def test_a_header_has_three_members(served):
    """JWT-02 to JWT-05."""
    header = header_of(fetch(served, "a"))
    assert set(header) == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert header["kid"] in served.authorities()[1]


def test_claims_name_subject_audience_and_times(served):
    """JWT-06, JWT-07, JWT-10, C-02: integers, and aud as a list."""
    before = int(time.time())
    claims = claims_of(fetch(served, "claims"))
    assert (claims["sub"], claims["aud"]) == (IDENTITY, ["claims"])
    assert type(claims["exp"]) is int and type(claims["iat"]) is int
    assert before - 1 <= claims["iat"] <= time.time() + 1, "J18: clients reject a token from the future"
    assert 299 <= claims["exp"] - claims["iat"] <= 301


def test_an_entry_may_shorten_the_life_of_tokens(served):
    claims = claims_of(fetch(served, "a", spiffe_id=SHORT))
    assert 89 <= claims["exp"] - claims["iat"] <= 91


def test_it_is_compact_and_the_signature_is_raw(served):
    """JWT-01, J21, J23: R and S, no DER, no padding."""
    token = fetch(served, "a")
    parts = token.split(".")
    assert len(parts) == 3 and "=" not in token
    assert len(unbase64url(parts[2])) == 64


def test_a_repeated_audience_is_named_once(served):
    assert claims_of(fetch(served, "b", "a", "b"))["aud"] == ["b", "a"]


@pytest.mark.parametrize(
    "key_type, algorithm", [("ec-p256", "ES256"), ("ec-p384", "ES384"), ("rsa-2048", "RS256"), ("rsa-4096", "RS256")]
)
@pytest.mark.limit(60)
def test_pyjwt_verifies_tokens_of_every_key_type(start_up, key_type, algorithm):
    up = start_up("--jwt-key-type", key_type)
    up.register(IDENTITY, my_uid())
    token, keys = fetch(up, "a", "b"), up.authorities()[1]
    assert header_of(token)["alg"] == algorithm
    for audience in ("a", "b"):
        assert verify(token, keys, audience)["sub"] == IDENTITY
    with pytest.raises(jwt.InvalidAudienceError):
        verify(token, keys, "c")
    with up.api() as api:
        assert api.validate(token, "a").spiffe_id == IDENTITY
    up.fetch("validate", "--audience", "a", token).expect(0)


def test_pyjwt_finds_a_changed_token(served):
    head, _, signature = fetch(served, "a").split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"sub": "x", "aud": "a", "exp": 4102444800}).encode()).rstrip(b"=")
    with pytest.raises(jwt.InvalidSignatureError):
        verify(f"{head}.{forged.decode()}.{signature}", served.authorities()[1], "a")


# --- Bundles --------------------------------------------------------------------------------------


def test_the_jwks_is_one_that_any_library_reads(served):
    document = served.cli("bundle", "show", "--format", "jwks").expect(0).json()
    keys = jwt.PyJWKSet.from_dict(document).keys
    assert len(keys) == len(document["keys"]) == 1
    assert "d" not in document["keys"][0], "a private key was published"


def test_the_spiffe_document_says_what_each_key_is_for(served):
    """X509-31 to X509-34, JWT-26, JWT-27, §1.8."""
    document = spiffe_document(served)
    assert document["keys"], document
    by_use = {use: [key for key in document["keys"] if key["use"] == use] for use in ("x509-svid", "jwt-svid")}
    assert sum(map(len, by_use.values())) == len(document["keys"]), "a key of another use"
    certificates, jwks = served.authorities()
    for key, certificate in zip(by_use["x509-svid"], certificates, strict=True):
        assert "kid" not in key and len(key["x5c"]) == 1
        assert x509.load_der_x509_certificate(base64.b64decode(key["x5c"][0], validate=True)) == certificate
        # B09: the parameters must be the certificate's.
        assert public_pem(jwt.PyJWK(key, algorithm="ES256").key) == public_pem(certificate.public_key())
    assert {key["kid"] for key in by_use["jwt-svid"]} == set(jwks)
    for counter in ("spiffe_sequence", "spiffe_refresh_hint"):
        assert type(document[counter]) is int and document[counter] > 0, document


def test_the_sequence_stands_still_while_nothing_changes(served):
    assert spiffe_document(served) == spiffe_document(served)


def test_pem_is_the_default_and_holds_certificates_alone(served):
    default = served.cli("bundle", "show").expect(0).out
    assert default == served.cli("bundle", "show", "--format", "pem").expect(0).out
    assert default.count("BEGIN CERTIFICATE") == 1 and "PRIVATE" not in default
    served.cli("bundle", "show", "--format", "der").refusal(USAGE)


# --- The command line -----------------------------------------------------------------------------


def test_svid_validate_says_who_it_was(served):
    token = fetch(served, "a", "b")
    answer = served.fetch("validate", "--audience", "b", token, "--output", "json").expect(0).json()
    assert answer["spiffe_id"] == IDENTITY
    # The token may be one cached for the same audience set, whose first caller named them in another order.
    assert sorted(answer["claims"]["aud"]) == ["a", "b"] and answer["claims"]["sub"] == IDENTITY


def test_svid_validate_refuses(served):
    token = fetch(served, "a")
    served.fetch("validate", "--audience", "b", token).refusal(FAILED)
    served.fetch("validate", "--audience", "a", token[:-8] + "AAAAAAAA").refusal(FAILED)
    served.fetch("validate", "--audience", "a", "nonsense").refusal(FAILED, USAGE)


def test_svid_fetch_jwt_asks_for_several_audiences_and_one_identity(served):
    fetched = served.fetch("fetch", "jwt", "--audience", "z", "--audience", "y", "--output", "json").expect(0).json()
    assert {svid["spiffe_id"] for svid in fetched["svids"]} == {IDENTITY, SHORT}
    one = ["fetch", "jwt", "--audience", "z", "--audience", "y", "--spiffe-id", SHORT, "--output", "json"]
    [svid] = served.fetch(*one).expect(0).json()["svids"]
    assert claims_of(svid["token"])["aud"] == ["z", "y"] and svid["spiffe_id"] == SHORT
    assert verify(svid["token"], served.authorities()[1], "y")["sub"] == SHORT


def test_trust_domains_do_not_trust_each_other(served, start_up):
    """JWT-18, J20, J22."""
    stranger = start_up()
    stranger.register(fresh_id(), my_uid())
    stranger.fetch("validate", "--audience", "a", fetch(served, "a")).refusal(FAILED)
    other = start_up("--trust-domain", "other.org")
    other.register("spiffe://other.org/w", my_uid())
    with other.api() as api:
        [svid] = api.jwt("a")
    served.fetch("validate", "--audience", "a", svid.svid).refusal(FAILED)
    assert TRUST_DOMAIN not in svid.spiffe_id
