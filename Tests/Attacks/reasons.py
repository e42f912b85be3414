"""Why attacks are refused, as the agent's log has to say: the one place to change when a wording does.

Each is a pattern that some line of the log has to contain, ignoring case, written between the attack's start and end.
A row of the catalogue may name several: then each of them would do, because which one is found first depends on timing.
"""

from __future__ import annotations

REASONS: dict[str, str] = {
    # The connection and its sender.
    "other-sender": r"sender_is_another_process|another process wrote",
    "unanswered-challenge": r"live-connection|challenge",
    "image-changed": r"same-image|executed another program|changed meanwhile|process executed",
    "peer-exited": r"peer_gone|process is gone|exited",
    "foreign-namespace": r"own-number|PID namespace",
    # The executable.
    "link-mismatch": r"measured-exec|exe link|its link names another|link-forged|executed-file",
    "not-mapped": r"entry-point",
    "memfd": r"file-system|executable-digest|measured-exec",
    "no-match": r"no identity issued",
    "too-large": r"larger than|executable-digest",
    # Code.
    "anonymous-code": r"no-anonymous-code",
    "unknown-code": r"known-libraries|vouched-libraries",
    "dirty-code": r"unchanged-code",
    # Others at work on the process.
    "traced": r"not-traced|untainted",
}


def pattern(*names: str) -> str:
    return "|".join(f"(?:{REASONS[name]})" for name in names)
