"""``geoseg merge``: tiles give the map of the whole, and one sentence says why where they cannot."""

import json
import shutil
import sqlite3
from contextlib import closing
from itertools import pairwise

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.cli.main import geoseg as program
from geoseg.cli.merge import command
from geoseg.errors import InputError, OutputError, UsageError
from geoseg.layers.centerlines import append_lines, line_records
from geoseg.layers.features import WantedLayers
from geoseg.layers.vector import write_layers
from geoseg.pipeline.merge import MergeRequest, merge
from geoseg.roads.joining import join_lines
from geoseg.vector.attributes import chosen_attributes
from geoseg.vector.joining import join_polygons
from geoseg.vector.measure import Ruler
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Lines, MapClass, Polygons

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


def write(path, grid, polygons, *, attributes=None, classes=DEFAULT_LEGEND.classes, provenance=None, lines=None):
    wanted = WantedLayers(classes, chosen_attributes(attributes, grid))
    write_layers(path, wanted, [polygons], grid, provenance or {"GEOSEG_MODEL": "tiny"})
    if lines is not None:
        append_lines(path, [line_records(lines)], grid.crs)
    return path


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


def joined(parts, tolerance=0.02 * PIXEL, **how):
    """Join the polygons of tiles without any files."""
    maps = [traced(part, place, **how)[1] for part, place in parts]
    source = np.repeat(np.arange(len(maps)), [len(one.values) for one in maps])
    geometry, values = (np.concatenate([getattr(one, name) for one in maps]) for name in ("geometry", "values"))
    return join_polygons(geometry, values, source, tolerance)


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


def assert_same_map(result, whole, allowed=1e-6):
    assert shapely.is_valid(result.geometry).all()
    assert set(shapely.get_type_id(result.geometry)) <= {shapely.GeometryType.POLYGON}
    for value in range(1, 6):
        mine, theirs = result.geometry[result.values == value], whole.geometry[whole.values == value]
        assert len(mine) == len(theirs)
        assert shapely.symmetric_difference(shapely.union_all(mine), shapely.union_all(theirs)).area <= allowed


def overlap_of(geometry):
    return shapely.area(geometry).sum() - shapely.union_all(geometry).area


# ---- against the map of the whole


@pytest.mark.parametrize("seed", range(3))
def test_four_tiles_give_the_map_of_the_whole(seed):
    classes = blobs(seed)
    result = joined(tiles(classes, [40], [55]))
    whole = traced(classes)[1]
    assert_same_map(result, whole)
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    # vertex by vertex, too: seams leave nothing behind
    assert shapely.get_num_coordinates(result.geometry).sum() == shapely.get_num_coordinates(whole.geometry).sum()
    assert shapely.coverage_is_valid(result.geometry)


@settings(max_examples=40)
@given(st.data())
def test_any_tiles_give_the_map_of_the_whole(data):
    height, width = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 9))
    values = st.lists(st.integers(0, data.draw(st.integers(1, 4))), min_size=height * width, max_size=height * width)
    classes = np.array(data.draw(values), np.uint8).reshape(height, width)
    rows = sorted(data.draw(st.sets(st.integers(1, height - 1), max_size=3)))
    cols = sorted(data.draw(st.sets(st.integers(1, width - 1), max_size=3)))
    drift = data.draw(st.sampled_from([0.0, 0.005]))
    result = joined(tiles(classes, rows, cols, drift=drift, seed=data.draw(st.integers(0, 99))))
    assert_same_map(result, traced(classes)[1], 1e-6 if not drift else 0.03 * PIXEL**2 * height * width)
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_tiles_that_drift_by_a_hundredth_of_a_pixel_leave_no_slivers(seed):
    classes = blobs(seed + 10)
    result = joined(tiles(classes, [30, 60], [35, 70], drift=0.005, seed=seed))
    whole = traced(classes)[1]
    assert_same_map(result, whole, 0.01 * PIXEL * whole.perimeter_m.sum())
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    assert shapely.coverage_is_valid(result.geometry)
    assert shapely.hausdorff_distance(
        shapely.union_all(shapely.boundary(result.geometry)), shapely.union_all(shapely.boundary(whole.geometry))
    ) < 0.03 * PIXEL  # fmt: skip


def test_tiles_that_overlap_give_the_map_of_the_whole():
    classes = blobs(4)
    result = joined(tiles(classes, [40], [50], overlap=6))
    assert_same_map(result, traced(classes)[1])


