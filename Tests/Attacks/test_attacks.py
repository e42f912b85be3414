"""Plays every attack of the catalogue as an unprivileged user against the real agent, each next to its control.

The control is the same program without the step that makes it an attack, and it must be served: a refusal of
everything would pass the rest. Where a level below would be fooled, the attack is played there as well and must
succeed, so that it is known to work.
"""

from __future__ import annotations

import contextlib
import re

import levels
import pytest
from catalogue import ATTACKS, Attack
from mintmark import poll
from reasons import pattern
from stage import OWN, TRUSTED, Stage, Verdict


def plays():
    """Each attack at each level that has to refuse it, and at level 1 where that is fooled."""
    if not levels_known():
        yield from (pytest.param(attack, 3, id=str(attack)) for attack in ATTACKS)
        return
    for attack in ATTACKS:
        if attack.wins_at_1:
            yield pytest.param(attack, 1, id=f"{attack}-AL1")
        for level in (2, 3):
            if attack.least <= level <= attack.most:
                yield pytest.param(attack, level, id=f"{attack}-AL{level}")


def levels_known() -> bool:
    try:
        return levels.are_there()
    except (KeyError, OSError):
        return False  # no executable to ask, as when tests are only listed


@contextlib.contextmanager
def acting(stage: Stage, attack: Attack, level: int, account):
    """What the test does while the attacker waits."""
    if attack.act == "stopped":
        with stage.stopped_agent() as go_on:
            yield go_on
    elif attack.act == "freeze":
        with stage.freezing_agent() as turn:
            yield turn
    elif attack.act == "push":
        with stage.pushing(level, account) as push:
            yield push
    elif attack.act == "number":
        numbers: list[str] = []

        def give(number: str) -> None:
            numbers.append(number)
            stage.give_number(number, account)

        try:
            yield give
        finally:
            for number in numbers:
                stage.end_number(number)
    else:
        yield lambda _: None


def play(stage: Stage, attack: Attack, level: int, mode: str, account) -> Verdict:
    with acting(stage, attack, level, account) as act:
        return stage.play(attack.name, mode, account, act)


@pytest.mark.parametrize("attack, level", list(plays()))
def test_is_refused_and_its_control_is_served(stage: Stage, attack: Attack, level: int):
    honest = stage.honest(level)
    control = play(stage, attack, level, "honest", honest)
    if attack.act == "push":
        assert control.ids, f"the honest stream was not told the news: {control}"
    else:
        assert {"own": OWN, "trusted": TRUSTED}[attack.control] in control.ids, f"honest, and refused: {control}"
    before = len(stage.up.log)
    account = honest if attack.after == "own" else stage.attacker(level)
    verdict = play(stage, attack, level, "attack", account)
    if attack.gap or level < attack.least or (level == 1 and attack.wins_at_1):
        assert verdict.ids, f"was expected to succeed at this level: {verdict}"
        return
    assert not verdict.ids, f"THE ATTACK SUCCEEDED: {verdict}"
    assert verdict.ended in attack.ends, f"refused in another way: {verdict}"
    if attack.because and levels.are_there():
        # The attacker may notice the end before the line about it is written.
        with contextlib.suppress(AssertionError):
            poll("the reason", lambda: re.search(pattern(*attack.because), stage.up.log[before:], re.IGNORECASE), 2.0)
            return
        pytest.fail(
            f"refused, but the log does not say why, which should be {' or '.join(attack.because)}: {verdict}\n"
            + stage.up.log[before:]
        )
