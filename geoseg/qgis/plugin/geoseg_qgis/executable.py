"""Where the program geoseg is, and whether it is new enough."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .environment import own_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTING = "GEOSEG_EXECUTABLE"
"""Name of the setting in QGIS, and of the environment variable."""

OLDEST = (0, 1, 0)
"""Oldest version of the program that knows every flag used here."""

INSTALLED = Path(__file__).with_name("installed.json")
"""Written by ``geoseg qgis install``: the command of the program that installed the plugin."""

_PLACE = "Settings > Options > Processing > Providers > geoseg"
_SECONDS = 120


class ExecutableError(Exception):
    """Raised when there is no program to run, in one sentence that says how to set it."""


def find_command(setting: str, environment: Mapping[str, str], installed: Path = INSTALLED) -> list[str]:
    """Return the words that start geoseg.

    What is set by hand must be right; only where nothing is set is the program looked for: as the one that installed
    the plugin, then on PATH.

    Args:
        setting: path from QGIS's settings; empty where it was not set.
        environment: where GEOSEG_EXECUTABLE and PATH are looked up.
        installed: file that the installation left.

    Raises:
        ExecutableError: it is not there.
    """
    for path, where in ((setting, _PLACE), (environment.get(SETTING, ""), f"the environment variable {SETTING}")):
        if path.strip():
            return [_checked(path.strip(), where)]
    command = _left_by_installation(installed)
    if command and is_program(command[0]):
        return command
    found = shutil.which("geoseg", path=environment.get("PATH"))
    if found:
        return [found]
    lost = f"{command[0]}, which installed this plugin, is gone; " if command else ""
    raise ExecutableError(
        f"geoseg was not found: {lost}install it with pip, then type geoseg qgis install, "
        f"or give its path under {_PLACE} or in the environment variable {SETTING}"
    )


def is_program(path: str) -> bool:
    """Tell whether a path is a file that can be run."""
    return os.path.isfile(path) and os.access(path, os.X_OK)  # noqa: PTH113 - the path is a setting, kept as typed


@lru_cache(maxsize=8)
def checked_version(command: tuple[str, ...]) -> str:
    """Return the program's version.

    Raises:
        ExecutableError: it does not start, is another program, or is too old.
    """
    hidden = 0x08000000 if sys.platform == "win32" else 0  # no console window
    try:
        told = subprocess.run(  # noqa: S603 - the user's own program
            [*command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=own_environment(),
            timeout=_SECONDS,
            check=False,
            creationflags=hidden,
        )
    except subprocess.TimeoutExpired:
        raise ExecutableError(f"{command[0]}: did not tell its version in {_SECONDS} s; check {_PLACE}") from None
    except OSError as error:
        raise ExecutableError(f"{command[0]}: cannot be started ({error.strerror}); check {_PLACE}") from None
    text = told.stdout.decode("utf-8", "replace")
    version = re.search(r"geoseg, version (\d+)\.(\d+)\.(\d+)(\S*)", text)
    if version is None:
        said = " ".join((told.stderr.decode("utf-8", "replace").strip() or text.strip() or "nothing").split())[-300:]
        raise ExecutableError(f"{command[0]}: is not geoseg, or is broken (it said: {said}); check {_PLACE}")
    found = ".".join(version.groups()[:3]) + version[4]
    if tuple(map(int, version.groups()[:3])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ExecutableError(
            f"{command[0]}: is geoseg {found}, too old for this plugin, which needs {oldest} or newer; "
            "update it with pip install --upgrade geoseg"
        )
    return found


def _checked(path: str, where: str) -> str:
    if not is_program(path):
        raise ExecutableError(
            f"{path}: is not a program, expected geoseg (bin/geoseg, or Scripts\\geoseg.exe, of the environment it was "
            f"installed into); correct it: {where}"
        )
    return path


def _left_by_installation(installed: Path) -> list[str]:
    """Return the command that the installation wrote; empty where there is none."""
    try:
        command = json.loads(installed.read_text(encoding="utf-8"))["command"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(word) for word in command] if isinstance(command, list) else []
