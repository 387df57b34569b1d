"""The maps that ``merge`` joins: vector files that geoseg wrote, read with their fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import InputError
from geoseg.layers.centerlines import LAYER
from geoseg.layers.legend import completed
from geoseg.pipeline.gpkg_extras import gpkg_extras
from geoseg.scene.open_vector import layer_crs, read_layers, read_line_layer, reading, sound_polygons
from geoseg.vector.attributes import KNOWN
from geoseg.vocabulary import DEFAULT_LEGEND, MapClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import geopandas
    import pyproj
    from numpy.typing import NDArray

MEASURES = ("area_m2", "perimeter_m", "confidence")
"""Fields of numbers that every polygon of ours has."""

_FILL = re.compile(r'name="color" value="(\d{1,3}),(\d{1,3}),(\d{1,3})')
_NAMED = {name: entry.name for entry in DEFAULT_LEGEND for name in (entry.name, str(entry.layer))}


@dataclass(slots=True)
class InputMap:
    """One file."""

    path: Path
    crs: pyproj.CRS
    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons."""
    names: NDArray[np.object_]
    """Shape (n,), classes."""
    measures: NDArray[np.float64]
    """Shape (n, 3), `MEASURES`; NaN where unknown."""
    layers: dict[str, str | None]
    """Layer of each class, None where the file does not say."""
    fills: dict[str, str]
    """Fill of each class that has a style, ``#RRGGBB``."""
    attributes: frozenset[str]
    """Further fields that all polygons have, of those geoseg knows."""
    lines: NDArray[np.object_] | None = None
    """Shape (m,), shapely LineStrings; None where there is no layer of them."""
    width_m: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Shape (m,), metres."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    frame: geopandas.GeoDataFrame
    texts: list[str | None]
    """Class of each feature."""


def read_map(path: Path) -> InputMap:
    """Read the polygons of all classes, and the centrelines where there are such.

    Raises:
        InputError: the file cannot be read, has no CRS or several, or no layer of ours.
    """
    found = read_layers(path, "class", *MEASURES, *KNOWN)
    with reading(path):
        styles, provenance = gpkg_extras(path) if path.suffix.lower() == ".gpkg" else ({}, None)
        layers = [layer for name, frame in found if frame is not None and (layer := _classed(path, name, frame))]
        lines = [name for name, frame in found if frame is None and name == LAYER and path.suffix.lower() == ".gpkg"]
        if not layers:
            known = ", ".join(name for name, _ in found)
            raise InputError(
                f"{path}: has no layer of polygons with a field 'class' (only {known}), expected layers that geoseg "
                "wrote; make them with: geoseg vectorize classes.tif --out classes.gpkg"
            )
        crs, *others = [layer_crs(path, layer.name, layer.frame.geometry) for layer in layers]
        taken = _polygons(path, crs, layers, styles)
        if isinstance(provenance, dict):
            taken.provenance = provenance
        for name in lines:
            frame = read_line_layer(path, name, "width_m")
            others.append(layer_crs(path, name, frame.geometry))
            _add_lines(taken, frame)
    if not all(same_crs(crs, other) for other in others):
        raise InputError(f"{path}: has layers in different CRSs, expected one; reproject them with: ogr2ogr -t_srs")
    left = [name for name, _ in found if name not in {layer.name for layer in layers} and name not in lines]
    if left:
        taken.notes.append(f"{path}: left out {', '.join(left)}, which geoseg did not write")
    return taken


