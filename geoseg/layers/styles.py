"""Styles that QGIS applies by itself when a layer is opened: the GeoPackage's table ``layer_styles``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from geoseg.layers.features import GEOMETRY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from geoseg.vocabulary import MapClass

_OUTLINED = "building"  # drawn with an outline; between other neighbours outlines would only be hairlines

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
 VALUES ('', '', ?, ?, ?, ?, '', 1, 'geoseg default style', '')
"""

_QML = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
 <renderer-v2 type="singleSymbol" symbollevels="0" forceraster="0" enableorderby="0">
  <symbols>
   <symbol type="{symbol}" name="0" alpha="1" clip_to_extent="1" force_rhr="0">
    <layer class="{kind}" enabled="1" locked="0" pass="0">
     <Option type="Map">
{options}
     </Option>
{props}
    </layer>
   </symbol>
  </symbols>
 </renderer-v2>
</qgis>
"""


def write_styles(database: sqlite3.Connection, classes: Iterable[MapClass]) -> None:
    """Add a default style for each class's layer to a GeoPackage that GDAL has written."""
    database.executescript(_TABLE)
    rows = [(entry.layer, GEOMETRY, entry.layer, qml(entry)) for entry in classes]
    database.executemany(_ROW, rows)


def qml(entry: MapClass) -> str:
    """Return the QGIS style of a class: its fill, and a darker outline for buildings only."""
    fill = tuple(bytes.fromhex(entry.style[1:]))
    outlined = entry.name == _OUTLINED
    properties = {
        "color": _rgba(fill),
        "outline_color": _rgba(tuple(part * 6 // 10 for part in fill)),
        "outline_style": "solid" if outlined else "no",
        "outline_width": "0.2",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    return _qml("fill", "SimpleFill", properties)


def add_line_style(database: sqlite3.Connection, layer: str) -> None:
    """Add a default style for a layer of lines, a grey line, to a GeoPackage that has styles already."""
    properties = {
        "line_color": _rgba((90, 90, 90)),
        "line_style": "solid",
        "line_width": "0.4",
        "line_width_unit": "MM",
        "capstyle": "round",
        "joinstyle": "round",
    }
    database.execute(_ROW, (layer, GEOMETRY, layer, _qml("line", "SimpleLine", properties)))


def _qml(symbol: str, kind: str, properties: Mapping[str, str]) -> str:
    """Return a QGIS style of one symbol."""
    # QGIS reads Option elements since 3.22, prop elements before.
    return _QML.format(
        symbol=symbol,
        kind=kind,
        options="\n".join(
            f'      <Option type="QString" name="{name}" value="{escape(value)}"/>'
            for name, value in properties.items()
        ),
        props="\n".join(f'     <prop k="{name}" v="{escape(value)}"/>' for name, value in properties.items()),
    )


def _rgba(color: tuple[int, ...]) -> str:
    """Return an opaque colour as QGIS writes it."""
    return ",".join(map(str, (*color, 255)))
