"""The environment of a child process that is not QGIS: without what QGIS's launcher says to its own Python and GDAL."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DROPPED = frozenset(
    {
        "DYLD_FRAMEWORK_PATH", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH",
        "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_PLUGINS_DIR", "OGR_DRIVER_PATH", "PROJ_DATA", "PROJ_LIB",
        "PYTHONEXECUTABLE", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__",
        "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "QML2_IMPORT_PATH",
    }
)  # fmt: skip
_DROPPED_BEGINNINGS = ("QGIS_",)
_INSTALLATIONS = ("OSGEO4W_ROOT", "PYTHONHOME", "QGIS_PREFIX_PATH")


def clean_environment(given: Mapping[str, str], platform: str) -> dict[str, str]:
    """Return the environment for a Python of its own.

    Args:
        given: QGIS's environment.
        platform: ``sys.platform``. On Windows and macOS, where QGIS brings its own libraries along, the folders of
            its installation leave PATH, too; elsewhere they are the system's.
    """
    kept = {
        name: value
        for name, value in given.items()
        if name.upper() not in _DROPPED and not name.upper().startswith(_DROPPED_BEGINNINGS)
    }
    if platform in ("win32", "darwin"):
        paths = {name: _without_qgis(path, given, platform) for name, path in kept.items() if name.upper() == "PATH"}
        kept.update(paths)
    kept["PYTHONIOENCODING"] = "utf-8"  # else a pipe on Windows is written in the code page
    return kept


def _without_qgis(path: str, given: Mapping[str, str], platform: str) -> str:
    """Return PATH without the folders of the QGIS installation."""
    separator = ";" if platform == "win32" else ":"
    roots = [_plain(given[name]) for name in _INSTALLATIONS if given.get(name)]
    roots = [root for root in roots if root.strip("/") not in ("", "usr", "usr/local", "opt/homebrew")]

    def is_qgis(folder: str) -> bool:
        plain = _plain(folder) + "/"
        return any(plain.startswith(root + "/") for root in roots) or (
            platform == "darwin" and ".app/contents/" in plain and "qgis" in plain
        )

    return separator.join(folder for folder in path.split(separator) if folder and not is_qgis(folder))


def _plain(folder: str) -> str:
    """Return a folder's name as it is compared: one kind of slash, no capitals, none at the end."""
    return folder.strip('"').replace("\\", "/").casefold().rstrip("/")


def own_environment() -> dict[str, str]:
    """Return the clean environment made of this process's."""
    import sys

    return clean_environment(os.environ, sys.platform)
