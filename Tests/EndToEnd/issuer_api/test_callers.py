"""Who may call what: every method of the public API, by every class of caller.

For SPIRE's services this is the public table of its API, with the roles of ours in the place of its one kind of admin; the
server's own table is not looked at.
"""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import stubs
from callers import reason

Code = grpc.StatusCode

#   local      an admin on the admin socket
#   admin      the SVID of an entry with `admin` set
#   listed     an SVID that the configuration names as an admin's
#   viewer, registrar, operator, authorities    SVIDs with these roles
#   agent      an attested node
#   banned, evicted, outdated    nodes that were attested: the last one has renewed its SVID and shows the old one
#   below      the SVID of an entry with `downstream` set
#   workload   an SVID with no standing
#   nobody     no certificate
CLASSES = [
    "local", "admin", "listed", "viewer", "registrar", "operator", "authorities", "agent", "banned", "evicted",
    "outdated", "below", "workload", "nobody",
]  # fmt: skip

ADMINS = {"local", "admin", "listed"}
REGISTER = ADMINS | {"registrar"}
OPERATE = ADMINS | {"operator"}
MOVE_AUTHORITIES = ADMINS | {"authorities"}
VIEW = ADMINS | {"viewer", "registrar", "operator", "authorities"}
AGENT = {"agent"}
BELOW = {"below"}
ANY = set(CLASSES)

OK, INVALID, MISSING, PRECONDITION = Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION
# Answered for nobody, until there are WIT-SVIDs.
WIT = Code.UNIMPLEMENTED

AGENTS, BUNDLES = "spire.api.server.agent.v1.Agent", "spire.api.server.bundle.v1.Bundle"
ENTRIES, SVIDS = "spire.api.server.entry.v1.Entry", "spire.api.server.svid.v1.SVID"
DOMAINS = "spire.api.server.trustdomain.v1.TrustDomain"
AUTHORITIES = "spire.api.server.localauthority.v1.LocalAuthority"
LOGGER, DEBUG = "spire.api.server.logger.v1.Logger", "spire.api.server.debug.v1.Debug"
HEALTH, REFLECTION = "grpc.health.v1.Health", "grpc.reflection.{}.ServerReflection"

