"""Maps, scenes and areas across the antimeridian are the same ground, whichever way their longitudes are written."""

from __future__ import annotations

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, read_scenes
from geoseg.scene.area import read_aoi
from geoseg.scene.longitudes import continuous, full_turn, nearest
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import Grid
from tests.labelled_ground import noise, write
from tests.maps import blobs, polygons_of, scores, write_layers, write_raster

DEGREES = pyproj.CRS.from_epsg(4326)
PIXEL = 1e-5
CODES = blobs(60, 80)
WEST = Affine(PIXEL, 0, 180 - 40 * PIXEL, 0, -PIXEL, -16.5)
"""Of a raster that begins before 180 degrees and goes on past it."""
EAST = Affine.translation(-360, 0) @ WEST


def split(geometry):
    """Cut at 180 degrees, as RFC 7946 wants it."""
    before = shapely.intersection(geometry, shapely.box(-180, -90, 180, 90))
    past = shapely.intersection(geometry, shapely.box(180, -90, 540, 90))
    both = np.concatenate([before, shapely.transform(past, lambda xy: xy - (360, 0))])
    return both[~shapely.is_empty(both)]


def drawn_across(geometry):
    """Leave points past 180 degrees where most programs put them: the polygon goes the long way round the world."""
    return shapely.transform(
        geometry, lambda xy: np.column_stack([np.where(xy[:, 0] > 180, -360, 0) + xy[:, 0], xy[:, 1]])
    )


WRITTEN = {
    "past 180": lambda geometry: geometry,
    "before -180": lambda geometry: shapely.transform(geometry, lambda xy: xy - (360, 0)),
    "split": split,
    "drawn across": drawn_across,
}


@pytest.fixture(params=[*WRITTEN, "UTM 60", "UTM 1", "raster past 180", "raster before -180"])
def one_map(request, tmp_path):
    """The same map as a file, in many ways."""
    if request.param.startswith("raster"):
        return write_raster(tmp_path / "a.tif", CODES, WEST if "past" in request.param else EAST, "EPSG:4326")
    frame = polygons_of(CODES, WEST, "EPSG:4326")
    if request.param.startswith("UTM"):
        return write_layers(tmp_path / "a.gpkg", frame, f"EPSG:327{int(request.param[4:]):02}")
    parts = [(name, WRITTEN[request.param](same.geometry.to_numpy())) for name, same in frame.groupby("class")]
    joined = geopandas.GeoDataFrame(
        {"class": [name for name, some in parts for _ in some]},
        geometry=np.concatenate([some for _, some in parts]),
        crs=frame.crs,
    )
    return write_layers(tmp_path / "a.gpkg", joined)


@pytest.mark.parametrize("transform", [WEST, EAST])
def test_every_way_agrees_with_a_raster(one_map, transform, tmp_path):
    report = scores(one_map, write_raster(tmp_path / "r.tif", CODES, transform, "EPSG:4326")).to_json()
    assert np.sum(report["confusion"]) == CODES.size
    assert report["pixel_accuracy"] > 0.999


@pytest.mark.parametrize("crs", ["EPSG:32760", "EPSG:3460"])
def test_every_way_agrees_with_polygons_in_metres(one_map, crs, tmp_path):
    reference = write_layers(tmp_path / "r.gpkg", polygons_of(CODES, WEST, "EPSG:4326"), crs)
    report = scores(one_map, reference, resolution_m=0.5).to_json()
    ground = 60 * 80 * PIXEL**2 * 111_320 * 110_640 * np.cos(np.radians(16.5)) / 0.25
    is_raster = one_map.suffix == ".tif"  # whose own pixels are compared then
    assert np.sum(report["confusion"]) == (CODES.size if is_raster else pytest.approx(ground, rel=0.05))
    assert report["pixel_accuracy"] > 0.98


@pytest.mark.parametrize("way", WRITTEN)
def test_polygons_in_degrees_need_no_grid_round_the_world(one_map, way, tmp_path):
    frame = polygons_of(CODES, WEST, "EPSG:4326")
    frame = frame.assign(geometry=WRITTEN[way](frame.geometry.to_numpy())) if way != "split" else frame
    report = scores(one_map, write_layers(tmp_path / "r.gpkg", frame), resolution_m=0.5).to_json()
    assert np.sum(report["confusion"]) < 50_000
    assert report["pixel_accuracy"] > 0.98


