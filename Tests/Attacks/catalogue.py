"""The attacks, one row each.

A row names a part of 'programs/attacker' and says

* what the attacker is after: the identity of the trusted program, which it runs itself under its own user, so that only
  what is proven about the process stands between the two ("trusted"); or, for what taints the attacker's own program,
  the identity which that has when it is left alone ("own");
* who asks in the control, that is, in the same program without the step that makes it an attack: the attacker's program
  as the honest user ("own"), or the trusted program ("trusted");
* the lowest and highest level at which it is played and has to be refused, and whether it succeeds below that, which shows that it works;
* why it is refused, as keys of reasons.py;
* what the test does while the attacker waits.

Numbers A1 to A14 are those of the threat model; those with an X are beyond it.

Most of these take the identity from an agent that asks for SO_PEERCRED at connect and hashes /proc/PID/exe. Some do
not, and are here so that this stays so when more is remembered or looked up:

* connector-dies, stolen-from-the-dead, number-used-again: a pidfd refuses them; a look-up by number would not;
* replaced-file, decoy-chroot, forged-names: reading through /proc/PID/exe refuses them; trusting a path or argv would
  not;
* the cache-… rows, store-during-exec and sparse-file: hashing everything each time refuses them, or takes too long; a
  cache, and digests taken at exec, have to be as careful;
* ring-polled: the kernel ends the thread that would write; the socket's server must not take that for a caller;
* link-without-namespace, link-exe-file-own-namespace, link-file-still-mapped, forged-without-namespace: the kernel
  refuses them; should one ever not, the agent has to.
"""

from __future__ import annotations

import dataclasses

REFUSED = frozenset({"PERMISSION_DENIED", "UNAVAILABLE", "closed", "reset", "goaway", "broken"})
# Where nobody is left who could say anything, or nobody answers the challenge within the attacker's patience.
IN_VAIN = REFUSED | {"silence", "DEADLINE_EXCEEDED"}
BY_KERNEL = frozenset({"kernel"})


@dataclasses.dataclass(frozen=True)
class Attack:
    number: str
    name: str
    because: tuple[str, ...]
    control: str = "own"
    least: int = 2
    most: int = 3
    after: str = "trusted"
    # Whether an entry that asks for level 1 only is won by it.
    wins_at_1: bool = False
    ends: frozenset[str] = REFUSED
    # 'stopped': the agent does not accept before the attacker is ready; 'freeze': it is stopped when the attacker first
    # says that it is ready, and goes on when it says so again; 'push': it has news for the streams; 'number':
    # the attacker's old process number goes to the trusted program; 'nothing': the attacker goes on at once.
    act: str = ""
    # A gap that the documentation names: why the attack is not refused. The test then expects that it succeeds.
    gap: str = ""

    def __str__(self) -> str:
        return f"{self.number}-{self.name}"


