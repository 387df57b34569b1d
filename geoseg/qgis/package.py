"""Pack the plugin for QGIS's plugin manager: one zip with the plugin's folder in it."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.qgis.files import NAME, plugin_files

_WHEN = (2000, 1, 1, 0, 0, 0)  # the same files make the same zip
_LICENSE = "LICENSE"


def package_plugin(out: Path, *, overwrite: bool = False) -> Path:
    """Write the zip.

    Args:
        out: its name.
        overwrite: replace an existing file.

    Raises:
        OutputError: it exists, or cannot be written.
    """
    if os.path.lexists(out) and not overwrite:
        raise OutputError(f"{out}: exists; add --overwrite to replace it")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{NAME}-", dir=out.parent) as folder:
            fresh = Path(folder) / "plugin.zip"
            with zipfile.ZipFile(fresh, "w") as zipped:
                for name, content in [*plugin_files(), (_LICENSE, _license())]:
                    entry = zipfile.ZipInfo(f"{NAME}/{name}", _WHEN)
                    entry.external_attr = 0o644 << 16
                    zipped.writestr(entry, content, zipfile.ZIP_DEFLATED)
            fresh.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
    return out


def _license() -> bytes:
    """Return the licence's text: from the installed package, or from the clone."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = [file for file in files("geoseg") or () if file.name == _LICENSE]
    except PackageNotFoundError:
        listed = []
    places = [Path(str(file.locate())) for file in listed] + [Path(__file__).parents[2] / _LICENSE]
    return next((place.read_bytes() for place in places if place.is_file()), b"MIT licence\n")
