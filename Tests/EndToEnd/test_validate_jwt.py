"""ValidateJWTSVID against tokens signed with the issuer's own key, so that nothing but the flaw under test is wrong.

The J numbers are those of the conformance reference.
"""

from __future__ import annotations

import json
import time

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from grpc import StatusCode
from spiffe._proto import workload_pb2

from mintmark import my_uid, sid
from tokens import (
    base64url,
    claims_of,
    compact,
    es256,
    es256_der,
    header_of,
    hs256,
    private_key_in,
    public_pem,
)

SUBJECT = sid("/w")


class Signer:
    """Signs with the issuer's JWT key, found in the state folder."""

    def __init__(self, key, kid):
        self.key, self.kid = key, kid
        self.now = int(time.time())

    def header(self, **changes):
        return _changed({"alg": "ES256", "kid": self.kid, "typ": "JWT"}, changes)

    def claims(self, **changes):
        return _changed({"sub": SUBJECT, "aud": ["a"], "exp": self.now + 300, "iat": self.now}, changes)

    def token(self, header=None, claims=None, sign=None):
        return compact(header or self.header(), claims or self.claims(), sign or es256(self.key))


def _changed(members, changes):
    """With some members set, and those set to None left out."""
    return {name: value for name, value in (members | changes).items() if value is not None}


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(sid("/validator"), my_uid())
    return up


@pytest.fixture(scope="module")
def signer(served):
    found = private_key_in(served.state / "keys", served.authorities()[1])
    if found is None:
        pytest.skip("needs the JWT key as an unencrypted PKCS#8 file in the state folder's keys/")
    return Signer(*found)


def judge(served, token, audience="a"):
    """The status that a token gets."""
    with served.api() as api:
        request = workload_pb2.ValidateJWTSVIDRequest(audience=audience, svid=token)
        try:
            answer = api.first("ValidateJWTSVID", request)
        except grpc.RpcError as error:
            return error.code()
        assert answer.spiffe_id == claims_of(token)["sub"]
        return StatusCode.OK