ATTACKS = [
    # The connector executes the trusted program, or is followed by another process.
    Attack("A1", "child-speaks", ("other-sender", "image-changed")),
    Attack("A1", "child-mute-to-pings", ("other-sender", "unanswered-challenge", "image-changed"), ends=IN_VAIN),
    Attack("A1", "child-finishes-request", ("other-sender", "image-changed")),
    Attack("X1", "another-thread-execs", ("other-sender", "image-changed")),
    Attack("X2", "cut-by-exec", ("other-sender", "image-changed")),
    Attack("X3", "vfork-child-connects", ("other-sender", "image-changed")),
    Attack("X4", "shared-descriptor-table", ("other-sender", "image-changed")),
    Attack("X5", "scm-rights", ("other-sender", "image-changed")),
    Attack("A2", "many-streams-then-exec", ("unanswered-challenge", "image-changed", "other-sender"), ends=IN_VAIN),
    Attack(
        *("X6", "replayed-pongs", ("unanswered-challenge", "image-changed", "other-sender")), act="freeze", ends=IN_VAIN
    ),
    Attack("A2", "exec-in-backlog", ("unanswered-challenge", "other-sender"), act="stopped", ends=IN_VAIN),
    Attack("A2", "relay-after-accept", ("image-changed",)),
    Attack(
        *("X7", "relay-in-backlog", ("image-changed",)),
        act="stopped",
        gap="the connection was made before the exec, and everything after accept comes from the trusted program, "
        "which copies what it is told; registering a program that does so for whoever starts it is the mistake",
    ),
    Attack("A3", "connector-dies", ("peer-exited", "other-sender"), ends=IN_VAIN),
    Attack("A3", "stolen-socket", ("other-sender",), control="trusted"),
    Attack("X8", "stolen-from-the-dead", ("peer-exited", "other-sender"), control="trusted", ends=IN_VAIN),
    # The link names the trusted program while other code runs.
    Attack("A4", "link-own-namespace", ("link-mismatch", "not-mapped", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-helper", ("link-mismatch", "not-mapped", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-code-in-own-file", ("link-mismatch", "not-mapped"), wins_at_1=True),
    Attack("A4", "link-code-in-shared-file", ("link-mismatch", "not-mapped"), wins_at_1=True),
    Attack("A4", "link-code-in-memfd", ("link-mismatch", "not-mapped", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-code-in-sysv-segment", ("link-mismatch", "not-mapped", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-code-in-trusted-file", ("link-mismatch", "not-mapped", "dirty-code"), wins_at_1=True),
    Attack("A4", "link-decoy-and-anonymous", ("link-mismatch", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-decoy-and-own-file", ("link-mismatch", "unknown-code"), wins_at_1=True),
    Attack("A4", "link-decoy-and-trusted-file", ("link-mismatch", "dirty-code"), wins_at_1=True),
    Attack("A4", "link-decoy-own-namespace", ("link-mismatch", "unknown-code"), wins_at_1=True),
    Attack("A4", "link-decoy-then-fork", ("link-mismatch", "unknown-code"), wins_at_1=True),
    Attack("A4", "link-fork-then-decoy", ("link-mismatch", "unknown-code"), wins_at_1=True),
    Attack("A4", "link-after-connecting", ("link-mismatch", "not-mapped", "anonymous-code"), wins_at_1=True),
    Attack("A4", "link-without-namespace", (), ends=BY_KERNEL),
    Attack("A4", "link-exe-file-own-namespace", (), ends=BY_KERNEL),
    Attack("A4", "link-file-still-mapped", (), ends=BY_KERNEL),
    # Code that is in no file, in the attacker's own program.
    Attack("A4", "anonymous-executable-memory", ("anonymous-code",), after="own", wins_at_1=True),
    Attack("A4", "executable-stack", ("anonymous-code",), after="own", wins_at_1=True),
    Attack("A5", "patched-text", ("dirty-code",), after="own", wins_at_1=True),
    # Others at work on the trusted program.
    Attack("A5", "patch-proc-mem", ("dirty-code",), control="trusted", wins_at_1=True),
    Attack("A5", "patch-poketext", ("dirty-code", "traced"), control="trusted", wins_at_1=True),
    Attack("A5", "traced", ("traced",), control="trusted", wins_at_1=True),
    Attack("A5", "attach-and-detach", ("traced",), control="trusted", wins_at_1=True),
    Attack("X9", "traced-from-start", ("traced",), control="trusted", wins_at_1=True),
    Attack("A5", "inject-process-vm-writev", ("dirty-code", "traced"), control="trusted", wins_at_1=True),
    Attack("X10", "inject-anonymous-code", ("anonymous-code", "traced"), control="trusted", wins_at_1=True),
    Attack("X15", "inject-connection", ("traced",), control="trusted", wins_at_1=True),
    Attack(
        *("A5", "data-process-vm-writev", ()),
        control="trusted",
        gap="data alone was changed: no code, no ptrace; what approved code does with other data is not attested",
    ),
    # Names and files.
    Attack("A7", "decoy-bind", ("no-match",), control="trusted"),
    Attack("A7", "decoy-overlay", ("no-match",), control="trusted"),
    Attack("A7", "decoy-chroot", ("no-match",), control="trusted"),
    Attack("A7", "decoy-pivot", ("no-match",), control="trusted"),
    Attack("A7", "memfd-copy", ("memfd",), control="trusted", wins_at_1=True),
    Attack("A7", "replaced-file", ("no-match",), control="trusted", act="nothing"),
    Attack("A8", "number-used-again", ("peer-exited", "other-sender"), act="number", ends=IN_VAIN),
    Attack("A9", "forged-names", ("no-match",)),
    Attack("A10", "sparse-file", ("too-large", "no-match"), control="trusted"),
    Attack("A11", "cache-same-size-and-time", ("no-match",), control="trusted"),
    Attack("A11", "cache-mapped-store", ("no-match",), control="trusted"),
    Attack("A11", "cache-inode-again", ("no-match",), control="trusted"),
    # At level 3 no program of a user's is served from there, so that nothing could be told from a refusal.
    Attack("A11", "cache-on-tmpfs", ("no-match",), control="trusted", most=2),
    # What happens after the stream was opened.
    Attack("A12", "stream-then-exec", ("image-changed",), after="own", act="push", ends=IN_VAIN),
    Attack("A12", "stream-then-exec-itself", ("image-changed",), after="own", act="push", ends=IN_VAIN),
    Attack("A12", "stream-then-library", ("unknown-code",), after="own", act="push", least=3),
    Attack("A12", "stream-then-executable-memory", ("anonymous-code",), after="own", act="push"),
    Attack("A12", "stream-then-private-page", ("dirty-code",), after="own", act="push"),
    Attack("A12", "stream-then-patched-text", ("dirty-code",), after="own", act="push"),
    Attack("A12", "stream-then-attach", ("traced",), control="trusted", act="push"),
    Attack("A12", "stream-then-seize", ("traced",), control="trusted", act="push"),
    Attack("A12", "stream-then-patch", ("dirty-code",), control="trusted", act="push"),
    # Senders that are not who they say.
    Attack("A13", "forged-sender", ("foreign-namespace", "image-changed")),
    Attack("A13", "forged-sender-in-backlog", ("foreign-namespace", "image-changed"), act="stopped"),
    Attack("A13", "forged-without-namespace", (), ends=BY_KERNEL),
    Attack("A14", "store-during-exec", ("no-match",), control="trusted"),
    # io_uring: the kernel writes in somebody's name.
    # Nothing reaches the agent, so it has no reason to give.
    Attack("X11", "ring-polled", (), ends=IN_VAIN),
    Attack("X12", "ring-submitted", ("other-sender", "image-changed")),
    Attack("X13", "ring-timed", ("image-changed", "unanswered-challenge", "other-sender"), act="freeze", ends=IN_VAIN),
]
