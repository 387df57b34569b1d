"""The part of a scene that was asked for: what opens, where it lies, and what is cut along it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg import gdal_guard
from geoseg.errors import InputError, Interrupted, UsageError
from geoseg.inference.windows import WindowRequest
from geoseg.maps.named_polygons import read_named_polygons
from geoseg.pipeline.placed import placed
from geoseg.pipeline.plan import Place, make_plan, read_request
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest
from geoseg.scene import open_vector
from geoseg.scene.area import Area, read_aoi, whole_or_box
from geoseg.scene.open_vector import read_layers, sound_polygons
from geoseg.scene.reader import open_scene
from geoseg.vector.clip import clipped
from geoseg.vector.measure import Ruler
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Polygons, Window

UTM40 = CRS.from_epsg(32640).to_wkt(version="WKT2_2019")
PLAIN = Grid(UTM40, Affine(1, 0, 325000, 0, -1, 2785000), 100, 120)
TURNED = Grid(UTM40, Affine.translation(325000, 2785000) @ Affine.rotation(30) @ Affine.scale(1, -1), 100, 120)
SOME = shapely.Polygon([(325010, 2784990), (325060, 2784990), (325060, 2784960), (325010, 2784950)])


def draw(path, *shapes, crs="EPSG:32640", **more):
    frame = geopandas.GeoDataFrame(geometry=list(shapes), crs=crs)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path, engine="pyogrio", **more)
    return path


# ---- what opens


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".json", ".fgb", ".parquet", ".shp"])
def test_every_kind_of_vector_file_is_an_area(tmp_path, ending):
    more = {"driver": "GeoJSON"} if ending == ".json" else {}
    area = read_aoi(draw(tmp_path / f"an area ü{ending}", SOME, crs="EPSG:32640", **more), PLAIN, "scene")
    assert shapely.union_all(area.polygons).symmetric_difference(SOME).area < 0.01
    assert area.window(PLAIN) == Window(10, 10, 40, 50)


def test_polygons_of_all_layers_count_and_tables_do_not(tmp_path):
    path = draw(tmp_path / "a.gpkg", shapely.box(325000, 2784990, 325010, 2785000), layer="first")
    draw(path, shapely.box(325050, 2784950, 325060, 2784960), layer="second", append=True)
    draw(path, shapely.Point(0, 0), layer="points", append=True)
    assert len(read_aoi(path, PLAIN, "scene").polygons) == 2
    assert [name for name, frame in read_layers(path) if frame is None] == ["points"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.gpkg", None, "does not exist"),
        ("empty.gpkg", b"", "0 bytes"),
        ("a.kml", b"<kml/>", r"is no vector file geoseg reads, expected \.gpkg.*; write it as one with: ogr2ogr"),
        ("vrt.geojson", b"<OGRVRTDataSource/>", "of another kind"),
        ("disguised.parquet", b"SQLite format 3\0", "of another kind"),
        ("topology.json", b'{"type": "Topology", "objects": {}, "arcs": []}', "damaged or not supported"),
        ("half.gpkg", b"SQLite format 3\0" + b"x" * 500, "damaged or not supported"),
        ("half.fgb", b"fgb\x03fgb\x00" + b"x" * 50, "damaged or not supported"),
        ("half.parquet", b"PAR1" + b"x" * 500, "damaged or not supported"),
        ("half.shp", b"\0\0\x27\x0a" + b"\0" * 100, "damaged or not supported"),
        ("none.geojson", b'{"type": "FeatureCollection", "features": []}', "has no polygons"),
    ],
)
def test_unusable_areas_are_told_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_aoi(path, PLAIN, "scene")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_area_without_a_crs_is_refused(tmp_path):
    path = draw(tmp_path / "a.parquet", SOME, crs=None)
    with pytest.raises(InputError, match=r"layer a has no CRS, expected one; give it one with: ogr2ogr"):
        read_aoi(path, PLAIN, "scene")


@pytest.mark.parametrize("guarded", [True, False])
def test_no_vector_file_reads_another(tmp_path, bare_environment, guarded):
    """GDALG runs pipelines over other files; neither the guard nor the door alone lets one through."""
    secret = draw(tmp_path / "secret.gpkg", SOME)
    disguised = tmp_path / "a.geojson"
    command = f"gdal vector pipeline ! read {secret} ! write streamed_file --of stream"
    disguised.write_text(json.dumps({"type": "gdal_streamed_alg", "command_line": command}))
    code = f"""
import geoseg, os, sys
if not {guarded}:
    del os.environ["GDAL_SKIP"]
