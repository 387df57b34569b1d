"""The door for vector files: only plain files of polygons come in, and only through the driver of their kind.

GDAL would also open a pipeline, a service description or a table under any name and follow the paths and URLs
inside it (GDALG runs what a ``.json`` says: https://gdal.org/en/stable/drivers/vector/gdalg.html).
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.errors import InputError, UsageError
from geoseg.scene.longitudes import full_turn
from geoseg.scene.open import check_file, read_head
from geoseg.scene.other_vectors import as_geopackage, check_other, other_kind, swapped_axes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import geopandas
    import pyproj
    from numpy.typing import NDArray

# First bytes of each format, and the one driver that may read it; GeoParquet is read by pyarrow.
_KINDS = {
    ".gpkg": (b"SQLite format 3\0", "GPKG"),
    ".geojson": (b"{", "GeoJSON"),
    ".json": (b"{", "GeoJSON"),
    ".fgb": (b"fgb", "FlatGeobuf"),
    ".parquet": (b"PAR1", ""),
    ".shp": (b"\0\0\x27\x0a", "ESRI Shapefile"),
}
_AREAL = ("Polygon", "Surface", "Unknown", "GeometryCollection", "TIN")

# What pyogrio, pyarrow, pyproj and geopandas raise for files that are not as they should be. GeosegErrors are
# among them and must be let through first.
_FAULTS = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, shapely.errors.ShapelyError)


@dataclass(frozen=True, slots=True)
class SoundPolygons:
    """Geometries taken apart into valid polygons."""

    polygons: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons in two dimensions."""
    owner: NDArray[np.intp]
    """Shape (n,), index of the geometry each polygon is part of."""
    unplaced: int
    """Geometries left out, because a coordinate is no number."""
    repaired: int
    """Geometries that were invalid."""


def read_layers(path: Path, *fields: str) -> list[tuple[str, geopandas.GeoDataFrame | None]]:
    """Read all layers of a vector file: the name and frame of those that may hold polygons, else name and None.

    Args:
        path: a .gpkg, .geojson, .json, .fgb, .parquet or .shp.
        fields: those wanted beside the geometries, where they are there; upper and lower case are the same. Of
            GeoParquet, all are read.

    Raises:
        InputError: the file is missing, of another kind, or damaged.
    """
    kind, expected = path.suffix.lower(), ", ".join(_KINDS)
    if kind not in _KINDS:
        check_other(path, "geoseg reads", expected)
    local = check_file(path)
    if kind not in _KINDS:
        raise other_kind(path, "geoseg reads", expected)
    magic, driver = _KINDS[kind]
    head = read_head(str(path), local)
    if not head.startswith(magic) and not head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(magic):
        raise InputError(f"{path}: is named {kind} but is of another kind; give it the ending of its real format")
    with reading(path):
        found = list(_ogr_layers(path, driver, fields) if driver else _parquet_layers(path))
    if not found:
        raise InputError(f"{path}: is damaged or not supported (no layers found); copy or export it again")
    return found


