"""Fields of `spire.api.server.svid.v1.SVID`, and of what `mintmark.v1` adds to it."""

from __future__ import annotations

import grpc

import stubs
from inputs import GOOD_KEY, ID, LONG, MISSING, Case, Wrong, bad_requests, csr, node_csr, under
from mintmark import sid

Code = grpc.StatusCode
S, T = "spire.api.server.svid.v1.SVID", "mintmark.v1.TemplatedSVIDs"
api, types = stubs.svid, stubs.types
OWN = sid("/minted")

AUDIENCES = [[], [""], ["a", ""], ["a" * 1025], [f"a{n}" for n in range(33)]]
ENTRY_ID = ["", Wrong("missing", MISSING), Wrong(LONG, MISSING), lambda world: Wrong(another(world), MISSING)]


def another(world) -> str:
    """The ID of an entry of some other node."""
    return world.entry(parent_id=stubs.id_of(sid("/spire/agent/join_token/another"))).id


def templated(world):
    """An entry whose identity depends on the process."""
    entry = world.new_entry()
    details = stubs.entries.Details(id_template="{unix:user}")
    request = stubs.entries.CreateEntriesRequest(items=[{"entry": entry, "details": details, "force": True}])
    [answer] = world.local.call("mintmark.v1.Registration/CreateEntries", request)
    [result] = answer.results
    assert result.status.code == 0, result
    return result.entry.entry


def below(entry):
    return stubs.id_of(f"{stubs.text_of(entry.spiffe_id)}/alice")


# Of an identity that is not the entry's template filled in.
IDENTITY = {
    **under("spiffe_id", {
        "trust_domain": [*ID["trust_domain"][:-1], Wrong("other.example", Code.PERMISSION_DENIED)],
        "path": [*ID["path"][2:], Wrong("", Code.PERMISSION_DENIED), Wrong("/spire/server", Code.PERMISSION_DENIED)],
    }),
}  # fmt: skip


def templated_x509(world):
    entry = templated(world)
    item = {"entry_id": entry.id, "csr": node_csr(), "spiffe_id": below(entry)}
    return stubs.issuance.BatchNewTemplatedX509SVIDRequest(items=[item])


def templated_jwt(world):
    entry = templated(world)
    return stubs.issuance.NewTemplatedJWTSVIDRequest(entry_id=entry.id, audience=["a"], spiffe_id=below(entry))


CASES = {
    f"{S}/MintX509SVID": Case(
        lambda world: api.MintX509SVIDRequest(csr=csr(GOOD_KEY, OWN), ttl=60),
        {
            "csr": [
                *bad_requests(OWN), csr(GOOD_KEY), csr(GOOD_KEY, OWN, OWN + "/2"), csr(GOOD_KEY, "https://example.org/a"),
                csr(GOOD_KEY, "spiffe://other.example/a"), csr(GOOD_KEY, "spiffe://example.org"),
                csr(GOOD_KEY, sid("/a/../b")), csr(GOOD_KEY, sid("/spire/server")), csr(GOOD_KEY, sid("/spire/agent/x")),
                csr(GOOD_KEY, OWN, names=("not_a_name",)), csr(GOOD_KEY, OWN, names=("a b",)),
                csr(GOOD_KEY, OWN, names=("n_" * 6_000,)),
            ],
            "ttl": [-1, -(2**31)],
        },
    ),
    f"{S}/MintJWTSVID": Case(
        lambda world: api.MintJWTSVIDRequest(id=stubs.id_of(OWN), audience=["a"], ttl=60),
        {
            "id": [None], **under("id", ID | {"path": [*ID["path"], "/spire/server", "/spire/agent/x"]}),
            "audience": AUDIENCES, "ttl": [-1, -(2**31)],
        },
    ),
    f"{S}/MintWITSVID": Case(lambda world: api.MintWITSVIDRequest(id=stubs.id_of(OWN)), ending=Code.UNIMPLEMENTED),
    f"{S}/BatchNewX509SVID": Case(
        lambda world: api.BatchNewX509SVIDRequest(params=[{"entry_id": world.entry().id, "csr": node_csr()}]),
        {
            "params": [[], [api.NewX509SVIDParams(entry_id="x", csr=b"x")] * 501],
            "params.entry_id": ENTRY_ID, "params.csr": bad_requests(),
        },
        by="agent",
    ),
    f"{S}/NewJWTSVID": Case(
        lambda world: api.NewJWTSVIDRequest(entry_id=world.entry().id, audience=["a"]),
        {"entry_id": ENTRY_ID, "audience": AUDIENCES}, by="agent",
    ),
    f"{S}/BatchNewWITSVID": Case(
        lambda world: api.BatchNewWITSVIDRequest(params=[{"entry_id": "x"}]), by="agent", ending=Code.UNIMPLEMENTED
    ),
    f"{S}/NewDownstreamX509CA": Case(
        lambda world: api.NewDownstreamX509CARequest(csr=csr(GOOD_KEY, "spiffe://example.org"), preferred_ttl=60),
        {
            "csr": [*bad_requests("spiffe://example.org"), csr(GOOD_KEY, "spiffe://other.example")],
            "preferred_ttl": [-1, -(2**31)],
        },
        by="below",
    ),
    f"{T}/BatchNewX509SVID": Case(
        templated_x509,
        {
            "items": [[], [stubs.issuance.BatchNewTemplatedX509SVIDRequest.Item(entry_id="x")] * 501],
            "items.entry_id": ENTRY_ID, "items.csr": bad_requests(), **under("items", IDENTITY),
        },
        by="agent",
    ),
    f"{T}/NewJWTSVID": Case(
        templated_jwt, {"entry_id": ENTRY_ID, "audience": AUDIENCES, **IDENTITY}, by="agent"
    ),
}  # fmt: skip
