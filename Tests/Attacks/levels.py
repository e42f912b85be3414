"""What the entries of these tests ask for: the one place to change when the flags of the agent change."""

from __future__ import annotations

import functools
from pathlib import Path

import mintmark


def agent_flags(mount: Path) -> list[str]:
    """Flags of the agent that all of this needs.

    The journal must look at nothing but `mount`, a mount made for these tests; everything to be measured runs from it.
    """
    return ["--log-level", "debug", "--exec-journal-mount", str(mount), "--guard-scripts", str(mount / "scripts")]


@functools.cache
def _options_of_entries() -> str:
    return mintmark.run("entry", "create", "--help").expect(0).out


def are_there() -> bool:
    """Whether this agent knows levels at all. One that does not is judged as if every entry asked for the highest."""
    return "--min-assurance" in _options_of_entries()


def entry_flags(level: int) -> list[str]:
    return ["--min-assurance", str(level)] if are_there() else []


def jit_flags() -> list[str]:
    return ["--allow-jit"] if "--allow-jit" in _options_of_entries() else []


def force_flags() -> list[str]:
    """An entry whose digest is a bare interpreter's has to be asked for twice."""
    return ["--force"] if "--force" in _options_of_entries() else []
