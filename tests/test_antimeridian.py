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
from geoseg.scene.longitudes import copies, cut_at_the_end, full_turn, past_the_end, projected_whole, side_by_side
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


# ---- what spans the world, or lies on its other side, is what it was


def test_an_area_round_the_world_holds_all_of_a_scene(tmp_path):
    degrees = CRS.from_epsg(4326).to_wkt(version="WKT2_2019")
    metres = CRS.from_epsg(32760).to_wkt(version="WKT2_2019")
    easting, northing = pyproj.Transformer.from_crs(4326, 32760, always_xy=True).transform(178.5, -16.5)
    world = Grid(degrees, Affine(4, 0, -180, 0, -4, 80), 40, 90)
    across = Grid(degrees, Affine(0.01, 0, 179.6, 0, -0.01, -16.5), 60, 80)
    for grid in (world, across, Grid(metres, Affine(9, 0, easting, 0, -9, northing), 60, 80)):
        for edge in (179.9, 180):
            geopandas.GeoDataFrame(geometry=[shapely.box(-edge, -80, edge, 80)], crs=4326).to_file(tmp_path / "a.gpkg")
            inside = read_aoi(tmp_path / "a.gpkg", grid, "scene").inside(grid)
            missing = 180 - edge  # degrees on either side of 180
            x = grid.transform.c + grid.transform.a * (np.arange(grid.width) + 0.5)
            expected = np.ones(grid.shape, bool)
            if grid.transform.a < 1:
                expected[:, np.abs(x - 180) < missing] = False
            assert inside is None or (inside == expected).all()


@pytest.mark.parametrize("edges", [(-176, -10, 176, 10), (-180, -80, 180, 80), (-100, -60, 120, 40)])
def test_a_polygon_that_spans_most_of_the_world_is_no_sliver(tmp_path, edges):
    size = 90, 180
    world = Affine(2, 0, -180, 0, -2, 90)
    box = geopandas.GeoDataFrame({"class": ["land"]}, geometry=[shapely.box(*edges)], crs="EPSG:4326")
    x, y = np.meshgrid(np.arange(-179, 180, 2), np.arange(89, -90, -2))
    codes = np.where((x > edges[0]) & (x < edges[2]) & (y > edges[1]) & (y < edges[3]), 5, 1).astype(np.uint8)
    raster = write_raster(tmp_path / "r.tif", codes.reshape(size), world, "EPSG:4326")
    report = scores(write_layers(tmp_path / "a.gpkg", box), raster, classes="all").to_json()
    assert report["classes"]["land"]["iou"] == 1.0


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4269", "EPSG:4258", "EPSG:4267"])
def test_a_raster_of_the_world_meets_one_that_begins_elsewhere(tmp_path, crs):
    """From -180 to 180, and from 0 to 360: at least on the half that both call the same."""
    codes = blobs(90, 180)
    here = write_raster(tmp_path / "a.tif", codes, Affine(2, 0, -180, 0, -2, 90), "EPSG:4326")
    other = np.ascontiguousarray(np.concatenate([codes[:, 90:], codes[:, :90]], axis=1))
    there = write_raster(tmp_path / "b.tif", other, Affine(2, 0, 0, 0, -2, 90), crs)
    for maps in ((here, there), (there, here)):
        report = scores(*maps).to_json()
        assert np.sum(report["confusion"]) > 0.48 * codes.size
        assert report["pixel_accuracy"] > 0.999


