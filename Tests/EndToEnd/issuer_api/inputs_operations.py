"""Fields of the calls with which a server is run: its authorities, its log, its health, and what it says of itself."""

from __future__ import annotations

import grpc

import stubs
from inputs import LONG, MISSING, Case

Code = grpc.StatusCode
L = "spire.api.server.localauthority.v1.LocalAuthority"
api, access = stubs.localauthority, stubs.access


def state(world, kind):
    return world.local.call(f"{L}/Get{kind}AuthorityState", getattr(api, f"Get{kind}AuthorityStateRequest")())[0]


def step(world, name, kind, authority):
    [answer] = world.local.call(f"{L}/{name}{kind}Authority", getattr(api, f"{name}{kind}AuthorityRequest")(
        authority_id=authority
    ))
    return answer


def prepared(world, kind):
    [answer] = world.local.call(f"{L}/Prepare{kind}Authority", getattr(api, f"Prepare{kind}AuthorityRequest")())
    return answer.prepared_authority.authority_id


def retired(world, kind):
    """An authority that has just been replaced."""
    old = state(world, kind).active.authority_id
    step(world, "Activate", kind, prepared(world, kind))
    return old


def tainted(world, kind):
    old = retired(world, kind)
    step(world, "Taint", kind, old)
    return old


def of(name, kind, before):
    """A step on an authority that the steps before have brought there."""
    request = getattr(api, f"{name}{kind}AuthorityRequest")
    bad = ["", "unknown", "00" * 20, LONG]
    if name != "Revoke":
        bad.append(lambda world: state(world, kind).active.authority_id)
    return Case(
        lambda world: request(authority_id=before(world, kind)), {"authority_id": bad}, plain=lambda world: request(),
        world="spare",
    )  # fmt: skip


CASES = {
    f"{L}/{name}{kind}Authority": of(name, kind, before)
    for kind in ("X509", "JWT")
    for name, before in (("Activate", prepared), ("Taint", retired), ("Revoke", tainted))
}
for _kind in ("X509", "JWT"):
    CASES[f"{L}/Get{_kind}AuthorityState"] = Case(
        lambda world, kind=_kind: getattr(api, f"Get{kind}AuthorityStateRequest")()
    )
    CASES[f"{L}/Prepare{_kind}Authority"] = Case(
        lambda world, kind=_kind: getattr(api, f"Prepare{kind}AuthorityRequest")(), world="spare"
    )
for _name in ("GetWITAuthorityState", "PrepareWITAuthority", "ActivateWITAuthority", "TaintWITAuthority", "RevokeWITAuthority"):
    CASES[f"{L}/{_name}"] = Case(
        lambda world, name=_name: getattr(api, f"{name}Request")(), ending=Code.UNIMPLEMENTED
    )


def replaced_root(world):
    """The key ID of an upstream root that the server has left for another one."""
    old = state(world, "X509").active.upstream_authority_subject_key_id
    assert old
    world.new_root()
    step(world, "Activate", "X509", prepared(world, "X509"))
    assert state(world, "X509").active.upstream_authority_subject_key_id not in ("", old)
    return old


def tainted_root(world):
    old = replaced_root(world)
    world.local.call(f"{L}/TaintX509UpstreamAuthority", api.TaintX509UpstreamAuthorityRequest(subject_key_id=old))
    return old


def active_root(world):
    return state(world, "X509").active.upstream_authority_subject_key_id


CASES |= {
    f"{L}/TaintX509UpstreamAuthority": Case(
        lambda world: api.TaintX509UpstreamAuthorityRequest(subject_key_id=replaced_root(world)),
        {"subject_key_id": ["", "unknown", "00" * 20, LONG, active_root]},
        plain=lambda world: api.TaintX509UpstreamAuthorityRequest(), world="upstream",
    ),
    f"{L}/RevokeX509UpstreamAuthority": Case(
        lambda world: api.RevokeX509UpstreamAuthorityRequest(subject_key_id=tainted_root(world)),
        {"subject_key_id": ["", "unknown", "00" * 20, LONG, active_root]},
        plain=lambda world: api.RevokeX509UpstreamAuthorityRequest(), world="upstream",
    ),
}  # fmt: skip


