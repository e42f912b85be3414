"""Fields of `spire.api.server.bundle.v1.Bundle` and `spire.api.server.trustdomain.v1.TrustDomain`."""

from __future__ import annotations

import uuid

import grpc
from cryptography.hazmat.primitives.asymmetric import ec

import stubs
from callers import TIMEOUT
from inputs import JWT_KEY, LONG, MISSING, PAGE, WIT_KEY, X509_AUTHORITY, Case, Wrong, certificate, jwt_key, spki, under

Code = grpc.StatusCode
B, D = "spire.api.server.bundle.v1.Bundle", "spire.api.server.trustdomain.v1.TrustDomain"
api, types, domains = stubs.bundle, stubs.types, stubs.trustdomain

# What is not the name of another trust domain.
NAMES = ["", "UPPER.example", "a/b", "spiffe://far.example/x", "t" * 256, "ü.example", "T" * 20_000]
UNKNOWN = Wrong("unknown.example", MISSING)
KEYS = under("x509_authorities", X509_AUTHORITY) | under("jwt_authorities", JWT_KEY)
OTHER_P256 = ec.generate_private_key(ec.SECP256R1())
TOO_MANY = [jwt_key() for _ in range(257)]

BUNDLE = {
    "trust_domain": [*NAMES, "example.org"], **KEYS,
    "x509_authorities.asn1": [*X509_AUTHORITY["asn1"], certificate().asn1 * 2],
    "jwt_authorities": [TOO_MANY, [jwt_key(key_id="k"), jwt_key(key_id="k", public_key=spki(OTHER_P256))]],
    "refresh_hint": [-1, -(2**63)],
    # There are no WIT-SVIDs.
    **under("wit_authorities", WIT_KEY),
}
FREE = {"sequence_number": [0, 2**64 - 1]}


def new_bundle():
    domain = f"far-{uuid.uuid4().hex[:12]}.example"
    return types.Bundle(
        trust_domain=domain, x509_authorities=[certificate(domain)], jwt_authorities=[jwt_key()], sequence_number=1
    )


def held(world):
    """A bundle that the server has."""
    bundle = new_bundle()
    [result] = world.local.bundles.BatchCreateFederatedBundle(
        api.BatchCreateFederatedBundleRequest(bundle=[bundle]), timeout=TIMEOUT
    ).results
    assert result.status.code == 0, result
    return bundle


def followed(world):
    """A relationship that the server has."""
    relationship = new_relationship()
    request = domains.BatchCreateFederationRelationshipRequest(federation_relationships=[relationship])
    [result] = world.local.trust_domains.BatchCreateFederationRelationship(request, timeout=TIMEOUT).results
    assert result.status.code == 0, result
    return relationship


def new_relationship():
    bundle = new_bundle()
    return types.FederationRelationship(
        trust_domain=bundle.trust_domain, bundle_endpoint_url="https://127.0.0.1:1/",
        https_spiffe={"endpoint_spiffe_id": f"spiffe://{bundle.trust_domain}/endpoint"}, trust_domain_bundle=bundle,
    )


RELATIONSHIP = {
    "trust_domain": [*NAMES, "example.org"],
    "bundle_endpoint_url": [
        "", "127.0.0.1/x", "http://127.0.0.1/x", "file:///etc/passwd", "https:///x", "https://a@127.0.0.1/", "https://a/#x",
        "https://127.0.0.1:70000/", "https://127.0.0.1/a b", "https://127.0.0.1/a\r\nHost: b", "https://a/" + "a" * 2100,
    ],
    "https_spiffe": [None],
    "https_spiffe.endpoint_spiffe_id": ["", "https://far.example/", "spiffe://UPPER/x", "spiffe://far.example/a/../b", LONG],
    **under("trust_domain_bundle", BUNDLE | {"trust_domain": [*NAMES, "example.org", "another.example"]}),
}  # fmt: skip
FREE_RELATIONSHIP = under("trust_domain_bundle", FREE)
MASK = types.FederationRelationshipMask(bundle_endpoint_url=True, bundle_endpoint_profile=True, trust_domain_bundle=True)
WHOLE = types.BundleMask(x509_authorities=True, jwt_authorities=True, refresh_hint=True, sequence_number=True)
NAMED = [[name] for name in [*NAMES, "example.org"]]


