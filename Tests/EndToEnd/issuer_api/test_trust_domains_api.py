"""`spire.api.server.trustdomain.v1.TrustDomain`, call by call, and the fetching behind it."""

from __future__ import annotations

import time
import uuid

import grpc
import pytest

import stubs
from callers import TIMEOUT, refused
from endpoints import Domain, Endpoint
from mintmark import poll

Code = grpc.StatusCode
Relationship = stubs.types.FederationRelationship
Web = stubs.types.HTTPSWebProfile


def fresh_domain() -> str:
    return f"far-{uuid.uuid4().hex[:12]}.example"


def spiffe(spiffe_id: str):
    return stubs.types.HTTPSSPIFFEProfile(endpoint_spiffe_id=spiffe_id)


def make(domain: str, **changes):
    """A relationship that breaks no rule; nobody answers at its endpoint."""
    fields = {"trust_domain": domain, "bundle_endpoint_url": "https://127.0.0.1:1/bundle"}
    if not changes.keys() & {"https_web", "https_spiffe"}:
        fields["https_web"] = Web()
    return Relationship(**(fields | changes))


def bundle_of(domain: Domain, **changes):
    fields = {"trust_domain": domain.domain, "x509_authorities": [stubs.types.X509Certificate(asn1=domain.certificate)]}
    return stubs.types.Bundle(**(fields | changes))


def create(issuer, *relationships, mask=None):
    request = stubs.trustdomain.BatchCreateFederationRelationshipRequest(
        federation_relationships=relationships, output_mask=mask
    )
    return list(issuer.admin.trust_domains.BatchCreateFederationRelationship(request, timeout=TIMEOUT).results)


def created(issuer, relationship):
    [result] = create(issuer, relationship)
    assert result.status.code == 0, result
    return result.federation_relationship


def update(issuer, *relationships, mask=None, output=None):
    request = stubs.trustdomain.BatchUpdateFederationRelationshipRequest(
        federation_relationships=relationships, input_mask=mask, output_mask=output
    )
    return list(issuer.admin.trust_domains.BatchUpdateFederationRelationship(request, timeout=TIMEOUT).results)


def get(issuer, domain, mask=None):
    request = stubs.trustdomain.GetFederationRelationshipRequest(trust_domain=domain, output_mask=mask)
    return issuer.admin.trust_domains.GetFederationRelationship(request, timeout=TIMEOUT)


def listed(issuer, **arguments):
    request = stubs.trustdomain.ListFederationRelationshipsRequest(**arguments)
    return issuer.admin.trust_domains.ListFederationRelationships(request, timeout=TIMEOUT)


def delete(issuer, *domains):
    request = stubs.trustdomain.BatchDeleteFederationRelationshipRequest(trust_domains=domains)
    return list(issuer.admin.trust_domains.BatchDeleteFederationRelationship(request, timeout=TIMEOUT).results)


def refresh(issuer, domain, timeout=30.0):
    request = stubs.trustdomain.RefreshBundleRequest(trust_domain=domain)
    issuer.admin.trust_domains.RefreshBundle(request, timeout=timeout)


def held(issuer, domain):
    """The bundle that the server has; None when it has none."""
    try:
        return issuer.admin.bundles.GetFederatedBundle(
            stubs.bundle.GetFederatedBundleRequest(trust_domain=domain), timeout=TIMEOUT
        )
    except grpc.RpcError as error:
        assert error.code() == Code.NOT_FOUND, error
        return None


def status(issuer, domain):
    """What `mintmark federation show` says."""
    return issuer.server.json("federation", "show", domain)


# --- Relationships --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["https_web", "https_spiffe"])
def test_a_relationship_comes_back_as_it_was_given(issuer, profile):
    domain = Domain(fresh_domain())
    value = Web() if profile == "https_web" else spiffe(f"spiffe://{domain.domain}/endpoint")
    relationship = make(domain.domain, trust_domain_bundle=bundle_of(domain), **{profile: value})
    assert created(issuer, relationship) == relationship
    assert get(issuer, domain.domain) == relationship == get(issuer, f"spiffe://{domain.domain}")
    assert relationship in listed(issuer).federation_relationships
    assert held(issuer, domain.domain) == relationship.trust_domain_bundle


