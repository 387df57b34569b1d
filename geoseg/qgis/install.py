"""Put the plugin into profiles of QGIS, whole, in place of an older one."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import geoseg
from geoseg.errors import OutputError
from geoseg.qgis.files import NAME, is_ours, plugin_files

_COMMAND = "installed.json"


def install_plugin(profile: Path, command: list[str], *, overwrite: bool = False) -> Path:
    """Install the plugin into one profile.

    Args:
        profile: the profile's folder.
        command: how this geoseg is started; the plugin finds it by that.
        overwrite: replace a folder of the plugin's name that is another's.

    Returns:
        The plugin's folder.

    Raises:
        OutputError: the folder is not ours, or cannot be written.
    """
    plugins = profile / "python" / "plugins"
    target = plugins / NAME
    if os.path.lexists(target) and not overwrite and not is_ours(target):
        raise OutputError(f"{target}: is there and is not geoseg's plugin; add --overwrite to replace it")
    try:
        plugins.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=plugins) as name:
            fresh = Path(name) / "new"
            _write(fresh, command)
            _swap(fresh, target, Path(name) / "old")
    except OSError as error:
        advice = f"make {plugins} a folder that can be written to, or close QGIS, and try again"
        raise OutputError(f"{target}: cannot be written ({error.strerror}); {advice}") from error
    return target


def own_command() -> list[str]:
    """Return how the geoseg that is running is started from anywhere."""
    script = Path(sysconfig.get_path("scripts")) / ("geoseg.exe" if sys.platform == "win32" else "geoseg")
    if script.is_file():
        return [str(script)]
    return [sys.executable, "-P", "-m", "geoseg"]  # -P: not the geoseg of the folder it is started in


def _write(folder: Path, command: list[str]) -> None:
    for name, content in plugin_files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    left = {"command": command, "version": geoseg.__version__}
    (folder / _COMMAND).write_text(json.dumps(left, ensure_ascii=False, indent=1), encoding="utf-8")


def _swap(fresh: Path, target: Path, old: Path) -> None:
    """Put the new folder into the old one's place, or leave the old one there."""
    replaced = os.path.lexists(target)
    if replaced:
        target.rename(old)  # of a link, the link itself
    try:
        fresh.rename(target)
    except OSError:
        if replaced:
            old.rename(target)
        raise
    if old.is_symlink():
        old.unlink()
    elif replaced:
        shutil.rmtree(old, ignore_errors=True)
