"""Both halves of the node attestation `x509pop`, in the words that SPIRE's agent and server say to each other.

Payload, challenge and answer are JSON, with bytes in base64. The signature is over the SHA-256 of both nonces: ECDSA with R and S
apart, or RSASSA-PSS with the longest salt that fits.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

NONCE = 32
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
_DIGEST = utils.Prehashed(hashes.SHA256())
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)


class NodeAuthority:
    """Whoever gives nodes their certificates before they have an identity."""

    def __init__(self, name: str = "nodes") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), is_authority=True)

    def _sign(self, name: str, key: Any, is_authority: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(not is_authority, False, False, False, False, is_authority, is_authority, False, False)
        return (
            x509.CertificateBuilder().subject_name(subject)
            .issuer_name(subject if is_authority else self.certificate.subject)
            .public_key(key).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(is_authority, None), True).add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip

    def node(self, name: str, kind: str = "ec") -> Node:
        """A node with a certificate."""
        if kind == "ec":
            key: Any = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(65537, 2048)
        return Node(key, self._sign(name, key.public_key(), is_authority=False))

    def write(self, folder: Path) -> Path:
        path = folder / "node-authority.pem"
        path.write_bytes(self.certificate.public_bytes(PEM))
        return path


class Node:
    """A machine with a certificate of its owner's."""

    def __init__(self, key: Any, certificate: x509.Certificate) -> None:
        self.key, self.certificate = key, certificate

    @property
    def id_path(self) -> str:
        return f"/spire/agent/x509pop/{hashlib.sha1(self.certificate.public_bytes(DER)).hexdigest()}"

    def write(self, folder: Path) -> dict[str, str]:
        """The files, as the agent's configuration names them."""
        certificate, key = folder / "node.pem", folder / "node.key"
        certificate.write_bytes(self.certificate.public_bytes(PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return {"certificate_path": str(certificate), "private_key_path": str(key)}

    # --- The agent's half -----------------------------------------------------------------------------

    def payload(self) -> bytes:
        return json.dumps({"certificates": [_text(self.certificate.public_bytes(DER))]}).encode()

    def answer(self, challenge: bytes) -> bytes:
        """What proves that the key is there."""
        asked = json.loads(challenge)
        nonce = os.urandom(NONCE)
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            assert asked.get("rsa_signature") is None
            digest = _digest(asked["ecdsa_signature"]["nonce"], nonce)
            r, s = utils.decode_dss_signature(self.key.sign(digest, ec.ECDSA(_DIGEST)))
            signature = {"nonce": _text(nonce), "r": _number(r), "s": _number(s)}
            return json.dumps({"rsa_signature": None, "ecdsa_signature": signature}).encode()
        assert asked.get("ecdsa_signature") is None
        digest = _digest(asked["rsa_signature"]["nonce"], nonce)
        signature = {"nonce": _text(nonce), "signature": _text(self.key.sign(digest, _PSS, _DIGEST))}
        return json.dumps({"rsa_signature": signature, "ecdsa_signature": None}).encode()


# --- The server's half --------------------------------------------------------------------------------


def opened(payload: bytes, authority: NodeAuthority) -> x509.Certificate:
    """The certificate of a node that the authority vouches for."""
    [der] = json.loads(payload)["certificates"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(der))
    certificate.verify_directly_issued_by(authority.certificate)
    return certificate


def challenge(certificate: x509.Certificate) -> tuple[bytes, bytes]:
    """What the node is asked, and the nonce in it."""
    nonce = os.urandom(NONCE)
    asked = {"nonce": _text(nonce)}
    is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    message = {"rsa_signature": asked if is_rsa else None, "ecdsa_signature": None if is_rsa else asked}
    return json.dumps(message).encode(), nonce


def check(answer: bytes, nonce: bytes, certificate: x509.Certificate) -> None:
    """Raises where the answer does not prove that the node has the certificate's key."""
    message, key = json.loads(answer), certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        given = message["rsa_signature"]
        salt = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
        key.verify(base64.b64decode(given["signature"]), _digest(_text(nonce), _bytes(given["nonce"])), salt, _DIGEST)
        return
    given = message["ecdsa_signature"]
    signature = utils.encode_dss_signature(*(int.from_bytes(_bytes(given[part]), "big") for part in "rs"))
    key.verify(signature, _digest(_text(nonce), _bytes(given["nonce"])), ec.ECDSA(_DIGEST))


def _digest(challenger: str, responder: bytes) -> bytes:
    first = _bytes(challenger)
    assert len(first) == len(responder) == NONCE
    return hashlib.sha256(first + responder).digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _number(value: int) -> str:
    """Big-endian, without leading zeros."""
    return _text(value.to_bytes((value.bit_length() + 7) // 8, "big"))
