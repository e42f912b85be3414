"""Other code gets into a registered program by its environment (A6), by its folder, or by its interpreter (A9)."""

from __future__ import annotations

import os
import re
import shutil

import levels
import pytest
from mintmark import Account, sha256, sid
from reasons import pattern
from stage import DYNAMIC, SOURCES, TRUSTED, Stage
from test_attacks import levels_known

MARK = "injected"


def levels_from(least: int) -> list[int]:
    return list(range(1, 4)) if levels_known() else [3]


def give(path, account: Account, source):
    """A file of the attacker's own."""
    shutil.copy(source, path)
    os.chown(path, account.uid, account.gid)
    path.chmod(0o755)
    return path


def preload(stage: Stage, work, account):
    return stage.programs.dynamic, {"LD_PRELOAD": give(work / "any.so", account, stage.programs.injected)}


def audit(stage: Stage, work, account):
    return stage.programs.dynamic, {"LD_AUDIT": give(work / "any.so", account, stage.programs.injected)}


def library_path(stage: Stage, work, account):
    give(work / "libmotto.so", account, stage.programs.injected)
    return stage.programs.dynamic, {"LD_LIBRARY_PATH": work}


def origin(stage: Stage, work, account):
    """The program's own bytes, next to another library of the same name."""
    give(work / "libmotto.so", account, stage.programs.injected)
    return give(work / "dynamic", account, stage.programs.dynamic), {}


@pytest.mark.parametrize("level", levels_from(1), ids=lambda level: f"AL{level}")
@pytest.mark.parametrize("way", [preload, audit, library_path, origin], ids=lambda way: f"A6-{way.__name__}")
def test_a_library_of_the_attackers_is_found_among_the_mappings(stage: Stage, way, level):
    account = stage.attacker(level)
    verdict, said = stage.run([stage.programs.dynamic, "fetch", stage.up.socket], account)
    assert DYNAMIC in verdict.ids and MARK not in said, f"honest, and refused: {verdict}"
    before = len(stage.up.log)
    with stage.work(account) as work:
        program, env = way(stage, work, account)
        verdict, said = stage.run([program, "fetch", stage.up.socket], account, {k: str(v) for k, v in env.items()})
    assert MARK in said, "the library did not get in, so this shows nothing"
    if level < 3:
        # Libraries are not looked at before level 3: this shows that the attack works.
        assert DYNAMIC in verdict.ids, verdict
        return
    assert not verdict.ids, f"THE ATTACK SUCCEEDED: {verdict}"
    if levels.are_there():
        log = stage.up.log[before:]
        assert re.search(pattern("unknown-code"), log, re.IGNORECASE), f"refused, but the log does not say why:\n{log}"


def test_zero_inside_is_not_zero_outside(stage: Stage):
    """X14: an own user namespace in which the attacker is root, against an entry for root."""
    identity = sid("/root-only")
    stage.register(2, identity, "unix:uid:0", f"unix:sha256:{sha256(stage.programs.trusted)}", wait=True)
    stranger = Account(61999, 61999)
    verdict = stage.play("root-inside", "attack", stranger)
    assert not verdict.ids, f"THE ATTACK SUCCEEDED: {verdict}"
    control, _ = stage.run([stage.programs.trusted, "fetch", stage.up.socket], Account(0, 0))
    assert identity in control.ids, control


# --- Gaps that the documentation names ------------------------------------------------------------

# What an interpreter reads is data to the kernel. Until agents are started by a measured launcher, such an identity is
# that of the interpreter, whatever it is told to do; an entry for one has to be asked for twice.


@pytest.fixture(scope="module")
def python_agent(stage: Stage):
    python = stage.programs.interpreter("python3")
    account = Account(61900, 61900)
    identity = sid("/python-agent")
    selectors = (f"unix:uid:{account.uid}", f"unix:sha256:{sha256(python)}")
    stage.register(3, identity, *selectors, wait=True, more=levels.force_flags())
    return python, account, identity


def test_gap_a_bare_interpreter_is_any_of_its_scripts(stage: Stage, python_agent):
    """A9: `python3 agent.py` and `python3 evil.py`."""
    python, account, identity = python_agent
    with stage.work(account) as work:
        for name in ("agent.py", "evil.py"):
            script = give(work / name, account, SOURCES / "fetch.py")
            verdict, _ = stage.run([python, script, stage.up.socket], account)
            assert verdict.ids == (identity,), verdict


def test_gap_python_obeys_its_environment(stage: Stage, python_agent):
    """A6 as far as mappings do not reach."""
    python, account, identity = python_agent
    with stage.work(account) as work:
        script = give(work / "agent.py", account, SOURCES / "fetch.py")
        (work / "sitecustomize.py").write_text(f"import sys; print({MARK!r}, file=sys.stderr)\n")
        verdict, said = stage.run([python, script, stage.up.socket], account, {"PYTHONPATH": str(work)})
    assert MARK in said, "the module did not get in, so this shows nothing"
    assert verdict.ids == (identity,), verdict


def test_gap_node_obeys_its_environment(stage: Stage):
    """A6 as far as mappings do not reach."""
    node = stage.programs.interpreter("node")
    account, identity = Account(61901, 61901), sid("/node-agent")
    selectors = (f"unix:uid:{account.uid}", f"unix:sha256:{sha256(node)}")
    more = [*levels.force_flags(), *levels.jit_flags()]
    stage.register(3, identity, *selectors, wait=True, more=more)
    with stage.work(account) as work:
        script = give(work / "agent.js", account, SOURCES / "fetch.js")
        (work / "evil.js").write_text(f"console.error({MARK!r})\n")
        env = {"NODE_OPTIONS": f"--require {work}/evil.js"}
        verdict, said = stage.run([node, script, stage.up.socket], account, env)
    assert MARK in said, "the module did not get in, so this shows nothing"
    assert verdict.ids == (identity,), verdict