@pytest.mark.parametrize("transform", [WEST, EAST])
def test_labels_are_learned_from_on_both_sides(one_map, transform, tmp_path):
    write(tmp_path / "scene.tif", noise(CODES.shape), crs="EPSG:4326", transform=transform)
    pair = ScenePair((tmp_path / "scene.tif",), one_map)
    (found,) = read_scenes([pair], ReadRequest(), ClassField(), lambda _note: None)
    assert found.known.all()
    names = np.array(["", *(found.names.get(code, "") for code in range(1, 256))])
    wanted = np.array(["", "building", "road", "water", "vegetation", "land"])[CODES]
    assert (names[found.image.labels] == wanted).mean() > 0.999


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("transform", [WEST, EAST])
def test_an_area_of_interest_lies_on_both_sides(way, transform, tmp_path):
    area = np.array([shapely.box(180 - 20 * PIXEL, -16.5 - 30 * PIXEL, 180 + 10 * PIXEL, -16.5 - 10 * PIXEL)])
    path = tmp_path / "aoi.gpkg"
    geopandas.GeoDataFrame(geometry=WRITTEN[way](area), crs="EPSG:4326").to_file(path)
    grid = Grid(CRS.from_epsg(4326).to_wkt(version="WKT2_2019"), transform, 60, 80)
    inside = read_aoi(path, grid, "scene").inside(grid)
    expected = np.zeros((60, 80), bool)
    expected[10:30, 20:50] = True
    assert (inside == expected).all()
    easting, northing = pyproj.Transformer.from_crs(4326, 32760, always_xy=True).transform(180, -16.5)
    metres = Grid(
        CRS.from_epsg(32760).to_wkt(version="WKT2_2019"), Affine(1, 0, easting - 60, 0, -1, northing + 20), 90, 120
    )
    seen = read_aoi(path, metres, "scene").inside(metres)
    assert seen.sum() == pytest.approx(30 * 20 * PIXEL**2 * 111_320 * 110_640 * np.cos(np.radians(16.5)), rel=0.06)
    assert abs(np.flatnonzero(seen.any(0)).mean() - 60 + 5) < 2


# ---- longitudes by themselves


def test_a_turn_is_told_in_the_units_of_the_crs():
    assert full_turn(DEGREES) == pytest.approx(360)
    assert full_turn(pyproj.CRS.from_epsg(4807)) == pytest.approx(400)  # grads
    assert full_turn(pyproj.CRS.from_epsg(32660)) == 0


@given(st.floats(-1000, 1000), st.floats(-400, 400))
def test_the_nearest_longitude_is_the_same_place(x, middle):
    found = nearest(np.array([x]), middle, 360.0)[0]
    assert abs(found - middle) <= 180 + 1e-9
    assert round((found - x) / 360) * 360 == pytest.approx(found - x, abs=1e-9)


boxes = st.lists(
    st.tuples(st.floats(-40, 40), st.floats(-40, 40), st.floats(0.01, 30), st.floats(0.01, 30)), min_size=1, max_size=8
)


@given(boxes, st.sampled_from(list(WRITTEN)))
def test_what_lies_about_the_antimeridian_is_made_whole(found, way):
    whole = np.array([shapely.box(180 + x, y, 180 + x + w, y + h) for x, y, w, h in found])
    wide = shapely.bounds(whole)
    if way == "drawn across" and ((wide[:, 0] == 180) | (wide[:, 2] == 180)).any():
        return
    made = continuous(WRITTEN[way](whole), DEGREES)
    turned = 360 * round((180 - (shapely.total_bounds(made)[::2].mean())) / 360)
    assert shapely.union_all(made).area == pytest.approx(shapely.union_all(whole).area)
    assert shapely.total_bounds(made) + np.array([turned, 0, turned, 0]) == pytest.approx(shapely.total_bounds(whole))


@pytest.mark.parametrize(
    "world", [(-180, -90, 180, 90), (-170, -50, 100, 50), (-20, -10, 30, 10), (-180, 10, -100, 20)]
)
def test_other_maps_stay_as_they_are(world):
    given_ = np.array([shapely.box(*world), None, shapely.box(-1, -1, 1, 1)], object)
    assert shapely.equals_exact(continuous(given_, DEGREES)[[0, 2]], given_[[0, 2]]).all()
    utm = pyproj.CRS.from_epsg(32660)
    assert continuous(given_, utm) is given_
