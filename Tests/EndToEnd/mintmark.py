"""Runs Mintmark's executables and speaks to their sockets, for the tests in this folder.

Nothing here sleeps to synchronise: everything waits for a condition with a deadline (`poll`). Whatever fails shows
the command, its exit code and its output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc
import yaml
from cryptography import x509

from workload import WorkloadAPI

TRUST_DOMAIN = "example.org"
HERE = Path(__file__).resolve().parent

# Exit codes, as the command-line contract has them.
FAILED, USAGE, UNREACHABLE, CANNOT_CREATE, NOT_PERMITTED, BAD_CONFIG = 1, 64, 69, 73, 77, 78
# Stands for the exit code of a process that has none yet.
RUNNING = -1000

Value = TypeVar("Value")
_numbers = itertools.count(1)


# --- Waiting --------------------------------------------------------------------------------------


def poll(
    what: str,
    attempt: Callable[[], Value],
    within: float = 10.0,
    every: float = 0.05,
    ignoring: tuple[type[BaseException], ...] = (),
) -> Value:
    """Calls `attempt` until it returns something true; if it never does, says what was waited for."""
    deadline = time.monotonic() + within
    while True:
        try:
            last: Any = attempt()
            if last:
                return last
        except ignoring as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {within:g} s in vain for: {what}\nlast answer: {last!r}")
        time.sleep(every)


# --- Names ----------------------------------------------------------------------------------------


def sid(path: str) -> str:
    return f"spiffe://{TRUST_DOMAIN}{path}"


def fresh_id(prefix: str = "w") -> str:
    """A SPIFFE ID that no other test uses."""
    return sid(f"/{prefix}/{next(_numbers)}")


def my_uid() -> str:
    return f"unix:uid:{os.getuid()}"


def my_executable() -> str:
    """The executable of this very process, as the kernel names it."""
    return os.readlink("/proc/self/exe")


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@dataclasses.dataclass(frozen=True)
class Account:
    """Whom to run a process as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


NOBODY = Account(65534, 65534)


# --- What the exec journal looks at -----------------------------------------------------------------

# A mount that these tests made, and nothing else of the host; None where none could be made.
journal_mount: Path | None = None


def journal_flags() -> list[Any]:
    return ["--exec-journal-mount", journal_mount] if journal_mount else ["--no-exec-journal"]


def journal_settings() -> dict[str, str]:
    return {"exec_journal_mounts": str(journal_mount)} if journal_mount else {"exec_journal": "off"}


# --- Commands -------------------------------------------------------------------------------------


def bin_dir() -> Path:
    return Path(os.environ["MINTMARK_BIN_DIR"])


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without anything that could point at another Mintmark."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MINTMARK_", "SPIFFE_"))}
    return kept | {k: str(v) for k, v in (extra or {}).items()}


def _identity(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)}


def _command(arguments: Sequence[Any], program: str | Path, bin: Path | None, wrapper: Sequence[str]) -> list[str]:
    path = program if os.sep in str(program) else (bin or bin_dir()) / program
    return [*wrapper, str(path), *map(str, arguments)]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command said and how it ended."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return (
            f"\n$ {' '.join(self.argv)}\n{'still running' if self.code == RUNNING else f'exit code {self.code}'}\n"
            f"--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}\n---"
        )

    __repr__ = __str__

    def expect(self, *codes: int) -> Result:
        codes = codes or (0,)
        assert self.code in codes, f"expected exit code {' or '.join(map(str, codes))}{self}"
        return self

    def refusal(self, *codes: int, saying: Iterable[str] = ()) -> Result:
        """Expects an exit code and, on stderr, exactly one error with its next step."""
        self.expect(*codes)
        lines = self.err.splitlines()
        errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        assert len(errors) == 1, f"expected one line 'error: …' on stderr, found {len(errors)}{self}"
        hints = [line for line in lines[errors[0] + 1 :] if line.startswith("hint: ") and len(line) > len("hint: ")]
        assert hints, f"expected a line 'hint: …' after the error{self}"
        told = "\n".join(lines[errors[0] :]).lower()
        for text in saying:
            assert text.lower() in told, f"expected the error or its hint to say {text!r}{self}"
        return self

    def json(self) -> Any:
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is not one JSON document: {error}{self}") from None

    def yaml(self) -> Any:
        try:
            return yaml.load(self.out, Loader=_PlainTimestampLoader)
        except yaml.YAMLError as error:
            raise AssertionError(f"stdout is not YAML: {error}{self}") from None


