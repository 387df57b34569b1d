"""What geoseg leaves in a GeoPackage beside its layers: styles and provenance."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def gpkg_extras(local: Path) -> tuple[dict[str, str], Any]:
    """Return the styles as QML by layer, and the provenance that geoseg left, None where there is none.

    Args:
        local: a GeoPackage; what makes no sense in it is passed over.
    """
    styles: dict[str, str] = {}
    provenance = None
    try:
        with closing(sqlite3.connect(f"{local.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if "layer_styles" in tables:
                columns = {name for (_, name, *_) in database.execute("PRAGMA table_info(layer_styles)")}
                qml = "styleQML" if "styleQML" in columns else "''"
                rows = database.execute(f"SELECT f_table_name, {qml} FROM layer_styles")  # noqa: S608 - one of two
                styles = {str(name): str(text) for name, text in rows}
            if "gpkg_metadata" in tables:
                rows = database.execute(
                    "SELECT metadata FROM gpkg_metadata "
                    "WHERE md_standard_uri LIKE '%geoseg%' AND mime_type LIKE '%json'"
                )
                provenance = next((json.loads(text) for (text,) in rows), None)
    except (sqlite3.Error, ValueError, TypeError):
        return styles, None  # the layers themselves may still be readable
    return styles, provenance
