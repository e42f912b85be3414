"""Fixtures of the tests that speak to the issuer's API with stubs of another toolchain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import callers
from callers import Caller, Identity
from cast import Cast, a_cast


class Issuer:
    """A server, and callers of every class; shared by the tests of a file, which keep out of each other's way."""

    server: Any
    admin: Caller
    # A node that attested, and its connection.
    node: Identity
    agent: Caller
    # Signed by the same authority, with no standing as an agent.
    workload: Caller
    # TLS without a certificate.
    nobody: Caller


@pytest.fixture(scope="module")
def issuer(module_roles: Any) -> Iterator[Issuer]:
    made = Issuer()
    made.server = module_roles.server()
    home: Path = module_roles.home
    folders = {name: home / f"as-{name}" for name in ("nobody", "agent", "workload")}
    for folder in folders.values():
        folder.mkdir()
    with callers.admin(made.server) as made.admin, callers.remote(made.server, folders["nobody"]) as made.nobody:
        made.node, _ = callers.attest(made.nobody, made.server.token())
        bystander = callers.mint(made.admin, "spiffe://example.org/bystander")
        with (
            callers.remote(made.server, folders["agent"], made.node) as made.agent,
            callers.remote(made.server, folders["workload"], bystander) as made.workload,
        ):
            yield made


@pytest.fixture(scope="module")
def cast(module_roles: Any) -> Iterator[Cast]:
    with a_cast(module_roles) as cast:
        yield cast
