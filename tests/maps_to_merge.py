"""Maps of neighbouring ground, cut from one map, for tests."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import rasterio
from affine import Affine

from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Polygons

PIXEL = 0.5
PLACE = Affine(PIXEL, 0, 300_000, 0, -PIXEL, 2_800_000)


def wkt(code=32640):
    return rasterio.crs.CRS.from_epsg(code).to_wkt(version="WKT2_2019")


def traced(classes, place=PLACE, crs=None, **how):
    """Return all polygons of a class raster, pixel by pixel."""
    classes = np.ascontiguousarray(classes, np.uint8)
    grid = Grid(crs or wkt(), place, *classes.shape)
    confidence = np.where(classes == 0, 255, 60 + 5 * classes).astype(np.uint8)
    tracing = Tracing({}, how.pop("simplify_px", 0.0), **how)
    parts = list(polygonize([ClassRows(0, classes, confidence)], grid, DEFAULT_LEGEND, tracing))
    names = ("values", "geometry", "area_m2", "perimeter_m", "confidence")
    nothing = Polygons(np.empty(0, np.uint8), np.empty(0, object), *np.empty((3, 0)))
    return grid, Polygons(*(np.concatenate([getattr(part, name) for part in [nothing, *parts]]) for name in names))


def tiles(classes, rows, cols, *, drift=0.0, place=PLACE, overlap=0, seed=0):
    """Yield parts of a raster, cut at rows and columns, and where each lies, up to some pixels off."""
    random = np.random.default_rng(seed)
    rows, cols = [0, *rows, classes.shape[0]], [0, *cols, classes.shape[1]]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            first_row, first_col = max(0, top - overlap), max(0, left - overlap)
            part = classes[first_row : bottom + overlap, first_col : right + overlap]
            off = random.uniform(-drift, drift, 2)
            yield part, place @ Affine.translation(first_col + off[0], first_row + off[1])


def blobs(seed=0, shape=(90, 110), values=5, size=9):
    """Return smooth patches of some classes and of nothing."""
    random = np.random.default_rng(seed)
    small = random.random((values + 1, shape[0] // size + 3, shape[1] // size + 3))
    rows, cols = np.arange(shape[0]) / size, np.arange(shape[1]) / size
    row, col = rows.astype(int), cols.astype(int)
    down, right = (rows - row)[:, None], (cols - col)[None]
    fields = [
        (1 - down) * ((1 - right) * one[row][:, col] + right * one[row][:, col + 1])
        + down * ((1 - right) * one[row + 1][:, col] + right * one[row + 1][:, col + 1])
        for one in small
    ]
    return np.argmax(fields, axis=0).astype(np.uint8)
