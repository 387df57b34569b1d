"""Files of maps are joined: formats, fields, layers, centrelines, refusals and the command line."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg as program
from geoseg.cli.merge import command
from geoseg.errors import InputError, OutputError, UsageError
from geoseg.layers.centerlines import append_lines, line_records
from geoseg.layers.features import WantedLayers
from geoseg.layers.vector import write_layers
from geoseg.pipeline.merge import MergeRequest, merge
from geoseg.roads.joining import join_lines
from geoseg.vector.attributes import chosen_attributes
from geoseg.vector.measure import Ruler
from geoseg.vocabulary import DEFAULT_LEGEND, Lines, MapClass
from tests.maps_to_merge import PIXEL, PLACE, blobs, tiles, traced, wkt


def write(path, grid, polygons, *, attributes=None, classes=DEFAULT_LEGEND.classes, provenance=None, lines=None):
    wanted = WantedLayers(classes, chosen_attributes(attributes, grid))
    write_layers(path, wanted, [polygons], grid, provenance or {"GEOSEG_MODEL": "tiny"})
    if lines is not None:
        append_lines(path, [line_records(lines)], grid.crs)
    return path


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
