"""Styles that QGIS applies by itself when a layer is opened: the GeoPackage's table ``layer_styles``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.layers.features import GEOMETRY
from geoseg.layers.looks import LineLook
from geoseg.layers.qml import class_qml, lines_qml
from geoseg.layers.sld import class_sld, lines_sld

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from geoseg.vocabulary import MapClass

# As QGIS itself creates it, with the triggers by which GDAL keeps count of its rows.
_TABLE = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
 f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30),
 styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
 update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)
 VALUES ('layer_styles', 'attributes', 'layer_styles', 0);
INSERT INTO gpkg_ogr_contents (table_name, feature_count) VALUES ('layer_styles', 0);
CREATE TRIGGER trigger_insert_feature_count_layer_styles AFTER INSERT ON layer_styles BEGIN
 UPDATE gpkg_ogr_contents SET feature_count = feature_count + 1 WHERE lower(table_name) = 'layer_styles'; END;
CREATE TRIGGER trigger_delete_feature_count_layer_styles AFTER DELETE ON layer_styles BEGIN
 UPDATE gpkg_ogr_contents SET feature_count = feature_count - 1 WHERE lower(table_name) = 'layer_styles'; END;
"""

# QGIS looks a style up by schema '' (not NULL) and the geometry column's name.
_ROW = """
INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
 styleQML, styleSLD, useAsDefault, description, owner)
 VALUES ('', '', ?, ?, ?, ?, ?, 1, 'geoseg default style', '')
"""


def write_styles(database: sqlite3.Connection, classes: Iterable[MapClass]) -> None:
    """Add a default style for each class's layer to a GeoPackage that GDAL has written."""
    database.executescript(_TABLE)
    named = [(str(entry.layer), entry) for entry in classes]
    rows = [(layer, GEOMETRY, layer, class_qml(entry), class_sld(layer, entry)) for layer, entry in named]
    database.executemany(_ROW, rows)


def add_line_style(database: sqlite3.Connection, layer: str) -> None:
    """Add a default style for a layer of centrelines to a GeoPackage that has styles already."""
    look = LineLook()
    database.execute(_ROW, (layer, GEOMETRY, layer, lines_qml(look), lines_sld(layer, look)))
