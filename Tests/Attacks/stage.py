"""Where attacks are played: compiled programs, an agent with entries, and attackers as users of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import levels
import mintmark
import pytest
from mintmark import NOBODY, Account, Up, clean_environment, sha256, sid

SOURCES = Path(__file__).resolve().parent / "programs"
# What a driver does not use of the ways to link is no mistake.
FLAGS = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-command-line-argument")
TRUSTED, OWN, BY_PATH, DYNAMIC = (sid(f"/{name}") for name in ("trusted", "own", "by-path", "dynamic"))
LEVELS = (1, 2, 3)
# How long an attacker may take until it tells how things went.
PATIENCE = 22.0


# --- Programs -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Programs:
    """What was compiled from the folder 'programs', on a mount of its own, which the exec journal can watch.

    Whatever is to be measured is executed from there.
    """

    mount: Path
    folder: Path
    attacker: Path
    trusted: Path
    dynamic: Path
    injected: Path
    luck: Path

    @staticmethod
    def build() -> Programs:
        compiler = shutil.which("cc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("needs a C compiler, 'cc' or 'clang'")
        # Passable, readable, and root's.
        mount = Path(tempfile.mkdtemp(prefix="mm-stage-", dir="/tmp"))
        mount.chmod(0o755)
        subprocess.run(["mount", "--bind", mount, mount], check=False, capture_output=True)
        folder = mount / "programs"
        folder.mkdir(0o755)
        # Guarded by the agent, so it has to be there when that starts.
        (mount / "scripts").mkdir(0o755)
        names = ("attacker", "trusted", "dynamic", "injected.so", "luck")
        made = Programs(mount, folder, *(folder / name for name in names))
        try:
            made._compile(compiler)
        except BaseException:
            made.remove()
            raise
        return made

    def _compile(self, compiler: str) -> None:
        parts = ("attacker", "handover", "exelink", "patching", "files", "streams", "ring")
        attacker = [self.attacker, *(f"{part}.c" for part in parts), "-pthread"]
        # Attacker and trusted program are linked to different places, so that one can be mapped into the other where it
        # belongs. Not every linker knows the first way.
        ways = (["-static-pie", "-fPIE"], ["-static", "-no-pie", "-fno-pie", "-Wl,-Ttext-segment=0x10000000"])
        jobs = [
            [[*attacker, *way] for way in ways],
            [[self.trusted, "trusted.c", "-static", "-no-pie", "-fno-pie"]],
            [[self.folder / "libmotto.so", "motto.c", "-shared", "-fPIC"]],
            [[self.injected, "injected.c", "-shared", "-fPIC"]],
            [[self.luck, "luck.c"]],
            [[self.dynamic, "trusted.c", "-DWITH_MOTTO", f"-L{self.folder}", "-lmotto", "-Wl,-rpath,$ORIGIN"]],
        ]
        for attempts in jobs:
            for attempt in attempts:
                command = [compiler, *FLAGS, "-o", *map(str, attempt)]
                ended = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=60)
                if ended.returncode == 0:
                    break
            assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stderr}"

    def remove(self) -> None:
        shutil.rmtree(self.mount, ignore_errors=True)
        subprocess.run(["umount", "--lazy", self.mount], check=False, capture_output=True)
        shutil.rmtree(self.mount, ignore_errors=True)

    def interpreter(self, name: str) -> Path:
        """A copy of 'python3' or 'node' that every user may run; the test is skipped where there is none."""
        copy = self.mount / name
        if not copy.exists():
            found = (f"/usr/bin/{name}", f"/usr/local/bin/{name}", shutil.which(name) or "", sys.executable)
            for path in filter(os.path.exists, map(os.path.realpath, filter(None, found))):
                if not os.path.basename(path).startswith(name.rstrip("3")):
                    continue
                shutil.copy(path, copy)
                copy.chmod(0o755)
                with contextlib.suppress(OSError, AssertionError):
                    script = ("-c", "import json, socket") if name == "python3" else ("-e", "0")
                    if mintmark.run(*script, program=copy, account=NOBODY, timeout=20).code == 0:
                        return copy
                copy.unlink()
            pytest.skip(f"needs a '{name}' that every user may run from another folder")
        return copy


# --- What an attacker reports ---------------------------------------------------------------------

CODES = {0: "OK", 4: "DEADLINE_EXCEEDED", 7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 14: "UNAVAILABLE"}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of it, as the attacker saw it."""

    ids: tuple[str, ...]
    # A gRPC status by its name, or else how the connection ended: closed, reset, goaway, broken, silence.
    ended: str
    message: str
    note: str
    pings: int
    # From before it connected, in seconds, where that was measured.
    seconds: float = 0
    kernel_refuses: str = ""

    @staticmethod
    def of(told: dict) -> Verdict:
        if "kernel_refuses" in told:
            return Verdict((), "kernel", "", "", 0, kernel_refuses=told["kernel_refuses"])
        status = told["status"]
        ended = CODES.get(status, f"status {status}") if status >= 0 else told["ending"] or "silence"
        return Verdict(tuple(told["ids"]), ended, told["message"], told["note"], told["pings"], told.get("seconds", 0))


