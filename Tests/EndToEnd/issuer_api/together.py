"""Scenes that mostly wait, played at the same time: each on a stage of its own, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fake_spire_server import DOMAIN, FakeSPIREServer
from mintmark import Agent, Daemon, Server


class Stage:
    """Where one scene takes place: a folder, and whatever was started in it."""

    def __init__(self, home: Path, ending: contextlib.ExitStack) -> None:
        self.home, self.ending = home, ending
        self.started: list[Daemon] = []

    def keep(self, daemon: Any) -> Any:
        self.started.append(daemon)
        return daemon

    def server(self, name: str = "server", **settings: Any) -> Server:
        server = self.keep(Server(self.home, name, **settings))
        server.start()
        return server

    def agent(self, server: Server, name: str = "agent", **settings: Any) -> Agent:
        """An agent of a server of ours that was not started yet."""
        return self.keep(Agent(self.home, server.address, name, **settings))

    def fake(self, **settings: Any) -> FakeSPIREServer:
        return self.ending.enter_context(FakeSPIREServer(self.home, **settings))

    def join(self, **settings: Any) -> tuple[FakeSPIREServer, Agent]:
        """A fake, and an agent of ours that has a token for it and was not started."""
        fake = self.fake(**settings)
        fake.joining = str(uuid.uuid4())
        fake.agent_id = f"spiffe://{DOMAIN}/spire/agent/join_token/{fake.joining}"
        fake.token(fake.joining)
        return fake, self.keep(Agent(self.home, fake.address))

    def certified(self, kind: str = "ec", **settings: Any) -> tuple[FakeSPIREServer, Agent]:
        """A fake with an entry, and an agent of ours that has a certificate for it and was not started."""
        fake = self.fake(**settings)
        node = fake.node_authority.node("ours", kind)
        fake.agent_id = f"spiffe://{DOMAIN}{node.id_path}"
        fake.put_entry("one", "/fake/one", fake.agent_id, f"unix:uid:{os.getuid()}")
        files = node.write(self.home)
        return fake, self.keep(Agent(self.home, fake.address, node_attestor={"x509pop": files}))


@contextlib.contextmanager
def a_stage() -> Iterator[Stage]:
    home = Path(tempfile.mkdtemp(prefix="mm-", dir="/tmp"))
    home.chmod(0o711)
    try:
        with contextlib.ExitStack() as ending:
            stage = Stage(home, ending)
            yield stage
            # Processes first: what they were connected to ends with the stack.
            for daemon in reversed(stage.started):
                daemon.close()
            stage.started.clear()
    finally:
        for daemon in stage.started:
            with contextlib.suppress(AssertionError):
                daemon.close()
        shutil.rmtree(home, ignore_errors=True)


class Together:
    """The scenes of a file."""

    def __init__(self) -> None:
        self.scenes: dict[str, Callable[[Stage], None]] = {}

    def scene(self, *cases: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Makes a function a scene, or one for each case that it is called with."""

        def add(function: Callable[..., None]) -> Callable[..., None]:
            for case in cases or (None,):
                name = function.__name__ if case is None else f"{function.__name__}-{getattr(case, 'name', case)}"
                self.scenes[name] = (
                    function if case is None else lambda stage, function=function, case=case: function(stage, case)
                )
            return function

        return add

    def play(self, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
        """Plays the scenes that tests of this run ask for."""
        wanted = [
            item.callspec.params["scene"]
            for item in request.session.items
            if item.module is request.module and "scene" in getattr(item, "callspec", Nothing).params
        ]

        def run(name: str) -> None:
            with a_stage() as stage:
                self.scenes[name](stage)

        with ThreadPoolExecutor(max_workers=len(wanted) or 1) as pool:
            yield {name: pool.submit(run, name) for name in wanted}


class Nothing:
    params: dict[str, Any] = {}
