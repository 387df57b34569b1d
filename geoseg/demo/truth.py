"""The reference GeoPackage: class polygons strip by strip, then footprints and centrelines."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyogrio
import shapely

from geoseg.demo.world import Centerline, Footprint, centerlines, footprints
from geoseg.layers.features import GEOMETRY, feature_stream
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid

_COLUMNS = 4096  # pixels; polygons end at every such column, so that memory stays bounded in wide scenes
_BATCH = 5000  # features held at once

_SHAPE = pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
_FOOTPRINTS = pa.schema([pa.field("height_m", pa.float64()), pa.field("kind", pa.string()), _SHAPE])
_CENTERLINES = pa.schema([pa.field("width_m", pa.float64()), _SHAPE])
_Thing = TypeVar("_Thing")


def append_polygons(path: Path, rows: ClassRows, grid: Grid) -> None:
    """Append the polygons of a strip, exact to the pixel, to the layer of each class.

    Args:
        path: the GeoPackage, created if need be.
        rows: a strip of class values.
        grid: of the whole scene.
    """
    height, width = rows.classes.shape
    for col in range(0, width, _COLUMNS):
        window = Window(rows.row, col, height, min(_COLUMNS, width - col))
        cut = ClassRows(0, np.ascontiguousarray(rows.classes[:, col : window.right]))
        found = polygonize([cut], grid.crop(window), DEFAULT_LEGEND, Tracing({}, 0.0))
        batches = list(found)
        for entry in DEFAULT_LEGEND:
            stream = feature_stream((entry, polygons.of_class(entry.value)) for polygons in batches)
            _append(path, stream, str(entry.layer), "Polygon", grid.crs)


def append_world(path: Path, seed: int, grid: Grid, climate: str = "dry") -> None:
    """Add the layers ``building_footprints`` and ``road_centerlines`` of a scene to a GeoPackage."""
    houses = _houses(footprints(seed, grid.whole, climate), grid)
    stream = pa.RecordBatchReader.from_batches(_FOOTPRINTS, houses)
    _append(path, stream, "building_footprints", "Polygon", grid.crs)
    roads = _roads(centerlines(seed, grid.whole, climate), grid)
    stream = pa.RecordBatchReader.from_batches(_CENTERLINES, roads)
    _append(path, stream, "road_centerlines", "LineString", grid.crs)


def _append(path: Path, stream: pa.RecordBatchReader, layer: str, geometry: str, crs: str) -> None:
    """Append features to a layer; file and layer are created if need be."""
    known = path.exists()
    pyogrio.write_arrow(
        stream,
        path,
        driver="GPKG",
        layer=layer,
        geometry_name=GEOMETRY,
        geometry_type=geometry,
        crs=crs,
        append=known,
        # 1.4 makes QGIS 3.22 warn at every opening.
        **({} if known else {"VERSION": "1.3"}),
    )


def _batched(found: Iterable[_Thing]) -> Iterator[list[_Thing]]:
    """Yield lists of at most ``_BATCH`` things (itertools.batched came with Python 3.12)."""
    rest = iter(found)
    while some := list(itertools.islice(rest, _BATCH)):
        yield some


def _ground(shapes: list[shapely.Polygon] | list[shapely.LineString], grid: Grid) -> pa.Array:
    """Return the WKB, shape (n,), of shapes in pixel coordinates, moved to the grid's CRS."""
    a, b, c, d, e, f = grid.transform[:6]

    def place(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        col, row = xy.T
        return np.column_stack((a * col + b * row + c, d * col + e * row + f))

    moved = shapely.orient_polygons(shapely.transform(np.array(shapes, object), place))
    return pa.array(shapely.to_wkb(moved, byte_order=1, flavor="iso"), pa.binary())


def _houses(found: Iterable[Footprint], grid: Grid) -> Iterator[pa.RecordBatch]:
    """Yield batches of footprints."""
    for some in _batched(found):
        heights, kinds = pa.array([one.height_m for one in some]), pa.array([one.kind for one in some])
        columns = [heights, kinds, _ground([one.polygon for one in some], grid)]
        yield pa.record_batch(columns, schema=_FOOTPRINTS)


def _roads(found: Iterable[Centerline], grid: Grid) -> Iterator[pa.RecordBatch]:
    """Yield batches of centrelines."""
    for some in _batched(found):
        columns = [pa.array([one.width_m for one in some]), _ground([one.line for one in some], grid)]
        yield pa.record_batch(columns, schema=_CENTERLINES)