def test_simplified_tiles_give_as_many_polygons():
    classes = blobs(5)
    result = joined(tiles(classes, [40], [50]), simplify_px=0.75)
    whole = traced(classes, simplify_px=0.75)[1]
    assert np.bincount(result.values).tolist() == np.bincount(whole.values).tolist()
    assert shapely.is_valid(result.geometry).all()
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)


def test_a_river_across_twenty_tiles_is_one():
    classes = np.full((8, 200), 5, np.uint8)
    classes[3:5] = 3
    result = joined(tiles(classes, [], range(10, 200, 10)))
    assert np.bincount(result.values).tolist() == [0, 0, 0, 1, 0, 2]
    assert len(result.part) == 60


def test_a_hole_across_the_seam_stays():
    classes = np.ones((9, 9), np.uint8)
    classes[3:6, 3:6] = 0
    result = joined(tiles(classes, [], [4]))
    (polygon,) = result.geometry
    assert len(polygon.interiors) == 1
    assert polygon.area == pytest.approx(72 * PIXEL**2)


def test_corners_that_touch_across_the_seam_stay_apart():
    classes = np.array([[1, 0], [0, 1]], np.uint8)
    for drift in (0.0, 0.005):
        assert len(joined(tiles(classes, [1], [1], drift=drift)).geometry) == 2


def test_what_was_split_on_purpose_stays_apart():
    classes = np.full((8, 8), 3, np.uint8)
    parts = [
        traced(classes, PLACE, split_px=4)[1].geometry,
        traced(classes, PLACE @ Affine.translation(40, 0))[1].geometry,
    ]
    geometry = np.concatenate(parts)
    source = np.repeat([0, 1], [len(part) for part in parts])
    assert len(join_polygons(geometry, np.full(len(geometry), 3, np.uint8), source, 0.01).geometry) == 5
    twice = np.concatenate([parts[0], parts[0]])
    result = join_polygons(twice, np.full(8, 3, np.uint8), np.repeat([0, 1], 4), 0.01)
    assert len(result.geometry) == 4


def test_the_order_of_the_inputs_changes_no_geometry():
    parts = list(tiles(blobs(7), [40], [50], drift=0.005))
    one, other = joined(parts), joined(parts[::-1])
    assert one.values.tolist() == other.values.tolist()
    assert shapely.equals_exact(shapely.normalize(one.geometry), shapely.normalize(other.geometry), 1e-9).all()


def test_the_input_named_first_wins():
    first, second = np.full((6, 6), 1, np.uint8), np.full((6, 6), 5, np.uint8)
    shifted = PLACE @ Affine.translation(3, 0)
    for parts, sizes in (([(first, PLACE), (second, shifted)], {1: 36, 5: 18}),
                         ([(second, shifted), (first, PLACE)], {1: 18, 5: 36})):  # fmt: skip
        result = joined(parts)
        found = {int(v): a / PIXEL**2 for v, a in zip(result.values, shapely.area(result.geometry), strict=True)}
        assert found == pytest.approx(sizes)
        assert result.cut == 1
        assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(-4, 4), st.integers(-4, 4))
def test_maps_that_contradict_each_other_become_one_map(seed, rows, cols):
    random = np.random.default_rng(seed)
    maps = random.integers(0, 4, (3, 5, 6)).astype(np.uint8)
    places = [(4, 4), (4 + rows, 4 + cols), (4 + cols, 4 - rows)]
    canvas = np.zeros((14, 15), np.uint8)
    for one, (row, col) in reversed(list(zip(maps, places, strict=True))):
        under = canvas[row : row + 5, col : col + 6]
        under[one > 0] = one[one > 0]
    result = joined([(one, PLACE @ Affine.translation(col, row)) for one, (row, col) in zip(maps, places, strict=True)])
    whole = traced(canvas)[1]
    assert shapely.is_valid(result.geometry).all()
    assert overlap_of(result.geometry) == pytest.approx(0, abs=1e-6)
    for value in range(1, 4):
        mine, theirs = (shapely.union_all(one.geometry[one.values == value]) for one in (result, whole))
        assert shapely.symmetric_difference(mine, theirs).area == pytest.approx(0, abs=1e-6)


def test_nothing_to_join():
    empty = join_polygons(np.empty(0, object), np.empty(0, np.uint8), np.empty(0, np.intp), 0.1)
    assert len(empty.geometry) == len(empty.part) == 0


def test_what_is_apart_is_passed_on_as_it_is():
    boxes = shapely.box(np.array([0.0, 10, 20]), 0, np.array([1.0, 11, 21]), 1)
    result = join_polygons(boxes, np.array([1, 1, 1], np.uint8), np.array([0, 1, 0]), 0.1)
    assert not result.anew.any()
    assert {shape.wkt for shape in result.geometry} == {shape.wkt for shape in boxes}


