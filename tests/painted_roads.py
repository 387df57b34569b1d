"""Roads painted into class rasters, and what must be true of every network of lines."""

from collections import Counter

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.roads.trace import Centerlines
from geoseg.roads.traced import Traced
from geoseg.vector.runs import Runs
from geoseg.vocabulary import Grid

ROAD = 2
UTM = CRS.from_epsg(32640)
FEET = CRS.from_epsg(2263)


def grid_of(classes, pixel=1.0, crs=UTM, corner=(300_000.0, 2_800_000.0)):
    transform = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
    return Grid(crs.to_wkt(version="WKT2_2019"), transform, *classes.shape)


def traced(classes, *, belt=1024, strip=10_000, grid=None, building=None):
    tracing = Centerlines(grid or grid_of(classes), ROAD, building, belt)
    found = []
    for row in range(0, len(classes), strip):
        found += tracing.add(Runs.of(np.ascontiguousarray(classes[row : row + strip])))
    found += tracing.finish()
    return Traced.of(found)


def painted(shape, roads):
    """Return classes of land with roads: pixels within half a width of an axis, in columns and rows."""
    classes = np.full(shape, 5, np.uint8)
    row, col = np.indices(shape)
    middles = shapely.points(col + 0.5, row + 0.5)
    for axis, width in roads:
        classes[shapely.distance(middles, axis) <= width / 2] = ROAD
    return classes


def in_pixels(lines, grid):
    inverse = ~grid.transform

    def back(xy):
        return np.column_stack(inverse @ (xy[:, 0], xy[:, 1]))

    return shapely.transform(lines.geometry, back)


def on_pixels(classes, **how):
    lines = traced(classes, **how)
    return in_pixels(lines, how.get("grid") or grid_of(classes)), lines


def degrees(geometry):
    return Counter(end for line in geometry for end in (line.coords[0], line.coords[-1]))


def check_lines(geometry):
    """See that lines are simple and do not merely pass through a node."""
    assert shapely.is_simple(geometry).all()
    assert (shapely.get_type_id(geometry) == shapely.GeometryType.LINESTRING).all()
    assert (shapely.length(geometry) > 0).all()
    rings = {line.coords[0] for line in geometry if line.is_closed}
    assert [end for end, count in degrees(geometry).items() if count == 2 and end not in rings] == []


def check_network(geometry):
    """See besides that lines meet at ends that they share, and nowhere else."""
    check_lines(geometry)
    one, other = shapely.STRtree(geometry).query(geometry, predicate="intersects")
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        if a < b:
            ends = [{line.coords[0], line.coords[-1]} for line in (geometry[a], geometry[b])]
            shared = shapely.buffer(shapely.MultiPoint(sorted(ends[0] & ends[1])), 1e-6)
            assert shapely.difference(shapely.intersection(geometry[a], geometry[b]), shared).is_empty


def bytes_of(lines):
    return sorted(
        (wkb, width, length)
        for wkb, width, length in zip(shapely.to_wkb(lines.geometry), lines.width_m, lines.length_m, strict=True)
    )


def town(side=420, seed=0):
    """Return streets of many widths and directions, lakes of noise and a ring."""
    random = np.random.default_rng(seed)
    roads = [
        (shapely.LineString(random.uniform(-40, side + 40, (2, 2))), width) for width in (4, 5, 6.5, 7, 8, 9, 11, 18)
    ]
    roads.append((shapely.Point(side / 2, side / 3).buffer(60).exterior, 6))
    classes = painted((side, side), roads)
    noise = random.random((side, side))
    classes[noise < 0.004] = 4
    classes[noise > 0.996] = ROAD
    return classes


def box(left, top, right, bottom):
    return shapely.box(left, top, right, bottom).exterior
