"""Class polygons out of a vector file, whoever drew it: every layer that says what its polygons are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import InputError, first_of
from geoseg.scene.longitudes import cut_at_the_end, full_turn
from geoseg.scene.open_vector import field_names, layer_crs, read_layers, reading, sound_polygons
from geoseg.scene.other_vectors import as_geopackage, check_other

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas
    import pyproj
    from numpy.typing import NDArray

VECTOR_ENDINGS = (".gpkg", ".geojson", ".json", ".fgb", ".parquet")
"""Endings of the vector files that are maps."""
NO_CLASS = ""
"""Name of the class of polygons that somebody drew without saying what they are."""
_FIELDS_TOLD = 8


@dataclass(frozen=True, slots=True)
class NamedPolygons:
    """Polygons with the names of their classes."""

    crs: pyproj.CRS
    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons in two dimensions."""
    names: NDArray[np.object_]
    """Shape (n,), class names as the file has them, or ``NO_CLASS``."""
    declared: frozenset[str]
    """Names of all classes the file speaks of: those of its polygons and those of its empty layers."""
    notes: tuple[str, ...]
    """Sentences on what was repaired or left out."""


@dataclass(frozen=True, slots=True)
class _Layer:
    name: str
    geometry: geopandas.GeoSeries
    names: NDArray[np.object_]
    """Class of each geometry, None where unknown."""
    declared: frozenset[str]


def check_kind(path: Path) -> None:
    """Refuse folders and other kinds of vector files than maps can be, before they are taken for broken rasters.

    Raises:
        InputError: it is one of these; vector files have to be converted.
    """
    check_other(path, "geoseg reads as labels or maps", f"{', '.join(VECTOR_ENDINGS)} or a class raster")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected one file of polygons or a class raster; name a file in it")


def read_named_polygons(path: Path, field: str, is_class: Callable[[str], bool]) -> NamedPolygons:
    """Read the polygons of every layer that names their class.

    Args:
        path: a file with one of ``VECTOR_ENDINGS``.
        field: name of the text field with the class; upper and lower case are the same.
        is_class: whether a layer's name is that of a class; such a layer needs no field.

    Raises:
        InputError: the file cannot be read, has no CRS, or no layer that names classes.
    """
    found = read_layers(path, field)
    with reading(path):
        return _joined(path, *_sorted(path, found, field, is_class))


def _sorted(
    path: Path,
    found: list[tuple[str, geopandas.GeoDataFrame | None]],
    field: str,
    is_class: Callable[[str], bool],
) -> tuple[list[_Layer], list[str]]:
    """Return the layers that name classes, and a note on the others; InputError where there are none."""
    named = [(name, frame, _named(name, frame, field, is_class)) for name, frame in found]
    layers = [layer for *_, layer in named if layer is not None]
    nameless = ", ".join(name for name, frame, layer in named if layer is None and frame is not None)
    flat = ", ".join(name for name, frame, _ in named if frame is None)
    left = [(nameless, "name no classes"), (flat, "hold lines or points, not polygons")]
    if layers:
        return layers, [f"{path}: left out {names}, which {why}" for names, why in left if names]
    if not nameless:
        raise InputError(
            f"{path}: holds lines or points ({flat}), expected polygons of the ground that each class covers; "
            "lines become such by a buffer of half their width"
        )
    raise _unnamed(path, field, [name for name, frame, _ in named if frame is not None], alone=len(found) == 1)


def _unnamed(path: Path, field: str, layers: list[str], *, alone: bool) -> InputError:
    """Return the refusal of layers of polygons none of which names classes; ``alone`` if the file has no other."""
    fields = list(dict.fromkeys(one for layer in layers for one in field_names(path, layer)))
    told = f"with the fields {first_of(fields, _FIELDS_TOLD)}" if fields else "without fields"
    # A GeoPackage may hold tables beside its layers, and all that are copied would get the name.
    layer = "" if alone and path.suffix.lower() != ".gpkg" else layers[0]
    command = as_geopackage(path, "-nln buildings", layer=layer)
    return InputError(
        f"{path}: has no polygon layer with a field {field!r} or the name of a class (only {', '.join(layers)}, "
        f"{told}), expected one; name the field of the classes with --class-field NAME or, if all polygons are of one "
        "class, give --class-name NAME (of train, and of evaluate --model) or write a layer that is called like the "
        f"class: {command}"
    )


def _named(
    name: str, frame: geopandas.GeoDataFrame | None, field: str, is_class: Callable[[str], bool]
) -> _Layer | None:
    """Return a layer whose polygons have class names; None where nothing names them."""
    if frame is None:
        return None
    fields = frame.columns.drop(frame.geometry.name)
    chosen = [one for one in fields if str(one).casefold() == field.casefold()]
    own = name if is_class(name) else None
    if not chosen and own is None:
        return None
    texts: list[Any] = [own] * len(frame)
    if chosen:
        column = frame[chosen[0]]
        texts = [
            own if missing or not _text(text) else _text(text)
            for text, missing in zip(column, column.isna(), strict=True)
        ]
    declared = {text for text in texts if text is not None}
    if own is not None and not declared:
        declared = {own}
    return _Layer(name, frame.geometry, np.array(texts, object), frozenset(declared))


def _text(value: object) -> str:
    """Return a field's value as the name of a class.

    Whole numbers lose the point that missing ones beside them give them.
    """
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _joined(path: Path, layers: list[_Layer], notes: list[str]) -> NamedPolygons:
    """Bring all layers to the first one's CRS; repair, and leave out what is no polygon."""
    crs, *_ = [layer_crs(path, layer.name, layer.geometry) for layer in layers]
    geometry = np.concatenate([np.asarray(layer.geometry.to_crs(crs), object) for layer in layers])
    names = np.concatenate([layer.names for layer in layers])
    empty = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    classless = np.array([name is None for name in names], bool)
    names = np.where(classless, NO_CLASS, names)
    sound = sound_polygons(cut_at_the_end(geometry[~empty], full_turn(crs)))
    flat = np.count_nonzero(~empty) - len(np.unique(sound.owner)) - sound.unplaced
    for count, why in (
        (np.count_nonzero(empty), "left out {} features without a geometry"),
        (flat, "left out {} features that are no polygons"),
        (
            np.count_nonzero(classless & ~empty),
            "its {} features without a class are unlabelled ground where no other lies",
        ),
    ):
        if count:
            notes.append(f"{path}: {why.format(count)}")
    if sound.unplaced:
        notes.append(f"{path}: left out {sound.unplaced} features with coordinates that are no numbers")
    if sound.repaired:
        notes.append(f"{path}: repaired {sound.repaired} invalid polygons")
    declared = frozenset().union(*(layer.declared for layer in layers))
    return NamedPolygons(crs, sound.polygons, names[~empty][sound.owner], declared, tuple(notes))
