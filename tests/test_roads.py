"""Centrelines: synthetic roads with known axes, the same network for any belt and strip, and the layer on disk."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.cli.main import geoseg
from geoseg.cli.vectorize import command
from geoseg.errors import UsageError
from geoseg.pipeline import centerlines as wiring
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.roads.clip import clipped_lines
from geoseg.roads.distance import distances
from geoseg.roads.lee import thinned
from geoseg.roads.paths import follow
from geoseg.roads.scale import Scale
from geoseg.roads.trace import Centerlines
from geoseg.roads.traced import Traced
from geoseg.roads.yards import without_yards
from geoseg.vector.runs import Runs
from geoseg.vocabulary import DEFAULT_LEGEND, Grid, Legend, MapClass

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


# --- straight roads: place, width, ends


@pytest.mark.parametrize("width", [3, 4, 6, 7, 9, 14, 25])
@pytest.mark.parametrize("angle", [0, 13, 30, 45, 71, 90])
def test_a_straight_road_is_one_straight_line_of_its_width_from_end_to_end(width, angle):
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([130.2, 129.7])
    ends = middle - 100 * direction, middle + 100 * direction
    road = shapely.LineString(ends).buffer(width / 2, cap_style="flat")
    classes = np.full((260, 260), 5, np.uint8)
    row, col = np.indices(classes.shape)
    classes[shapely.contains_xy(road, col + 0.5, row + 0.5)] = ROAD
    (line,), lines = on_pixels(classes)
    axis = shapely.LineString(ends)
    assert shapely.hausdorff_distance(axis, line) < 2 + width / 8
    along = shapely.LineString([axis.interpolate(0.1, normalized=True), axis.interpolate(0.9, normalized=True)])
    assert shapely.hausdorff_distance(along, shapely.intersection(line, along.buffer(3, cap_style="flat"))) < 0.8
    assert lines.width_m[0] == pytest.approx(width, rel=0.1, abs=0.6)
    assert lines.length_m[0] == pytest.approx(200, rel=0.025)
    assert len(line.coords) <= 6, "stairs"


@pytest.mark.parametrize("shift", [0, 7, 15])
def test_a_road_that_leaves_the_scene_runs_straight_to_its_frame(shift):
    axis = shapely.LineString([(-50, 20 + shift), (250, 150 - shift)])
    (line,), _ = on_pixels(painted((160, 200), [(axis, 9)]))
    assert sorted(x for x in (line.coords[0][0], line.coords[-1][0])) == pytest.approx([0, 200], abs=1e-6)
    for end in (line.coords[0], line.coords[-1]):
        assert axis.distance(shapely.Point(end)) < 1.5


def test_a_road_ends_where_nodata_begins():
    classes = painted((80, 200), [(shapely.LineString([(-10, 40), (210, 40)]), 8)])
    classes[:, 120:] = 0
    (line,), _ = on_pixels(classes)
    assert sorted((line.coords[0][0], line.coords[-1][0])) == pytest.approx([0, 120], abs=1)


# --- junctions


def test_a_cross_has_one_junction():
    axes = [shapely.LineString([(0, 70), (200, 90)]), shapely.LineString([(90, 0), (110, 160)])]
    found, lines = on_pixels(painted((160, 200), [(axes[0], 12), (axes[1], 7)]))
    check_network(lines.geometry)
    assert len(found) == 4
    (junction,) = [end for end, count in degrees(found).items() if count == 4]
    assert shapely.Point(junction).distance(axes[0].intersection(axes[1])) < 1.5
    assert sorted(np.round(lines.width_m / [12 if abs(w - 12) < 3 else 7 for w in lines.width_m], 1)) == [1, 1, 1, 1]


def test_a_skewed_cross_of_wide_roads_is_one_junction():
    axes = [shapely.LineString([(0, 60), (220, 100)]), shapely.LineString([(45, 160), (175, 0)])]
    found, lines = on_pixels(painted((160, 220), [(axis, 14) for axis in axes]))
    check_network(lines.geometry)
    assert sorted(degrees(found).values()) == [1, 1, 1, 1, 4]


def test_a_side_road_meets_the_main_road_on_its_axis():
    main = shapely.LineString([(0, 60), (200, 60)])
    found, lines = on_pixels(painted((140, 200), [(main, 16), (shapely.LineString([(100, 60), (100, 140)]), 6)]))
    check_network(lines.geometry)
    (junction,) = [end for end, count in degrees(found).items() if count == 3]
    assert junction == pytest.approx((100, 60), abs=1.2)
    assert len(found) == 3


@pytest.mark.parametrize(("apart", "junctions"), [(5, 1), (40, 2)])
def test_side_roads_opposite_each_other_meet_in_one_junction(apart, junctions):
    roads = [
        (shapely.LineString([(0, 60), (200, 60)]), 12),
        (shapely.LineString([(100, 60), (100, 130)]), 6),
        (shapely.LineString([(100 + apart, 60), (100 + apart, 0)]), 6),
    ]
    found, lines = on_pixels(painted((130, 200), roads))
    check_network(lines.geometry)
    assert sum(count > 1 for count in degrees(found).values()) == junctions


@pytest.mark.parametrize("angle", [18, 30, 50])
def test_a_narrow_street_is_led_straight_into_a_wide_one(angle):
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    main = shapely.LineString([(0, 170), (400, 170)])
    side = shapely.LineString([(260, 170) - 160 * direction, (260, 170)])
    found, lines = on_pixels(painted((230, 400), [(main, 20), (side, 8)]))
    check_network(lines.geometry)
    assert len(found) == 3
    for axis in (main, side):
        points = axis.interpolate(np.linspace(0.03, 0.97, 80), normalized=True)
        assert shapely.distance(points, shapely.MultiLineString(list(found))).max() < 2.5


def test_a_street_beside_a_wide_road_meets_the_side_street_not_the_road():
    main, side = shapely.LineString([(0, 200), (400, 200)]), shapely.LineString([(200, 20), (200, 200)])
    beside = shapely.LineString([(20, 168), (200, 168)])
    found, lines = on_pixels(painted((260, 400), [(main, 30), (side, 8), (beside, 8)]))
    check_network(lines.geometry)
    meeting = sorted((end for end, count in degrees(found).items() if count == 3), key=lambda end: end[1])
    assert np.abs(np.array(meeting) - [(200, 168), (200, 200)]).max() < 3


def test_a_curve_is_followed():
    curve = shapely.Point(0, 0).buffer(120, quad_segs=64).exterior
    found, lines = on_pixels(painted((140, 140), [(curve, 7)]))
    assert len(found) == 1
    part = shapely.intersection(curve, shapely.box(0, 0, 140, 140))
    assert shapely.hausdorff_distance(part, found[0]) < 1.2
    assert lines.length_m[0] == pytest.approx(np.pi * 60, rel=0.02)


def test_a_ring_stays_a_closed_line():
    ring = shapely.Point(60, 60).buffer(40, quad_segs=64).exterior
    (line,), lines = on_pixels(painted((120, 120), [(ring, 6)]))
    assert line.is_closed
    assert shapely.hausdorff_distance(line, ring) < 1.2
    assert lines.width_m[0] == pytest.approx(6, rel=0.1)


# --- what is no road


def test_bumps_dents_and_islands_make_no_lines():
    axis = shapely.LineString([(0, 40), (300, 40)])
    classes = painted((80, 300), [(axis, 10)])
    classes[30:35, 50:53] = ROAD  # bumps
    classes[45:49, 90:94] = ROAD
    classes[35:37, 150:155] = 5  # dents
    classes[38:42, 200:205] = 4  # a tree
    (line,), _ = on_pixels(classes)
    assert shapely.hausdorff_distance(line, axis) < 2


def test_an_island_larger_than_that_is_driven_around():
    classes = painted((100, 200), [(shapely.LineString([(0, 50), (200, 50)]), 30)])
    classes[42:58, 80:120] = 4
    _, lines = on_pixels(classes)
    check_network(lines.geometry)
    assert len(lines.geometry) == 4


def test_carriageways_with_a_narrow_median_are_one_road():
    classes = painted((80, 300), [(shapely.LineString([(0, 40), (300, 40)]), 26)])
    classes[38:42, 20:280] = 4
    (line,), lines = on_pixels(classes)
    assert shapely.hausdorff_distance(line, shapely.LineString([(0, 40), (300, 40)])) < 1.5
    assert lines.width_m[0] == pytest.approx(26, rel=0.1)
    classes[33:47, 60:240] = 4  # now it is two roads
    assert len(on_pixels(classes)[0]) > 1


def test_a_yard_is_no_road_and_a_street_by_itself_is():
    yard = painted((80, 80), [(shapely.LineString([(30, 40), (50, 40)]), 24)])
    assert len(traced(yard).geometry) == 0
    street = painted((80, 80), [(shapely.LineString([(15, 40), (65, 40)]), 6)])
    assert len(traced(street).geometry) == 1


def test_nothing_at_all():
    lines = traced(np.full((50, 50), 5, np.uint8))
    assert len(lines.geometry) == len(lines.width_m) == 0


# --- yards


def kept(classes, **how):
    """Return what is left without yards, in pixels."""
    grid = grid_of(classes)
    return in_pixels(without_yards(traced(classes, **how), grid), grid)


def box(left, top, right, bottom):
    return shapely.box(left, top, right, bottom).exterior


STREET = shapely.LineString([(0, 150), (300, 150)])


@pytest.mark.parametrize(
    "yard",
    [
        [box(120, 40, 160, 80)],  # joins nothing
        [box(120, 80, 160, 120), shapely.LineString([(140, 120), (140, 150)])],  # at the end of a stub
        [box(120, 110, 160, 150)],  # beside the street
        [box(120, 80, 160, 120), box(160, 80, 200, 120), shapely.LineString([(140, 120), (140, 150)])],
        [shapely.LineString([(140, 150), (140, 125), (100, 125), (100, 90), (138, 90), (138, 112)])],  # nearly around
        [shapely.LineString([(200, 40), (200, 80)])],  # short, and joins nothing
    ],
)
def test_yards_leave_only_the_street(yard):
    (line,) = kept(painted((220, 300), [(STREET, 9), *((part, 5) for part in yard)]))
    assert shapely.hausdorff_distance(line, STREET) < 4


@pytest.mark.parametrize(("width", "left"), [(3, 1), (5, 3)])
def test_a_driveway_is_narrower_than_a_street(width, left):
    way = shapely.LineString([(200.5, 80), (200.5, 150)])
    assert len(kept(painted((220, 300), [(STREET, 9), (way, width)]))) == left


def test_a_roundabout_stays():
    ring = shapely.Point(150, 110).buffer(22).exterior
    joints = [((172, 110), (300, 110)), ((150, 132), (150, 220)), ((128, 110), (0, 110))]
    arms = [shapely.LineString(ends) for ends in joints]
    found = kept(painted((220, 300), [(part, 7) for part in (ring, *arms)]))
    assert len(found) == 6
    (area,) = shapely.polygonize(found).geoms
    assert area.area == pytest.approx(np.pi * 22**2, rel=0.15)


def test_a_street_around_a_block_stays():
    block = box(100, 50, 200, 120)
    found = kept(painted((220, 300), [(STREET, 9), (block, 6), (shapely.LineString([(150, 120), (150, 150)]), 6)]))
    assert len(found) == 4
    (area,) = shapely.polygonize(found).geoms
    assert area.area == pytest.approx(7000, rel=0.1)


def test_a_square_that_a_street_goes_through_stays():
    square = box(130, 130, 170, 170)
    street = shapely.difference(STREET, shapely.box(130, 130, 170, 170))
    assert len(kept(painted((300, 300), [(street, 7), (square, 7)]))) == 4


def test_dead_ends_stay_where_they_are_streets():
    roads = [(STREET, 9), (shapely.LineString([(60, 150), (60, 100)]), 6)]
    roads += [(shapely.LineString([(140, 150), (140, 100), (190, 100)]), 6)]  # around a corner
    roads += [(shapely.LineString([(240, 150), (240, 209)]), 10)]  # short, but on at the frame
    assert len(kept(painted((210, 300), roads))) == 7


def test_a_turning_loop_leaves_its_street():
    loop = shapely.Point(150, 50).buffer(12).exterior
    found = kept(painted((220, 300), [(STREET, 9), (loop, 6), (shapely.LineString([(150, 62), (150, 150)]), 6)]))
    assert len(found) == 3
    assert min(line.bounds[1] for line in found) == pytest.approx(62, abs=6)


def with_nodata(classes, *holes):
    """Return classes that are not known within holes, which are given by left, top, right and bottom."""
    classes = classes.copy()
    for left, top, right, bottom in holes:
        classes[top:bottom, left:right] = 0
    return classes


@pytest.mark.parametrize(("reach", "left"), [(195, 1), (180, 0)])
def test_a_short_street_by_itself_stays_where_it_goes_on_at_nodata(reach, left):
    street = shapely.LineString([(150, 60), (reach, 60)])
    assert len(kept(with_nodata(painted((120, 300), [(street, 5)]), (190, 20, 250, 100)))) == left


@pytest.mark.parametrize(("top", "left"), [(70, 1), (85, 3)])
def test_a_narrow_side_street_stays_where_it_goes_on_at_nodata(top, left):
    way = shapely.LineString([(200.5, 80), (200.5, 150)])
    classes = painted((220, 300), [(STREET, 9), (way, 3)])
    assert len(kept(with_nodata(classes, (180, 40, 220, top)))) == left


@pytest.mark.parametrize("angle", [20, 45, 70])
def test_streets_that_nodata_cuts_askew_go_on(angle):
    street = shapely.LineString([(0, 60), (300, 60)])
    classes = painted((120, 300), [(street, 8)])
    row, col = np.indices(classes.shape)
    classes[(col - 60) * np.sin(np.radians(angle)) < (row - 60) * np.cos(np.radians(angle))] = 0
    classes[:, 100:] = 0
    lines = traced(classes)
    assert len(lines.geometry) == 1
    assert lines.cut.tolist() == [[True, True, True]]
    assert len(without_yards(lines, grid_of(classes)).geometry) == 1


def test_only_ends_at_nodata_are_cut():
    classes = with_nodata(painted((220, 300), [(shapely.LineString([(60, 100), (240, 100)]), 8)]), (200, 50, 250, 150))
    lines = traced(classes)
    begins, ends, anywhere = lines.cut[0]
    assert anywhere
    assert begins != ends
    assert not traced(with_nodata(classes, (0, 130, 300, 220))).cut[0, :2].all(), "nodata beside it cuts nothing off"


@pytest.mark.parametrize(("hole", "count"), [((0, 0, 1, 1), 1), ((100, 40, 200, 78), 4)])
def test_a_ring_that_nodata_touches_may_be_met_there(hole, count):
    yard = [box(120, 80, 160, 120), shapely.LineString([(140, 120), (140, 150)])]
    classes = painted((220, 300), [(STREET, 9), *((part, 6) for part in yard)])
    assert len(kept(with_nodata(classes, hole))) == count


def test_belts_do_not_tell_where_nodata_cuts(monkeypatch):
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 150)
    classes = town(seed=1)
    row, col = np.indices(classes.shape)
    classes[2 * row + col > 900] = 0
    classes[90:140, 100:210] = 0
    whole = traced(classes, belt=100_000)
    assert whole.cut[:, :2].sum() > 3
    order = np.argsort(shapely.to_wkb(whole.geometry))
    for belt in (97, 210):
        found = traced(classes, belt=belt)
        assert bytes_of(found) == bytes_of(whole)
        assert found.cut[np.argsort(shapely.to_wkb(found.geometry))].tolist() == whole.cut[order].tolist()


BUILDING = 1


def with_building(roads, *corners):
    """Return classes of roads and buildings, which are given by left, top, right and bottom."""
    classes = painted((300, 400), roads)
    for left, top, right, bottom in corners:
        classes[top:bottom, left:right] = BUILDING
    return classes


WAY = shapely.LineString([(0, 250), (400, 250)])
RING = box(100, 150, 180, 230)


@pytest.mark.parametrize(
    ("way", "bottom"),
    [
        ([RING, shapely.LineString([(120, 230), (120, 250)]), shapely.LineString([(170, 230), (170, 250)])], 226),
        ([shapely.LineString([(100, 250), (100, 140), (180, 140), (180, 220)])], 243),
        ([shapely.LineString([(100, 250), (100, 140), (180, 140), (180, 250)])], 243),
    ],
)
def test_a_way_around_a_large_building_is_a_yard(way, bottom):
    roads = [(WAY, 10), *((part, 8) for part in way)]
    top = 154 if bottom == 226 else 144
    assert len(kept(with_building(roads, (104, top, 176, bottom)), building=BUILDING)) == 1
    assert len(kept(painted((300, 400), roads), building=BUILDING)) > 1, "without a building it is a street"


def test_a_street_along_a_building_stays():
    side = shapely.LineString([(120, 0), (120, 250)])
    classes = with_building([(WAY, 10), (side, 8)], (124, 100, 190, 245), (200, 255, 340, 295))
    assert len(kept(classes, building=BUILDING)) == 3


def test_streets_around_a_block_stay():
    roads = [(WAY, 8), (shapely.LineString([(0, 130), (400, 130)]), 8)]
    roads += [(shapely.LineString([(x, 0), (x, 300)]), 8) for x in (120, 240)]
    classes = with_building(roads, (124, 134, 236, 246))
    assert len(kept(classes, building=BUILDING)) == 12


def test_yards_do_not_depend_on_belts(monkeypatch):
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 150)
    classes = town(seed=2)
    whole = kept(classes, belt=100_000)
    assert 3 < len(whole) < len(traced(classes).geometry)
    check_network(whole)
    for belt in (97, 210):
        assert shapely.to_wkb(kept(classes, belt=belt)).tolist() == shapely.to_wkb(whole).tolist()


# --- belts, strips, scales, units


@pytest.mark.parametrize("seed", range(3))
def test_belts_leave_no_trace(seed, monkeypatch):
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 150)
    classes = town(seed=seed)
    whole = traced(classes, belt=100_000)
    check_network(whole.geometry)
    assert len(whole.geometry) > 15
    for belt in (97, 210):
        assert bytes_of(traced(classes, belt=belt)) == bytes_of(whole)


@pytest.mark.parametrize("shift", range(-3, 4))
def test_roads_along_a_seam_leave_no_trace(shift):
    row = 96 + shift
    roads = [
        (shapely.LineString([(0, row), (300, row)]), 6),
        (shapely.LineString([(40, 0), (40, 200)]), 5),
        (shapely.LineString([(90, row - 4), (260, row + 4)]), 9),
        (shapely.Point(150, row).buffer(40).exterior, 5),
        (shapely.LineString([(220, row), (220, 200)]), 4),
    ]
    classes = painted((200, 300), roads)
    whole = traced(classes, belt=100_000)
    check_network(whole.geometry)
    assert bytes_of(traced(classes, belt=96)) == bytes_of(whole)


def test_strips_leave_no_trace():
    classes = town(seed=7)
    expected = traced(classes, belt=128)
    for strip in (1, 37, 200):
        found = traced(classes, belt=128, strip=strip)
        assert shapely.to_wkb(found.geometry).tolist() == shapely.to_wkb(expected.geometry).tolist()
        assert found.width_m.tolist() == expected.width_m.tolist()


def test_a_scene_larger_than_its_belts_forgets_what_is_finished():
    classes = np.tile(town(200, seed=3), (12, 1))
    tracing = Centerlines(grid_of(classes), ROAD, belt=128)
    held = []
    for row in range(0, len(classes), 100):
        held += [len(tracing._network.edges) for _ in tracing.add(Runs.of(classes[row : row + 100]))]
    assert max(held[3:]) < 2 * max(held[:3]) + 20
    assert list(tracing.finish())
    assert not tracing._network.edges
    assert not tracing._network.nodes


def test_places_wider_than_any_road_do_not_depend_on_windows(monkeypatch):
    classes = painted(
        (900, 700), [(shapely.Point(350, 450).buffer(230), 1), (shapely.LineString([(0, 450), (700, 440)]), 9)]
    )
    whole = traced(classes, belt=100_000)
    monkeypatch.setattr("geoseg.roads.thin._WINDOW", 256)
    assert bytes_of(traced(classes, belt=256)) == bytes_of(whole)
    check_network(whole.geometry)


@pytest.mark.parametrize("pixel", [0.15, 0.5, 2.5])
def test_pixels_of_any_size_give_the_same_metres(pixel):
    side = round(300 / pixel)
    classes = np.full((side, side), 5, np.uint8)
    row, col = (np.indices(classes.shape) + 0.5) * pixel
    classes[np.abs(row - 0.4 * col - 80) <= 5.5 * np.hypot(1, 0.4)] = ROAD
    lines = traced(classes, grid=grid_of(classes, pixel))
    assert len(lines.geometry) == 1
    assert lines.width_m[0] == pytest.approx(11, rel=0.1)
    assert lines.length_m[0] == pytest.approx(300 * np.hypot(1, 0.4), rel=0.02)
    assert Scale.of(grid_of(classes, pixel)).factor == (4 if pixel == 0.15 else 1)


def test_feet_and_degrees_become_metres():
    classes = painted((200, 200), [(shapely.LineString([(100, 0), (100, 200)]), 12)])
    feet = traced(classes, grid=grid_of(classes, 3.0, FEET, (980_000, 200_000)))
    assert feet.width_m[0] == pytest.approx(36 * 0.3048, rel=0.05)
    assert feet.length_m[0] == pytest.approx(600 * 0.3048, rel=0.01)
    # At 60° a degree of longitude is half one of latitude.
    degrees_ = traced(classes, grid=grid_of(classes, 1e-5, CRS.from_epsg(4326), (10.0, 60.0)))
    assert degrees_.width_m[0] == pytest.approx(12 * 0.5580, rel=0.05)
    assert degrees_.length_m[0] == pytest.approx(200 * 1.11412, rel=0.01)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 80), st.floats(0.2, 0.8), st.integers(0, 4))
@example(0, 1, 1, 0.5, 0)
def test_random_blobs_become_a_network(seed, height, width, share, smooth):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), smooth)
    classes = np.where(noise <= np.quantile(noise, share), ROAD, 5).astype(np.uint8)
    lines = traced(classes, belt=31)
    check_lines(lines.geometry)
    assert (lines.width_m > 0).all()
    np.testing.assert_allclose(lines.length_m, shapely.length(lines.geometry))


def test_paths_of_a_skeleton_are_followed_between_its_nodes():
    picture = ["#...#..", ".#.#...", "..#..##", "..#..##"]
    rows, cols = np.nonzero([[mark == "#" for mark in line] for line in picture])
    paths = follow(rows.astype(np.int64), cols.astype(np.int64), known=0, seam=None)
    found = sorted([(int(rows[i]), int(cols[i])) for i in path] for path in paths)
    assert found == [
        [(0, 0), (1, 1), (2, 2)],
        [(0, 4), (1, 3), (2, 2)],
        [(2, 2), (3, 2)],
        [(2, 5), (2, 6), (3, 6), (3, 5), (2, 5)],
    ]


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 0.95), st.integers(0, 4))
def test_thinning_and_distances_are_those_of_others(seed, height, width, share, smooth):
    from scipy import ndimage
    from skimage.morphology import skeletonize

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), smooth)
    mask = noise < np.quantile(noise, share)
    np.testing.assert_array_equal(thinned(mask), skeletonize(mask, method="lee"))
    expected = ndimage.distance_transform_edt(mask, sampling=(1.5, 1)) * 0.5
    np.testing.assert_allclose(distances(mask, Scale(1, 0.75, 0.5)), expected, rtol=1e-6)


# --- the layer


def write_raster(path, classes, legend=True):
    profile = {"driver": "GTiff", "height": classes.shape[0], "width": classes.shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=UTM, transform=grid_of(classes).transform, **profile) as file:
        file.write(classes, 1)
        if legend:
            names = [{"value": c.value, "name": c.name, "layer": c.layer, "color": c.color, "style": c.style}
                     for c in DEFAULT_LEGEND]  # fmt: skip
            file.update_tags(GEOSEG_LEGEND=json.dumps(names))
    return path


def invoked(*arguments):
    return CliRunner().invoke(command, [str(part) for part in arguments])


def test_the_layer_comes_with_fields_style_and_report(tmp_path):
    classes = town(300, seed=5)
    out = tmp_path / "map.gpkg"
    done = invoked(write_raster(tmp_path / "classes.tif", classes), "--out", out, "--centerlines", "--json")
    assert done.exit_code == 0, done.output
    (layer,) = [one for one in json.loads(done.stdout)["layers"] if one["name"] == "road_centerlines"]
    frame = geopandas.read_file(out, layer="road_centerlines")
    assert layer == {"name": "road_centerlines", "class": "road", "features": len(frame), "length_m": layer["length_m"]}
    assert layer["length_m"] == pytest.approx(frame.length_m.sum(), abs=0.01)
    assert layer["length_m"] == pytest.approx(frame.length.sum(), abs=0.01)
    assert "road_centerlines: " in done.stderr
    check_network(frame.geometry.to_numpy())
    info = pyogrio.read_info(out, layer="road_centerlines")
    assert info["geometry_type"] == "LineString"
    assert list(info["fields"]) == ["width_m", "length_m"]
    assert json.loads(info["dataset_metadata"]["GPKG_METADATA_ITEM_1"])["centerlines"] is True
    styles = pyogrio.read_dataframe(out, layer="layer_styles").set_index("f_table_name")
    assert 'type="line"' in styles.styleQML["road_centerlines"]
    assert styles.f_geometry_column["road_centerlines"] == "geom"
    assert 'type="fill"' in styles.styleQML["roads"]


def test_threads_and_cells_make_no_difference_to_lines(tmp_path):
    path = write_raster(tmp_path / "classes.tif", town(300, seed=6))
    found = []
    for number, (threads, cell) in enumerate([(1, 0), (2, 0), (2, 64)]):
        out = tmp_path / f"{number}.gpkg"
        vectors = VectorRequest(centerlines=True, split_px=cell)
        vectorize(VectorizeRequest(path, out, vectors=vectors, threads=threads))
        found.append(shapely.to_wkb(geopandas.read_file(out, layer="road_centerlines").geometry).tolist())
    assert found[0] == found[1] == found[2]


def test_a_map_without_roads_has_an_empty_layer(tmp_path):
    out = tmp_path / "map.gpkg"
    path = write_raster(tmp_path / "classes.tif", np.full((40, 40), 5, np.uint8))
    assert invoked(path, "--out", out, "--centerlines").exit_code == 0
    info = pyogrio.read_info(out, layer="road_centerlines")
    assert info["features"] == 0
    assert list(info["fields"]) == ["width_m", "length_m"]
    assert info["crs"] == "EPSG:32640"
    assert "road_centerlines" in set(pyogrio.read_dataframe(out, layer="layer_styles").f_table_name)


def test_gdal_reads_the_layer(tmp_path):
    out = tmp_path / "map.gpkg"
    vectorize(
        VectorizeRequest(write_raster(tmp_path / "c.tif", town(200)), out, vectors=VectorRequest(centerlines=True))
    )
    code = f"import pyogrio; print(len(pyogrio.read_dataframe({str(out)!r}, sql='SELECT * FROM road_centerlines')))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 5


@pytest.mark.parametrize("ending", ["geojson", "fgb", "parquet"])
def test_only_a_geopackage_can_hold_the_layer(tmp_path, ending):
    done = invoked(tmp_path / "missing.tif", "--out", tmp_path / f"map.{ending}", "--centerlines")
    assert done.exception.exit_code == 2
    assert "ends in .gpkg" in str(done.exception)


def test_the_missing_package_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "find_spec", lambda name: None if name == "scipy" else name)
    with pytest.raises(UsageError, match=r"pip install 'geoseg\[roads\]'"):
        vectorize(VectorizeRequest(tmp_path / "no.tif", tmp_path / "map.gpkg", vectors=VectorRequest(centerlines=True)))


def test_a_legend_without_roads_is_refused(tmp_path):
    path = write_raster(tmp_path / "classes.tif", np.full((40, 40), 7, np.uint8), legend=False)
    done = invoked(path, "--out", tmp_path / "map.gpkg", "--centerlines")
    assert done.exception.exit_code == 2
    assert "class_7" in str(done.exception)
    assert not (tmp_path / "map.gpkg").exists()
    taken = Legend((*DEFAULT_LEGEND, MapClass(9, "axis", "Road_Centerlines", "#000000", "#000000")))
    with pytest.raises(UsageError, match="already"):
        wiring.road_class(taken)


@pytest.mark.parametrize("shape", ["bounds", "aoi"])
def test_segment_draws_the_streets_of_an_area(tmp_path, shape):
    sample = Path(__file__).parents[1] / "sample_data"
    area = shapely.box(325100, 2784400, 325300, 2784600)
    asked = ["--bounds", *map(str, area.bounds)]
    if shape == "aoi":
        area = shapely.Polygon([(325100, 2784400), (325300, 2784420), (325200, 2784600)])
        geopandas.GeoSeries([area], crs=UTM).to_file(tmp_path / "area.gpkg")
        asked = ["--aoi", str(tmp_path / "area.gpkg")]
    out = tmp_path / "map.gpkg"
    words = ["segment", str(sample / "scene.tif"), "--out", str(out), "--centerlines", *asked]
    done = CliRunner().invoke(geoseg, words)
    assert done.exit_code == 0, done.output
    lines = geopandas.read_file(out, layer="road_centerlines").geometry
    assert lines.within(area.buffer(1.5)).all()  # an area is cut along pixels where these are the network's
    true = geopandas.read_file(sample / "reference.gpkg", layer="road_centerlines").intersection(area).union_all()
    assert true.intersection(lines.buffer(5).union_all()).length > 0.75 * true.length
    assert lines.length.sum() < 1.25 * true.length


def test_lines_are_cut_along_a_border():
    classes = painted((100, 200), [(shapely.LineString([(0, 50), (200, 50)]), 8)])
    grid = grid_of(classes)
    border = shapely.union(shapely.box(300_020, 0, 300_050, 3e6), shapely.box(300_100, 0, 300_150, 3e6))
    cut = clipped_lines(traced(classes), border, grid)
    assert sorted(cut.length_m) == pytest.approx([30, 50], abs=0.1)
    assert cut.width_m == pytest.approx(8, rel=0.1)
    np.testing.assert_allclose(shapely.length(cut.geometry), cut.length_m)


@pytest.mark.parametrize("sides", [(1.0006, 0.9993), (0.9993, 1.0006), (0.9, 1.0), (1.0, 0.9), (0.7, 0.7), (1.1, 1.1)])
@pytest.mark.parametrize("across", [10, 12, 14, 17, 25])
def test_roads_are_as_wide_on_any_pixel(sides, across):
    """Pixels of geographic CRSs are hardly ever square on the ground."""
    classes = np.full((260, 300), 5, np.uint8)
    classes[100 : 100 + across] = ROAD
    for place in (classes, np.ascontiguousarray(classes.T)):
        x, y = sides
        grid = Grid(UTM.to_wkt(version="WKT2_2019"), Affine(x, 0, 300_000, 0, -y, 2_800_000), *place.shape)
        lines = traced(place, grid=grid)
        side = y if place is classes else x
        assert lines.width_m.tolist() == pytest.approx([across * side], abs=0.1)


@pytest.mark.parametrize("seed", [27, 42])
def test_junctions_side_by_side_do_not_pass_each_other(seed):
    check_network(traced(town(seed=seed), belt=100_000).geometry)
