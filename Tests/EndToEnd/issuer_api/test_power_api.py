"""Power over the network: it ends with the SVID and comes from nobody else's signature."""

from __future__ import annotations

import time

import grpc
import pytest

import callers
import stubs
from callers import refused

Code = grpc.StatusCode
OPS, BOSS = "spiffe://example.org/ops", "spiffe://example.org/boss"


@pytest.fixture(scope="module")
def server(module_roles):
    return module_roles.server(admin_ids=BOSS, roles={"ops": {"role": "operator", "to": OPS}})


def list_agents(caller):
    return caller.agents.ListAgents(stubs.agent.ListAgentsRequest(), timeout=callers.TIMEOUT).agents


@pytest.mark.parametrize("name", [OPS, BOSS])
def test_power_ends_with_the_svid_on_a_connection_that_stays_open(server, tmp_path, name):
    with callers.admin(server) as admin:
        identity = callers.mint(admin, name, ttl=8)
    with callers.remote(server, tmp_path, identity) as caller:
        list_agents(caller)
        states = []
        caller.channel.subscribe(states.append)
        end = identity.leaf.not_valid_after_utc.timestamp()
        while time.time() < end - 2:
            list_agents(caller)
            time.sleep(0.2)
        time.sleep(max(0.0, end - time.time()) + 0.5)
        with refused(Code.UNAUTHENTICATED):
            list_agents(caller)
        # The refusal came over the connection that was verified when the SVID was good.
        assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in states, states


def test_an_operator_gets_no_power_by_an_alias(server, tmp_path):
    with callers.admin(server) as admin:
        identity = callers.mint(admin, OPS)
        with callers.remote(server, tmp_path, identity) as caller:
            for alias in (BOSS, "spiffe://example.org/cluster"):
                with refused(Code.PERMISSION_DENIED):
                    caller.agents.CreateJoinToken(
                        stubs.agent.CreateJoinTokenRequest(ttl=60, agent_id=stubs.id_of(alias)),
                        timeout=callers.TIMEOUT,
                    )
            caller.agents.CreateJoinToken(stubs.agent.CreateJoinTokenRequest(ttl=60), timeout=callers.TIMEOUT)
        count = admin.entries.CountEntries(stubs.entry.CountEntriesRequest(), timeout=callers.TIMEOUT)
        assert count.count == 0