@pytest.mark.parametrize("field", ["bundle_endpoint_url", "bundle_endpoint_profile", "trust_domain_bundle"])
def test_a_mask_leaves_the_rest_out(issuer, field):
    domain = Domain(fresh_domain())
    relationship = make(domain.domain, trust_domain_bundle=bundle_of(domain))
    mask = stubs.types.FederationRelationshipMask(**{field: True})
    [result] = create(issuer, relationship, mask=mask)
    shown = {"bundle_endpoint_profile": "https_web"}.get(field, field)
    expected = Relationship(trust_domain=domain.domain)
    getattr(expected, shown).CopyFrom(getattr(relationship, shown)) if field != "bundle_endpoint_url" else setattr(
        expected, field, relationship.bundle_endpoint_url
    )
    assert result.federation_relationship == expected == get(issuer, domain.domain, mask)
    assert expected in listed(issuer, output_mask=mask).federation_relationships


BAD = {
    "no trust domain": dict(trust_domain=""),
    "an upper-case trust domain": dict(trust_domain="Far.example"),
    "the own trust domain": dict(trust_domain="example.org"),
    "no URL": dict(bundle_endpoint_url=""),
    "no scheme": dict(bundle_endpoint_url="127.0.0.1/bundle"),
    "another scheme": dict(bundle_endpoint_url="http://127.0.0.1/bundle"),
    "a file": dict(bundle_endpoint_url="file:///etc/passwd"),
    "no host": dict(bundle_endpoint_url="https:///bundle"),
    "a user": dict(bundle_endpoint_url="https://admin@127.0.0.1/bundle"),
    "a password": dict(bundle_endpoint_url="https://admin:secret-word@127.0.0.1/bundle"),
    "an empty user": dict(bundle_endpoint_url="https://@127.0.0.1/bundle"),
    "a fragment": dict(bundle_endpoint_url="https://127.0.0.1/bundle#x"),
    "a backslash": dict(bundle_endpoint_url="https://127.0.0.1\\@other.example/"),
    "a blank": dict(bundle_endpoint_url="https://127.0.0.1/a b"),
    "a line break": dict(bundle_endpoint_url="https://127.0.0.1/a\r\nHost: b"),
    "a port out of range": dict(bundle_endpoint_url="https://127.0.0.1:70000/"),
    "too long a URL": dict(bundle_endpoint_url="https://127.0.0.1/" + "a" * 2100),
    "no profile": dict(),
    "an endpoint without a SPIFFE ID": dict(https_spiffe=spiffe("")),
    "an endpoint whose ID is none": dict(https_spiffe=spiffe("https://far.example/")),
    "the bundle of another domain": dict(
        trust_domain_bundle=stubs.types.Bundle(trust_domain="another.example", sequence_number=1)
    ),
    "a bundle that is noise": dict(
        trust_domain_bundle=stubs.types.Bundle(
            trust_domain="another.example", x509_authorities=[stubs.types.X509Certificate(asn1=b"x")]
        )
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_relationship_is_refused_and_the_good_one_beside_it_is_not(issuer, name):
    good, bad = make(fresh_domain()), make(fresh_domain(), **BAD[name])
    if name == "no profile":
        bad.ClearField("https_web")
    refusal, success = create(issuer, bad, good)
    assert refusal.status.code == Code.INVALID_ARGUMENT.value[0] and refusal.status.message, refusal
    assert "secret-word" not in refusal.status.message + issuer.server.log
    assert not refusal.HasField("federation_relationship")
    assert success.status.code == 0 and success.federation_relationship == good
    delete(issuer, good.trust_domain)


def test_a_relationship_is_created_once(issuer):
    relationship = make(fresh_domain())
    created(issuer, relationship)
    [again] = create(issuer, make(relationship.trust_domain, bundle_endpoint_url="https://127.0.0.1:2/"))
    assert again.status.code == Code.ALREADY_EXISTS.value[0]
    assert get(issuer, relationship.trust_domain) == relationship


def test_an_update_changes_what_the_mask_names(issuer):
    domain = Domain(fresh_domain())
    old = created(issuer, make(domain.domain))
    new = make(
        domain.domain, bundle_endpoint_url="https://127.0.0.1:2/b", https_spiffe=spiffe("spiffe://another.example/e"),
        trust_domain_bundle=bundle_of(domain),
    )
    mask = stubs.types.FederationRelationshipMask
    [result] = update(issuer, new, mask=mask(bundle_endpoint_url=True))
    assert result.federation_relationship.bundle_endpoint_url == new.bundle_endpoint_url
    assert result.federation_relationship.WhichOneof("bundle_endpoint_profile") == "https_web"
    assert held(issuer, domain.domain) is None
    [result] = update(issuer, new, mask=mask(bundle_endpoint_profile=True))
    assert result.federation_relationship.https_spiffe == new.https_spiffe
    [result] = update(issuer, new, mask=mask(trust_domain_bundle=True))
    assert get(issuer, domain.domain) == new == result.federation_relationship
    [result] = update(issuer, old, output=mask(bundle_endpoint_url=True))
    assert result.federation_relationship == Relationship(
        trust_domain=domain.domain, bundle_endpoint_url=old.bundle_endpoint_url
    )
    # An update without a bundle leaves the one that is there.
    assert held(issuer, domain.domain) == new.trust_domain_bundle


def test_updates_of_a_batch_stand_alone(issuer):
    there = created(issuer, make(fresh_domain()))
    missing, bad = make(fresh_domain()), make(there.trust_domain, bundle_endpoint_url="http://127.0.0.1/")
    results = update(issuer, missing, bad, there)
    expected = [Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.OK]
    assert [result.status.code for result in results] == [code.value[0] for code in expected], results


def test_deletions_of_a_batch_stand_alone(issuer):
    there, missing = created(issuer, make(fresh_domain())).trust_domain, fresh_domain()
    results = delete(issuer, missing, there, "", "UPPER", there)
    expected = [Code.NOT_FOUND, Code.OK, Code.INVALID_ARGUMENT, Code.INVALID_ARGUMENT, Code.NOT_FOUND]
    assert [result.status.code for result in results] == [code.value[0] for code in expected], results
    assert [result.trust_domain for result in results] == [missing, there, "", "UPPER", there]
    with refused(Code.NOT_FOUND):
        get(issuer, there)


@pytest.mark.parametrize("domain", ["", "UPPER", "spiffe://far.example/x"])
def test_names_that_are_no_trust_domains(issuer, domain):
    for call in (get, refresh):
        with refused(Code.INVALID_ARGUMENT):
            call(issuer, domain)


def test_what_is_not_there(issuer):
    for call in (get, refresh):
        with refused(Code.NOT_FOUND):
            call(issuer, fresh_domain())


def test_pages_hold_everything_once(issuer):
    domains = {created(issuer, make(fresh_domain())).trust_domain for _ in range(5)}
    found, token = [], ""
    while True:
        page = listed(issuer, page_size=2, page_token=token)
        assert 1 <= len(page.federation_relationships) <= 2
        found += [relationship.trust_domain for relationship in page.federation_relationships]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(found) and len(found) == len(set(found)) and domains <= set(found)
    with refused(Code.INVALID_ARGUMENT):
        listed(issuer, page_size=-1)


# --- Fetching -------------------------------------------------------------------------------------


@pytest.fixture
def peer(home):
    """Another domain, and its endpoint with an SVID of that domain."""
    domain = Domain(fresh_domain())
    with Endpoint(domain.write_svid(home, "/spire/server")) as endpoint:
        endpoint.serve(domain.document())
        yield domain, endpoint


def follow(issuer, domain: Domain, endpoint: Endpoint, **changes):
    """Follows by the endpoint's SVID, beginning with the domain's bundle."""
    fields = {
        "bundle_endpoint_url": endpoint.url,
        "https_spiffe": spiffe(f"spiffe://{domain.domain}/spire/server"),
        "trust_domain_bundle": bundle_of(domain),
    }
    return created(issuer, make(domain.domain, **(fields | changes)))


def test_a_bundle_is_fetched_soon_after_its_relationship_began(issuer, peer):
    domain, endpoint = peer
    follow(issuer, domain, endpoint)
    poll("the bundle", lambda: (found := held(issuer, domain.domain)) and found.sequence_number == 1, within=10)
    found = held(issuer, domain.domain)
    assert [authority.asn1 for authority in found.x509_authorities] == [domain.certificate]
    assert [key.key_id for key in found.jwt_authorities] == [domain.key_id]
    shown = status(issuer, domain.domain)
    assert shown["error"] is None and shown["succeeded_at"] and shown["next_attempt_at"] > shown["succeeded_at"]
    assert set(endpoint.requests) == {"/bundle"}


def test_a_refresh_answers_when_the_bundle_is_stored(issuer, peer):
    domain, endpoint = peer
    follow(issuer, domain, endpoint)
    for sequence in (2, 3, 3, 4):
        endpoint.serve(domain.document(sequence))
        refresh(issuer, domain.domain)
        assert held(issuer, domain.domain).sequence_number == sequence


def test_an_older_bundle_does_not_take_the_place_of_a_newer_one(issuer, peer):
    """FED-35."""
    domain, endpoint = peer
    follow(issuer, domain, endpoint)
    endpoint.serve(domain.document(9))
    refresh(issuer, domain.domain)
    endpoint.serve(domain.document(8))
    with refused(Code.INTERNAL) as caught:
        refresh(issuer, domain.domain)
    assert "older" in caught[0].details()
    assert held(issuer, domain.domain).sequence_number == 9
    # Without a number, what was fetched last wins.
    endpoint.serve(domain.document(None))
    refresh(issuer, domain.domain)
    assert held(issuer, domain.domain).sequence_number == 0


def test_the_newest_bundle_decides_whom_to_believe(issuer, peer, home):
    """FED-24: after a rotation the endpoint's new authority is known, and its old one is not."""
    domain, endpoint = peer
    follow(issuer, domain, endpoint)
    heir = Domain(domain.domain)
    endpoint.serve(heir.document(2))
    refresh(issuer, domain.domain)
    with refused(Code.INTERNAL):
        refresh(issuer, domain.domain)
    with Endpoint(heir.write_svid(home, "/spire/server")) as moved:
        moved.serve(heir.document(3))
        update(
            issuer, make(domain.domain, bundle_endpoint_url=moved.url),
            mask=stubs.types.FederationRelationshipMask(bundle_endpoint_url=True),
        )
        refresh(issuer, domain.domain)
    assert held(issuer, domain.domain).sequence_number == 3


def test_an_endpoint_may_be_of_a_third_domain(issuer, home):
    """FED-25, FED-26."""
    domain, host = Domain(fresh_domain()), Domain(fresh_domain())
    with Endpoint(host.write_svid(home, "/publisher")) as endpoint:
        endpoint.serve(domain.document(5))
        name = f"spiffe://{host.domain}/publisher"
        created(issuer, make(domain.domain, bundle_endpoint_url=endpoint.url, https_spiffe=spiffe(name)))
        with refused(Code.INTERNAL) as caught:
            refresh(issuer, domain.domain)
        assert host.domain in caught[0].details(), "FED-22: nothing says how to know the endpoint"
        assert not endpoint.requests, "asked before the endpoint could be known"
        request = stubs.bundle.BatchSetFederatedBundleRequest(bundle=[bundle_of(host)])
        issuer.admin.bundles.BatchSetFederatedBundle(request, timeout=TIMEOUT)
        refresh(issuer, domain.domain)
    assert held(issuer, domain.domain).sequence_number == 5


IMPOSTORS = {
    "another ID of the same domain": lambda domain: (domain, "/spire/impostor"),
    "the same name from another authority": lambda domain: (Domain(domain.domain), "/spire/server"),
    "the same path in another domain": lambda domain: (Domain(fresh_domain()), "/spire/server"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_an_impostor_is_not_believed(issuer, home, name):
    """FED-28."""
    domain = Domain(fresh_domain())
    authority, path = IMPOSTORS[name](domain)
    with Endpoint(authority.write_svid(home, path)) as endpoint:
        endpoint.serve(domain.document(99))
        follow(issuer, domain, endpoint)
        with refused(Code.INTERNAL) as caught:
            refresh(issuer, domain.domain)
        assert "who it should be" in caught[0].details(), caught[0].details()
        assert not endpoint.requests, "the request went out before the endpoint was known"
    assert held(issuer, domain.domain) == bundle_of(domain)
    assert status(issuer, domain.domain)["error"]


def test_a_svid_is_no_web_certificate(issuer, peer):
    """FED-21: one profile is never tried in place of the other."""
    domain, endpoint = peer
    created(
        issuer, make(domain.domain, bundle_endpoint_url=endpoint.url, https_web=Web(), trust_domain_bundle=bundle_of(domain))
    )
    with refused(Code.INTERNAL) as caught:
        refresh(issuer, domain.domain)
    assert "who it should be" in caught[0].details(), caught[0].details()
    assert not endpoint.requests


MISHAPS = {
    "not found": (lambda domain, endpoint: endpoint.serve(b"", 404), "404"),
    "an error with a bundle in it": (lambda domain, endpoint: endpoint.serve(domain.document(9), 500), "500"),
    "a redirect": (
        lambda domain, endpoint: endpoint.serve(b"", 302, {"Location": f"{endpoint.url}/elsewhere"}), "302",
    ),
    "a redirect to this machine": (
        lambda domain, endpoint: endpoint.serve(b"", 307, {"Location": "http://127.0.0.1:1/"}), "307",
    ),
    "no JSON": (lambda domain, endpoint: endpoint.serve(b"<html>"), "sound"),
    "an empty body": (lambda domain, endpoint: endpoint.serve(b""), "sound"),
    "no keys": (lambda domain, endpoint: endpoint.serve(b"{}"), "sound"),
    "a negative number": (
        lambda domain, endpoint: endpoint.serve(b'{"keys":[],"spiffe_sequence":-1}'), "sound",
    ),
    "a body that does not end": (lambda domain, endpoint: endpoint.serve_endlessly(), "bytes"),
    "a compressed bomb": (
        lambda domain, endpoint: endpoint.serve(b"\x1f\x8b" + bytes(100), 200, {"Content-Encoding": "gzip"}), "sound",
    ),
}


@pytest.mark.parametrize("name", MISHAPS)
def test_what_is_no_bundle_changes_nothing_and_is_visible(issuer, peer, name):
    domain, endpoint = peer
    misbehave, saying = MISHAPS[name]
    misbehave(domain, endpoint)
    follow(issuer, domain, endpoint)
    with refused(Code.INTERNAL) as caught:
        refresh(issuer, domain.domain)
    assert saying in caught[0].details(), caught[0].details()
    assert held(issuer, domain.domain) == bundle_of(domain)
    assert saying in status(issuer, domain.domain)["error"]
    assert "/bundle/elsewhere" not in endpoint.requests
    # It heals as soon as the endpoint does.
    endpoint.serve(domain.document(12))
    refresh(issuer, domain.domain)
    assert held(issuer, domain.domain).sequence_number == 12
    assert status(issuer, domain.domain)["error"] is None


def test_an_empty_bundle_takes_all_trust_away(issuer, peer):
    domain, endpoint = peer
    follow(issuer, domain, endpoint)
    endpoint.serve(b'{"keys":[],"spiffe_sequence":10}')
    refresh(issuer, domain.domain)
    found = held(issuer, domain.domain)
    assert not found.x509_authorities and not found.jwt_authorities and found.sequence_number == 10


@pytest.fixture(scope="module", autouse=True)
def silent(issuer, module_home):
    """An endpoint that says nothing, which the server asks while the tests of this file go on."""
    domain = Domain(fresh_domain())
    with Endpoint(domain.write_svid(module_home, "/spire/server")) as endpoint:
        go_on = endpoint.fall_silent()
        try:
            follow(issuer, domain, endpoint)
            poll("the slow endpoint to be asked", lambda: endpoint.requests, within=10)
            yield domain
        finally:
            go_on.set()


def test_a_slow_endpoint_delays_no_other(issuer, peer):
    domain, endpoint = peer
    began = time.monotonic()
    follow(issuer, domain, endpoint)
    poll("the quick one's bundle", lambda: held(issuer, domain.domain).sequence_number == 1, within=10)
    refresh(issuer, domain.domain)
    assert time.monotonic() - began < 10


def test_what_is_fetched_for_a_relationship_that_ended_is_dropped(issuer, peer):
    domain, endpoint = peer
    answering = endpoint.answer
    go_on = endpoint.fall_silent()
    follow(issuer, domain, endpoint)
    poll("the endpoint to be asked", lambda: endpoint.requests, within=10)
    delete(issuer, domain.domain)
    endpoint.answer = answering
    go_on.set()
    time.sleep(1.5)
    assert held(issuer, domain.domain) == bundle_of(domain), "a bundle that stays is the admin's to delete"


def test_relationships_survive_a_restart(roles, peer):
    domain, endpoint = peer
    server = roles.server()

    class Alone:
        pass

    import callers

    alone = Alone()
    alone.server = server
    with callers.admin(server) as alone.admin:
        follow(alone, domain, endpoint)
        refresh(alone, domain.domain)
    server.stop()
    endpoint.serve(domain.document(21))
    server.start()
    with callers.admin(server) as alone.admin:
        assert get(alone, domain.domain).https_spiffe.endpoint_spiffe_id == f"spiffe://{domain.domain}/spire/server"
        poll("the bundle after the restart", lambda: held(alone, domain.domain).sequence_number == 21, within=10)


@pytest.mark.limit(60)
def test_a_slow_endpoint_is_given_up_in_the_end(issuer, silent):
    shown = poll("an error", lambda: (found := status(issuer, silent.domain))["error"] and found, within=40, every=0.5)
    assert "in time" in shown["error"] and shown["next_attempt_at"]
