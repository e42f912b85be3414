"""Certificates, judged by people who did not make them: cryptography's parser, the openssl command, and real TLS.

The X509 and X numbers are those of the conformance reference.
"""

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mintmark import TRUST_DOMAIN, fresh_id, mode, my_uid, openssl, sid
from workload import certificates_in, pem_certificates, uris_of

IDENTITY = sid("/x509/plain")
NAMED = sid("/x509/named")


class Material:
    """One issued SVID and its authority."""

    def __init__(self, up, spiffe_id):
        with up.api() as api:
            self.fetched = datetime.datetime.now(datetime.timezone.utc)
            svid = next(svid for svid in api.first("FetchX509SVID").svids if svid.spiffe_id == spiffe_id)
        [self.leaf] = certificates_in(svid.x509_svid)
        [self.authority] = certificates_in(svid.bundle)
        self.key = serialization.load_der_private_key(svid.x509_svid_key, password=None)


@pytest.fixture(scope="module")
def served(start_module_up):
    up = start_module_up()
    up.register(IDENTITY, my_uid())
    up.register(NAMED, my_uid(), flags=["--dns", "db.example", "--dns", "db.internal.example", "--x509-ttl", "10m"])
    return up


@pytest.fixture(scope="module")
def plain(served):
    return Material(served, IDENTITY)


@pytest.fixture(scope="module")
def named(served):
    return Material(served, NAMED)


@pytest.fixture(scope="module")
def written(served, module_home):
    """What `svid fetch x509 --write` leaves in a folder, with a umask that would let anyone read it."""
    folder = module_home / "written"
    folder.mkdir()
    served.fetch("fetch", "x509", "--write", folder, umask=0).expect(0)
    return folder


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def usages(certificate):
    """The names of the key usages that are set."""
    usage = extension(certificate, x509.KeyUsage).value
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign"]
    return {name for name in names if getattr(usage, name)}


# --- The leaf -------------------------------------------------------------------------------------


def test_a_leaf_has_one_uri_the_identity(plain):
    """X509-01, X01, X02."""
    san = extension(plain.leaf, x509.SubjectAlternativeName)
    assert uris_of(plain.leaf) == [IDENTITY]
    assert len(list(san.value)) == 1
    assert plain.leaf.version == x509.Version.v3


def test_san_is_critical_exactly_when_the_subject_is_empty(plain, named):
    """X509-04, X13."""
    for material in (plain, named):
        critical = extension(material.leaf, x509.SubjectAlternativeName).critical
        assert critical == (len(list(material.leaf.subject)) == 0)


def test_a_leaf_may_sign_and_nothing_else(plain):
    """X509-06 to X509-09, X07, X08."""
    assert extension(plain.leaf, x509.KeyUsage).critical
    assert usages(plain.leaf) == {"digital_signature"}


def test_a_leaf_is_no_authority_and_says_so(plain):
    """X509-05, X06, X09; SP-07: rust-spiffe wants the extension present."""
    constraints = extension(plain.leaf, x509.BasicConstraints)
    assert constraints.critical and not constraints.value.ca


def test_a_leaf_serves_both_ends_of_tls(plain):
    """X509-10, X509-11, X11."""
    purposes = set(extension(plain.leaf, x509.ExtendedKeyUsage).value)
    assert purposes == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_key_identifiers_link_leaf_and_authority(plain):
    own = extension(plain.leaf, x509.SubjectKeyIdentifier).value.digest
    issuer = extension(plain.leaf, x509.AuthorityKeyIdentifier).value.key_identifier
    assert issuer == extension(plain.authority, x509.SubjectKeyIdentifier).value.digest
    assert own and own != issuer


def test_a_leaf_lives_as_long_as_was_asked(plain, named):
    for material, seconds in ((plain, 3600), (named, 600)):
        end = (material.leaf.not_valid_after_utc - material.fetched).total_seconds()
        assert seconds - 60 < end <= seconds + 1, end
        start = (material.fetched - material.leaf.not_valid_before_utc).total_seconds()
        assert 5 <= start <= 70, f"starts {start} s before it was fetched; about 10 s were promised"