# ---- files


def halves(tmp_path, ending=".gpkg", classes=None, crs=None, place=PLACE, **more):
    classes = blobs(1) if classes is None else classes
    paths = []
    for number, (part, where) in enumerate(tiles(classes, [], [50], place=place)):
        grid, polygons = traced(part, where, crs)
        paths.append(write(tmp_path / f"half{number}{ending}", grid, polygons, **more))
    return paths


@pytest.mark.parametrize("ending", [".gpkg", ".geojson", ".fgb", ".parquet"])
def test_every_format_is_read_and_written(tmp_path, ending):
    report = merge(MergeRequest(tuple(halves(tmp_path, ending)), tmp_path / f"map{ending}"))
    whole = traced(blobs(1))[1]
    named = {layer["class"]: layer for layer in report.layers}
    for entry in DEFAULT_LEGEND:
        mine = whole.of_class(entry.value)
        assert named[entry.name]["features"] == len(mine.values)
        assert named[entry.name]["area_m2"] == pytest.approx(mine.area_m2.sum(), rel=1e-6)
    frames = [geopandas.read_parquet(tmp_path / "map.parquet")] if ending == ".parquet" else [
        geopandas.read_file(tmp_path / f"map{ending}", layer=name)
        for name, kind in pyogrio.list_layers(tmp_path / f"map{ending}") if kind
    ]  # fmt: skip
    assert sum(len(frame) for frame in frames) == len(whole.values)
    assert all(frame.crs.to_epsg() == 32640 for frame in frames)


def test_fields_are_measured_and_averaged(tmp_path):
    classes = np.full((10, 100), 1, np.uint8)
    left, right = halves(tmp_path, classes=classes, attributes="holes")
    report = merge(MergeRequest((left, right), tmp_path / "map.gpkg"))
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="buildings")
    assert frame["class"].tolist() == ["building"]
    assert frame["area_m2"].tolist() == pytest.approx([1000 * PIXEL**2])
    assert frame["perimeter_m"].tolist() == pytest.approx([220 * PIXEL])
    assert frame["confidence"].tolist() == pytest.approx([0.65])
    assert frame["holes"].tolist() == [0]
    assert (report.polygons, report.joined, report.cut) == (2, 1, 0)


def test_confidence_is_weighted_by_area_and_unknown_where_a_part_is(tmp_path):
    grid, polygons = traced(np.full((4, 4), 1, np.uint8))
    places = [PLACE, PLACE @ Affine.translation(4, 0)]
    for known, expected in ((0.2, (16 * 0.65 + 4 * 0.2) / 20), (np.nan, None)):
        second = traced(np.full((4, 1), 1, np.uint8), places[1])[1]
        second.confidence[:] = known
        for name, one in (("a", polygons), ("b", second)):
            (tmp_path / f"{name}.gpkg").unlink(missing_ok=True)
            write(tmp_path / f"{name}.gpkg", grid, one)
        merge(MergeRequest((tmp_path / "a.gpkg", tmp_path / "b.gpkg"), tmp_path / "map.gpkg", overwrite=True))
        (found,) = geopandas.read_file(tmp_path / "map.gpkg", layer="buildings")["confidence"]
        assert np.isnan(found) if expected is None else found == pytest.approx(expected)


def test_a_field_that_only_some_have_is_left_out(tmp_path):
    grid, polygons = traced(np.full((4, 4), 1, np.uint8))
    one = write(tmp_path / "a.gpkg", grid, polygons, attributes="holes,elongation")
    other = write(
        tmp_path / "b.gpkg", *traced(np.full((4, 4), 1), PLACE @ Affine.translation(4, 0)), attributes="holes"
    )
    report = merge(MergeRequest((one, other), tmp_path / "map.gpkg"))
    assert any("left out elongation" in note for note in report.warnings)
    assert "holes" in pyogrio.read_info(tmp_path / "map.gpkg", layer="buildings")["fields"]


def test_degrees_are_measured_along_the_ellipsoid(tmp_path):
    place = Affine(5e-6, 0, 55.3, 0, -5e-6, 25.2)
    paths = halves(tmp_path, crs=wkt(4326), place=place)
    report = merge(MergeRequest(tuple(paths), tmp_path / "map.gpkg"))
    whole = traced(blobs(1), place, wkt(4326))[1]
    assert {layer["class"]: layer["features"] for layer in report.layers} == {
        entry.name: len(whole.of_class(entry.value).values) for entry in DEFAULT_LEGEND
    }
    assert sum(layer["area_m2"] for layer in report.layers) == pytest.approx(whole.area_m2.sum(), rel=1e-5)
    assert 0.001 < report.tolerance_m < 0.05


