"""The plugin's files, as QGIS gets them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import geoseg

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "geoseg_qgis"
"""Name of the plugin's folder, and of its Python package in QGIS."""

_SOURCE = Path(__file__).parent / "plugin" / NAME
_METADATA = "metadata.txt"


def plugin_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name inside the plugin's folder, with slashes, and the content of every file."""
    for path in sorted(_SOURCE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            if path.name == _METADATA:
                content = content.replace(b"{version}", geoseg.__version__.encode())
            yield path.relative_to(_SOURCE).as_posix(), content


def is_ours(folder: Path) -> bool:
    """Tell whether a folder holds this plugin, of any version."""
    try:
        return "name=geoseg" in (folder / _METADATA).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