ACCEPTED = {
    "J01 no typ": lambda s: s.token(s.header(typ=None)),
    "J02 typ JWT": lambda s: s.token(),
    "J02 typ JOSE": lambda s: s.token(s.header(typ="JOSE")),
    "J08 an extra header": lambda s: s.token(s.header(cty="x")),
    "J12 aud as a string": lambda s: s.token(claims=s.claims(aud="a")),
    "J12 aud among others": lambda s: s.token(claims=s.claims(aud=["b", "a"])),
    "J15 expired 20 s ago": lambda s: s.token(claims=s.claims(exp=int(time.time()) - 20)),
    "J16 fractional exp": lambda s: s.token(claims=s.claims(exp=s.now + 300.5)),
    "no iat": lambda s: s.token(claims=s.claims(iat=None)),
    "an unknown claim": lambda s: s.token(claims=s.claims(foo={"bar": [1, None]})),
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(served, signer, make):
    assert judge(served, make(signer)) == StatusCode.OK


STRANGER = ec.generate_private_key(ec.SECP256R1())

REJECTED = {
    "J03 typ jwt": lambda s: s.token(s.header(typ="jwt")),
    "J03 typ at+jwt": lambda s: s.token(s.header(typ="at+jwt")),
    "J03 typ wit+jwt": lambda s: s.token(s.header(typ="wit+jwt")),
    "J04 alg none": lambda s: s.token(s.header(alg="none"), sign=lambda _: b""),
    "J04 alg none, signed": lambda s: s.token(s.header(alg="none")),
    "J04 HS256 with the public key": lambda s: s.token(
        s.header(alg="HS256"), sign=hs256(public_pem(s.key.public_key()))
    ),
    "J04 EdDSA": lambda s: s.token(s.header(alg="EdDSA"), sign=ed25519.Ed25519PrivateKey.generate().sign),
    "J04 ES256K": lambda s: s.token(s.header(alg="ES256K")),
    "alg in lower case": lambda s: s.token(s.header(alg="es256")),
    "no alg": lambda s: s.token(s.header(alg=None)),
    "J06 unknown kid": lambda s: s.token(s.header(kid="other")),
    "empty kid": lambda s: s.token(s.header(kid="")),
    "kid as a number": lambda s: s.token(s.header(kid=1)),
    "J07 another curve's alg": lambda s: s.token(s.header(alg="ES384")),
    "J07 RS256 with an EC key": lambda s: s.token(s.header(alg="RS256")),
    "J09 crit": lambda s: s.token(s.header(crit=["foo"], foo=1)),
    "J10 no aud": lambda s: s.token(claims=s.claims(aud=None)),
    "J11 empty aud": lambda s: s.token(claims=s.claims(aud=[])),
    "aud as a number": lambda s: s.token(claims=s.claims(aud=1)),
    "J13 aud in another case": lambda s: s.token(claims=s.claims(aud=["A"])),
    "J14 no exp": lambda s: s.token(claims=s.claims(exp=None)),
    "J14 exp as a string": lambda s: s.token(claims=s.claims(exp=str(s.now + 300))),
    "J15 expired 90 s ago": lambda s: s.token(claims=s.claims(exp=int(time.time()) - 90)),
    "J17 not valid yet": lambda s: s.token(claims=s.claims(nbf=int(time.time()) + 120)),
    "J19 no sub": lambda s: s.token(claims=s.claims(sub=None)),
    "J19 sub is no SPIFFE ID": lambda s: s.token(claims=s.claims(sub="invalid")),
    "J20 sub of another trust domain": lambda s: s.token(claims=s.claims(sub="spiffe://other.org/w")),
    "J21 JSON serialization": lambda s: _json_serialization(s.token()),
    "J21 two segments": lambda s: s.token().rpartition(".")[0],
    "J21 four segments": lambda s: s.token() + ".AA",
    "J21 padded base64": lambda s: _padded(s),
    "J21 leading space": lambda s: " " + s.token(),
    "trailing newline": lambda s: s.token() + "\n",
    "J22 another key under the same kid": lambda s: s.token(sign=es256(STRANGER)),
    "J23 signature in DER": lambda s: s.token(sign=es256_der(s.key)),
    "signature of zeros": lambda s: s.token(sign=lambda _: bytes(64)),
    "signature cut short": lambda s: s.token(sign=lambda m: es256(s.key)(m)[:63]),
    "no signature": lambda s: s.token(sign=lambda _: b""),
    "J24 alg twice": lambda s: s.token('{"alg":"none","alg":"ES256","kid":"%s"}' % s.kid),
    "J24 sub twice": lambda s: s.token(claims='{"sub":"%s",%s' % (sid("/x"), json.dumps(s.claims())[1:])),
    "claims are a list": lambda s: s.token(claims="[]"),
    "not a token": lambda s: "x",
    "64 KiB of letters": lambda s: "x" * 65536,
}


@pytest.mark.parametrize("make", REJECTED.values(), ids=REJECTED.keys())
def test_rejects(served, signer, make):
    """SP-02: a token that does not hold is an invalid argument."""
    assert judge(served, make(signer)) == StatusCode.INVALID_ARGUMENT


def test_a_changed_claim_breaks_the_signature(served):
    """With a token as it was issued: no key needed."""
    with served.api() as api:
        token = api.jwt("a")[0].svid
    header, _, signature = token.split(".")
    forged = base64url(json.dumps(claims_of(token) | {"sub": sid("/admin")}).encode())
    assert judge(served, token) == StatusCode.OK
    assert judge(served, f"{header}.{forged}.{signature}") == StatusCode.INVALID_ARGUMENT
    assert header_of(token)["alg"] == "ES256"


def _json_serialization(token):
    protected, payload, signature = token.split(".")
    return json.dumps({"payload": payload, "protected": protected, "signature": signature})


def _padded(signer):
    """A token whose header was signed with its base64 padding in place."""
    for filler in ("", "x", "xx"):
        header = json.dumps(signer.header(kid=signer.kid)).replace("}", ',"x":"%s"}' % filler)
        if padding := "=" * (-len(base64url(header.encode())) % 4):
            signed = f"{base64url(header.encode())}{padding}.{base64url(json.dumps(signer.claims()).encode())}"
            return f"{signed}.{base64url(es256(signer.key)(signed.encode()))}"
    raise AssertionError("no header needs padding")
