"""The fixtures of the end-to-end tests, and a stage on which attacks are played.

Everything here needs root: the agent runs as root, and each attacker as an unprivileged user of its own.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

END_TO_END = Path(__file__).resolve().parent.parent / "EndToEnd"
sys.path.insert(0, str(END_TO_END))
# Both folders have a conftest.py, so the other one goes by another name.
_specification = importlib.util.spec_from_file_location("end_to_end_fixtures", END_TO_END / "conftest.py")
_fixtures = importlib.util.module_from_spec(_specification)
sys.modules["end_to_end_fixtures"] = _fixtures
_specification.loader.exec_module(_fixtures)
pytest_plugins = ["end_to_end_fixtures"]

from stage import Programs, Stage  # noqa: E402  (needs the path above)


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """The programs of this folder, compiled, where every user may run them and only root may change them."""
    if os.geteuid() != 0:
        pytest.skip("needs root: an agent that sees every user's processes, and attackers that are other users")
    made = Programs.build()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def stage(programs: Programs, start_module_up) -> Stage:
    """An agent, with identities for the trusted program and for honest runs of the attacker's."""
    return Stage.open(programs, start_module_up)