def read_line_layer(path: Path, name: str, field: str) -> geopandas.GeoDataFrame:
    """Read one layer of lines of a GeoPackage.

    Args:
        path: a .gpkg, one that `read_layers` has let in.
        name: the layer's.
        field: a field wanted beside the geometries, where it is there.

    Raises:
        InputError: the layer cannot be read.
    """
    import pyogrio

    with reading(path):
        return pyogrio.read_dataframe(
            str(path.absolute()), layer=name, columns=[field], force_2d=True, on_invalid="ignore"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say which file the errors of the libraries that read, repair and transform polygons are about.

    Raises:
        InputError: one of them could not make sense of what the file holds.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL's remarks on files that are otherwise readable
            yield
    except (InputError, UsageError):
        raise
    except _FAULTS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        way = "copy or export it again"
        if path.suffix.lower() == ".json":  # TopoJSON, Esri JSON and others are called so, too
            way += f", or if it is of another kind, write it as one with: {as_geopackage(path)}"
        raise InputError(f"{path}: is damaged or not supported ({reason}); {way}") from None


def field_names(path: Path, layer: str) -> list[str]:
    """Return the names of a layer's fields, of a file that `read_layers` has let in; raises InputError as that does."""
    import pyogrio

    _, driver = _KINDS[path.suffix.lower()]
    with reading(path):
        if driver:
            return [str(field) for field in pyogrio.read_info(_source(path, driver), layer=layer)["fields"]]
        ((_, frame),) = _parquet_layers(path)
        return [str(field) for field in frame.columns if field != frame.geometry.name]


def layer_crs(path: Path, name: str, geometry: geopandas.GeoSeries) -> pyproj.CRS:
    """Return the CRS of a layer in two dimensions.

    Raises:
        InputError: it has none, or one of degrees and coordinates that are none.
    """
    import pyproj

    crs = None if geometry.crs is None else pyproj.CRS(geometry.crs)
    if crs is None or crs.type_name == "Engineering CRS" or is_undefined(crs):
        raise InputError(
            f"{path}: its layer {name} has no CRS, expected one; "
            f"give it one with: {as_geopackage(path, '-a_srs EPSG:n')}"
        )
    _check_degrees(path, name, geometry, crs)
    return crs.to_2d()


def is_undefined(crs: pyproj.CRS) -> bool:
    """Tell whether a CRS is what GDAL writes into a GeoPackage where there is none."""
    return bool(crs.name.startswith("Undefined "))


def sound_polygons(geometry: NDArray[np.object_]) -> SoundPolygons:
    """Repair geometries and take them apart; lines, points and empty geometries have no part in the result.

    Args:
        geometry: shape (n,), any shapely geometries, or None.
    """
    index = np.flatnonzero(~(shapely.is_missing(geometry) | shapely.is_empty(geometry)))
    shapes = shapely.force_2d(geometry[index])
    placed = np.isfinite(shapely.bounds(shapes)).all(-1) & np.isfinite(_sums(shapes))
    index, shapes = index[placed], shapes[placed]
    wrong = ~shapely.is_valid(shapes)
    shapes[wrong] = shapely.make_valid(shapes[wrong])
    parts, owner = shapely.get_parts(shapes, return_index=True)
    inner, within = shapely.get_parts(parts, return_index=True)  # a collection may hold multipolygons
    areal = (shapely.get_type_id(inner) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(inner)
    owners = index[owner[within[areal]]]
    return SoundPolygons(inner[areal], owners, int(np.count_nonzero(~placed)), int(np.count_nonzero(wrong)))


def _check_degrees(path: Path, name: str, geometry: geopandas.GeoSeries, crs: pyproj.CRS) -> None:
    """Raise InputError where most geometries lie at no longitude and latitude, but have a CRS of such."""
    turn = full_turn(crs)
    left, bottom, right, top = shapely.bounds(np.asarray(geometry, object)).T
    middles = np.stack([(left + right) / 2, (bottom + top) / 2], axis=1)
    middles = middles[np.isfinite(middles).all(1)]
    far = (np.abs(middles) > (turn, turn / 4)).any(1)
    if not turn or np.count_nonzero(far) * 2 <= len(far):
        return
    x, y = middles[far][0]
    found = f"{path}: its layer {name} has coordinates such as {x:.10g}, {y:.10g} and the CRS {crs.name}"
    if abs(y) <= turn and abs(x) <= turn / 4:
        raise InputError(f"{found}, expected longitude before latitude; swap them with: {swapped_axes(path)}")
    raise InputError(
        f"{found}, expected degrees of longitude and latitude; "
        f"say which CRS they are of with: {as_geopackage(path, '-a_srs EPSG:n')}"
    )


def _source(path: Path, driver: str) -> str:
    """Return the name by which pyogrio opens a file: it cannot be told which driver to use.

    GeoJSON's alone reads what has this prefix.
    """
    return f"GeoJSON:{path.absolute()}" if driver == "GeoJSON" else str(path.absolute())


def _ogr_layers(
    path: Path, driver: str, fields: tuple[str, ...]
) -> Iterator[tuple[str, geopandas.GeoDataFrame | None]]:
    import pyogrio

    source = _source(path, driver)
    if driver != "GeoJSON" and any(mark in source for mark in "!?;"):
        # pyogrio's vsi_path would cut the path there and open what the rest names.
        raise InputError(f"{path}: has one of ! ? ; in its full path, expected none; rename the file or its folder")
    for name, geometry in pyogrio.list_layers(source):
        if geometry is None:  # a table, such as layer_styles
            continue
        if not any(word in geometry for word in _AREAL):
            yield str(name), None
            continue
        about = pyogrio.read_info(source, layer=name)
        if about["driver"] != driver:
            raise InputError(
                f"{path}: is of the kind {about['driver']}, expected {driver}; "
                f"write it as one with: ogr2ogr out{path.suffix} {path}"
            )
        known = {str(one).casefold(): str(one) for one in reversed(about["fields"])}
        chosen = [known[field.casefold()] for field in fields if field.casefold() in known]
        yield (
            str(name),
            pyogrio.read_dataframe(source, layer=name, columns=chosen, force_2d=True, on_invalid="ignore"),
        )


def _parquet_layers(path: Path) -> Iterator[tuple[str, geopandas.GeoDataFrame]]:
    import geopandas

    with path.open("rb") as file:  # of a path, pyarrow would take folders named key=value for columns
        yield path.stem, geopandas.read_parquet(file)


def _sums(geometry: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return a number per geometry that is not finite where one of its coordinates is not."""
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    return np.bincount(owner, weights=xy.sum(1), minlength=len(geometry)).astype(np.float64)
