"""Fixtures and the time limit of every test."""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mintmark
from mintmark import NOBODY, Account, Agent, Daemon, Server, Up

# How long one test may take, and how long its fixtures may; `@pytest.mark.limit(seconds)` for the slower ones.
DEFAULT_LIMIT = 30
SETUP_LIMIT = 90


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "limit(seconds): the hard time limit of a test, instead of the usual one")
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SPIFFE_"):
            del os.environ[name]
    if config.option.collectonly:
        return
    if not os.environ.get("MINTMARK_BIN_DIR"):
        raise pytest.UsageError(
            "MINTMARK_BIN_DIR is not set: name the folder that holds the built executables 'mintmark' and "
            "'sample-agent', for instance MINTMARK_BIN_DIR=.build/debug"
        )
    # Tests change folder for some commands.
    os.environ["MINTMARK_BIN_DIR"] = os.path.abspath(os.environ["MINTMARK_BIN_DIR"])
    for program in ("mintmark", "sample-agent"):
        path = mintmark.bin_dir() / program
        if not os.access(path, os.X_OK):
            raise pytest.UsageError(f"MINTMARK_BIN_DIR has no executable '{program}': {path}")


@pytest.fixture(scope="session", autouse=True)
def journal_mount() -> Iterator[None]:
    """A mount for the exec journals of the agents to look at, so that the tests mark nothing else of this host."""
    folder = Path(tempfile.mkdtemp(prefix="mm-journal-", dir="/tmp"))
    mounted = os.geteuid() == 0 and (
        subprocess.run(["mount", "-t", "tmpfs", "mintmark-tests", folder], check=False, capture_output=True).returncode == 0
    )
    mintmark.journal_mount = folder if mounted else None
    yield
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)
    folder.rmdir()


# --- Time -----------------------------------------------------------------------------------------


class TooLong(Exception):
    """A test, or one of its fixtures, ran out of time."""


def _limited(item: pytest.Item, seconds: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TooLong(f"{item.name} took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    # Should even that not get through (a call stuck in native code), say where and end the run.
    faulthandler.dump_traceback_later(seconds + 30, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _limit_of(item: pytest.Item) -> float:
    marker = item.get_closest_marker("limit")
    return marker.args[0] if marker else DEFAULT_LIMIT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    return (yield from _limited(item, SETUP_LIMIT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    return (yield from _limited(item, _limit_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    return (yield from _limited(item, SETUP_LIMIT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Shows, next to a failure, what the processes behind it said."""
    report = yield
    if report.failed:
        for daemon in Daemon.started:
            report.sections.append((f"{daemon.name} (pid {daemon.pid})", str(daemon.result())))
    return report


# --- Folders --------------------------------------------------------------------------------------


def _make_home() -> Path:
    # Short, because a Unix socket's path has at most 107 bytes; passable, so that other users reach the sockets.
    home = Path(tempfile.mkdtemp(prefix="mm-", dir="/tmp"))
    home.chmod(0o711)
    return home


@pytest.fixture
def home() -> Iterator[Path]:
    path = _make_home()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_home() -> Iterator[Path]:
    path = _make_home()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def measured() -> Iterator[Path]:
    """A mount of its own, all that the exec journal of these tests looks at; what is to be measured runs from there."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a folder for the exec journal")
    path = _make_home()
    path.chmod(0o755)
    subprocess.run(["mount", "--bind", path, path], check=True, capture_output=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)
    subprocess.run(["umount", "--lazy", path], check=False, capture_output=True)
    shutil.rmtree(path, ignore_errors=True)


# --- Processes ------------------------------------------------------------------------------------


def _closing(daemons: list[Daemon]) -> None:
    failures = []
    for daemon in reversed(daemons):
        try:
            daemon.close()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


def _starter(home: Path, started: list[Daemon]) -> Callable[..., Up]:
    def start(
        *flags: Any, name: str = "", state: Path | str = "", ready_file: Path | None = None, **options: Any
    ) -> Up:
        up = Up(home, *flags, name=name or f"up{len(started) or ''}", state=state, ready_file=ready_file)
        started.append(up)
        return up.start(**options)

    return start


@pytest.fixture
def start_up(home: Path) -> Iterator[Callable[..., Up]]:
    """Starts `mintmark up` with flags, in a state folder of its own; ends it after the test."""
    started: list[Daemon] = []
    yield _starter(home, started)
    _closing(started)


@pytest.fixture
def up(start_up: Callable[..., Up]) -> Up:
    """A fresh `mintmark up` without entries."""
    return start_up()


@pytest.fixture(scope="module")
def start_module_up(module_home: Path) -> Iterator[Callable[..., Up]]:
    """Like `start_up`, for what all tests of a file may share because none changes it."""
    started: list[Daemon] = []
    yield _starter(module_home, started)
    _closing(started)


@pytest.fixture
def roles(home: Path) -> Iterator[Roles]:
    """Servers and agents as processes of their own; ended after the test."""
    made = Roles(home)
    yield made
    _closing(made.started)


@pytest.fixture(scope="module")
def module_roles(module_home: Path) -> Iterator[Roles]:
    """Like `roles`, for what all tests of a file may share because none changes it."""
    made = Roles(module_home)
    yield made
    _closing(made.started)


class Roles:
    """Makes servers and agents in one folder and remembers them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[Daemon] = []

    def keep(self, daemon: Any) -> Any:
        self.started.append(daemon)
        return daemon

    def server(self, name: str = "server", **settings: Any) -> Server:
        server = self.keep(Server(self.home, name, **settings))
        server.start()
        return server

    def agent(self, server: Server, name: str = "agent", **settings: Any) -> Agent:
        """An agent that was not started yet."""
        return self.keep(Agent(self.home, server.address, name, **settings))


# --- Other users ----------------------------------------------------------------------------------


@pytest.fixture
def root() -> None:
    """For tests that act as several users."""
    if os.geteuid() != 0:
        pytest.skip("needs root: switches to other users")


@pytest.fixture
def nobody(root: None) -> Account:
    return NOBODY


@pytest.fixture(scope="session")
def public_bin() -> Iterator[Path]:
    """A folder with the executables that every user may run."""

    def works(folder: Path) -> bool:
        try:
            return mintmark.run("version", bin=folder, account=NOBODY).code == 0
        except PermissionError:
            return False

    if os.geteuid() != 0 or works(mintmark.bin_dir()):
        yield mintmark.bin_dir()
        return
    copies = _make_home()
    try:
        copies.chmod(0o755)
        for program in ("mintmark", "sample-agent"):
            shutil.copy(mintmark.bin_dir() / program, copies / program)
            (copies / program).chmod(0o755)
        mintmark.run("version", bin=copies, account=NOBODY).expect(0)
        yield copies
    finally:
        shutil.rmtree(copies, ignore_errors=True)
