"""A scripted fake of a SPIRE server below ours: what it asks the server above for, and how it takes the answers."""

from __future__ import annotations

import time
import uuid
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import stubs
from callers import TIMEOUT, Caller
from mintmark import TRUST_DOMAIN


class FakeNestedServer:
    """Asks over a connection with an SVID that its agent got for it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwt_key, self.jwt_key_id = ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex
        self.chain: list[x509.Certificate] = []
        self.roots: list[x509.Certificate] = []

    def ask_for_authority(self, lifetime: int) -> None:
        """An X.509 authority for a new key; what the server above trusts comes with it."""
        subject = x509.Name([
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "SPIFFE"),
        ])  # fmt: skip
        uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}")
        csr = (
            x509.CertificateSigningRequestBuilder().subject_name(subject)
            .add_extension(x509.SubjectAlternativeName([uri]), False).sign(self.key, hashes.SHA256())
        )  # fmt: skip
        request = stubs.svid.NewDownstreamX509CARequest(
            csr=csr.public_bytes(serialization.Encoding.DER), preferred_ttl=lifetime
        )
        answer = self.caller.svids.NewDownstreamX509CA(request, timeout=TIMEOUT)
        self.chain = [x509.load_der_x509_certificate(der) for der in answer.ca_cert_chain]
        self.roots = [x509.load_der_x509_certificate(der) for der in answer.x509_authorities]
        self._check(lifetime)

    def _check(self, lifetime: int) -> None:
        """What that server asks of an authority before it signs with it."""
        authority = self.chain[0]
        assert authority.public_key() == self.key.public_key(), "for another key"
        for certificate, issuer in zip(self.chain, self.chain[1:], strict=False):
            certificate.verify_directly_issued_by(issuer)
        assert any(root.subject == self.chain[-1].issuer for root in self.roots), "no root vouches for it"
        basic = authority.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage)
        assert basic.critical and basic.value.ca and usage.value.key_cert_sign
        names = authority.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://{TRUST_DOMAIN}"]
        assert authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        remaining = authority.not_valid_after_utc.timestamp() - time.time()
        assert 0 < remaining <= lifetime + 60

    def publish(self, **changes: Any) -> list[Any]:
        """Its JWT authority, for the server above to tell everyone; returns all that are known there."""
        key = self.jwt_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        fields = {"key_id": self.jwt_key_id, "public_key": key, "expires_at": int(time.time()) + 3600} | changes
        request = stubs.bundle.PublishJWTAuthorityRequest(jwt_authority=stubs.types.JWTKey(**fields))
        return list(self.caller.bundles.PublishJWTAuthority(request, timeout=TIMEOUT).jwt_authorities)

    def bundle(self) -> Any:
        """What is polled to hear of changes above."""
        return self.caller.bundles.GetBundle(stubs.bundle.GetBundleRequest(), timeout=TIMEOUT)