def test_what_lies_on_the_other_side_of_the_world_is_not_stretched_over_a_map(tmp_path):
    here = Affine(0.01, 0, 0, 0, -0.01, 0)
    raster = write_raster(tmp_path / "r.tif", np.full((60, 80), 5, np.uint8), here, "EPSG:4326")
    boxes = [shapely.box(-1, -1, 1, 1), *(shapely.box(x, -1, x + 3, 1) for x in (-180, 177, 178.5, -181.5, 181))]
    frame = geopandas.GeoDataFrame({"class": ["land", *["water"] * 5]}, geometry=boxes, crs="EPSG:4326")
    for crs, count in (("EPSG:4326", 6), ("EPSG:4269", 6), ("EPSG:3857", 3)):
        report = scores(write_layers(tmp_path / "a.gpkg", frame[:count], crs), raster, classes="all").to_json()
        assert report["pixel_accuracy"] == 1.0
        (tmp_path / "a.gpkg").unlink()


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "EPSG:6933"])
@pytest.mark.parametrize("boxes", [[(166, -48, 179, -34), (-177, -45, -176, -43)], [(-179, -80, 179, 80)]])
def test_maps_of_more_than_one_place_stay_as_they_are_in_metres(tmp_path, crs, boxes):
    """New Zealand with the Chatham Islands, and a map of the world that misses 180 by a hair."""
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(172, -41)
    raster = write_raster(tmp_path / "r.tif", np.full((60, 80), 5, np.uint8), Affine(1e3, 0, x, 0, -1e3, y), crs)
    frame = geopandas.GeoDataFrame(
        {"class": ["land"] * len(boxes)}, geometry=[shapely.box(*box) for box in boxes], crs="EPSG:4326"
    )
    report = scores(write_layers(tmp_path / "a.gpkg", frame), raster).to_json()
    assert np.sum(report["confusion"]) == 60 * 80
    assert report["pixel_accuracy"] == 1.0


@pytest.mark.parametrize("crs", [4269, 4258, 4267])
def test_an_area_of_half_the_world_is_not_its_complement_in_another_crs(tmp_path, crs):
    world = Grid(CRS.from_epsg(crs).to_wkt(version="WKT2_2019"), Affine(4, 0, -180, 0, -4, 80), 40, 90)
    geopandas.GeoDataFrame(geometry=[shapely.box(-100, -60, 120, 40)], crs=4326).to_file(tmp_path / "a.gpkg")
    assert read_aoi(tmp_path / "a.gpkg", world, "scene").inside(world).sum() == 55 * 25


def test_one_feature_in_two_parts_is_on_both_sides_for_every_grid(tmp_path):
    """As RFC 7946 writes an island that lies across: neither part leaps, and neither may be lost."""
    island = shapely.MultiPolygon([shapely.box(179.8, -17, 180, -16.5), shapely.box(-180, -17, -179.7, -16.5)])
    geopandas.GeoDataFrame({"class": ["land"]}, geometry=[island], crs=4326).to_file(tmp_path / "a.gpkg")
    degrees = CRS.from_epsg(4326).to_wkt(version="WKT2_2019")
    for left, columns in ((-180, 30), (178, 20), (179, 50), (-181, 50)):
        grid = Grid(degrees, Affine(0.01, 0, left, 0, -0.01, -16), 120, 200)
        assert read_aoi(tmp_path / "a.gpkg", grid, "scene").inside(grid).sum() == columns * 50


LEAPING = shapely.Polygon([(179.99, -17), (-179.99, -17), (-179.99, -16.99), (179.99, -16.99)])
BOW_TIE = shapely.Polygon([(179.5, -17), (179.6, -16.9), (179.6, -17), (179.5, -16.9)])


@pytest.mark.parametrize(
    "drawn",
    [
        shapely.MultiPolygon([LEAPING, BOW_TIE]),
        shapely.MultiPolygon([LEAPING, shapely.box(179.5, -19, 179.6, -18.9)]),
        shapely.GeometryCollection([shapely.MultiPolygon([LEAPING]), shapely.Point(179.5, -17)]),
        shapely.Polygon([*LEAPING.exterior.coords[:3], (float("nan"), -16.99)]),
    ],
    ids=["an invalid part", "a part far south", "a collection", "no number"],
)
def test_what_leaps_is_cut_however_it_is_packed(drawn, tmp_path):
    others = [shapely.box(x, -17, x + 0.01, -16.99) for x in (179.7, -179.7)]
    frame = geopandas.GeoDataFrame({"class": ["land"] * 3}, geometry=[drawn, *others], crs="EPSG:4326")
    path = write_layers(tmp_path / "a.gpkg", frame)
    report = scores(path, path, resolution_m=100).to_json()
    assert report["pixel_accuracy"] == 1.0
    assert report["classes"]["land"]["support"] < 20_000, "and no belt round the world"


