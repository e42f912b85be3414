"""Why attacks are refused, as the agent's log has to say: the one place to change when a wording does.

Each is a pattern that some line of the log has to contain, ignoring case, written between the attack's start and end.
A row of the catalogue may name several: then each of them would do, because which one is found first depends on timing.
"""

from __future__ import annotations

REASONS: dict[str, str] = {
    # The connection and its sender.
    "other-sender": r"other-sender|another process (wrote|sent)|sender .* is not the (connector|peer)",
    "unanswered-challenge": r"challenge .*(unanswered|not answered|timed out|expired)|liveness",
    "image-changed": r"image.changed|executed .* since|exec generation|another image",
    "peer-exited": r"peer (has )?exited|process is gone|has ended|exited",
    "foreign-namespace": r"(pid|user|foreign).namespace",
    # The executable.
    "link-mismatch": r"exe.link.mismatch|link .* not .*executed",
    "not-mapped": r"executable is not mapped|entry point",
    "unmeasured": r"unmeasured|not measured|measured at exec",
    "memfd": r"memfd|filesystem|unmeasured|not measured",
    "other-mount-namespace": r"mount.namespace|namespace",
    "no-match": r"no identity issued|no entry",
    "too-large": r"too large|size limit|exceeds",
    # Code.
    "anonymous-code": r"anonymous executable|anon.exec",
    "unknown-code": r"unknown .*mapping|executable mapping|unmeasured library|writable by",
    "dirty-code": r"private dirty|dirty (text|code|page)|text .*(changed|written|modified)",
    # Others at work on the process.
    "traced": r"traced|tracer|ptrace",
    # Costs.
    "over-budget": r"budget|too many|overload",
}


def pattern(*names: str) -> str:
    return "|".join(f"(?:{REASONS[name]})" for name in names)
