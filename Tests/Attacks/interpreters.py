"""Interpreters that every user of this host may run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mintmark
import pytest
from mintmark import NOBODY


def interpreter(name: str) -> Path:
    """The executable file behind 'python3' or 'node'; the test is skipped where other users cannot run one."""
    tried = [f"/usr/bin/{name}", f"/usr/local/bin/{name}", shutil.which(name) or "", sys.executable]
    for path in tried:
        real = Path(os.path.realpath(path)) if path else None
        if real is None or not real.exists() or not real.name.startswith(name.rstrip("3")):
            continue
        try:
            if mintmark.run("--version", program=real, account=NOBODY, timeout=20).code == 0:
                return real
        except (PermissionError, subprocess.SubprocessError):
            continue
    pytest.skip(f"needs a '{name}' that every user may run")
