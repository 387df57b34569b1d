"""Write a GeoPackage: a layer for each class, styles, provenance."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pyogrio

from geoseg.errors import OutputError
from geoseg.layers.features import GEOMETRY, feature_stream
from geoseg.layers.styles import write_styles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from geoseg.vocabulary import MapClass, Polygons

# Version 1.4, GDAL's default, makes QGIS 3.22 warn at every opening.
_OPTIONS = {"VERSION": "1.3"}

# http://www.geopackage.org/spec130/#extension_metadata
_METADATA = """
CREATE TABLE gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
 md_scope TEXT NOT NULL DEFAULT 'dataset', md_standard_uri TEXT NOT NULL,
 mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT,
 row_id_value INTEGER, timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
 md_file_id INTEGER NOT NULL, md_parent_id INTEGER,
 CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
 CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
INSERT INTO gpkg_extensions (table_name, column_name, extension_name, definition, scope)
 SELECT name, NULL, 'gpkg_metadata', 'http://www.geopackage.org/spec120/#extension_metadata', 'read-write'
 FROM (SELECT 'gpkg_metadata' AS name UNION SELECT 'gpkg_metadata_reference');
INSERT INTO gpkg_metadata_reference (reference_scope, md_file_id) VALUES ('geopackage', 1);
"""

# Registered even where no layer has an index: the table itself is optional.
_EXTENSIONS = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
 definition TEXT NOT NULL, scope TEXT NOT NULL,
 CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))
"""


def write_geopackage(
    path: Path,
    layers: Sequence[tuple[MapClass, Polygons]],
    crs: str,
    provenance: Mapping[str, Any],
    options: Mapping[str, str],
) -> None:
    """Write a new GeoPackage; a class without polygons is still a layer with CRS, fields and style.

    Args:
        path: a file that does not exist yet and that nobody else knows: it is not safe against a crash.
        layers: classes with their polygons, each becoming the layer of that name.
        crs: WKT of the coordinate reference system.
        provenance: how the polygons came about; JSON in the table ``gpkg_metadata``.
        options: GDAL creation options that override ours, names in capitals.

    Raises:
        OutputError: features are missing from what was written.
    """
    with _unsynced():
        for number, (entry, polygons) in enumerate(layers):
            pyogrio.write_arrow(
                feature_stream([(entry, polygons)]),
                path,
                driver="GPKG",
                layer=entry.layer,
                geometry_name=GEOMETRY,
                geometry_type="Polygon",
                crs=crs,
                append=number > 0,
                **_OPTIONS | dict(options),
            )
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA journal_mode=MEMORY")  # of this connection; the file stays in mode DELETE
        write_styles(database, [entry for entry, _ in layers])
        _write_provenance(database, provenance)
        indexed = options.get("SPATIAL_INDEX", "YES").upper() in ("YES", "TRUE", "ON", "1")
        _check(path, database, layers, indexed=indexed)


@contextlib.contextmanager
def _unsynced() -> Iterator[None]:
    """Let GDAL's SQLite leave syncing to us: the file is synced once, before it gets its name."""
    name = "OGR_SQLITE_SYNCHRONOUS"
    before = pyogrio.get_gdal_config_option(name)
    pyogrio.set_gdal_config_options({name: "OFF"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({name: before})


def _write_provenance(database: sqlite3.Connection, provenance: Mapping[str, Any]) -> None:
    """Store provenance as the GeoPackage's metadata, which GDAL and QGIS show."""
    database.execute(_EXTENSIONS)
    database.executescript(_METADATA)
    database.execute(
        "INSERT INTO gpkg_metadata VALUES (1, 'dataset', 'urn:geoseg:provenance', 'application/json', ?)",
        (json.dumps(provenance, ensure_ascii=False),),
    )


def _check(
    path: Path, database: sqlite3.Connection, layers: Sequence[tuple[MapClass, Polygons]], *, indexed: bool
) -> None:
    """Count what was written: where room is short, GDAL leaves out an index or the last pages without a word.

    Raises:
        OutputError: features, or entries of the spatial index, are missing.
    """
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for entry, polygons in layers:
        expected = len(polygons.values)
        for table in (entry.layer, f"rtree_{entry.layer}_{GEOMETRY}")[: 2 if indexed else 1]:
            found = -1
            if table in tables:  # MapClass lets no quotes into a layer's name
                (found,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608
            if found != expected:
                raise OutputError(f"{path}: the layer {entry.layer} came out incomplete; is the disk full?")
