"""Our server, as a SPIRE server below it uses it: played message by message by a scripted fake, never by the real one."""

from __future__ import annotations

import datetime

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from callers import refused
from fake_nested_server import FakeNestedServer

Code = grpc.StatusCode


@pytest.fixture
def below(cast):
    return FakeNestedServer(cast["below"])


def test_it_gets_an_authority_that_the_bundle_vouches_for(cast, below):
    below.ask_for_authority(3600)
    roots = [x509.load_der_x509_certificate(one.asn1) for one in below.bundle().x509_authorities]
    assert below.roots == roots
    assert any(below.chain[-1].issuer == root.subject for root in roots)
    below.chain[-1].verify_directly_issued_by(roots[-1])


def test_an_authority_ends_before_the_one_above(below):
    below.ask_for_authority(2**31 - 1)
    [end] = {root.not_valid_after_utc for root in below.roots}
    assert below.chain[0].not_valid_after_utc <= end
    first, below.key = below.chain[0], ec.generate_private_key(ec.SECP256R1())
    below.ask_for_authority(600)
    assert below.chain[0].serial_number != first.serial_number
    assert below.chain[0].not_valid_after_utc < first.not_valid_after_utc


def test_its_key_is_known_to_everyone_until_it_ends(cast, below):
    before = below.bundle().sequence_number
    known = {key.key_id: key for key in below.publish()}
    mine = known[below.jwt_key_id]
    assert serialization.load_der_public_key(mine.public_key) == below.jwt_key.public_key()
    assert abs(mine.expires_at - datetime.datetime.now().timestamp() - 3600) < 60 and not mine.tainted
    after = below.bundle()
    assert after.sequence_number > before
    assert {key.key_id for key in after.jwt_authorities} == set(known)
    # Once more, as after a restart.
    assert {key.key_id for key in below.publish()} == set(known)
    assert below.bundle().sequence_number == after.sequence_number


def test_a_key_does_not_take_the_place_of_another(cast, below):
    below.publish()
    other = FakeNestedServer(cast["below"])
    with refused(Code.ALREADY_EXISTS):
        other.publish(key_id=below.jwt_key_id)
    own = {key.key_id for key in below.bundle().jwt_authorities} - {below.jwt_key_id}
    for key_id in own:
        with refused(Code.ALREADY_EXISTS):
            other.publish(key_id=key_id)
