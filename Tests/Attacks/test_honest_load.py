"""Honest programs are served, however many and however busy the host: no false refusal.

A run is one exec, one connection and one call. How many there are in all is MINTMARK_HONEST_RUNS, 1,000 unless it says
otherwise; a fifth of them are scripts, and Python and Node are among them.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import levels
import pytest
from mintmark import Account, clean_environment, my_executable, run, sha256, sid
from stage import SOURCES, Programs, Stage, Verdict

RUNS = int(os.environ.get("MINTMARK_HONEST_RUNS", "1000"))
WHO = Account(61800, 61800)
AT_ONCE = 8
# How many of a thousand, and the level that the entry asks for.
SHARES = {"program": 770, "script": 140, "shell script": 20, "python script": 40, "node": 30}
LEVELS = {"program": 3, "script": 3, "shell script": 3, "python script": 3, "node": 3}


@pytest.fixture(scope="module")
def load() -> Iterator[None]:
    """Keeps every core busy."""
    busy = [
        subprocess.Popen(["sh", "-c", "while :; do :; done"], env=clean_environment(), start_new_session=True)
        for _ in range(os.cpu_count() or 2)
    ]
    yield
    for process in busy:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def scripts(programs: Programs) -> Iterator[Path]:
    """A folder for scripts that root owns and everybody may run, and that the agent guards."""
    yield programs.mount / "scripts"


def write_script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def prepare(kind: str, stage: Stage, programs: Programs, scripts: Path) -> tuple[Path, list[object], list[str]]:
    """The executable whose digest is registered, what to run, and what more the entry has to say."""
    socket = stage.up.socket
    if kind == "program":
        return programs.trusted, [programs.trusted, "fetch", socket], []
    if kind == "script":
        path = write_script(scripts / "agent", f"#!{programs.trusted} script\n{socket}\n")
        return programs.trusted, [path], []
    if kind == "shell script":
        line = shlex.join(["exec", str(programs.trusted), "fetch", str(socket)])
        return programs.trusted, [write_script(scripts / "agent.sh", f"#!/bin/sh\n{line}\n")], []
    if kind == "python script":
        python = programs.interpreter("python3")
        path = write_script(scripts / "agent.py", f"#!{python} -I\n{(SOURCES / 'fetch.py').read_text()}")
        return python, [path, socket], levels.force_flags()
    node = programs.interpreter("node")
    path = write_script(scripts / "agent.js", (SOURCES / "fetch.js").read_text())
    return node, [node, path, socket], [*levels.force_flags(), *levels.jit_flags()]


def run_many(count: int, once: Callable[[int], Verdict]) -> list[Verdict]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(once, range(count)))


@pytest.mark.limit(120)
@pytest.mark.parametrize("kind", SHARES)
def test_every_honest_run_is_served(stage: Stage, programs: Programs, scripts: Path, load: None, kind: str):
    executable, argv, more = prepare(kind, stage, programs, scripts)
    identity = sid(f"/honest/{kind.replace(' ', '-')}")
    selectors = (f"unix:uid:{WHO.uid}", f"unix:sha256:{sha256(executable)}")
    stage.register(LEVELS[kind], identity, *selectors, wait=True, more=more)
    count = max(1, RUNS * SHARES[kind] // 1000)
    ends = run_many(count, lambda _: stage.run(argv, WHO)[0])
    refused = [end for end in ends if identity not in end.ids]
    assert not refused, f"{len(refused)} of {count} honest runs were refused, the first with {refused[0]}"


OFFICIAL = """
import sys
from spiffe import WorkloadApiClient
with WorkloadApiClient(sys.argv[1], default_timeout=10) as client:
    print(client.fetch_x509_svid().spiffe_id)
"""


@pytest.mark.limit(60)
def test_so_is_the_official_client(stage: Stage, load: None):
    """gRPC's C core, in a Python that runs from where it is installed, so that the journal does not see it."""
    identity = sid("/honest/official")
    selectors = ("unix:uid:0", f"unix:sha256:{sha256(my_executable())}")
    stage.register(2, identity, *selectors, wait=True, more=levels.force_flags())
    for _ in range(max(1, RUNS // 200)):
        told = run("-c", OFFICIAL, stage.up.endpoint, program=sys.executable, timeout=20).expect(0)
        assert told.out.split() == [identity], told