def test_serial_numbers_are_positive_large_and_different(plain, named):
    """RFC 5280 §4.1.2.2."""
    serials = [certificate.serial_number for certificate in (plain.leaf, named.leaf, plain.authority)]
    assert len(set(serials)) == 3
    assert all(0 < serial < 1 << 159 and serial.bit_length() > 64 for serial in serials), serials


def test_dns_names_come_on_top_of_the_one_uri(named):
    """X509-02, X04."""
    san = extension(named.leaf, x509.SubjectAlternativeName).value
    assert uris_of(named.leaf) == [NAMED]
    assert san.get_values_for_type(x509.DNSName) == ["db.example", "db.internal.example"]


def test_the_key_is_p256_and_the_leafs_own(plain, named):
    assert isinstance(plain.key.curve, ec.SECP256R1)
    assert plain.key.public_key() == plain.leaf.public_key()
    assert plain.leaf.public_key() != named.leaf.public_key()
    assert plain.leaf.public_key() != plain.authority.public_key()


# --- The authority --------------------------------------------------------------------------------


def test_the_authority_may_sign_certificates_and_lists_and_nothing_else(plain):
    """X509-12 to X509-15, X14."""
    constraints, usage = extension(plain.authority, x509.BasicConstraints), extension(plain.authority, x509.KeyUsage)
    assert constraints.critical and constraints.value.ca
    assert usage.critical and usages(plain.authority) == {"key_cert_sign", "crl_sign"}
    with pytest.raises(x509.ExtensionNotFound):
        extension(plain.authority, x509.ExtendedKeyUsage)


def test_the_authority_is_named_after_the_trust_domain(plain):
    """X509-16, X509-17, C-06, C-07: no path, not even a slash."""
    assert uris_of(plain.authority) == [f"spiffe://{TRUST_DOMAIN}"]


def test_the_authority_is_self_signed_and_lives_a_day(plain):
    plain.authority.verify_directly_issued_by(plain.authority)
    end = (plain.authority.not_valid_after_utc - plain.fetched).total_seconds()
    assert 86400 - 120 < end <= 86401, end


def test_leaf_and_authority_have_different_subjects(plain):
    """OpenSSL calls a leaf self-signed whose subject is its issuer's."""
    assert plain.leaf.subject != plain.leaf.issuer == plain.authority.subject
    plain.leaf.verify_directly_issued_by(plain.authority)


def test_a_leaf_never_outlives_its_authority(start_up):
    up = start_up("--ca-ttl", "2m", "--x509-ttl", "1h")
    up.register(IDENTITY, my_uid())
    material = Material(up, IDENTITY)
    assert material.leaf.not_valid_after_utc <= material.authority.not_valid_after_utc
    assert material.leaf.not_valid_before_utc >= material.authority.not_valid_before_utc


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "rsa-4096"])
@pytest.mark.limit(60)
def test_authorities_of_every_key_type_sign(start_up, home, key_type):
    up = start_up("--ca-key-type", key_type)
    up.register(IDENTITY, my_uid())
    material = Material(up, IDENTITY)
    key = material.authority.public_key()
    kind, size = key_type.split("-")
    if kind == "rsa":
        assert isinstance(key, rsa.RSAPublicKey) and key.key_size == int(size)
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size == int(size[1:])
    assert isinstance(material.leaf.public_key(), ec.EllipticCurvePublicKey)
    folder = home / "w"
    folder.mkdir()
    up.fetch("fetch", "x509", "--write", folder).expect(0)
    openssl("verify", "-x509_strict", "-CAfile", folder / "bundle.0.pem", folder / "svid.0.pem").expect(0)


# --- The openssl command --------------------------------------------------------------------------


