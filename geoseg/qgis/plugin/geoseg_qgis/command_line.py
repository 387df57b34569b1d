"""A command as people type it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def typed(words: Sequence[str], platform: str = sys.platform) -> str:
    """Return the line that a terminal reads as these words."""
    return subprocess.list2cmdline(words) if platform == "win32" else shlex.join(words)


def as_operand(path: str) -> str:
    """Return a path that no program takes for one of its flags."""
    return f"./{path}" if path.startswith("-") else path