class _PlainTimestampLoader(yaml.SafeLoader):
    """Reads instants as the text they are, as the JSON has them."""


_PlainTimestampLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def run(
    *arguments: Any,
    program: str | Path = "mintmark",
    bin: Path | None = None,
    wrapper: Sequence[str] = (),
    env: dict[str, str] | None = None,
    account: Account | None = None,
    timeout: float = 20.0,
    **options: Any,
) -> Result:
    """Runs a command to its end."""
    argv = _command(arguments, program, bin, wrapper)
    if account is not None:
        options.setdefault("cwd", "/")
    process = subprocess.Popen(
        argv,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **_identity(account),
        **options,
    )
    late = False
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        if process.returncode is None:
            # A wrapper may have made a process of its own.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    said = (out.decode(errors="replace"), err.decode(errors="replace"))
    assert not late, f"did not end within {timeout:g} s{Result(tuple(argv), RUNNING, *said)}"
    return Result(tuple(argv), process.returncode, *said)


def openssl(*arguments: Any, input: bytes = b"", timeout: float = 20.0) -> Result:
    ended = subprocess.run(
        ["openssl", *map(str, arguments)], input=input, capture_output=True, timeout=timeout, env=clean_environment()
    )
    return Result(
        ("openssl", *map(str, arguments)),
        ended.returncode,
        ended.stdout.decode(errors="replace"),
        ended.stderr.decode(errors="replace"),
    )


# --- Long-running processes -----------------------------------------------------------------------


