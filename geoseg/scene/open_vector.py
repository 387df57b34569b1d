"""The door for vector files: only plain files of polygons come in, and only through the driver of their kind.

GDAL would also open a pipeline, a service description or a table under any name and follow the paths and URLs
inside it (GDALG runs what a ``.json`` says: https://gdal.org/en/stable/drivers/vector/gdalg.html).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.errors import InputError
from geoseg.scene.open import check_file, read_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import geopandas
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

# What pyogrio, pyarrow, pyproj and geopandas raise for files that are not as they should be; most of their own
# classes are also one of these. GeosegErrors are among them and must be let through first.
READING_FAULTS = (OSError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, shapely.errors.ShapelyError)
"""Errors of the libraries that read, repair and transform polygons."""


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


def read_layers(path: Path, field: str | None = None) -> list[tuple[str, geopandas.GeoDataFrame | None]]:
    """Read all layers of a vector file: the name and frame of those that may hold polygons, else name and None.

    Args:
        path: a .gpkg, .geojson, .json, .fgb, .parquet or .shp.
        field: a field wanted beside the geometries, where there is one; upper and lower case are the same.

    Raises:
        InputError: the file is missing, of another kind, damaged, or has no layers or a layer without a CRS.
    """
    local = check_file(path)
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise InputError(
            f"{path}: is no vector file geoseg reads, expected {', '.join(_KINDS)}; "
            f"write it as one with: ogr2ogr out.gpkg {path}"
        )
    magic, driver = _KINDS[kind]
    if not read_head(str(path), local).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(magic.lstrip()):
        raise InputError(f"{path}: is named {kind} but is of another kind; give it the ending of its real format")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL's remarks on files that are otherwise readable
            found = list(_ogr_layers(path, local.absolute(), driver, field) if driver else _parquet_layers(local))
    except InputError:
        raise
    except READING_FAULTS as error:
        raise damaged(path, " ".join(str(error).split())) from None
    if not found:
        raise damaged(path, "no layers found")
    for name, frame in found:
        if frame is not None and not _is_placed(frame):
            raise InputError(
                f"{path}: its layer {name} has no CRS, expected one; "
                "give it one with: ogr2ogr -a_srs EPSG:n out.gpkg in.gpkg"
            )
    return found


def damaged(path: Path, reason: str) -> InputError:
    """Return the error for a file that some library could not make sense of."""
    return InputError(f"{path}: is damaged or not supported ({reason}); check it with: ogrinfo -al -so {path}")


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


def _ogr_layers(
    path: Path, local: Path, driver: str, field: str | None
) -> Iterator[tuple[str, geopandas.GeoDataFrame | None]]:
    import pyogrio

    # Other drivers read JSON, too; pyogrio cannot be told which to use, but this prefix admits only GeoJSON's.
    source = f"GeoJSON:{local}" if driver == "GeoJSON" else str(local)
    for name, geometry in pyogrio.list_layers(source):
        if geometry is None:  # a table, such as layer_styles
            continue
        if not any(word in geometry for word in _AREAL):
            yield str(name), None
            continue
        about = pyogrio.read_info(source, layer=name)
        if about["driver"] != driver:
            raise InputError(f"{path}: is {about['driver']}, expected {driver}; write it as one with: ogr2ogr")
        chosen = [str(one) for one in about["fields"] if field and str(one).casefold() == field.casefold()][:1]
        yield (
            str(name),
            pyogrio.read_dataframe(source, layer=name, columns=chosen, force_2d=True, on_invalid="ignore"),
        )


def _parquet_layers(local: Path) -> Iterator[tuple[str, geopandas.GeoDataFrame]]:
    import geopandas

    with local.open("rb") as file:  # of a path, pyarrow would take folders named key=value for columns
        yield local.stem, geopandas.read_parquet(file)


def _is_placed(frame: geopandas.GeoDataFrame) -> bool:
    import pyproj

    return frame.crs is not None and pyproj.CRS(frame.crs).type_name != "Engineering CRS"


def _sums(geometry: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return a number per geometry that is not finite where one of its coordinates is not."""
    xy, owner = shapely.get_coordinates(geometry, return_index=True)
    return np.bincount(owner, weights=xy.sum(1), minlength=len(geometry)).astype(np.float64)
