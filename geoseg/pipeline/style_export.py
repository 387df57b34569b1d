"""Styles of a file's layers as files of their own: QML for QGIS, SLD for GeoServer, MapServer and others."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from geoseg.errors import InputError, OutputError
from geoseg.layers.centerlines import LAYER
from geoseg.layers.faults import writing
from geoseg.layers.legend import completed
from geoseg.layers.looks import LineLook
from geoseg.layers.publish import Publication, check_target
from geoseg.layers.qml import class_qml, class_raster_qml, classes_qml, lines_qml
from geoseg.layers.sld import class_raster_sld, class_sld, classes_sld, lines_sld
from geoseg.pipeline.class_raster import class_raster
from geoseg.scene.open import check_file
from geoseg.scene.open_vector import read_layers
from geoseg.vocabulary import DEFAULT_LEGEND, MapClass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ONE_LAYER = (".geojson", ".json", ".fgb", ".parquet")
_NAMED = {name: entry.name for entry in DEFAULT_LEGEND for name in (entry.name, str(entry.layer))}
_FILL = re.compile(r'name="color" value="(\d{1,3}),(\d{1,3}),(\d{1,3})')
_UNFIT = re.compile(r'[\\/:*?"<>|\x00-\x1f]')  # in the names of files, on one system or another
_LONGEST = 200  # bytes of a name, which may have 255 with all that is added


@dataclass(frozen=True, slots=True)
class LayerStyle:
    """How one layer is drawn."""

    layer: str
    qml: str
    sld: str


def export_styles(path: Path, folder: Path, *, overwrite: bool) -> list[Path]:
    """Write two files for each layer, all of them or none, and return their paths.

    Args:
        path: layers or a class raster that geoseg wrote.
        folder: where the files go; made where it does not exist.
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: there is nothing to style, or the file cannot be read.
        OutputError: a file cannot be written.
    """
    styles = styles_of(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: is no folder and cannot be made one ({error.strerror})") from error
    texts: dict[Path, str] = {}
    for style, name in zip(styles, file_names(style.layer for style in styles), strict=True):
        texts |= {folder / f"{name}.qml": style.qml, folder / f"{name}.sld": style.sld}
    for target in texts:
        check_target(target, overwrite=overwrite, inputs=[path])
    with Publication(overwrite=overwrite) as publication:
        for target, text in texts.items():
            temporary = publication.add(target)
            with writing(temporary):
                temporary.write_text(text, encoding="utf-8", newline="\n")
    return list(texts)


def file_names(layers: Iterable[str]) -> list[str]:
    """Return a name without ending for each layer's files, no two alike where capitals do not count."""
    found: list[str] = []
    for layer in layers:
        plain = _UNFIT.sub("_", layer).encode()[:_LONGEST].decode(errors="ignore")
        names = (plain if number == 1 else f"{plain}_{number}" for number in count(1))
        taken = {name.casefold() for name in found}
        found.append(next(name for name in names if name.casefold() not in taken))
    return found


def styles_of(path: Path) -> list[LayerStyle]:
    """Return the style of every layer of a file; raises InputError where there is nothing to style."""
    ending = path.suffix.lower()
    if ending == ".gpkg":
        return _of_geopackage(path)
    if ending in _ONE_LAYER:
        return _of_one_layer(path)
    with class_raster(path) as raster:
        legend = tuple(raster.legend)
    return [LayerStyle(path.stem, class_raster_qml(legend), class_raster_sld(path.stem, legend))]


def _of_one_layer(path: Path) -> list[LayerStyle]:
    """Return the style of a file whose one layer tells classes apart by its field ``class``."""
    names: set[str] = set()
    for _, frame in read_layers(path, "class"):
        if frame is not None and "class" in frame:
            names |= {str(text) for text in frame["class"].dropna().unique()}
    if not names:
        raise InputError(f"{path}: has no polygons with a field 'class', expected layers that geoseg wrote")
    classes = named_classes(str(path), names)
    return [LayerStyle(path.stem, classes_qml(classes), classes_sld(path.stem, classes))]


def _of_geopackage(path: Path) -> list[LayerStyle]:
    """Return what a GeoPackage says of its layers' styles; what it does not say follows from the classes in it."""
    local = check_file(path)
    try:
        with closing(sqlite3.connect(f"{local.absolute().as_uri()}?mode=ro", uri=True)) as database:
            layers = database.execute(
                "SELECT table_name, geometry_type_name FROM gpkg_geometry_columns ORDER BY rowid"
            ).fetchall()
            stored = _stored(database)
            found = []
            for name, kind in layers:
                qml, sld = stored.get(name, ("", ""))
                if not (qml and sld):
                    made = _made(database, name, kind, qml)
                    if made is None:
                        continue
                    qml, sld = qml or made.qml, sld or made.sld
                found.append(LayerStyle(name, qml, sld))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a GeoPackage ({error}); copy or export it again") from error
    if not found:
        raise InputError(f"{path}: has no layers of polygons or road centrelines, expected layers that geoseg wrote")
    return found


def _stored(database: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Return the default styles that a GeoPackage holds, QML and SLD by layer; what is missing is empty."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'layer_styles'").fetchone():
        return {}
    rows = database.execute("SELECT f_table_name, styleQML, styleSLD FROM layer_styles ORDER BY useAsDefault, id")
    return {str(name): (_text(qml), _text(sld)) for name, qml, sld in rows}


def _text(stored: object) -> str:
    """Return a text of a database; empty where there is none, or bytes instead."""
    return stored if isinstance(stored, str) else ""


def _made(database: sqlite3.Connection, name: str, kind: str, qml: str) -> LayerStyle | None:
    """Return a new style for a layer, in the fill of an older QML; None where the layer is of another kind."""
    if name == LAYER:
        look = LineLook()
        return LayerStyle(name, lines_qml(look), lines_sld(name, look))
    if "POLYGON" not in kind.upper():
        return None
    quoted = name.replace('"', '""')
    fields = {str(field) for _, field, *_ in database.execute(f'PRAGMA table_info("{quoted}")')}
    texts: set[str] = set()
    if "class" in fields:
        rows = database.execute(f'SELECT DISTINCT "class" FROM "{quoted}" LIMIT 255')  # noqa: S608 - quoted
        texts = {str(text) for (text,) in rows if text is not None}
    classes = named_classes(name, texts or {_NAMED.get(name.casefold(), name)})
    if len(classes) > 1:
        return LayerStyle(name, classes_qml(classes), classes_sld(name, classes))
    (entry,) = classes
    if fill := _FILL.search(qml):
        color = "#{:02X}{:02X}{:02X}".format(*(min(255, int(part)) for part in fill.groups()))
        entry = replace(entry, style=color)
    return LayerStyle(name, class_qml(entry), class_sld(name, entry))


def named_classes(source: str, names: Iterable[str]) -> list[MapClass]:
    """Return a class for each name: the default legend's first, in its order; others get colours of their own.

    Raises:
        InputError: more than 254 classes; ``source`` is to blame.
    """
    usual = [entry.name for entry in DEFAULT_LEGEND]
    ordered = sorted(names, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    numbered = dict(enumerate(ordered, 1))
    if len(numbered) > 254:
        raise InputError(f"{source}: has {len(numbered)} classes, at most 254 can be told apart")
    return list(completed(source, {}, numbered, {}, numbered).values())