def test_write_makes_three_files_for_each_identity_and_keeps_the_key_private(written):
    names = {path.name for path in written.iterdir()}
    assert names == {
        f"{kind}.{n}.{end}" for n in (0, 1) for kind, end in (("svid", "pem"), ("svid", "key"), ("bundle", "pem"))
    }
    for path in written.glob("*.key"):
        assert mode(path) == 0o600, oct(mode(path))
    for path in written.glob("*.pem"):
        assert mode(path) & 0o022 == 0, f"others may write {path.name}: {mode(path):o}"


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_verifies_what_was_written(written, purpose):
    for n in (0, 1):
        result = openssl(
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            written / f"bundle.{n}.pem",
            written / f"svid.{n}.pem",
        )
        result.expect(0)
        assert ": OK" in result.out, result


def test_openssl_sees_the_purposes_that_a_leaf_has_and_no_other(written):
    said = openssl("x509", "-in", written / "svid.0.pem", "-noout", "-purpose").expect(0).out
    purposes = dict(line.split(" : ") for line in said.splitlines() if " : " in line)
    assert (purposes["SSL client"], purposes["SSL server"]) == ("Yes", "Yes"), said
    assert purposes["CRL signing"] == "No", said
    as_authority = {purpose for purpose, answer in purposes.items() if purpose.endswith(" CA") and answer != "No"}
    assert as_authority <= {"Any Purpose CA"}, said


def test_openssl_refuses_the_leaf_under_another_authority(written, start_up, home):
    stranger = start_up()
    other = home / "other.pem"
    other.write_text(stranger.bundle_pem())
    result = openssl("verify", "-CAfile", other, written / "svid.0.pem")
    assert result.code != 0, result


def test_openssl_reads_the_key_as_the_certificates_own(written):
    for n in (0, 1):
        openssl("pkey", "-in", written / f"svid.{n}.key", "-noout", "-check").expect(0)
        from_key = openssl("pkey", "-in", written / f"svid.{n}.key", "-pubout").expect(0).out
        from_certificate = openssl("x509", "-in", written / f"svid.{n}.pem", "-noout", "-pubkey").expect(0).out
        assert from_key == from_certificate
        assert "BEGIN PRIVATE KEY" in (written / f"svid.{n}.key").read_text(), "PKCS#8, unencrypted"


def test_writing_again_replaces_the_files_and_keeps_the_key_private(served, home):
    folder = home / "again"
    folder.mkdir()
    for _ in range(2):
        served.fetch("fetch", "x509", "--write", folder).expect(0)
    [leaf] = pem_certificates((folder / "svid.0.pem").read_text())
    assert len(uris_of(leaf)) == 1
    assert mode(folder / "svid.0.key") == 0o600
    assert len(list(folder.iterdir())) == 6


# --- Real TLS -------------------------------------------------------------------------------------


def _context(side, folder, n):
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / f"svid.{n}.pem", folder / f"svid.{n}.key")
    context.load_verify_locations(folder / f"bundle.{n}.pem")
    return context


def _shake_hands(client_context, server_context):
    """A handshake in memory; returns what each side learned of the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    for _ in range(20):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
        if len(done) == 2:
            return [x509.load_der_x509_certificate(side.getpeercert(binary_form=True)) for side in (client, server)]
    raise AssertionError("the handshake does not come to an end")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_two_workloads_authenticate_each_other_by_tls(written, version):
    client, server = _context(ssl.PROTOCOL_TLS_CLIENT, written, 0), _context(ssl.PROTOCOL_TLS_SERVER, written, 1)
    client.minimum_version = client.maximum_version = version
    of_server, of_client = _shake_hands(client, server)
    assert {*uris_of(of_server), *uris_of(of_client)} == {IDENTITY, NAMED}


def test_a_workload_of_another_authority_fails_the_handshake(written, start_up, home):
    stranger = start_up()
    stranger.register(fresh_id(), my_uid())
    folder = home / "stranger"
    folder.mkdir()
    stranger.fetch("fetch", "x509", "--write", folder).expect(0)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(_context(ssl.PROTOCOL_TLS_CLIENT, written, 0), _context(ssl.PROTOCOL_TLS_SERVER, folder, 0))