# Who passes, and how an empty request of theirs ends.
TABLE = {
    f"{AGENTS}/AttestAgent": (ANY, INVALID),
    f"{AGENTS}/BanAgent": (OPERATE, INVALID),
    f"{AGENTS}/CountAgents": (VIEW, OK),
    f"{AGENTS}/CreateJoinToken": (OPERATE, INVALID),
    f"{AGENTS}/DeleteAgent": (OPERATE, INVALID),
    f"{AGENTS}/GetAgent": (VIEW, INVALID),
    f"{AGENTS}/ListAgents": (VIEW, OK),
    f"{AGENTS}/PostStatus": (AGENT, OK),
    f"{AGENTS}/RenewAgent": (AGENT, INVALID),
    f"{BUNDLES}/AppendBundle": (ADMINS, INVALID),
    f"{BUNDLES}/BatchCreateFederatedBundle": (OPERATE, OK),
    f"{BUNDLES}/BatchDeleteFederatedBundle": (OPERATE, OK),
    f"{BUNDLES}/BatchSetFederatedBundle": (OPERATE, OK),
    f"{BUNDLES}/BatchUpdateFederatedBundle": (OPERATE, OK),
    f"{BUNDLES}/CountBundles": (VIEW, OK),
    f"{BUNDLES}/GetBundle": (ANY, OK),
    f"{BUNDLES}/GetFederatedBundle": (VIEW | AGENT, INVALID),
    f"{BUNDLES}/ListFederatedBundles": (VIEW, OK),
    f"{BUNDLES}/PublishJWTAuthority": (BELOW, INVALID),
    f"{BUNDLES}/PublishWITAuthority": (BELOW, WIT),
    f"{ENTRIES}/BatchCreateEntry": (REGISTER, OK),
    f"{ENTRIES}/BatchDeleteEntry": (REGISTER, OK),
    f"{ENTRIES}/BatchUpdateEntry": (REGISTER, OK),
    f"{ENTRIES}/CountEntries": (VIEW, OK),
    f"{ENTRIES}/GetAuthorizedEntries": (AGENT, OK),
    f"{ENTRIES}/GetEntry": (VIEW, INVALID),
    f"{ENTRIES}/ListEntries": (VIEW, OK),
    f"{ENTRIES}/SyncAuthorizedEntries": (AGENT, OK),
    f"{SVIDS}/BatchNewWITSVID": (AGENT, WIT),
    f"{SVIDS}/BatchNewX509SVID": (AGENT, INVALID),
    f"{SVIDS}/MintJWTSVID": (ADMINS, INVALID),
    f"{SVIDS}/MintWITSVID": (ADMINS, WIT),
    f"{SVIDS}/MintX509SVID": (ADMINS, INVALID),
    f"{SVIDS}/NewDownstreamX509CA": (BELOW, INVALID),
    f"{SVIDS}/NewJWTSVID": (AGENT, INVALID),
    f"{DOMAINS}/BatchCreateFederationRelationship": (OPERATE, OK),
    f"{DOMAINS}/BatchDeleteFederationRelationship": (OPERATE, OK),
    f"{DOMAINS}/BatchUpdateFederationRelationship": (OPERATE, OK),
    f"{DOMAINS}/GetFederationRelationship": (VIEW, INVALID),
    f"{DOMAINS}/ListFederationRelationships": (VIEW, OK),
    f"{DOMAINS}/RefreshBundle": (OPERATE, INVALID),
    f"{AUTHORITIES}/GetJWTAuthorityState": (VIEW, OK),
    f"{AUTHORITIES}/GetX509AuthorityState": (VIEW, OK),
    f"{AUTHORITIES}/GetWITAuthorityState": (VIEW, WIT),
    f"{AUTHORITIES}/PrepareJWTAuthority": (MOVE_AUTHORITIES, OK),
    f"{AUTHORITIES}/PrepareX509Authority": (MOVE_AUTHORITIES, OK),
    f"{AUTHORITIES}/PrepareWITAuthority": (MOVE_AUTHORITIES, WIT),
    f"{AUTHORITIES}/ActivateJWTAuthority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/ActivateX509Authority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/ActivateWITAuthority": (MOVE_AUTHORITIES, WIT),
    f"{AUTHORITIES}/TaintJWTAuthority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/TaintX509Authority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/TaintWITAuthority": (MOVE_AUTHORITIES, WIT),
    f"{AUTHORITIES}/TaintX509UpstreamAuthority": (MOVE_AUTHORITIES, PRECONDITION),
    f"{AUTHORITIES}/RevokeJWTAuthority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/RevokeX509Authority": (MOVE_AUTHORITIES, INVALID),
    f"{AUTHORITIES}/RevokeWITAuthority": (MOVE_AUTHORITIES, WIT),
    f"{AUTHORITIES}/RevokeX509UpstreamAuthority": (MOVE_AUTHORITIES, PRECONDITION),
    f"{LOGGER}/GetLogger": ({"local"}, OK),
    f"{LOGGER}/ResetLogLevel": ({"local"}, OK),
    f"{LOGGER}/SetLogLevel": ({"local"}, INVALID),
    f"{DEBUG}/GetInfo": ({"local"}, OK),
    # There on the socket alone; here an admin elsewhere may ask as well.
    f"{HEALTH}/Check": (VIEW, OK),
    f"{HEALTH}/List": (VIEW, OK),
    f"{HEALTH}/Watch": (VIEW, OK),
    f"{REFLECTION.format('v1')}/ServerReflectionInfo": (VIEW, OK),
    f"{REFLECTION.format('v1alpha')}/ServerReflectionInfo": (VIEW, OK),
    "mintmark.v1.Approvals/Approve": (MOVE_AUTHORITIES, MISSING),
    "mintmark.v1.Approvals/Deny": (MOVE_AUTHORITIES, MISSING),
    "mintmark.v1.Approvals/List": (VIEW, OK),
    "mintmark.v1.Audit/Query": (VIEW, OK),
    "mintmark.v1.AuthorizedEntries/Sync": (AGENT, OK),
    "mintmark.v1.Declarations/Apply": (REGISTER, INVALID),
    "mintmark.v1.Declarations/Lint": (VIEW, OK),
    "mintmark.v1.DigestSets/AddVersion": (REGISTER, MISSING),
    "mintmark.v1.DigestSets/Create": (REGISTER, INVALID),
    "mintmark.v1.DigestSets/Delete": (REGISTER, MISSING),
    "mintmark.v1.DigestSets/Get": (VIEW, MISSING),
    "mintmark.v1.DigestSets/List": (VIEW, OK),
    "mintmark.v1.Federation/ListStatuses": (VIEW, OK),
    "mintmark.v1.Incidents/Report": (AGENT, INVALID),
    "mintmark.v1.Limits/Get": (VIEW, OK),
    "mintmark.v1.Nodes/AcceptRollback": (ADMINS, OK),
    "mintmark.v1.Nodes/GetRollback": (VIEW, OK),
    "mintmark.v1.Nodes/GetStatus": (VIEW, OK),
    "mintmark.v1.Nodes/RegisterNodeKey": (AGENT, INVALID),
    "mintmark.v1.Propagation/AwaitCurrent": (VIEW, OK),
    "mintmark.v1.Propagation/AwaitEntry": (VIEW, MISSING),
    "mintmark.v1.Propagation/Follow": (AGENT, OK),
    "mintmark.v1.Registration/CreateEntries": (REGISTER, OK),
    "mintmark.v1.Registration/GetEntry": (VIEW, INVALID),
    "mintmark.v1.Registration/ListEntries": (VIEW, OK),
    "mintmark.v1.Registration/UpdateEntries": (REGISTER, OK),
    "mintmark.v1.TemplatedSVIDs/BatchNewX509SVID": (AGENT, INVALID),
    "mintmark.v1.TemplatedSVIDs/NewJWTSVID": (AGENT, INVALID),
}
# What an agent that is one no more is told, at the calls that are for agents.
REASONS = {
    "banned": "AGENT_BANNED", "evicted": "AGENT_NOT_ATTESTED", "outdated": "AGENT_NOT_ACTIVE",
    "workload": "AGENT_NOT_ATTESTED", "nobody": "AGENT_NOT_ATTESTED",
}  # fmt: skip


