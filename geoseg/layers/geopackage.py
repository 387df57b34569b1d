"""Write a GeoPackage: a layer for each class, styles, provenance."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pyogrio

from geoseg.errors import OutputError
from geoseg.layers.features import GEOMETRY
from geoseg.layers.styles import write_styles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from geoseg.layers.features import Features
    from geoseg.vocabulary import MapClass, Polygons

# Version 1.4, GDAL's default, makes QGIS 3.22 warn at every opening.
_OPTIONS = {"VERSION": "1.3"}
_HELD = 2_000  # polygons of a class; every append opens the file anew

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


def write_geopackage(path: Path, features: Features, crs: str, provenance: Mapping[str, Any]) -> None:
    """Write a new GeoPackage; a class without polygons is still a layer with CRS, fields and style.

    Args:
        path: a file that does not exist yet and that nobody else knows: it is not safe against a crash.
        features: classes to write, each becoming the layer of its name, and their polygons as they come.
        crs: WKT of the coordinate reference system.
        provenance: how the polygons came about; JSON in the table ``gpkg_metadata``.

    Raises:
        OutputError: features are missing from what was written.
    """
    layers = _Layers(path, features, crs)
    for entry, polygons in features.parts():
        layers.add(entry, polygons)
    layers.finish()
    with unguarded_database(path) as database:
        write_styles(database, features.wanted.classes)
        _write_provenance(database, provenance)
        check_complete(path, database, layers.written)


class _Layers:
    """Layers that grow together. A layer is opened anew for every append, so polygons are gathered first."""

    def __init__(self, path: Path, features: Features, crs: str) -> None:
        self._path = path
        self._features = features
        self._crs = crs
        self._held: dict[MapClass, list[Polygons]] = {entry: [] for entry in features.wanted.classes}
        self._created = False
        self.written = {str(entry.layer): 0 for entry in features.wanted.classes}
        """Features by layer."""

    def add(self, entry: MapClass, polygons: Polygons) -> None:
        """Take polygons of a class, and write when there are many."""
        self._held[entry].append(polygons)
        if sum(len(part.values) for part in self._held[entry]) >= _HELD:
            self._write([entry])

    def finish(self) -> None:
        """Write what is left."""
        self._write([entry for entry, parts in self._held.items() if parts])

    def _write(self, entries: Iterable[MapClass]) -> None:
        if not self._created:  # all layers at once, in the order of the classes
            entries = list(self._held)
        for entry in entries:
            parts, self._held[entry] = self._held[entry], []
            new = not self._path.exists()
            # Of a file that grows, so many pages change at once that their journal is better off on the disk.
            with unguarded(journal=self._created):
                pyogrio.write_arrow(
                    self._features.records((entry, part) for part in parts),
                    self._path,
                    driver="GPKG",
                    layer=entry.layer,
                    geometry_name=GEOMETRY,
                    geometry_type="Polygon",
                    crs=self._crs,
                    append=not new,
                    dataset_options=_OPTIONS if new else None,  # as keywords they cost a parse of GDAL's option lists
                )
            self.written[str(entry.layer)] += sum(len(part.values) for part in parts)
        self._created = True


@contextlib.contextmanager
def unguarded(*, journal: bool = False) -> Iterator[None]:
    """Let GDAL's SQLite leave syncing to us: the file is synced once, before it gets its name.

    Args:
        journal: whether a journal is kept on the disk, not in memory. One on the disk comes and goes with every
            transaction, which is much of what a small file costs.
    """
    ours = {"OGR_SQLITE_SYNCHRONOUS": "OFF"} | ({} if journal else {"OGR_SQLITE_JOURNAL": "MEMORY"})
    before = {name: pyogrio.get_gdal_config_option(name) for name in ours}
    pyogrio.set_gdal_config_options(ours)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


@contextlib.contextmanager
def unguarded_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a file that nobody else knows, neither synced nor journaled; every statement is its own transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA locking_mode=EXCLUSIVE")  # locked once, not twice a statement
        database.execute("PRAGMA journal_mode=MEMORY")  # of this connection; the file stays in mode DELETE
        yield database


def _write_provenance(database: sqlite3.Connection, provenance: Mapping[str, Any]) -> None:
    """Store provenance as the GeoPackage's metadata, which GDAL and QGIS show."""
    database.execute(_EXTENSIONS)
    database.executescript(_METADATA)
    database.execute(
        "INSERT INTO gpkg_metadata VALUES (1, 'dataset', 'urn:geoseg:provenance', 'application/json', ?)",
        (json.dumps(provenance, ensure_ascii=False),),
    )


def check_complete(path: Path, database: sqlite3.Connection, expected: Mapping[str, int]) -> None:
    """Count what was written: where room is short, GDAL leaves out an index or the last pages without a word.

    Raises:
        OutputError: features, or entries of the spatial index, are missing.
    """
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for layer, features in expected.items():
        for table in (layer, f"rtree_{layer}_{GEOMETRY}"):
            found = -1
            if table in tables:  # MapClass lets no quotes into a layer's name
                (found,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608
            if found != features:
                raise OutputError(f"{path}: the layer {layer} came out incomplete; is the disk full?")