def waiting(world):
    """The number of a request that waits for a second person."""
    old = retired(world, "JWT")
    code, _ = world.local.ending(f"{L}/TaintJWTAuthority", api.TaintJWTAuthorityRequest(authority_id=old))
    assert code == Code.FAILED_PRECONDITION, code
    [answer] = world.local.call("mintmark.v1.Approvals/List", access.ListApprovalsRequest())
    return answer.approvals[-1].id


CASES |= {
    "mintmark.v1.Approvals/List": Case(lambda world: access.ListApprovalsRequest()),
    "mintmark.v1.Approvals/Approve": Case(
        lambda world: access.ApproveRequest(id=waiting(world)), {"id": ["", "unknown", LONG]}, by="authorities",
        code=MISSING, plain=lambda world: access.ApproveRequest(), world="careful",
    ),
    "mintmark.v1.Approvals/Deny": Case(
        lambda world: access.DenyRequest(id=waiting(world)), {"id": ["", "unknown", LONG]}, by="authorities",
        code=MISSING, plain=lambda world: access.DenyRequest(), world="careful",
    ),
    "mintmark.v1.Audit/Query": Case(
        lambda world: access.QueryIssuancesRequest(page_size=1),
        {
            "since_ms": [-1, 253_402_300_800_000, 2**63 - 1], "until_ms": [-1, 253_402_300_800_000, -(2**63)],
            "outcome": [3, -1], "page_size": [-1, -(2**31)], "page_token": ["x", "-1", "0", "1" * 30, LONG],
        },
        # What nothing on record has is looked for in vain.
        {"spiffe_id": ["none", LONG], "principal": ["none", LONG], "credential": ["none", LONG]},
    ),
    "mintmark.v1.Limits/Get": Case(lambda world: access.GetLimitsRequest()),
    "spire.api.server.logger.v1.Logger/GetLogger": Case(lambda world: stubs.logger.GetLoggerRequest()),
    "spire.api.server.logger.v1.Logger/SetLogLevel": Case(
        lambda world: stubs.logger.SetLogLevelRequest(new_level=stubs.types.INFO), {"new_level": [0, 8, -1]}
    ),
    "spire.api.server.logger.v1.Logger/ResetLogLevel": Case(lambda world: stubs.logger.ResetLogLevelRequest()),
    "spire.api.server.debug.v1.Debug/GetInfo": Case(lambda world: stubs.debug.GetInfoRequest()),
    "grpc.health.v1.Health/Check": Case(
        lambda world: stubs.health.HealthCheckRequest(), {"service": ["unknown", LONG]}, code=MISSING
    ),
    "grpc.health.v1.Health/List": Case(lambda world: stubs.health.HealthListRequest()),
    # To be told once there is such a service is what its specification promises.
    "grpc.health.v1.Health/Watch": Case(
        lambda world: stubs.health.HealthCheckRequest(), free={"service": ["unknown", LONG]}
    ),
}  # fmt: skip
for _version, _module in (("v1", stubs.reflection), ("v1alpha", stubs.reflection_alpha)):
    CASES[f"grpc.reflection.{_version}.ServerReflection/ServerReflectionInfo"] = Case(
        lambda world, module=_module: module.ServerReflectionRequest(list_services=""),
        {
            "file_by_filename": ["", "unknown.proto", "../x", LONG],
            "file_containing_symbol": ["", "unknown", LONG],
            "file_containing_extension.containing_type": ["", "unknown", LONG],
            "file_containing_extension.extension_number": [-1, 1],
            "all_extension_numbers_of_type": ["", "unknown", LONG],
        },
        {"host": ["", LONG], "list_services": ["*", LONG]}, code=MISSING,
    )
