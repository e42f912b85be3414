"""A server, and somebody of every class of caller that it tells apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import callers
import stubs
from callers import TIMEOUT, Caller, Identity
from mintmark import sid

# Who calls with an SVID, by the last word of its path, and what makes it more than a workload.
ROLES = {
    "viewer": {"role": "viewer", "to": [sid("/viewer")]},
    "registrar": {
        "role": "registrar", "to": [sid("/registrar")], "spiffe_id_prefixes": [sid("/team")], "selector_kinds": ["unix"],
    },
    "operator": {"role": "operator", "to": [sid("/operator")]},
    "authorities": {"role": "authority_operator", "to": [sid("/authorities")]},
}  # fmt: skip
ENTRIES = {"admin": {"admin": True}, "below": {"downstream": True}}
MINTED = ["admin", "listed", *ROLES, "below", "workload"]


class Cast:
    """A server, and somebody of every class that it tells apart, by name."""

    server: Any
    callers: dict[str, Caller]
    # The node that is attested and none of these, and its SPIFFE ID as the API writes it.
    node: Identity

    def __getitem__(self, name: str) -> Caller:
        return self.callers[name]


@contextlib.contextmanager
def a_cast(roles: Any, **settings: Any) -> Iterator[Cast]:
    """Starts a server with a cast."""
    cast = Cast()
    cast.server = roles.server(roles=ROLES, admin_ids=sid("/listed"), **settings)
    with contextlib.ExitStack() as stack:

        def connected(name: str, identity: Identity | None = None) -> Caller:
            folder = roles.home / f"as-{name}"
            folder.mkdir()
            return stack.enter_context(callers.remote(cast.server, folder, identity))

        local = stack.enter_context(callers.admin(cast.server))
        cast.callers = {"local": local, "nobody": connected("nobody")}
        nodes = {
            name: callers.attest(cast["nobody"], cast.server.token())[0]
            for name in ("agent", "banned", "evicted", "outdated")
        }
        cast.node = nodes["agent"]
        for name, fields in ENTRIES.items():
            entry = stubs.types.Entry(
                spiffe_id=stubs.id_of(sid(f"/{name}")), parent_id=stubs.id_of(sid("/spire/agent/none/at-all")),
                selectors=[stubs.types.Selector(type="unix", value="uid:4711")], **fields,
            )
            request = stubs.entry.BatchCreateEntryRequest(entries=[entry])
            [result] = local.entries.BatchCreateEntry(request, timeout=TIMEOUT).results
            assert result.status.code == 0, result
        for name in MINTED:
            cast.callers[name] = connected(name, callers.mint(local, sid(f"/{name}")))
        for name, identity in nodes.items():
            cast.callers[name] = connected(name, identity)
        local.agents.BanAgent(stubs.agent.BanAgentRequest(id=stubs.id_of(nodes["banned"].id)), timeout=TIMEOUT)
        local.agents.DeleteAgent(stubs.agent.DeleteAgentRequest(id=stubs.id_of(nodes["evicted"].id)), timeout=TIMEOUT)
        renewed = connected("renewed", callers.renew(cast["outdated"], nodes["outdated"]))
        # The old SVID is good until the new one was seen.
        renewed.entries.GetAuthorizedEntries(stubs.entry.GetAuthorizedEntriesRequest(), timeout=TIMEOUT)
        yield cast
