"""Class maps traced into polygons, for tests."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.crs import CRS

from geoseg.vector.belts import belts
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vector.runs import Runs
from geoseg.vector.sieve import sieve
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Polygons
from tests.oracles import classes_of

UTM = CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
KEEP = dict.fromkeys(range(1, 6), 0.0)


TRANSFORMS = {
    "north-up": Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000),
    "south-up": Affine(0.5, 0, 300_000, 0, 0.5, 2_800_000),
    "rotated": Affine.translation(300_000, 2_800_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.25),
    "sheared": Affine.translation(300_000, 2_800_000) @ Affine.shear(20, -35) @ Affine.scale(0.5, -0.5),
    "west-up": Affine(-0.5, 0, 300_000, 0, -0.5, 2_800_000),
    "transposed": Affine(0, 0.5, 300_000, 0.25, 0, 2_800_000),
}


def grid_of(classes, transform=TRANSFORMS["north-up"], crs=UTM):
    return Grid(crs, transform, *classes.shape)


def polygons_of(
    classes,
    confidence=None,
    *,
    grid=None,
    min_area_m2=KEEP,
    simplify_px=0.0,
    strip=None,
    belt=None,
    split_px=0,
    smooth=False,
    to_square=None,
    threads=1,
):
    """Return all polygons of a raster that comes in strips, traced in belts of a height of choice."""
    step = strip or len(classes)
    rows = (
        ClassRows(row, classes[row : row + step], None if confidence is None else confidence[row : row + step])
        for row in range(0, len(classes), step)
    )
    with pytest.MonkeyPatch.context() as patch:
        if belt:
            patch.setattr("geoseg.vector.polygonize.belts", lambda strips: belts(strips, belt))
        batches = list(
            polygonize(
                rows,
                grid or grid_of(classes),
                DEFAULT_LEGEND,
                Tracing(min_area_m2, simplify_px, split_px, smooth, to_square, threads),
            )
        )
    return Polygons(*(np.concatenate([getattr(b, name) for b in batches]) for name in Polygons.__slots__))


def blobs(seed, height=96, width=80, classes=4):
    """Classes with wobbly borders and islands, as a network makes them."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(classes, height, width))
    for axis in (1, 2):
        for shift in (1, 2, 4):
            fields = fields + np.roll(fields, shift, axis=axis)
    return fields.argmax(axis=0).astype(np.uint8)


sides = st.integers(1, 9)
rasters = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))
tolerances = st.sampled_from([0.0, 0.75, 1.0, 1.5, 3.0, 10.0])


def sieve_whole(classes, least, step=None):
    step = step or len(classes)
    strips = (Runs.of(classes[row : row + step]) for row in range(0, len(classes), step))
    return np.concatenate([classes_of(rows) for rows in sieve(strips, least)])