class Player:
    """A process of an attacker, and what it says."""

    def __init__(self, argv: Sequence[object], account: Account, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=clean_environment(env),
            start_new_session=True,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
        self._buffer = b""
        self.deadline = time.monotonic() + PATIENCE

    def line(self) -> str:
        """The next line on its stdout; empty at its end."""
        out = self.process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = self.deadline - time.monotonic()
            assert left > 0 and select.select([out], [], [], left)[0], f"{self.process.args} said nothing in time"
            more = os.read(out, 65536)
            if not more:
                return ""
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def go_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()

    def verdict(self, act: Callable[[str], None] | None = None) -> Verdict:
        """Waits for its report; when it says 'staged …', acts and lets it go on."""
        while line := self.line():
            if line.startswith("staged"):
                assert act is not None, f"nobody acts on {line!r}"
                act(line.removeprefix("staged").strip())
                self.go_on()
            elif line.startswith("ready"):
                self.go_on()
            elif line.startswith("{"):
                told = json.loads(line)
                if "unsupported" in told:
                    pytest.skip(f"this host lacks {told['unsupported']}")
                assert "broken" not in told, f"the attack's own machinery failed: {told['broken']}"
                return Verdict.of(told)
        raise AssertionError(f"{self.process.args} ended without a report: {self.end()!r}")

    def end(self) -> str:
        """Ends it, with all that it started; returns what it said on stderr."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        try:
            return self.process.communicate(timeout=5)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            return "(its output is still open)"


# --- The stage ------------------------------------------------------------------------------------


class Stage:
    """An agent; per level, one user who attacks and one who is honest."""

    _numbers = itertools.count(1)

    def __init__(self, programs: Programs, up: Up) -> None:
        self.programs, self.up = programs, up
        self.levels = LEVELS if levels.are_there() else (3,)

    @staticmethod
    def open(programs: Programs, start_up: Callable[..., Up]) -> Stage:
        stage = Stage(programs, start_up(*levels.agent_flags(programs.mount)))
        for level in stage.levels:
            stage.enter(level)
        return stage

    def attacker(self, level: int) -> Account:
        return Account(61000 + 10 * level, 61000 + 10 * level)

    def honest(self, level: int) -> Account:
        return Account(61001 + 10 * level, 61001 + 10 * level)

    def enter(self, level: int) -> None:
        """The trusted program has its identity as either user; the attacker's own as the honest one only."""
        trusted = f"unix:sha256:{sha256(self.programs.trusted)}"
        dynamic = f"unix:sha256:{sha256(self.programs.dynamic)}"
        both = (self.attacker(level), self.honest(level))
        for account in both:
            uid = f"unix:uid:{account.uid}"
            self.register(level, TRUSTED, uid, trusted)
            self.register(level, DYNAMIC, uid, dynamic)
            self.register(level, BY_PATH, uid, f"unix:path:{self.programs.trusted}")
        own = f"unix:sha256:{sha256(self.programs.attacker)}"
        self.register(level, OWN, f"unix:uid:{self.honest(level).uid}", own, wait=True)

    def register(
        self, level: int, identity: str, *selectors: str, wait: bool = False, more: Sequence[str] = ()
    ) -> dict[str, Any]:
        flags = [*levels.entry_flags(level), *more]
        return self.up.register(identity, *selectors, flags=flags, wait=wait)

    def play(
        self,
        name: str,
        mode: str,
        account: Account,
        act: Callable[[str], None] | None = None,
    ) -> Verdict:
        """Has the attacker's program play an attack, or its control, to the end."""
        with self.work(account) as work:
            p = self.programs
            argv = [p.attacker, name, mode, self.up.socket, p.trusted, work]
            return self.watch(Player(argv, account), act)

    def run(self, argv: Sequence[object], account: Account, env: dict[str, str] | None = None) -> tuple[Verdict, str]:
        """Runs any program that reports; returns what it said on stderr as well."""
        player = Player(argv, account, env)
        try:
            verdict = player.verdict()
        finally:
            err = player.end()
        return verdict, err

    def watch(self, player: Player, act: Callable[[str], None] | None = None) -> Verdict:
        try:
            return player.verdict(act)
        finally:
            player.end()

    @contextlib.contextmanager
    def work(self, account: Account):
        """A folder of the attacker's own."""
        path = Path(tempfile.mkdtemp(prefix="work-", dir=self.programs.mount))
        os.chown(path, account.uid, account.gid)
        path.chmod(0o755)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    # What tests do when an attacker is ready.

    @contextlib.contextmanager
    def stopped_agent(self):
        """Whoever connects waits in the backlog until the yielded function is called."""
        os.kill(self.up.pid, signal.SIGSTOP)

        def go_on(_: str = "") -> None:
            os.kill(self.up.pid, signal.SIGCONT)

        try:
            yield go_on
        finally:
            go_on()

    @contextlib.contextmanager
    def freezing_agent(self):
        """A function that stops the agent at its first call and lets it go on at its second."""
        signals = iter((signal.SIGSTOP, signal.SIGCONT))
        try:
            yield lambda _: os.kill(self.up.pid, next(signals))
        finally:
            os.kill(self.up.pid, signal.SIGCONT)

    def give_number(self, number: str, account: Account) -> None:
        """Starts the trusted program under a number that is free again."""
        p = self.programs
        command = [p.luck, number, account.uid, account.gid, p.trusted, "wait"]
        ended = mintmark.run(*command[1:], program=command[0], timeout=5)
        if "Operation not permitted" in ended.err or "Function not implemented" in ended.err:
            pytest.skip(f"this host lacks process numbers by choice: {ended.err.strip()}")
        ended.expect(0)

    def end_number(self, number: str) -> None:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{number}/exe") == str(self.programs.trusted):
                os.kill(int(number), signal.SIGKILL)

    @contextlib.contextmanager
    def pushing(self, level: int, account: Account):
        """A function that gives an account one identity more, whatever it runs, so that every stream of it has news."""
        made: list[str] = []

        def push(_: str = "") -> None:
            identity = sid(f"/pushed/{next(self._numbers)}")
            made.append(self.register(level, identity, f"unix:uid:{account.uid}", wait=True)["id"])

        try:
            yield push
        finally:
            for entry in made:
                self.up.cli("entry", "delete", entry).expect(0)