def test_styles_and_provenance_are_there(tmp_path):
    merge(MergeRequest(tuple(halves(tmp_path)), tmp_path / "map.gpkg"))
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as database:
        styled = {name for (name,) in database.execute("SELECT f_table_name FROM layer_styles")}
        (text,) = database.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    assert styled == {entry.layer for entry in DEFAULT_LEGEND}
    said = json.loads(text)
    assert said["GEOSEG_MERGED"] == ["half0.gpkg", "half1.gpkg"]
    assert said["GEOSEG_MODEL"] == "tiny"


def test_other_classes_keep_their_layer_and_colour(tmp_path):
    tree = MapClass(1, "tree", "trees", "#123456", "#123456")
    one = write(tmp_path / "a.gpkg", *traced(np.ones((4, 4))), classes=(tree,))
    other = write(tmp_path / "b.gpkg", *traced(np.ones((4, 4)), PLACE @ Affine.translation(4, 0)), classes=(tree,))
    merge(MergeRequest((one, other), tmp_path / "map.gpkg"))
    assert [name for name, kind in pyogrio.list_layers(tmp_path / "map.gpkg") if kind] == ["trees"]
    with closing(sqlite3.connect(tmp_path / "map.gpkg")) as database:
        (qml,) = database.execute("SELECT styleQML FROM layer_styles").fetchone()
    assert 'value="18,52,86,255"' in qml


def test_empty_and_missing_layers(tmp_path):
    grid, nothing = traced(np.zeros((4, 4)))
    empty = write(tmp_path / "empty.gpkg", grid, nothing, classes=DEFAULT_LEGEND.classes[:2])
    some = write(tmp_path / "some.gpkg", *traced(np.full((4, 4), 3)), classes=DEFAULT_LEGEND.classes[2:3])
    report = merge(MergeRequest((empty, some), tmp_path / "map.gpkg"))
    assert [(layer["name"], layer["features"]) for layer in report.layers] == [
        ("buildings", 0), ("roads", 0), ("water", 1),
    ]  # fmt: skip
    report = merge(MergeRequest((empty,), tmp_path / "none.gpkg"))
    assert [layer["features"] for layer in report.layers] == [0, 0]
    for ending in (".geojson", ".fgb", ".parquet"):
        one = write(tmp_path / f"empty{ending}", grid, nothing)
        assert merge(MergeRequest((one, some), tmp_path / f"with{ending[1:]}.gpkg")).polygons == 1


# ---- centrelines


def line(*xy):
    return shapely.LineString(np.add(xy, (300_000, 2_799_990)))


def some_lines(shapes, width):
    shapes = np.array(shapes, object)
    return Lines(shapes, np.array(width, float), shapely.length(shapes))


def test_centrelines_are_joined_end_to_end(tmp_path):
    grid, polygons = traced(np.full((4, 4), 2, np.uint8))
    west = some_lines([line((0, 0), (10, 0)), line((0, 5), (10, 5)), line((10, 5), (5, 9))], [4, 6, 6])
    east = some_lines([line((10, 0), (40, 0)), line((20, 5), (10, 5))], [8, 6])
    one = write(tmp_path / "a.gpkg", grid, polygons, lines=west)
    other = write(tmp_path / "b.gpkg", grid, polygons, lines=east)
    report = merge(MergeRequest((one, other), tmp_path / "map.gpkg"))
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="road_centerlines")
    assert sorted(frame.length.tolist()) == pytest.approx(sorted([40, 10, 10, 41**0.5]))
    assert frame["length_m"].tolist() == pytest.approx(frame.length.tolist())
    longest = frame.loc[frame["length_m"].idxmax()]
    assert longest["width_m"] == pytest.approx((4 * 10 + 8 * 30) / 40)
    assert len(longest.geometry.coords) == 3
    assert report.layers[-1]["features"] == 4
    report = merge(MergeRequest((one, other), tmp_path / "map.fgb"))
    assert any("road_centerlines is left out" in note for note in report.warnings)


