"""How a project names files: from its own folder, so that both can be moved together."""

from __future__ import annotations

import os
import re
from pathlib import Path


def reference(file: str, project: Path) -> str:
    """Return the name by which a project finds a file.

    Args:
        file: a path, or an address as GDAL takes it, which stays as it is.
        project: where the project will be.
    """
    if file.startswith("/vsi") or re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", file):
        return file
    path = Path(os.path.abspath(file))  # noqa: PTH100 - links stay links: they may move along
    home = Path(os.path.abspath(project)).parent  # noqa: PTH100
    try:
        relative = Path(os.path.relpath(path, home)).as_posix()
    except ValueError:  # another drive of Windows
        return path.as_posix()
    return relative if relative.startswith("../") else f"./{relative}"
