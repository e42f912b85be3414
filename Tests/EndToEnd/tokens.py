"""JWTs made by hand, right and wrong in every way a validator has to notice."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(token: str) -> dict[str, Any]:
    return json.loads(unbase64url(token.split(".")[0]))


def claims_of(token: str) -> dict[str, Any]:
    return json.loads(unbase64url(token.split(".")[1]))


def compact(header: dict[str, Any] | str, claims: dict[str, Any] | str, sign: Any) -> str:
    """A compact JWS; parts given as text go in as they are, so that they may be malformed."""
    parts = [part if isinstance(part, str) else json.dumps(part, separators=(",", ":")) for part in (header, claims)]
    signed = ".".join(base64url(part.encode()) for part in parts)
    return f"{signed}.{base64url(sign(signed.encode()))}"


def es256(key: ec.EllipticCurvePrivateKey) -> Any:
    """Signs as JWS wants it: R and S, 32 bytes each (RFC 7518 §3.4)."""

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def es256_der(key: ec.EllipticCurvePrivateKey) -> Any:
    return lambda message: key.sign(message, ec.ECDSA(hashes.SHA256()))


def hs256(secret: bytes) -> Any:
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


def public_pem(key: Any) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def verify(token: str, jwks: dict[str, dict[str, Any]], audience: str) -> dict[str, Any]:
    """Verifies with PyJWT against the key that the token names."""
    header = header_of(token)
    key = jwt.PyJWK(jwks[header["kid"]], algorithm=header["alg"])
    options = {"require": ["exp", "aud", "sub"]}
    return jwt.decode(token, key=key.key, algorithms=[header["alg"]], audience=audience, options=options)


def private_key_in(folder: Path, jwks: dict[str, dict[str, Any]]) -> tuple[ec.EllipticCurvePrivateKey, str] | None:
    """The private key, among the files of a folder, that fits a published EC key, with its key ID."""
    published = {public_pem(jwt.PyJWK(key, algorithm="ES256").key): kid for kid, key in jwks.items()}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        for load in (serialization.load_der_private_key, serialization.load_pem_private_key):
            try:
                key = load(path.read_bytes(), password=None)
            except (ValueError, TypeError):
                continue
            if kid := published.get(public_pem(key.public_key())):
                return key, kid
    return None
