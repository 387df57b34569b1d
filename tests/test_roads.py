"""Centrelines: straight roads, junctions, and what is no road."""

import numpy as np
import pytest
import shapely

from tests.painted_roads import ROAD, check_network, degrees, on_pixels, painted, traced


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