def test_chains_and_rings_of_centrelines():
    ruler = Ruler(1.0, None, None)
    chain = some_lines([line((10 * i, 0), (10 * i + 10, 0.0)) for i in range(20)], np.full(20, 4))
    for order in (np.arange(20), np.random.default_rng(0).permutation(20)):
        mixed = Lines(chain.geometry[order], chain.width_m[order], chain.length_m[order])
        result = join_lines(mixed, order % 2, np.full(20, 0.1), ruler)
        assert result.length_m.tolist() == pytest.approx([200])
    ring = some_lines([line((0, 0), (5, 5), (10, 0)), line((0, 0), (5, -5), (10, 0))], [4, 4])
    result = join_lines(ring, np.array([0, 1]), np.full(2, 0.1), ruler)
    assert len(result.geometry) == 1
    assert result.geometry[0].is_ring
    assert len(join_lines(ring, np.array([0, 0]), np.full(2, 0.1), ruler).geometry) == 2


# ---- refusals and the command line


def refusal(kind, *inputs, out, **more):
    with pytest.raises(kind) as caught:
        merge(MergeRequest(tuple(inputs), out, **more))
    return str(caught.value)


def test_another_crs_is_refused(tmp_path):
    one = write(tmp_path / "a.gpkg", *traced(np.ones((4, 4))))
    other = write(tmp_path / "b.gpkg", *traced(np.ones((4, 4)), crs=wkt(32639)))
    said = refusal(InputError, one, other, out=tmp_path / "map.gpkg")
    assert "EPSG:32639" in said
    assert "EPSG:32640" in said
    assert "ogr2ogr -t_srs EPSG:32640" in said
    assert not (tmp_path / "map.gpkg").exists()


def test_what_is_no_map_of_ours_is_refused(tmp_path):
    one = write(tmp_path / "a.gpkg", *traced(np.ones((4, 4))))
    other = tmp_path / "b.gpkg"
    geopandas.GeoDataFrame({"kind": ["x"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32640).to_file(other, layer="own")
    assert "field 'class'" in refusal(InputError, one, other, out=tmp_path / "map.gpkg")
    (tmp_path / "c.gpkg").write_bytes(b"nothing")
    assert "another kind" in refusal(InputError, one, tmp_path / "c.gpkg", out=tmp_path / "map.gpkg")
    assert "no.gpkg" in refusal(InputError, tmp_path / "no.gpkg", out=tmp_path / "map.gpkg")


def test_results_are_not_overwritten_and_inputs_never(tmp_path):
    one, other = halves(tmp_path)
    (tmp_path / "map.gpkg").write_bytes(b"precious")
    assert "--overwrite" in refusal(OutputError, one, other, out=tmp_path / "map.gpkg")
    assert (tmp_path / "map.gpkg").read_bytes() == b"precious"
    refusal(UsageError, one, other, out=one, overwrite=True)
    refusal(UsageError, one, other, out=tmp_path / "map.shp")


def test_a_file_named_twice_is_read_once(tmp_path):
    one, other = halves(tmp_path)
    shutil.copy(one, tmp_path / "copy.gpkg")
    report = merge(MergeRequest((one, other, one), tmp_path / "map.gpkg"))
    assert any("more than once" in note for note in report.warnings)
    again = merge(MergeRequest((one, other, tmp_path / "copy.gpkg"), tmp_path / "again.gpkg"))
    assert again.layers == report.layers


def test_the_command_prints_one_object(tmp_path, quiet_log):
    paths = list(map(str, halves(tmp_path)))
    done = CliRunner().invoke(command, [*paths, "-o", str(tmp_path / "map.gpkg"), "--json", "-q"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert set(report) == {
        "schema", "inputs", "out", "crs", "tolerance_m", "polygons", "joined", "cut", "layers", "seconds", "warnings",
    }  # fmt: skip
    assert report["schema"] == 1
    assert report["crs"] == "EPSG:32640"
    assert set(report["layers"][0]) == {"name", "class", "features", "area_m2"}
    plain = CliRunner().invoke(command, [*paths, "-o", str(tmp_path / "two.gpkg"), "--progress", "json"])
    assert plain.stdout.strip() == str(tmp_path / "two.gpkg")
    assert json.loads(plain.stderr.splitlines()[0])["stage"] == "merge"


def test_exit_codes(tmp_path, quiet_log):
    (tmp_path / "c.gpkg").write_bytes(b"nothing")
    arguments = ["merge", str(tmp_path / "c.gpkg"), "-o", str(tmp_path / "map.gpkg")]
    assert CliRunner().invoke(program, arguments).exit_code == 3
    assert CliRunner().invoke(program, ["merge", "-o", str(tmp_path / "map.gpkg")]).exit_code == 2
