"""One user makes the agent work as hard as it can; another has to be served all the same (A10)."""

from __future__ import annotations

import contextlib
import time

import pytest
from mintmark import poll
from stage import TRUSTED, Player, Stage

# How long the other user may wait, in seconds.
BOUND = 1.0


def served(stage: Stage) -> float:
    """How long the honest user waits for its identity, over all attempts while it is refused for now.

    Measured by its program: what it takes to start one while others use the processors is not the agent's to mend.
    """
    account = stage.honest(stage.levels[-1])
    waited = 0.0

    def attempt() -> bool:
        nonlocal waited
        verdict, _ = stage.run([stage.programs.trusted, "fetch", stage.up.socket], account)
        waited += verdict.seconds
        return TRUSTED in verdict.ids

    poll("an identity for the other user", attempt, within=10, every=0.01)
    return waited


@pytest.mark.parametrize("way", ["storm", "silent-connections", "many-mappings"], ids=lambda way: f"A10-{way}")
def test_another_user_is_served_within_a_second(stage: Stage, way):
    calm = served(stage)
    account = stage.attacker(stage.levels[-1])
    waits: list[float] = []

    def measure(_: str) -> None:
        for _ in range(5):
            waits.append(served(stage))
            time.sleep(0.2)

    with stage.work(account) as work:
        programs = stage.programs
        argv = [programs.attacker, way, "attack", stage.up.socket, programs.trusted, work]
        player = Player(argv, account)
        try:
            line = player.line()
            assert line.startswith("staged"), line
            measure(line)
        finally:
            player.end()
    assert max(waits) < BOUND, f"waited {', '.join(f'{w:.2f}' for w in waits)} s; in calm {calm:.2f} s ({line})"
    assert stage.up.is_running
    poll("calm again", lambda: served(stage) < BOUND, within=10)


def test_ten_gigabytes_of_nothing_hold_up_nobody(stage: Stage):
    """A10: whether such a file is hashed, in its user's turn, or refused for its size."""
    account = stage.attacker(stage.levels[-1])
    waits = []
    programs = stage.programs
    with contextlib.ExitStack() as works:
        players = [
            Player(
                [
                    *(programs.attacker, "sparse-file", "attack", stage.up.socket, programs.trusted),
                    works.enter_context(stage.work(account)),
                ],
                account,
            )
            for _ in range(4)
        ]
        try:
            for _ in range(5):
                waits.append(served(stage))
            ends = [player.verdict() for player in players]
        finally:
            for player in players:
                player.end()
    assert max(waits) < BOUND, f"waited {', '.join(f'{w:.2f}' for w in waits)} s"
    assert not any(end.ids for end in ends), ends
