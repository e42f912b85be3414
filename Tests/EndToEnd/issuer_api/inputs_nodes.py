"""Fields of `spire.api.server.agent.v1.Agent`, and of what `mintmark.v1` adds for nodes."""

from __future__ import annotations

import uuid

import grpc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import callers
import stubs
from inputs import GOOD_KEY, ID, LONG, MATCH, MISSING, PAGE, YEAR, Case, Wrong, bad_requests, node_csr, spki, under
from mintmark import sid

Code = grpc.StatusCode
A = "spire.api.server.agent.v1.Agent"
api, types = stubs.agent, stubs.types

FILTER = {
    **under("by_selector_match", MATCH),
    "by_expires_before": ["tomorrow", "2026-13-01T00:00:00Z", "2026-01-01", "1", "2026-01-01 00:00:00", LONG],
}
FREE_FILTER = {"by_attestation_type": ["", "invented", LONG]}
# Of an agent that is meant; one that is unknown is missed, and what is no agent's ID is no question.
AGENT = {
    "id": [None],
    **under("id", ID | {"path": [*ID["path"], "/spire/server", "/workload"]}),
}
UNKNOWN = Wrong("/spire/agent/join_token/unknown", MISSING)
AGENT["id.path"].append(UNKNOWN)


def filled(filter_class):
    return filter_class(
        by_attestation_type="join_token", by_banned={"value": False}, by_can_reattest={"value": False},
        by_selector_match=types.SelectorMatch(selectors=[types.Selector(type="unix", value="uid:1")]),
        by_expires_before="2200-01-01T00:00:00Z",
    )


def a_node(world):
    """The ID of a node that joined just now."""
    identity, _ = callers.attest(world.callers["nobody"], world.token())
    return stubs.id_of(identity.id)


def opening(payload, kind="join_token"):
    return api.AttestAgentRequest(
        params=api.AttestAgentRequest.Params(
            data=types.AttestationData(type=kind, payload=payload), params=api.AgentX509SVIDParams(csr=node_csr())
        )
    )


def node_key(world):
    key = ec.generate_private_key(ec.SECP256R1())
    statement = b"mintmark node key: register\0" + world.node.encode()
    return stubs.nodes.RegisterNodeKeyRequest(public_key=spki(key), signature=key.sign(statement, ec.ECDSA(hashes.SHA256())))


CASES = {
    f"{A}/CountAgents": Case(
        lambda world: api.CountAgentsRequest(filter=filled(api.CountAgentsRequest.Filter)),
        under("filter", FILTER), under("filter", FREE_FILTER),
    ),
    f"{A}/ListAgents": Case(
        lambda world: api.ListAgentsRequest(filter=filled(api.ListAgentsRequest.Filter), page_size=1),
        PAGE | under("filter", FILTER), under("filter", FREE_FILTER),
    ),
    f"{A}/GetAgent": Case(lambda world: api.GetAgentRequest(id=stubs.id_of(world.node)), AGENT),
    f"{A}/DeleteAgent": Case(
        lambda world: api.DeleteAgentRequest(id=a_node(world)), AGENT,
        plain=lambda world: api.DeleteAgentRequest(id=stubs.id_of(sid("/spire/agent/none/one"))),
    ),
    f"{A}/BanAgent": Case(
        lambda world: api.BanAgentRequest(id=a_node(world)), AGENT,
        plain=lambda world: api.BanAgentRequest(id=stubs.id_of(sid("/spire/agent/none/one"))),
    ),
    f"{A}/AttestAgent": Case(
        lambda world: opening(world.token().encode()),
        {
            "params": [None], "params.data": [None], "params.params": [None],
            "params.data.type": ["", *(Wrong(kind, Code.FAILED_PRECONDITION) for kind in ("invented", LONG))],
            "params.data.payload": [b"", b"\xff\xfe", b"unknown", uuid.uuid4().hex.encode(), bytes(100_000)],
            "params.params.csr": bad_requests(),
            "challenge_response": [b"", b"x"],
        },
        by="nobody",
    ),
    f"{A}/RenewAgent": Case(
        lambda world: api.RenewAgentRequest(params=api.AgentX509SVIDParams(csr=node_csr())),
        {"params": [None], "params.csr": bad_requests()}, by="renewing",
    ),
    f"{A}/CreateJoinToken": Case(
        lambda world: api.CreateJoinTokenRequest(
            ttl=600, token=uuid.uuid4().hex, agent_id=stubs.id_of(sid(f"/alias/{uuid.uuid4().hex}"))
        ),
        {
            "ttl": [0, -1, -(2**31), YEAR + 1, 2**31 - 1],
            "token": ["short", "t" * 257, LONG],
            **under("agent_id", ID | {"path": [*ID["path"], "/spire/agent/x", "/spire/server"]}),
        },
    ),
    f"{A}/PostStatus": Case(
        lambda world: api.PostStatusRequest(current_bundle_serial=1, agent_version="1.2.3"),
        {"agent_version": ["v" * 256, LONG]}, {"current_bundle_serial": [0, 2**64 - 1]}, by="agent",
    ),
    "mintmark.v1.Nodes/RegisterNodeKey": Case(
        node_key,
        {
            "public_key": [b"", b"noise", spki(ec.generate_private_key(ec.SECP384R1())), spki(GOOD_KEY), bytes(10_000)],
            "signature": [
                b"", b"noise", GOOD_KEY.sign(b"mintmark node key: register\0another", ec.ECDSA(hashes.SHA256())),
                bytes(10_000),
            ],
        },
        by="agent",
    ),
    "mintmark.v1.Nodes/GetStatus": Case(
        lambda world: stubs.nodes.GetNodeStatusRequest(agent_ids=[world.node]),
        {"agent_ids": [[""], ["no-id"], ["spiffe://UPPER/x"], ["x"] * 1001]},
    ),
    "mintmark.v1.Nodes/GetRollback": Case(lambda world: stubs.nodes.GetRollbackRequest()),
    "mintmark.v1.Nodes/AcceptRollback": Case(lambda world: stubs.nodes.AcceptRollbackRequest()),
    "mintmark.v1.Incidents/Report": Case(
        lambda world: stubs.incidents.ReportIncidentsRequest(run_id=uuid.uuid4().hex, incidents=[{"number": 1}]),
        {"run_id": ["", "r" * 129], "incidents": [[stubs.incidents.Incident(number=n) for n in range(257)]]},
        # What a node says of its own workloads is written down as far as it fits, and nothing is done by it.
        {
            "dropped": [2**64 - 1], "incidents.number": [0, 2**64 - 1], "incidents.at_ms": [-(2**63), 2**63 - 1],
            "incidents.kind": ["", LONG, "\n"], "incidents.detail": ["", LONG, "\n"], "incidents.instance": [LONG],
            "incidents.pid": [-1], "incidents.uid": [2**32 - 1], "incidents.entry_ids": [[LONG], ["x"] * 1000],
        },
        by="agent",
    ),
}  # fmt: skip