class Daemon:
    """A process that runs until it is told otherwise. Its output goes to files, so that nothing blocks on a pipe."""

    program: str | Path = "mintmark"
    started: list[Daemon] = []

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.ready_file = folder / f"{name}.ready"
        self.process: subprocess.Popen[bytes] | None = None
        self._runs = 0
        self._end_is_expected = True

    def arguments(self) -> list[Any]:
        raise NotImplementedError

    def start(
        self,
        *extra: Any,
        wait: bool = True,
        bin: Path | None = None,
        wrapper: Sequence[str] = (),
        env: dict[str, str] | None = None,
        account: Account | None = None,
        **options: Any,
    ) -> Daemon:
        """Starts it, for the first time or again."""
        assert not self.is_running, f"{self.name} is running already"
        self.ready_file.unlink(missing_ok=True)
        self._runs += 1
        self.argv = _command([*self.arguments(), *extra], self.program, bin, wrapper)
        with open(self._path("out"), "wb") as out, open(self._path("err"), "wb") as err:
            self.process = subprocess.Popen(
                self.argv,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                **_identity(account),
                **options,
            )
        self._end_is_expected = False
        if self not in Daemon.started:
            Daemon.started.append(self)
        if wait:
            self.wait_ready()
        return self

    def _path(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{self._runs}.{kind}"

    @property
    def out(self) -> str:
        return self._path("out").read_text(errors="replace")

    @property
    def log(self) -> str:
        return self._path("err").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def result(self) -> Result:
        assert self.process is not None
        code = self.process.poll()
        return Result(tuple(self.argv), RUNNING if code is None else code, self.out, self.log)

    def is_ready(self) -> bool:
        return self.ready_file.exists()

    def wait_ready(self, within: float = 40.0) -> Daemon:
        def ready_or_over() -> bool:
            if self.is_ready():
                return True
            assert self.is_running, f"{self.name} ended before it was ready{self.result()}"
            return False

        try:
            poll(f"{self.name} to be ready", ready_or_over, within, every=0.01)
        except AssertionError as error:
            raise AssertionError(f"{error}{self.result()}") from None
        return self

    def wait_log(self, pattern: str, within: float = 15.0) -> str:
        """Waits for a line in the log, ignoring case."""
        try:
            return poll(
                f"a log line like {pattern!r}",
                lambda: next((line for line in self.log.splitlines() if re.search(pattern, line, re.IGNORECASE)), ""),
                within,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}{self.result()}") from None

    def wait_exit(self, within: float = 20.0) -> Result:
        assert self.process is not None
        self._end_is_expected = True
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {within:g} s{self.result()}") from None
        return self.result()

    def stop(self, by: signal.Signals = signal.SIGTERM, within: float = 20.0) -> Result:
        assert self.is_running, f"{self.name} is not running{self.result()}"
        self.process.send_signal(by)
        return self.wait_exit(within)

    def kill(self) -> None:
        """What a power cut or the OOM killer does."""
        assert self.is_running, f"{self.name} is not running{self.result()}"
        self._end_is_expected = True
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        """Ends it at the end of a test; an end that no test asked for is a failure of its own."""
        if self in Daemon.started:
            Daemon.started.remove(self)
        if self.process is None:
            return
        if self.is_running:
            self.process.kill()
            self.process.wait(10)
        else:
            assert self._end_is_expected, f"{self.name} ended by itself{self.result()}"

    # What the kernel says about it.

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


class Admin:
    """Speaks to an issuer through its admin socket."""

    admin_environment: dict[str, str]

    def cli(self, *arguments: Any, **options: Any) -> Result:
        env = self.admin_environment | options.pop("env", {})
        return run(*arguments, env=env, **options)

    def json(self, *arguments: Any, **options: Any) -> Any:
        return self.cli(*arguments, "--output", "json", **options).expect(0).json()

    def register(self, spiffe_id: str, *selectors: str, flags: Sequence[Any] = (), wait: bool = True) -> dict[str, Any]:
        """Creates an entry and returns it; unless told otherwise, once the agents have it."""
        named = [part for selector in selectors for part in ("--selector", selector)]
        waiting = ["--wait"] if wait else []
        # Workloads here are often Python, by whose path or digest nobody should go outside a test.
        return self.json("entry", "create", "--spiffe-id", spiffe_id, "--force", *named, *waiting, *flags)

    def entries(self) -> list[dict[str, Any]]:
        return self.json("entry", "list")["entries"]

    def bundle_pem(self) -> str:
        return self.cli("bundle", "show").expect(0).out

    def authorities(self) -> tuple[list[x509.Certificate], dict[str, dict[str, Any]]]:
        """The CA certificates, and the JWKs by their key ID."""
        certificates = x509.load_pem_x509_certificates(self.bundle_pem().encode())
        keys = self.cli("bundle", "show", "--format", "jwks").expect(0).json()["keys"]
        return certificates, {key["kid"]: key for key in keys}


class Workloads:
    """Offers a workload socket."""

    socket: Path

    @property
    def endpoint(self) -> str:
        return f"unix://{self.socket}"

    def api(self) -> WorkloadAPI:
        return WorkloadAPI(self.socket)

    def ids(self) -> list[str]:
        """The identities this very process gets now, over a connection of its own; none when it is refused."""
        with self.api() as api:
            try:
                return [svid.spiffe_id for svid in api.first("FetchX509SVID").svids]
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.PERMISSION_DENIED:
                    return []
                raise

    def sample(self, *arguments: Any, program: str | Path = "sample-agent", **options: Any) -> Result:
        """Runs the sample agent as a workload."""
        arguments = arguments or ("--audience", "a", "--output", "json")
        return run(*arguments, program=program, env={"SPIFFE_ENDPOINT_SOCKET": self.endpoint}, **options)

    def fetch(self, *arguments: Any, **options: Any) -> Result:
        """Runs `mintmark svid …` as a workload."""
        return run("svid", *arguments, env={"SPIFFE_ENDPOINT_SOCKET": self.endpoint}, **options)


class Up(Daemon, Admin, Workloads):
    """`mintmark up`: issuer and agent in one process."""

    def __init__(
        self, folder: Path, *flags: Any, name: str = "up", state: Path | str = "", ready_file: Path | None = None
    ) -> None:
        super().__init__(folder, name)
        self.flags = flags
        self.ready_file = ready_file or self.ready_file
        self.state_argument = state or folder / name
        self.state = folder / self.state_argument
        self.socket = self.state / "workload.sock"
        self.admin_socket = self.state / "admin.sock"
        self.admin_environment = {"MINTMARK_STATE": str(self.state)}

    def arguments(self) -> list[Any]:
        return ["up", "--state", self.state_argument, "--ready-file", self.ready_file, *journal_flags(), *self.flags]


class Server(Daemon, Admin):
    """`mintmark server run`, on a loopback port that it keeps over restarts."""

    def __init__(self, folder: Path, name: str = "server", **settings: Any) -> None:
        super().__init__(folder, name)
        self.data = folder / name
        self.admin_socket = folder / f"{name}-admin.sock"
        self.admin_environment = {"MINTMARK_ADMIN_SOCKET": str(self.admin_socket)}
        self.settings = {
            "trust_domain": TRUST_DOMAIN,
            "data_dir": str(self.data),
            "bind_port": 0,
            "admin_socket": str(self.admin_socket),
        } | settings
        self.config = folder / f"{name}.yaml"

    def arguments(self) -> list[Any]:
        self.config.write_text(yaml.safe_dump(self.settings))
        return ["server", "run", "--config", self.config, "--ready-file", self.ready_file]

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            self.address = json.loads(self.ready_file.read_text())["address"]
            self.settings["bind_port"] = int(self.address.rpartition(":")[2])
            return True
        return False

    @property
    def port(self) -> int:
        return self.settings["bind_port"]

    def token(self, *flags: Any) -> str:
        return self.json("token", "create", *flags)["token"]

    def agents(self) -> list[dict[str, Any]]:
        return self.json("agent", "list")["agents"]

    def write_bundle(self) -> Path:
        path = self.folder / f"{self.name}-bundle.pem"
        path.write_text(self.bundle_pem())
        return path


class Agent(Daemon, Workloads):
    """`mintmark agent run`."""

    def __init__(self, folder: Path, server_address: str, name: str = "agent", **settings: Any) -> None:
        super().__init__(folder, name)
        self.data = folder / name
        self.socket = folder / f"{name}.sock"
        self.settings = {
            "trust_domain": TRUST_DOMAIN,
            "data_dir": str(self.data),
            "server_address": server_address,
            "workload_socket": str(self.socket),
        } | journal_settings() | settings
        self.config = folder / f"{name}.yaml"

    def arguments(self) -> list[Any]:
        self.config.write_text(yaml.safe_dump(self.settings))
        return ["agent", "run", "--config", self.config, "--ready-file", self.ready_file]

    def join(self, server: Server, token: str | None = None, wait: bool = True) -> Agent:
        """Starts for the first time, with a token of its own and the server's bundle."""
        self.start("--join-token", token or server.token(), "--trust-bundle", server.write_bundle(), wait=wait)
        return self


class SVIDWatch(Daemon):
    """`mintmark svid watch`, one JSON document a line."""

    def __init__(self, folder: Path, workloads: Workloads, name: str = "watch") -> None:
        super().__init__(folder, name)
        self.workloads = workloads

    def arguments(self) -> list[Any]:
        return ["svid", "watch", "--output", "json", "--socket", self.workloads.endpoint]

    def documents(self) -> list[Any]:
        """The complete lines so far."""
        return [json.loads(line) for line in self.out.splitlines(keepends=True) if line.endswith("\n")]


def call_as(socket: Path, account: Account | None = None, timeout: float = 30.0) -> dict[str, Any]:
    """Fetches X.509-SVIDs from another Python process, as someone else where an account is given.

    Returns {"code", "details", "spiffe_ids"}. See workload_process.py.
    """
    order = {"socket": str(socket)}
    if account is not None:
        order |= {"uid": account.uid, "gid": account.gid, "groups": list(account.groups)}
    ended = run(HERE / "workload_process.py", json.dumps(order), program=sys.executable, timeout=timeout)
    return ended.expect(0).json()