def test_every_method_has_a_row(cast):
    """What the protos declare, what these stubs know and what the server says it offers are the same methods."""
    assert stubs.proto_services() | {HEALTH} == set(stubs.SERVICES)
    assert set(stubs.METHODS) == set(TABLE)
    database = ProtoReflectionDescriptorDatabase(cast["local"].channel)
    pool = DescriptorPool(database)
    offered = {
        f"{name}/{method.name}"
        for name in database.get_services()
        for method in pool.FindServiceByName(name).methods
    }
    assert offered == set(TABLE)


@pytest.mark.parametrize("method", TABLE)
def test_only_its_callers_pass(cast, method):
    admitted, ending = TABLE[method]
    failures = []
    for name in CLASSES:
        try:
            cast[name].call(method)
            code, why = OK, None
        except grpc.RpcError as error:
            code, why = error.code(), reason(error)
        expected = ending if name in admitted else Code.PERMISSION_DENIED
        if code != expected:
            failures.append(f"{name}: {code.name} instead of {expected.name}")
        elif admitted == AGENT and name in REASONS and why != REASONS[name]:
            failures.append(f"{name}: told {why} instead of {REASONS[name]}")
    assert not failures, failures


def test_a_method_that_nobody_offers(cast):
    for name in CLASSES:
        assert cast[name].ending(f"{ENTRIES}/Invented")[0] == Code.UNIMPLEMENTED, name


@pytest.mark.parametrize("method", TABLE)
def test_bytes_that_are_no_message_are_refused(cast, method):
    admitted, ending = TABLE[method]
    caller = cast[next(name for name in CLASSES if name in admitted)]
    for noise in (b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 200):
        # Some speak before they listen.
        code, _ = caller.ending(method, noise, enough=100)
        assert code in (INVALID, Code.INTERNAL), (method, code)
    # And the server is none the worse for it.
    assert caller.ending(f"{BUNDLES}/GetBundle")[0] == OK
