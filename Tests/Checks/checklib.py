"""What the checks share: the files of the project, Swift code without its comments, allow-lists and exit codes.

A check is called with the folder to look at (by default the project it lies in), prints one finding a line, and exits
with 0 when there is none, 1 when there are some, 2 when it could not look, and 3 when there is nothing to look at yet.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path


class CannotRun(Exception):
    """The check itself is broken or a tool is missing; never to be mistaken for a pass."""


class NothingToCheck(Exception):
    """What the check looks at is not there yet; the message says what."""


def main(findings):
    """Runs a check, `findings(root)` yielding lines, as a program."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(sys.argv[0]).resolve().parents[2]).resolve()
    try:
        found = list(findings(root))
    except CannotRun as error:
        print(f"error: {error}")
        sys.exit(2)
    except NothingToCheck as reason:
        print(reason)
        sys.exit(3)
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


def output(command, root, **options):
    """Runs a command in `root` and returns the finished process, or says which tool is missing."""
    try:
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError:
        raise CannotRun(f"'{command[0]}' is not installed or not on PATH") from None


def manifest(root):
    """Package.swift as SwiftPM reads it."""
    with tempfile.TemporaryDirectory() as scratch:
        # A scratch folder of its own, because that of the project is locked while anybody builds.
        dump = output(["swift", "package", "--scratch-path", scratch, "dump-package"], root)
    try:
        return json.loads(dump.stdout)
    except ValueError:
        raise CannotRun(f"swift package dump-package gave no JSON: {dump.stderr.strip()}") from None


def project_files(root, *globs):
    """The paths of files that are or could be committed, so that new ones are judged before their first commit."""
    # A clone that another user owns is normal in CI; without safe.directory git would refuse to list it.
    listing = output(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], root)
    if listing.returncode:
        raise CannotRun(f"git cannot list the files of {root}: {listing.stderr.strip()}")
    paths = sorted({path for path in listing.stdout.split("\0") if path and (root / path).is_file()})
    return [path for path in paths if not globs or any(Path(path).match(glob) for glob in globs)]


def swift_files(root, *folders):
    """Handwritten Swift files below the folders; generated code is not ours to judge."""
    return [
        path for path in project_files(root, "*.swift")
        if "Generated" not in Path(path).parts and (not folders or Path(path).parts[0] in folders)]


def read_text(root, path):
    """A file's text, or None when it is not text."""
    try:
        return (root / path).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


STRING_START = re.compile(r'(#*)("""|")')


def code_only(text):
    """Blanks comments and the insides of string literals, keeping every offset and the code of interpolations."""
    out, end = list(text), len(text)

    def blank(start, stop):
        for index in range(start, min(stop, end)):
            if out[index] != "\n":
                out[index] = " "
        return stop

    def comment(start):
        depth, index = 0, start
        while index < end:
            if text.startswith("/*", index):
                depth, index = depth + 1, index + 2
            elif text.startswith("*/", index):
                depth, index = depth - 1, index + 2
                if depth == 0:
                    break
            else:
                index += 1
        return blank(start, index)

    def string(start, hashes, quote):
        closing, escape = quote + hashes, "\\" + hashes
        index = start + len(hashes) + len(quote)
        while index < end:
            if text.startswith(closing, index):
                return index + len(closing)
            if text.startswith(escape, index):
                after = index + len(escape)
                if text.startswith("(", after):
                    blank(index, after + 1)
                    index = code(after + 1, interpolation=True)
                else:
                    index = blank(index, after + 1)
            elif quote == '"' and text[index] == "\n":
                return index
            else:
                index = blank(index, index + 1)
        return index

    def code(index, interpolation):
        depth = 0
        while index < end:
            if text.startswith("//", index):
                newline = text.find("\n", index)
                index = blank(index, end if newline < 0 else newline)
                continue
            if text.startswith("/*", index):
                index = comment(index)
                continue
            opening = STRING_START.match(text, index)
            if opening:
                index = string(index, opening[1], opening[2])
                continue
            if text[index] == "(":
                depth += 1
            elif text[index] == ")":
                if interpolation and depth == 0:
                    return blank(index, index + 1)
                depth -= 1
            index += 1
        return index

    code(0, interpolation=False)
    return "".join(out)


def line_number(text, offset):
    """The line, from 1, that holds the offset."""
    return text.count("\n", 0, offset) + 1


class AllowList:
    """Exceptions to a check, one `path:pattern  # reason` a line; each must have a reason and still be needed."""

    def __init__(self, root, path, patterns):
        self.path, self.lines, self.problems, self.used = path, {}, [], set()
        text = (root / path).read_text() if (root / path).is_file() else ""
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            rule, _, reason = (part.strip() for part in line.partition("  # "))
            file, _, pattern = rule.partition(":")
            if not reason:
                self.problems.append(f"{path}:{number}: no reason; write 'path:pattern  # reason'")
            elif pattern not in patterns:
                self.problems.append(f"{path}:{number}: '{pattern}' is no pattern of this check")
            elif (file, pattern) in self.lines:
                self.problems.append(f"{path}:{number}: the same exception twice")
            else:
                self.lines[file, pattern] = number

    def allows(self, file, pattern):
        """Whether there is an exception; asking marks it as needed."""
        self.used.add((file, pattern))
        return (file, pattern) in self.lines

    def leftovers(self):
        """Malformed lines, and exceptions that nothing needs any more."""
        yield from self.problems
        for (file, pattern), number in self.lines.items():
            if (file, pattern) not in self.used:
                yield f"{self.path}:{number}: stale, nothing in {file} needs '{pattern}'"
