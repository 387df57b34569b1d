"""Class polygons out of a vector file, whoever drew it: every layer that says what its polygons are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import InputError
from geoseg.scene.open import check_file, read_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import geopandas
    import pyproj
    from numpy.typing import NDArray

# First bytes of each format: a file of another kind would be opened by another, less harmless driver.
_HEADS = {".gpkg": b"SQLite format 3\0", ".geojson": b"{", ".fgb": b"fgb", ".parquet": b"PAR1"}
_AREAL = ("Polygon", "Surface", "Unknown", "GeometryCollection", "TIN")
_TRIES = "check it with: geoseg info"

VECTOR_ENDINGS = tuple(_HEADS)
"""Endings of the vector files that can be read."""


@dataclass(frozen=True, slots=True)
class NamedPolygons:
    """Polygons with the names of their classes."""

    crs: pyproj.CRS
    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons in two dimensions."""
    names: NDArray[np.object_]
    """Shape (n,), class names as the file has them."""
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


def read_named_polygons(path: Path, field: str, is_class: Callable[[str], bool]) -> NamedPolygons:
    """Read the polygons of every layer that names their class.

    Args:
        path: a file with one of ``VECTOR_ENDINGS``.
        field: name of the text field with the class; upper and lower case are the same.
        is_class: whether a layer's name is that of a class; such a layer needs no field.

    Raises:
        InputError: the file cannot be read, has no CRS, or no layer that names classes.
    """
    kind = path.suffix.lower()
    head = read_head(str(path), check_file(path)).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(_HEADS[kind]):
        raise InputError(f"{path}: is named {kind} but is of another kind; give it the ending of its real format")
    read = _parquet_layers if kind == ".parquet" else _ogr_layers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL's remarks on files that are otherwise readable
            found = list(read(path, field))
        return _joined(path, *_sorted(path, found, field, is_class))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - pyogrio, pyarrow, pyproj and shapely each have their own
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is damaged or not supported ({reason}); {_TRIES} {path}") from None


def _sorted(
    path: Path,
    found: list[tuple[str, geopandas.GeoDataFrame | None]],
    field: str,
    is_class: Callable[[str], bool],
) -> tuple[list[_Layer], list[str]]:
    """Return the layers that name classes, and a note on the others; InputError where there are none."""
    named = [(name, _named(name, frame, field, is_class)) for name, frame in found]
    layers = [layer for _, layer in named if layer is not None]
    skipped = ", ".join(name for name, layer in named if layer is None)
    if layers:
        return layers, [f"{path}: left out {skipped}, which name no classes"] if skipped else []
    if not skipped:
        raise InputError(f"{path}: is damaged or not supported (no layers found); {_TRIES} {path}")
    raise InputError(
        f"{path}: has no polygon layer with a field {field!r} or the name of a class (only {skipped}); "
        "name the field of the classes with --class-field NAME, or call the layer buildings, roads, …"
    )


def _ogr_layers(path: Path, field: str) -> Iterator[tuple[str, geopandas.GeoDataFrame | None]]:
    """Yield name and frame of each layer of polygons; of lines and points, the name and None."""
    import pyogrio

    for name, geometry in pyogrio.list_layers(path):
        if geometry is None:  # a table, such as layer_styles
            continue
        if not any(word in geometry for word in _AREAL):
            yield str(name), None
            continue
        fields = [str(one) for one in pyogrio.read_info(path, layer=name)["fields"]]
        chosen = [one for one in fields if one.casefold() == field.casefold()][:1]
        yield (
            str(name),
            pyogrio.read_dataframe(path, layer=name, columns=chosen, force_2d=True, on_invalid="ignore"),
        )


def _parquet_layers(path: Path, _field: str) -> Iterator[tuple[str, geopandas.GeoDataFrame]]:
    import geopandas

    yield path.stem, geopandas.read_parquet(path)


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
            own if missing or not str(text).strip() else str(text).strip()
            for text, missing in zip(column, column.isna(), strict=True)
        ]
    declared = {text for text in texts if text is not None}
    if own is not None and not declared:
        declared = {own}
    return _Layer(name, frame.geometry, np.array(texts, object), frozenset(declared))


def _joined(path: Path, layers: list[_Layer], notes: list[str]) -> NamedPolygons:
    """Bring all layers to the first one's CRS; repair, and leave out what is no polygon."""
    import pyproj

    for layer in layers:
        crs = layer.geometry.crs
        if crs is None or pyproj.CRS(crs).type_name == "Engineering CRS":
            raise InputError(
                f"{path}: its layer {layer.name} has no CRS, expected one; "
                "give it one with: ogr2ogr -a_srs EPSG:n out.gpkg in.gpkg"
            )
    crs = pyproj.CRS(layers[0].geometry.crs).to_2d()
    geometry = np.concatenate([np.asarray(layer.geometry.to_crs(crs), object) for layer in layers])
    names = np.concatenate([layer.names for layer in layers])
    usable = np.array([g is not None and not g.is_empty for g in geometry], bool) & np.array(
        [n is not None for n in names], bool
    )
    if not usable.all():
        notes.append(f"{path}: left out {np.count_nonzero(~usable)} features without a geometry or a class")
    geometry, names = shapely.force_2d(geometry[usable]), names[usable]
    finite = np.isfinite(shapely.bounds(geometry)).all(-1) & np.isfinite(_sums(geometry))
    if not finite.all():
        notes.append(f"{path}: left out {np.count_nonzero(~finite)} features with coordinates that are no numbers")
    geometry, names = geometry[finite], names[finite]
    wrong = ~shapely.is_valid(geometry)
    if wrong.any():
        notes.append(f"{path}: repaired {np.count_nonzero(wrong)} invalid polygons")
        geometry[wrong] = shapely.make_valid(geometry[wrong])
    geometry, owner = _polygons(geometry)
    return NamedPolygons(
        crs, geometry, names[owner], frozenset().union(*(layer.declared for layer in layers)), tuple(notes)
    )


def _sums(geometry: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return a number per geometry that is not finite where one of its coordinates is not."""
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    return np.bincount(owner, weights=xy.sum(1), minlength=len(geometry)).astype(np.float64)


def _polygons(geometry: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Take geometries apart; return their polygons and, for each, the index of what it was part of."""
    parts, owner = shapely.get_parts(geometry, return_index=True)
    inner, within = shapely.get_parts(parts, return_index=True)  # a collection may hold multipolygons
    areal = shapely.get_type_id(inner) == shapely.GeometryType.POLYGON
    return inner[areal], owner[within[areal]]
