"""Squared buildings: right angles where they cover what was seen, in a map that stays whole."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.cli.main import geoseg
from geoseg.errors import UsageError
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.vector.right_angles import fitted
from geoseg.vocabulary import NODATA
from tests.traced_maps import polygons_of

BUILDING, ROAD, LAND = 1, 2, 5
PIXEL_AREA = 0.25


def drawn(shape, size=(120, 120), back=LAND):
    """Return a class raster with a shapely polygon, in pixels, as a building."""
    inside = rasterio.features.rasterize([shape], out_shape=size, transform=Affine.identity())
    return np.where(inside, np.uint8(BUILDING), np.uint8(back))


def corner_angles(polygon):
    """Return by how much the outline turns at each vertex, in degrees."""
    turns = []
    for ring in (polygon.exterior, *polygon.interiors):
        xy = np.asarray(ring.coords)[:-1]
        before, after = xy - np.roll(xy, 1, axis=0), np.roll(xy, -1, axis=0) - xy
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        turns.append(np.degrees(np.abs(np.arctan2(cross, (before * after).sum(axis=1)))))
    return np.concatenate(turns)


def buildings_of(classes, *, to_square=BUILDING, **kwargs):
    kwargs = {"simplify_px": 0.75} | kwargs
    return polygons_of(classes, to_square=to_square, **kwargs).of_class(BUILDING).geometry


def in_pixels(polygon):
    """Return a polygon of the grid that `polygons_of` assumes in columns and rows."""
    return shapely.transform(polygon, lambda xy: (xy - [300_000, 2_800_000]) / [0.5, -0.5])


def turned(shape, angle):
    return shapely.affinity.rotate(shape, angle, origin=(60, 60))


ELL = shapely.Polygon([(30, 30), (90, 30), (90, 60), (62, 60), (62, 90), (30, 90)])
BOX = shapely.box(35, 45, 85, 75)
COURT = shapely.box(25, 25, 95, 95) - shapely.box(45, 45, 75, 75)
CUT = BOX - shapely.Polygon([(35, 45), (47, 45), (35, 57)])
DISK = shapely.Point(60, 60).buffer(24)


# --- shapes


@pytest.mark.parametrize("angle", [0, 7, 22.5, 31, 45, 80])
@pytest.mark.parametrize(("shape", "corners"), [(BOX, 4), (ELL, 6), (COURT, 8)])
def test_walls_come_back_at_right_angles_however_a_building_is_turned(shape, corners, angle):
    truth = turned(shape, angle)
    (found,) = buildings_of(drawn(truth))
    angles = corner_angles(found)
    assert len(angles) == corners
    np.testing.assert_allclose(angles, 90, atol=1)
    seen = in_pixels(found)
    assert seen.intersection(truth).area / seen.union(truth).area > 0.97


def test_a_wall_at_half_a_right_angle_is_kept():
    (found,) = buildings_of(drawn(turned(CUT, 13)))
    angles = np.sort(corner_angles(found))
    np.testing.assert_allclose(angles, [45, 45, 90, 90, 90], atol=1.5)


def test_a_round_roof_stays_round():
    (found,) = buildings_of(drawn(DISK))
    seen = in_pixels(found)
    away = np.hypot(*(np.asarray(seen.exterior.coords) - 60).T)
    assert np.ptp(away) < 0.3
    assert seen.intersection(DISK).area / seen.union(DISK).area > 0.97


def test_the_ragged_outline_of_a_box_becomes_four_walls_nearer_to_the_truth():
    rng = np.random.default_rng(3)
    truth = turned(BOX, 20)
    classes = drawn(truth)
    rim = shapely.buffer(truth.exterior, 1.4)
    rows, cols = np.nonzero(rasterio.features.rasterize([rim], out_shape=classes.shape))
    flipped = rng.random(len(rows)) < 0.4
    classes[rows[flipped], cols[flipped]] = rng.choice([BUILDING, LAND], flipped.sum())

    def nearness(found):
        largest = in_pixels(max(found, key=shapely.area))
        return largest.intersection(truth).area / largest.union(truth).area

    areas = {BUILDING: 20 * PIXEL_AREA, LAND: 20 * PIXEL_AREA}
    squared = buildings_of(classes, min_area_m2=areas)
    assert len(corner_angles(max(squared, key=shapely.area))) == 4
    assert nearness(squared) > nearness(buildings_of(classes, min_area_m2=areas, to_square=None))


def test_a_shape_without_walls_stays_as_it_was():
    star = shapely.Polygon(
        [(60 + r * np.cos(a), 60 + r * np.sin(a)) for a, r in zip(np.arange(10) * np.pi / 5, [50, 20] * 5, strict=True)]
    )
    classes = drawn(star)
    (found,), (plain,) = buildings_of(classes), buildings_of(classes, to_square=None)
    assert found.equals_exact(plain)


def test_a_ring_far_from_the_origin_is_fitted_as_well_as_one_near_it():
    ring = np.asarray(turned(ELL, 17).exterior.coords)[:-1]
    near, main = fitted(ring, np.nan, 6.0, False)
    far, other = fitted(ring + 1e6, np.nan, 6.0, False)
    np.testing.assert_allclose(far - 1e6, near, atol=1e-6)
    assert main == pytest.approx(other, abs=1e-9)


# --- the map


def coverage_of(classes, **kwargs):
    """Return the polygons of all classes, nodata traced as a class of its own so that gaps would show."""
    shown = np.where(classes == NODATA, np.uint8(4), classes)
    return polygons_of(shown, simplify_px=0.75, to_square=BUILDING, **kwargs)


def town(seed, size=(260, 200), houses=60):
    """Return a raster full of turned houses, roads and speckle, whose houses touch several classes."""
    rng = np.random.default_rng(seed)
    classes = np.full(size, LAND, np.uint8)
    classes[:, : size[1] // 3] = 4
    classes[size[0] // 2 : size[0] // 2 + 9] = ROAD
    classes[:, size[1] // 2 : size[1] // 2 + 7] = ROAD
    for _ in range(houses):
        x, y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
        house = shapely.affinity.rotate(
            shapely.box(x, y, x + rng.uniform(5, 30), y + rng.uniform(5, 30)), rng.uniform(0, 90)
        )
        if rng.random() < 0.3:
            house -= shapely.affinity.scale(house, 0.4, 0.4)
        classes[rasterio.features.rasterize([house], out_shape=size).astype(bool)] = BUILDING
    noise = rng.random(size) < 0.01
    classes[noise] = rng.integers(1, 6, noise.sum())
    return classes


def assert_whole(classes, found):
    assert shapely.is_valid(found.geometry).all()
    assert shapely.coverage_is_valid(found.geometry)
    assert shapely.area(found.geometry).sum() == pytest.approx(classes.size * PIXEL_AREA, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_map_stays_whole_and_keeps_its_rows(seed):
    classes = town(seed)
    areas = dict.fromkeys(range(1, 6), 8 * PIXEL_AREA)
    found = coverage_of(classes, min_area_m2=areas)
    assert_whole(classes, found)
    plain = polygons_of(classes, simplify_px=0.75, min_area_m2=areas)
    assert found.values.tolist() == plain.values.tolist()
    here = found.values == BUILDING
    moved = [not a.equals_exact(b) for a, b in zip(found.geometry[here], plain.geometry[here], strict=True)]
    assert np.mean(moved) > 0.4
    angles = np.concatenate([corner_angles(p) for p, m in zip(found.geometry[here], moved, strict=True) if m])
    assert np.mean(np.abs(angles[angles > 10] - 90) < 5) > 0.6


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(3, 60), st.integers(3, 60)),
    belt=st.sampled_from([5, 16, 64]),
    simplify_px=st.sampled_from([0.0, 0.75, 3.0]),
    split_px=st.sampled_from([0, 16]),
)
def test_blots_of_any_kind_stay_a_coverage(seed, size, belt, simplify_px, split_px):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 4, (size[0] // 3 + 1, size[1] // 3 + 1), np.uint8)
    classes = np.kron(coarse, np.ones((3, 3), np.uint8))[: size[0], : size[1]].copy()
    noise = rng.random(size) < 0.1
    classes[noise] = rng.integers(1, 4, noise.sum())
    found = polygons_of(classes, simplify_px=simplify_px, to_square=BUILDING, belt=belt, split_px=split_px)
    assert_whole(classes, found)


# Found by chance: an outline whose corners fall together when they are rounded; and a border that is long, ends at a
# building, and sweeps over another one far away from it when its end moves.
FALLS_TOGETHER = """
555555555555555555
515555555111111115
511111111155555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555555515
515555555555551115
515555555555551555
515555555555551445
515555555555551115
511111111111111115
555555555555555554
"""
SWEEPS_FAR = """
5555555555555555555555555555555555555555555555555555555555
5555555555111115555555555555555555555555555555555555555555
5555555555515515555555555555555555555555555555555555555555
5555555555111111555555555555555555555555555555555555555555
4111111111551555555555555555555555555555555555555555555555
5551555555551455555555555555555555555555555555555555555555
5511111111111444445555555555555555555555555555555555555555
5455555555555555444444555555555555555555555555555555555555
5555555555555555555444444455555555555555555555555555555555
5555555555555555555555554444445555555555555555555555555555
5555555555555555555555555555444444555555555555555555555555
5555555555555555555555555555555524444455555555555555555555
5555555555555555555555555555555555555444445555555555555555
5555555555555555555555555555555555555555544444555555555555
5555555555555555555555555555555555555555555554444455555555
5555555555555555555555555555555555555555555555555444445555
5555555555555555555555555555555555555555555555555555544445
5555555555555555555555555555555555555555555555555555555555
"""


@pytest.mark.parametrize("rows", [FALLS_TOGETHER, SWEEPS_FAR])
def test_rare_outlines_tear_nothing(rows):
    classes = np.array([[int(value) for value in row] for row in rows.split()], np.uint8)
    assert_whole(classes, coverage_of(classes))


@pytest.mark.parametrize("island", range(1, 6))
def test_an_island_at_a_border_that_moves_at_both_ends_stays_on_its_side(island):
    """A yard closed by one straight border, between two tips of the building that are cut."""
    classes = np.full((60, 34), LAND, np.uint8)
    classes[4:52, 2:32] = BUILDING
    classes[4:48, 13:21] = 4
    for step in range(11):
        classes[: 4 + 2 * (10 - step), [2 + step, 31 - step]] = LAND
    classes[4 + island, 16:18] = ROAD
    assert_whole(classes, coverage_of(classes))


@pytest.mark.parametrize("split_px", [0, 64])
def test_strips_and_threads_change_nothing(split_px):
    classes = town(11)
    whole = [p.wkb for p in coverage_of(classes, belt=64, split_px=split_px).geometry]
    for strip, threads in ((1, 1), (37, 2), (200, 4)):
        again = coverage_of(classes, belt=64, split_px=split_px, strip=strip, threads=threads)
        assert [p.wkb for p in again.geometry] == whole


@pytest.mark.parametrize("belt", [7, 16, 50])
def test_buildings_across_belts_are_squared_as_in_one(belt):
    classes = drawn(turned(ELL, 17))
    (found,) = buildings_of(classes, belt=belt)
    (whole,) = buildings_of(classes)
    assert len(corner_angles(found)) == 6
    assert found.symmetric_difference(whole).area < 0.02 * whole.area


def test_what_must_not_move_does_not():
    classes = np.full((100, 100), LAND, np.uint8)
    classes[drawn(turned(BOX, 20), size=classes.shape) == BUILDING] = BUILDING
    classes[(drawn(turned(BOX, 20), size=classes.shape) == BUILDING) & (np.arange(100) > 60)] = NODATA
    classes[drawn(shapely.Polygon([(-5, 20), (20, -5), (30, 5), (5, 30)]), size=classes.shape) == BUILDING] = BUILDING
    found, plain = buildings_of(classes), buildings_of(classes, to_square=None)
    assert [p.wkb for p in found] == [p.wkb for p in plain]


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("angle", [0, 12, 30])
def test_walls_of_a_building_that_the_scene_cuts_end_on_its_frame(quarter, angle):
    truth = shapely.affinity.translate(turned(BOX, angle), 0, -48)
    classes = np.ascontiguousarray(np.rot90(drawn(truth), quarter))
    found = coverage_of(classes)
    assert_whole(classes, found)
    (building,) = found.of_class(BUILDING).geometry
    seen = np.rot90(rasterio.features.rasterize([in_pixels(building)], out_shape=classes.shape), -quarter)
    assert (seen == (drawn(truth) == BUILDING)).mean() > 0.995
    xy = np.asarray(in_pixels(building).exterior.coords)[:-1]
    angles = corner_angles(building)
    inner = ((xy > 0) & (xy < 120)).all(axis=1) & (angles > 10)
    np.testing.assert_allclose(angles[inner], 90, atol=1)
    assert inner.sum() <= 3
    assert (~inner & (angles > 1)).sum() == 2


@pytest.mark.parametrize("seed", range(4))
def test_no_neighbour_loses_half_its_area(seed):
    classes = town(seed, size=(150, 120), houses=40)
    found, plain = coverage_of(classes), polygons_of(classes, simplify_px=0.75)
    others = plain.values != BUILDING
    assert (shapely.area(found.geometry)[others] >= 0.499 * shapely.area(plain.geometry)[others]).all()


def test_attributes_are_those_of_the_pixels():
    classes = town(4)
    confidence = np.random.default_rng(1).integers(0, 101, classes.shape, np.uint8)
    squared, plain = (polygons_of(classes, confidence, simplify_px=0.75, to_square=to) for to in (BUILDING, None))
    np.testing.assert_array_equal(squared.confidence, plain.confidence)
    np.testing.assert_allclose(squared.area_m2, shapely.area(squared.geometry))


# --- the flag


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "town.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=260, count=1, dtype="uint8", crs="EPSG:32640",
        transform=Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000), nodata=0,
    ) as file:  # fmt: skip
        file.write(town(2), 1)
        file.update_tags()
    return path


def run(*arguments):
    return CliRunner().invoke(geoseg, [str(part) for part in arguments], catch_exceptions=True)


def test_the_flag_squares_the_layer_of_buildings(raster, tmp_path):
    legend = tmp_path / "legend.csv"
    legend.write_text("1,buildings\n2,road\n4,green\n3,water\n5,land\n")
    layers = {}
    for name, flags in (("plain", []), ("squared", ["--regularize"])):
        out = tmp_path / f"{name}.gpkg"
        done = run("vectorize", raster, "--out", out, "--legend", legend, "--json", *flags)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["layers"]
        layers[name] = pyogrio.read_dataframe(out, layer="buildings")
    assert len(layers["plain"]) == len(layers["squared"])
    share = {}
    for name, layer in layers.items():
        angles = np.concatenate([corner_angles(polygon) for polygon in layer.geometry])
        share[name] = np.mean(np.abs(angles - 90) < 5)
    assert share["squared"] > share["plain"] + 0.2


def test_a_legend_without_buildings_is_refused(raster, tmp_path):
    legend = tmp_path / "legend.csv"
    legend.write_text("1,tree\n2,road\n4,green\n3,water\n5,land\n")
    request = VectorizeRequest(raster, tmp_path / "a.gpkg", legend=legend, vectors=VectorRequest(regularize=True))
    with pytest.raises(UsageError, match=r"^--regularize: no class is named building, .*tree, road"):
        vectorize(request)
    assert not (tmp_path / "a.gpkg").exists()