@pytest.mark.parametrize("crs", [4326, 4269])
def test_a_reference_on_one_side_only_is_compared_there(tmp_path, crs):
    boxes = [shapely.box(179.8, -17, 180, -16.5), shapely.box(-180, -17, -179.7, -16.5)]
    both = geopandas.GeoDataFrame({"class": ["land"] * 2}, geometry=boxes, crs=4326)
    ours, theirs = (
        write_layers(tmp_path / f"{name}.gpkg", some, f"EPSG:{crs}") for name, some in (("a", both), ("b", both[1:]))
    )
    for maps in ((ours, theirs), (theirs, ours)):
        report = scores(*maps, resolution_m=500).to_json()
        assert report["pixel_accuracy"] > 0.99
        assert np.sum(report["confusion"]) > 6000


def test_two_maps_of_a_country_on_both_sides_are_compared_on_its_ground_alone(tmp_path):
    """Fiji: islands at 177 and at -179, written as most programs do."""
    boxes = [shapely.box(x, -17, x + 0.02, -16.98) for x in (177.5, 179.99, -179.5, -178.6)]
    boxes[1] = shapely.box(-179.99, -17, 179.99, -16.98)
    frame = geopandas.GeoDataFrame({"class": ["land"] * 4}, geometry=boxes, crs="EPSG:4326")
    files = [write_layers(tmp_path / f"{name}.gpkg", frame) for name in "ab"]
    report = scores(*files, resolution_m=100).to_json()
    assert np.sum(report["confusion"]) == pytest.approx(
        3.92 * 0.02 * 111_320**2 * np.cos(np.radians(17)) / 1e4, rel=0.1
    )
    assert report["pixel_accuracy"] == 1.0


# ---- longitudes by themselves


def test_a_turn_is_told_in_the_units_of_the_crs():
    assert full_turn(DEGREES) == pytest.approx(360)
    assert full_turn(pyproj.CRS.from_epsg(4807)) == pytest.approx(400)  # grads
    assert full_turn(pyproj.CRS.from_epsg(32660)) == 0


@pytest.mark.parametrize(
    ("left", "width", "goes_past"),
    [
        (179.5, 1, 1),
        (-180.5, 1, 1),
        (170, 10, 0),
        (-180, 10, 0),
        (0, 360, 0),
        (-180, 360, 0),
        (100, 170, 1),
        (20, 30, 0),
    ],
)
def test_only_grids_that_go_on_past_180_and_not_round_the_world_are_two_sided(left, width, goes_past):
    wkt = CRS.from_epsg(4326).to_wkt(version="WKT2_2019")
    grid = Grid(wkt, Affine(width / 100, 0, left, 0, -0.01, 5), 100, 100)
    assert past_the_end(grid, DEGREES) == 360 * goes_past
    assert past_the_end(grid, pyproj.CRS.from_epsg(32660)) == 0


boxes = st.lists(
    st.tuples(st.floats(-2, 2), st.floats(-40, 40), st.floats(0.1, 0.9), st.floats(0.1, 0.9)), min_size=1, max_size=8
)


@given(boxes, st.sampled_from(list(WRITTEN)))
def test_a_small_map_about_the_antimeridian_is_made_one_piece(found, way):
    one = np.array([shapely.box(180 + x, y, 180 + x + w, y + h) for x, y, w, h in found])
    edges = shapely.bounds(one)
    if way == "drawn across" and ((edges[:, 0] == 180) | (edges[:, 2] == 180)).any():
        return
    cut = cut_at_the_end(WRITTEN[way](one), 360.0)
    made = side_by_side(shapely.get_parts(shapely.get_parts(cut)), 360.0)
    turned = 360 * round((180 - (shapely.total_bounds(made)[::2].mean())) / 360)
    assert shapely.union_all(made).area == pytest.approx(shapely.union_all(one).area)
    assert shapely.total_bounds(made) + np.array([turned, 0, turned, 0]) == pytest.approx(shapely.total_bounds(one))


