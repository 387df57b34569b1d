"""Polygons burned back give the classes that they were traced from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.vector.burn import final_rows
from tests.traced_maps import TRANSFORMS, blobs, grid_of, polygons_of, rasters, tolerances


def final_classes(polygons, grid):
    return np.concatenate([rows.classes for rows in final_rows([polygons], grid)])


@settings(max_examples=100, deadline=None)
@given(rasters, tolerances, st.sampled_from(sorted(TRANSFORMS)))
def test_burning_back_leaves_no_pixel_out_and_invents_none(classes, tolerance, kind):
    grid = grid_of(classes, TRANSFORMS[kind])
    burnt = final_classes(polygons_of(classes, grid=grid, simplify_px=tolerance), grid)
    assert burnt.dtype == np.uint8
    assert set(np.unique(burnt)) <= set(np.unique(classes))
    if tolerance == 0:
        np.testing.assert_array_equal(burnt, classes)
    if (classes != 0).all():
        assert (burnt != 0).all()


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_burning_back_agrees_with_gdal_where_no_edge_meets_a_pixel_centre(kind):
    classes = blobs(5) + np.uint8(1)
    grid = grid_of(classes, TRANSFORMS[kind])
    found = polygons_of(classes, grid=grid, simplify_px=1.0)
    nudged = shapely.transform(found.geometry, lambda xy: xy + np.array([0.0137, 0.0071]))
    in_pixels = shapely.transform(nudged, lambda xy: np.column_stack(~grid.transform @ tuple(xy.T)))
    pairs = zip(in_pixels, found.values.tolist(), strict=True)
    gdal = rasterio.features.rasterize(pairs, classes.shape, dtype="uint8")
    burnt = final_classes(replace(found, geometry=nudged), grid)
    np.testing.assert_array_equal(burnt, gdal)
    assert (burnt == classes).mean() > 0.9