CASES = {
    f"{B}/CountBundles": Case(lambda world: api.CountBundlesRequest()),
    f"{B}/GetBundle": Case(lambda world: api.GetBundleRequest(output_mask=types.BundleMask()), by="nobody"),
    f"{B}/AppendBundle": Case(
        lambda world: api.AppendBundleRequest(x509_authorities=[certificate()], jwt_authorities=[jwt_key()]),
        {
            **KEYS,
            "x509_authorities": [[certificate()] * 101], "jwt_authorities": [[jwt_key()] * 101],
            "jwt_authorities.key_id": ["", "k" * 256], "jwt_authorities.expires_at": [-1, -(2**63), 1],
        },
        under("wit_authorities", WIT_KEY), world="spare",
    ),
    f"{B}/PublishJWTAuthority": Case(
        lambda world: api.PublishJWTAuthorityRequest(jwt_authority=jwt_key()),
        {
            "jwt_authority": [None], **under("jwt_authority", JWT_KEY),
            "jwt_authority.key_id": ["", "k" * 256], "jwt_authority.expires_at": [-1, -(2**63), 1],
        },
        by="below",
    ),
    f"{B}/PublishWITAuthority": Case(
        lambda world: api.PublishWITAuthorityRequest(), by="below", ending=Code.UNIMPLEMENTED
    ),
    f"{B}/ListFederatedBundles": Case(lambda world: api.ListFederatedBundlesRequest(page_size=1), PAGE),
    f"{B}/GetFederatedBundle": Case(
        lambda world: api.GetFederatedBundleRequest(trust_domain=held(world).trust_domain),
        {"trust_domain": [*NAMES, "example.org", UNKNOWN]},
    ),
    f"{B}/BatchCreateFederatedBundle": Case(
        lambda world: api.BatchCreateFederatedBundleRequest(bundle=[new_bundle()]),
        under("bundle", BUNDLE) | {"bundle": [[types.Bundle()] * 1001]}, under("bundle", FREE),
    ),
    f"{B}/BatchUpdateFederatedBundle": Case(
        lambda world: api.BatchUpdateFederatedBundleRequest(bundle=[held(world)], input_mask=WHOLE),
        under("bundle", BUNDLE | {"trust_domain": [*NAMES, "example.org", UNKNOWN]}) | {"bundle": [[types.Bundle()] * 1001]},
        under("bundle", FREE),
    ),
    f"{B}/BatchSetFederatedBundle": Case(
        lambda world: api.BatchSetFederatedBundleRequest(bundle=[new_bundle()]),
        under("bundle", BUNDLE) | {"bundle": [[types.Bundle()] * 1001]}, under("bundle", FREE),
    ),
    f"{B}/BatchDeleteFederatedBundle": Case(
        lambda world: api.BatchDeleteFederatedBundleRequest(trust_domains=[held(world).trust_domain]),
        {"trust_domains": [*NAMED, Wrong(["unknown.example"], MISSING), ["far.example"] * 1001], "mode": [3, -1]},
    ),
    f"{D}/ListFederationRelationships": Case(
        lambda world: domains.ListFederationRelationshipsRequest(page_size=1), PAGE
    ),
    f"{D}/GetFederationRelationship": Case(
        lambda world: domains.GetFederationRelationshipRequest(trust_domain=followed(world).trust_domain),
        {"trust_domain": [*NAMES, UNKNOWN]},
    ),
    f"{D}/BatchCreateFederationRelationship": Case(
        lambda world: domains.BatchCreateFederationRelationshipRequest(federation_relationships=[new_relationship()]),
        under("federation_relationships", RELATIONSHIP)
        | {"federation_relationships": [[types.FederationRelationship()] * 1001]},
        under("federation_relationships", FREE_RELATIONSHIP),
    ),
    f"{D}/BatchUpdateFederationRelationship": Case(
        lambda world: domains.BatchUpdateFederationRelationshipRequest(
            federation_relationships=[followed(world)], input_mask=MASK
        ),
        under("federation_relationships", RELATIONSHIP | {"trust_domain": [*NAMES, UNKNOWN]})
        | {"federation_relationships": [[types.FederationRelationship()] * 1001]},
        under("federation_relationships", FREE_RELATIONSHIP),
    ),
    f"{D}/BatchDeleteFederationRelationship": Case(
        lambda world: domains.BatchDeleteFederationRelationshipRequest(trust_domains=[followed(world).trust_domain]),
        {"trust_domains": [*NAMED[:-1], Wrong(["unknown.example"], MISSING), ["far.example"] * 1001]},
    ),
    f"{D}/RefreshBundle": Case(
        # Nobody answers there.
        lambda world: domains.RefreshBundleRequest(trust_domain=followed(world).trust_domain),
        {"trust_domain": [*NAMES, UNKNOWN]}, ending=Code.INTERNAL,
    ),
    "mintmark.v1.Federation/ListStatuses": Case(lambda world: stubs.federation.ListFederationStatusesRequest()),
}  # fmt: skip