spans = st.lists(st.tuples(st.floats(-180, 179), st.floats(0.001, 360), st.floats(0.001, 80)), min_size=1, max_size=8)


@given(spans)
def test_maps_are_moved_by_whole_polygons_and_only_to_be_small(found):
    boxes = np.array([shapely.box(x, 0, min(180, x + w), h) for x, w, h in found])
    made = side_by_side(boxes, 360.0)
    assert shapely.area(made) == pytest.approx(shapely.area(boxes))
    moved = (shapely.bounds(made)[:, 0] - shapely.bounds(boxes)[:, 0]) / 360
    assert set(np.round(moved, 9)) <= {0.0, 1.0}
    before, after = (np.ptp(shapely.total_bounds(part)[::2]) for part in (boxes, made))
    assert after == before or after <= 20 < 180 < before


@pytest.mark.parametrize(
    "belt",
    [
        (-180, 0, 179.9999999, 0.83),
        (-179.99, -2, 179.99, 2),
        (-178, -0.4, 178, 0.4),
        (-180, 0, 180, 0.5),
        (0.5, 0, 359.5, 2),
        (-179.9999, 0, 179.9999, 0.9),
    ],
)
def test_belts_round_the_world_are_no_slivers(belt):
    one = np.array([shapely.box(*belt)])
    assert cut_at_the_end(one, 360.0)[0].equals(one[0])


@given(spans, st.floats(-400, 400), st.floats(0.1, 170))
def test_copies_are_all_that_a_range_shows(found, left, width):
    boxes = np.array([shapely.box(x, 0, x + w, h) for x, w, h in found])
    made, owner = copies(boxes, 360.0, left, left + width)
    assert (np.diff(owner) >= 0).all()
    moved = np.round((shapely.bounds(made)[:, 0] - shapely.bounds(boxes)[owner, 0]) / 360, 9)
    for i, (x, w, _) in enumerate(found):
        seen = {k for k in (-1, 1) if x + 360 * k < left + width and x + w + 360 * k > left}
        assert set(moved[owner == i]) == seen | {0}


def test_nothing_is_moved_in_metres_and_what_is_no_place_is_kept():
    odd = np.array([shapely.box(-9e6, 0, 9e6, 1), None, shapely.Polygon(), shapely.box(0, 0, np.inf, 1)], object)
    assert (cut_at_the_end(odd, 0.0) == odd).all()
    assert side_by_side(odd, 0.0) is odd
    assert copies(odd, 0.0, -1, 1)[0] is odd
    for made in (
        *(change(odd[1:], 360.0) for change in (cut_at_the_end, side_by_side)),
        copies(odd[1:], 360.0, -1, 1)[0],
    ):
        assert made[0] is None
        assert made[1].is_empty


def test_a_ring_round_a_pole_stays_as_it_was_projected(tmp_path):
    east = np.linspace(0, 360, 73)
    ring = shapely.Polygon(np.column_stack([(east + 180) % 360 - 180, np.full(73, 80.0)]))
    torn = shapely.Polygon([(179, 0), (-179, 0), (-179, 2), (179, 2)])
    made = projected_whole(np.array([ring, torn]), 360.0)
    assert made[0].equals_exact(ring, 0)
    assert made[1].bounds == (179, 0, 181, 2)
    polar = write_raster(tmp_path / "p.tif", blobs(60, 60), Affine(1e4, 0, -3e5, 0, -1e4, 3e5), "EPSG:3031")
    degrees = write_raster(
        tmp_path / "d.tif", np.full((20, 360), 5, np.uint8), Affine(1, 0, -180, 0, -1, -70), "EPSG:4326"
    )
    assert np.sum(scores(polar, degrees).to_json()["confusion"]) > 0
