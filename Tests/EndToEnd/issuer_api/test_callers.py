"""Who may call what: every method of the public API, by every class of caller."""

from __future__ import annotations

import grpc
import pytest

import stubs

# Who passes, by the public table of the API. A method that is missing here fails test_every_method_has_a_class.
#   any     everyone, also without a certificate
#   local   admins on the local socket
#   agent   attested nodes
#   below   servers below this one
WHO = {
    "spire.api.server.agent.v1.Agent": {
        "AttestAgent": {"any"},
        "BanAgent": {"local"},
        "CountAgents": {"local"},
        "CreateJoinToken": {"local"},
        "DeleteAgent": {"local"},
        "GetAgent": {"local"},
        "ListAgents": {"local"},
        "PostStatus": {"agent"},
        "RenewAgent": {"agent"},
    },
    "spire.api.server.bundle.v1.Bundle": {
        "AppendBundle": {"local"},
        "BatchCreateFederatedBundle": {"local"},
        "BatchDeleteFederatedBundle": {"local"},
        "BatchSetFederatedBundle": {"local"},
        "BatchUpdateFederatedBundle": {"local"},
        "CountBundles": {"local"},
        "GetBundle": {"any"},
        "GetFederatedBundle": {"local", "agent"},
        "ListFederatedBundles": {"local"},
        "PublishJWTAuthority": {"below"},
        "PublishWITAuthority": {"below"},
    },
    "spire.api.server.entry.v1.Entry": {
        "BatchCreateEntry": {"local"},
        "BatchDeleteEntry": {"local"},
        "BatchUpdateEntry": {"local"},
        "CountEntries": {"local"},
        "GetAuthorizedEntries": {"agent"},
        "GetEntry": {"local"},
        "ListEntries": {"local"},
        "SyncAuthorizedEntries": {"agent"},
    },
    "spire.api.server.svid.v1.SVID": {
        "BatchNewWITSVID": {"agent"},
        "BatchNewX509SVID": {"agent"},
        "MintJWTSVID": {"local"},
        "MintWITSVID": {"local"},
        "MintX509SVID": {"local"},
        "NewDownstreamX509CA": {"below"},
        "NewJWTSVID": {"agent"},
    },
    "spire.api.server.trustdomain.v1.TrustDomain": {
        "BatchCreateFederationRelationship": {"local"},
        "BatchDeleteFederationRelationship": {"local"},
        "BatchUpdateFederationRelationship": {"local"},
        "GetFederationRelationship": {"local"},
        "ListFederationRelationships": {"local"},
        "RefreshBundle": {"local"},
    },
}
METHODS = [(f"{service}/{method}", who) for service, methods in WHO.items() for method, who in methods.items()]
DENIED = grpc.StatusCode.PERMISSION_DENIED
# Answered for nobody, whoever asks.
UNIMPLEMENTED = {
    "spire.api.server.bundle.v1.Bundle/PublishWITAuthority",
    "spire.api.server.svid.v1.SVID/BatchNewWITSVID",
    "spire.api.server.svid.v1.SVID/MintWITSVID",
}


def test_every_method_has_a_class():
    offered = {
        service.full_name: {method.name for method in service.methods}
        for module in (stubs.agent, stubs.bundle, stubs.entry, stubs.svid, stubs.trustdomain)
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    assert offered == {service: set(methods) for service, methods in WHO.items()}
    assert set(stubs.SERVICES) == set(offered)


@pytest.mark.parametrize(("method", "who"), METHODS, ids=[method for method, _ in METHODS])
def test_only_its_callers_pass(issuer, method, who):
    classes = {
        "local": issuer.admin,
        "agent": issuer.agent,
        "workload": issuer.workload,
        "nobody": issuer.nobody,
    }
    for name, caller in classes.items():
        code, details = caller.ending(method)
        if method in UNIMPLEMENTED:
            # Whoever may not ask is not told that nobody answers.
            assert code in (DENIED, grpc.StatusCode.UNIMPLEMENTED), (name, code, details)
        elif who & {name, "any"}:
            # An empty request is rarely a good one; what counts is that it was read.
            assert code not in (DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE), (
                name, code, details,
            )
        else:
            # A method that is not built is refused as well.
            assert code in (DENIED, grpc.StatusCode.UNIMPLEMENTED), (name, code, details)


def test_a_method_that_nobody_offers(issuer):
    for caller in (issuer.admin, issuer.nobody):
        code, _ = caller.ending("spire.api.server.entry.v1.Entry/Invented")
        assert code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", [name for name, _ in METHODS])
def test_bytes_that_are_no_message_are_refused(issuer, method):
    for noise in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 200):
        code, _ = issuer.admin.ending(method, noise)
        assert code != grpc.StatusCode.OK, method
    # And the server is none the worse for it.
    assert issuer.admin.ending("spire.api.server.bundle.v1.Bundle/GetBundle")[0] == grpc.StatusCode.OK
