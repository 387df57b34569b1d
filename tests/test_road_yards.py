"""Centrelines: yards and driveways leave only the street, and streets go on at nodata."""

import numpy as np
import pytest
import shapely

from geoseg.roads.yards import without_yards
from tests.painted_roads import box, bytes_of, check_network, grid_of, in_pixels, painted, town, traced


def kept(classes, **how):
    """Return what is left without yards, in pixels."""
    grid = grid_of(classes)
    return in_pixels(without_yards(traced(classes, **how), grid), grid)


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