def same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Tell whether coordinates of one CRS, easting or longitude first, are those of another."""
    codes = [crs.to_authority(min_confidence=100) for crs in (one, other)]
    degrees = [("EPSG", "4326"), ("OGC", "CRS84")]
    if all(code in degrees for code in codes):
        return True
    return (
        one == other
        or bool(one.equals(other, ignore_axis_order=True))
        or (codes[0] is not None and codes[0] == codes[1])
    )


def classes_of(maps: Iterable[InputMap]) -> dict[str, MapClass]:
    """Return a class for each name in some maps, with the layer and colour that the first of them gives it.

    Raises:
        InputError: more than 254 classes.
    """
    layers: dict[str, str | None] = {}
    fills: dict[str, str] = {}
    for one in maps:
        for name, layer in one.layers.items():
            layers[name] = layers.get(name) or layer
            fills.setdefault(name, one.fills.get(name, ""))
    usual = [entry.name for entry in DEFAULT_LEGEND]
    names = sorted(layers, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    numbered = dict(enumerate(names, 1))
    colors = {value: fills[name] for value, name in numbered.items() if fills[name]}
    classes = completed("the inputs", {}, numbered, colors, numbered)
    for value, name in numbered.items():
        entry, layer = classes[value], layers[name]
        others = {(other.layer or "").casefold() for other in classes.values() if other is not entry}
        if layer is not None and layer.casefold() not in others:
            classes[value] = replace(entry, name=name, layer=layer)
    return {name: classes[value] for value, name in numbered.items()}


def _classed(path: Path, name: str, frame: geopandas.GeoDataFrame) -> _Layer | None:
    """Return a layer whose features have classes; None where it is not of ours."""
    implied = _NAMED.get(name.casefold())
    column = _column(frame, "class")
    if column is None:
        if implied is None and (len(frame) or path.suffix.lower() == ".gpkg"):
            return None
        return _Layer(name, frame, [implied] * len(frame))  # an empty GeoJSON has no fields
    texts = [None if text is None or text != text else " ".join(str(text).split()) for text in column]  # noqa: PLR0124
    return _Layer(name, frame, [_NAMED.get(text.casefold(), text) if text else implied for text in texts])


def _column(frame: geopandas.GeoDataFrame, name: str) -> Any | None:
    """Return a field of a frame, None where there is none; upper and lower case are the same."""
    for one in frame.columns.drop(frame.geometry.name):
        if str(one).casefold() == name.casefold():
            return frame[one]
    return None


def _polygons(path: Path, crs: pyproj.CRS, layers: list[_Layer], styles: Mapping[str, str]) -> InputMap:
    """Return the polygons of some layers; they are repaired where need be."""
    geometry = np.concatenate([np.asarray(layer.frame.geometry, object) for layer in layers])
    names = np.array([text for layer in layers for text in layer.texts], object)
    measures = np.concatenate([_measures(layer.frame) for layer in layers])
    usable = np.flatnonzero([text is not None for text in names])
    sound = sound_polygons(geometry[usable])
    notes = []
    lost = len(geometry) - len(np.unique(sound.owner))
    if lost:
        notes.append(f"{path}: left out {lost} features without a place, an area or a class")
    if sound.repaired:
        notes.append(f"{path}: repaired {sound.repaired} invalid polygons")
    owner = usable[sound.owner]
    measures = measures[owner]
    if sound.repaired or len(np.unique(owner)) < len(owner):
        measures[:, :2] = np.nan
    known: dict[str, str | None] = {}
    fills = {}
    for layer in layers:
        kept = layer.name if path.suffix.lower() == ".gpkg" else None
        texts = {text for text in layer.texts if text is not None}
        if not texts and kept is not None:
            texts = {_NAMED.get(kept.casefold(), kept)}
        for text in sorted(texts):
            known[text] = kept if len(texts) == 1 else None
            if style := _FILL.search(styles.get(layer.name, "")):
                fills[text] = "#{:02X}{:02X}{:02X}".format(*(min(255, int(part)) for part in style.groups()))
    further = [{name for name in KNOWN if _column(layer.frame, name) is not None} for layer in layers]
    return InputMap(
        path,
        crs,
        sound.polygons,
        names[owner],
        measures,
        known,
        fills,
        frozenset.intersection(*map(frozenset, further)),
        notes=notes,
    )


def _measures(frame: geopandas.GeoDataFrame) -> NDArray[np.float64]:
    """Return `MEASURES` of a frame, shape (n, 3)."""
    found = np.full((len(frame), len(MEASURES)), np.nan)
    for number, name in enumerate(MEASURES):
        column = _column(frame, name)
        if column is not None:
            found[:, number] = column.astype("float64")
    found[~np.isfinite(found)] = np.nan
    return found


def _add_lines(taken: InputMap, frame: geopandas.GeoDataFrame) -> None:
    """Take the lines of a frame."""
    shapes = np.asarray(frame.geometry, object)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    usable = (shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING) & ~shapely.is_empty(parts)
    usable &= np.isfinite(shapely.bounds(parts).reshape(-1, 4)).all(axis=1)
    column = _column(frame, "width_m")
    width = np.zeros(len(frame)) if column is None else np.nan_to_num(column.astype("float64"))
    taken.lines = parts[usable]
    taken.width_m = np.asarray(width, np.float64)[owner[usable]]