import pyogrio
from pathlib import Path
from geoseg.errors import InputError
from geoseg.scene.open_vector import read_layers
assert {{"GDALG", "ADBC"}}.isdisjoint(pyogrio.list_drivers()) or not {guarded}
try:
    read_layers(Path({str(disguised)!r}))
except InputError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare_environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "refused"


@pytest.mark.parametrize("mark", "!?;")
def test_marks_in_a_path_lead_to_no_other_file(tmp_path, monkeypatch, mark):
    monkeypatch.chdir(tmp_path)
    other = draw(tmp_path / "other.fgb", SOME)
    (tmp_path / f"a{mark}other.fgb").write_bytes(other.read_bytes())
    with pytest.raises(InputError, match="rename the file or its folder"):
        read_layers(tmp_path / f"a{mark}other.fgb")
    json_file = draw(tmp_path / "a.geojson", SOME).rename(tmp_path / f"a{mark}b.geojson")
    assert len(read_layers(json_file)) == 1


def test_folders_named_like_columns_add_none(tmp_path):
    folder = tmp_path / "class=land"
    folder.mkdir()
    ((_, frame),) = read_layers(draw(folder / "a.parquet", SOME))
    assert list(frame.columns) == ["geometry"]


def test_maps_and_areas_come_through_one_door(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(open_vector, "_ogr_layers", lambda path, *_: seen.append(path) or iter(()))
    path = draw(tmp_path / "a.gpkg", SOME)
    for read in (lambda: read_aoi(path, PLAIN, "s"), lambda: read_named_polygons(path, "class", bool)):
        with pytest.raises(InputError):
            read()
    assert seen == [path, path]


def test_a_signal_while_reading_is_no_damaged_file(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise Interrupted("stop")

    path = draw(tmp_path / "a.gpkg", SOME)
    monkeypatch.setattr(pyogrio, "read_dataframe", interrupt)
    for read in (lambda: read_aoi(path, PLAIN, "s"), lambda: read_named_polygons(path, "class", bool)):
        with pytest.raises(Interrupted):
            read()


def test_geometries_become_sound_polygons():
    bowtie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    mixed = shapely.GeometryCollection([shapely.Point(0, 0), shapely.MultiPolygon([shapely.box(5, 5, 6, 6)])])
    lost = shapely.Polygon([(0, 0), (1, np.inf), (1, 0)])
    found = sound_polygons(np.array([None, bowtie, shapely.Polygon(), mixed, lost, shapely.box(0, 0, 1, 1)], object))
    assert found.owner.tolist() == [1, 1, 3, 5]
    assert (found.unplaced, found.repaired) == (1, 1)
    assert shapely.is_valid(found.polygons).all()


# ---- where it lies


@pytest.mark.parametrize(
    "bounds", [(-np.inf, -np.inf, np.inf, np.inf), (np.nan, 0, 1, 1), (0, 0, np.inf, 1), (1, 0, 0, 1), (0, 0, 0, 1)]
)
@pytest.mark.parametrize("grid", [PLAIN, TURNED])
def test_what_is_no_box_is_refused(bounds, grid):
    with pytest.raises(UsageError, match=r"--bounds: .* is not LEFT BOTTOM RIGHT TOP"):
        whole_or_box(bounds, grid, "scene")


@pytest.mark.parametrize("far", [1e9, 1e300, sys.float_info.max])
@pytest.mark.parametrize("grid", [PLAIN, TURNED])
def test_a_box_around_everything_is_the_whole_scene(far, grid):
    area = whole_or_box((-far, -far, far, far), grid, "scene")
    assert area.window(grid) == grid.whole
    inside = area.inside(grid)
    assert inside is None or inside.all()


def test_a_box_on_a_straight_scene_is_a_window_alone():
    area = whole_or_box((325010, 2784950, 325060.5, 2784990), PLAIN, "scene")
    assert area.window(PLAIN) == Window(10, 10, 40, 51)
    assert area.inside(PLAIN) is None
    quarter = Grid(UTM40, Affine.translation(325000, 2785000) @ Affine.rotation(90), 100, 120)
    assert whole_or_box((324950, 2785010, 324990, 2785060), quarter, "scene").polygons == ()


@pytest.mark.parametrize("angle", [30, -17, 100, 0.01])
def test_a_box_on_a_rotated_scene_is_the_box(angle):
    grid = Grid(UTM40, Affine.translation(325000, 2785000) @ Affine.rotation(angle) @ Affine.scale(1, -1), 100, 120)
    x, y = grid.transform @ (60, 50)
    left, bottom, right, top = x - 20, y - 15, x + 20.5, y + 15.25
    area = whole_or_box((left, bottom, right, top), grid, "scene")
    window = area.window(grid)
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    xs, ys = grid.transform @ (cols, rows)
    wanted = (xs > left) & (xs < right) & (ys > bottom) & (ys < top)
    found = np.zeros(grid.shape, bool)
    found[window.slices()] = area.inside(grid.crop(window))
    assert np.array_equal(found, wanted)


def test_a_box_beside_a_rotated_scene_misses_it_though_its_frame_does_not():
    left, bottom, *_ = shapely.total_bounds([Area().outline(TURNED)])
    with pytest.raises(InputError, match=r"scene: --bounds asks for .* but the scene covers"):
        whole_or_box((left, bottom, left + 5, bottom + 5), TURNED, "scene")
    with pytest.raises(InputError, match="asks for 0, 0, 10, 10, but"):
        whole_or_box((0, 0, 10, 10), PLAIN, "scene")
    with pytest.raises(InputError, match="asks for"):  # side by side
        whole_or_box((325120, 2784900, 325200, 2785000), PLAIN, "scene")


WORLD = shapely.box(-180, -90, 180, 90)
FIJI = Grid(
    CRS.from_epsg(32701).to_wkt(version="WKT2_2019"), Affine(500, 0, 150000, 0, -500, 8200000), 100, 200
)  # across the antimeridian


@pytest.mark.parametrize("grid", [PLAIN, TURNED, FIJI])
def test_an_area_as_large_as_the_world_is_the_whole_scene(tmp_path, grid):
    area = read_aoi(draw(tmp_path / "a.geojson", WORLD, crs="EPSG:4326"), grid, "scene")
    assert area.window(grid) == grid.whole
    assert area.inside(grid).all()


def test_half_the_world_is_half_a_scene_across_the_antimeridian(tmp_path):
    area = read_aoi(draw(tmp_path / "a.geojson", shapely.box(-180, -90, 0, 90), crs="EPSG:4326"), FIJI, "scene")
    inside = area.inside(FIJI)
    assert not inside[:, 0].any()
    assert inside[:, -1].all()


@pytest.mark.parametrize("shape", [shapely.box(-120, 30, -100, 40), shapely.box(-180, -90, 0, -80)])
def test_an_area_elsewhere_is_told_with_both_bounds(tmp_path, shape):
    path = draw(tmp_path / "a.geojson", shape, crs="EPSG:4326")
    with pytest.raises(InputError, match=r"scene: --aoi asks for .*, but the scene covers 325000") as caught:
        read_aoi(path, PLAIN, "scene")
    assert "inf" not in str(caught.value)


# ---- what is cut along it


def test_polygons_are_clipped_and_measured_anew():
    square, beside, far = shapely.box(0, 0, 10, 10), shapely.box(10, 0, 14, 10), shapely.box(40, 0, 50, 10)
    comb = shapely.union_all([shapely.box(20, 0, 30, 2), shapely.box(20, 0, 22, 10), shapely.box(28, 0, 30, 10)])
    shapes = shapely.orient_polygons(np.array([square, beside, comb, far], object))
    grid = Grid(UTM40, Affine(1, 0, 0, 0, -1, 10), 10, 50)
    area, perimeter = Ruler.of(grid).measure(shapes)
    given = Polygons(np.array([1, 2, 3, 4], np.uint8), shapes, area, perimeter, np.array([0.5, 0.6, 0.7, np.nan]))
    found = clipped(given, shapely.box(-5, 4.25, 40, 12), grid)  # touches the last one, which is left out
    assert found.values.tolist() == [1, 2, 3, 3]
    assert found.confidence.tolist() == [0.5, 0.6, 0.7, 0.7]
    np.testing.assert_allclose(found.area_m2, [57.5, 23, 11.5, 11.5])
    np.testing.assert_allclose(found.perimeter_m, [31.5, 19.5, 15.5, 15.5])
    assert shapely.is_ccw(shapely.get_exterior_ring(found.geometry)).all()
    assert given.area_m2[0] == 100
    whole = clipped(given, shapely.box(-5, -5, 60, 15), grid)
    assert np.array_equal(whole.area_m2, given.area_m2)
    assert len(clipped(given, shapely.box(100, 100, 101, 101), grid).values) == 0
    assert len(clipped(given.of_class(9), shapely.box(0, 0, 1, 1), grid).values) == 0


@pytest.fixture
def fine(tmp_path):
    """A scene of quarter metres and a half, which the model reads at one metre."""
    path = tmp_path / "fine.tif"
    profile = {"driver": "GTiff", "count": 3, "height": 400, "width": 480, "dtype": "uint8", "crs": "EPSG:32640"}
    with rasterio.open(path, "w", transform=Affine(0.25, 0, 325000, 0, -0.25, 2785000), **profile) as file:
        file.write(np.full((3, 400, 480), 100, np.uint8))
    return path


def planned(path, reading):
    from geoseg.model.file import load_model

    card = load_model("default").card
    request = SegmentRequest(path, OutputRequest(path.with_suffix(".gpkg")), windows=WindowRequest(), reading=reading)
    with open_scene(path, read_request(path, reading, card)) as scene:
        return make_plan(request, scene, card)


def traced(plan):
    """Paint the network's grid with stripes that do not know of the area, as strips, and trace them."""
    place = plan.trace
    whole = ((np.indices(place.whole.shape).sum(0) // 7) % 3 + 1).astype(np.uint8)
    window = place.window
    strips = [
        ClassRows(row, whole[row : row + 9, window.col : window.right][: window.bottom - row])
        for row in range(window.row, window.bottom, 9)
    ]
    rows = placed(strips, place, plan.area)
    (polygons,) = polygonize(rows, place.grid, DEFAULT_LEGEND, Tracing({}, 1))
    return polygons if plan.border is None else clipped(polygons, plan.border, place.grid)


def test_adjacent_boxes_on_a_resampled_scene_do_not_overlap(fine):
    left = planned(fine, SceneRequest(bounds=(325013, 2784930.5, 325050.25, 2784980)))
    right = planned(fine, SceneRequest(bounds=(325050.25, 2784930.5, 325093.75, 2784980)))
    assert left.trace is left.network
    found = [shapely.union_all(traced(plan).geometry) for plan in (left, right)]
    np.testing.assert_allclose(found[0].bounds, (325013, 2784930.5, 325050.25, 2784980))
    np.testing.assert_allclose(found[1].bounds, (325050.25, 2784930.5, 325093.75, 2784980))
    assert found[0].intersection(found[1]).area == pytest.approx(0, abs=1e-6)
    assert found[0].area + found[1].area == pytest.approx(80.75 * 49.5)


def test_polygons_on_a_resampled_scene_fill_the_area_of_interest_and_no_more(fine, tmp_path):
    plan = planned(fine, SceneRequest(aoi=draw(tmp_path / "a.gpkg", SOME)))
    polygons = traced(plan)
    assert shapely.union_all(polygons.geometry).symmetric_difference(SOME).area < 1e-3
    assert polygons.area_m2.sum() == pytest.approx(SOME.area)
    assert shapely.is_valid(polygons.geometry).all()


def test_nothing_is_cut_where_tracing_ends_there_anyway(fine):
    assert planned(fine, SceneRequest()).border is None
    native = SceneRequest(bounds=(325013, 2784930.5, 325050.25, 2784980), resolution="native")
    assert planned(fine, native).border is None


def test_only_places_with_a_margin_see_beyond_the_area():
    area = Area((325010, 2784950, 325060, 2784990), (SOME,))
    rows = ClassRows(0, np.ones(PLAIN.shape, np.uint8), np.full(PLAIN.shape, 50, np.uint8))
    (exact,) = placed([rows], Place(PLAIN, PLAIN.whole), area)
    (wider,) = placed([rows], Place(PLAIN, PLAIN.whole, 3), area)
    assert np.array_equal(exact.classes > 0, area.inside(PLAIN))
    assert np.array_equal(exact.confidence == 255, exact.classes == 0)
    assert (wider.classes >= exact.classes).all()
    assert wider.classes[8, 30]
    assert not exact.classes[8, 30]
    assert not wider.classes[5, 30]


# ---- the guard


def test_drivers_a_build_lacks_are_not_complained_about(bare_environment):
    code = """
import logging
logging.basicConfig(level=logging.WARNING, format="%(message)s")
import geoseg, rasterio
with rasterio.Env():
    pass
logging.getLogger("rasterio._env").warning("something else")
"""
    environment = {**os.environ, **bare_environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.split("\n") == ["something else", ""]


def test_the_guard_can_be_armed_twice():
    gdal_guard.arm()
    gdal_guard.arm()
    filters = logging.getLogger("rasterio._env").filters
    assert sum(getattr(one, "__module__", "") == gdal_guard.__name__ for one in filters) == 1
