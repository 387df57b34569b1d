"""``batch --mosaic``: one map of many tiles, proved against ``segment`` of the raster they were cut from."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import BatchError
from geoseg.pipeline import parts as in_parts
from tests.towns import CLASSES, PLACE, assert_same_layers, polygons, report_of, run, town  # noqa: F401


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_map_of_tiles_is_the_map_of_the_whole(run, town, tmp_path, jobs):
    whole, folder = town
    assert run("segment", whole, "--out", tmp_path / "a.gpkg", "--raster", tmp_path / "a.tif")[0] == 0
    out = tmp_path / "b.gpkg"
    code, said = run("batch", folder, "--mosaic", out, "--raster", "--confidence", "--jobs", jobs)
    assert code == 0, said.output
    assert_same_layers(tmp_path / "a.gpkg", out)
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.classes.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert a.transform == b.transform
    assert (tmp_path / "b.confidence.tif").is_file()
    report = report_of(out)
    assert report["done"] == report["inputs"] == 9
    assert report["maps"][0]["tiles"] == 9
    assert said.stdout.splitlines()[0] == str(out)


def test_a_map_of_one_scene_is_that_of_segment(run, town, tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "_PIXELS", 1)
    whole, _ = town
    assert run("segment", whole, "--out", tmp_path / "a.gpkg", "--window", 256)[0] == 0
    assert run("batch", whole, "--mosaic", tmp_path / "b.gpkg", "--window", 256)[0] == 0
    assert_same_layers(tmp_path / "a.gpkg", tmp_path / "b.gpkg")
    assert report_of(tmp_path / "b.gpkg")["maps"][0]["parts"] > 2


def test_nothing_is_done_twice_and_a_changed_tile_costs_its_parts(run, town, tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "_PIXELS", 1)
    _, folder = town
    out = tmp_path / "b.gpkg"
    arguments = ("batch", folder, "--mosaic", out, "--window", "256", "--resolution", "native")
    run(*arguments)
    rows = sorted((tmp_path / "b.gpkg.run").glob("*.rows"))
    assert len(rows) > 3
    before = {path: path.stat().st_mtime_ns for path in [*rows, out]}
    code, said = run(*arguments)
    assert code == 0, said.output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert report_of(out)["maps"][0]["status"] == "kept"
    # the lowest tiles are not seen from the uppermost rows: those rows stay
    os.utime(folder / "r200c0.tif", (1, 1))
    code, said = run(*arguments, "--dry-run")
    listed = said.stdout.splitlines()
    assert 0 < len(listed) < len(rows) + 1
    assert run(*arguments)[0] == 0
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after[rows[0]] == before[rows[0]]
    assert after[rows[-1]] != before[rows[-1]]


def test_shards_do_their_parts_and_collect_joins_them(run, town, tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "_PIXELS", 1)
    whole, folder = town
    out = tmp_path / "b.gpkg"
    arguments = ("batch", folder, "--mosaic", out, "--window", "256", "--resolution", "native")
    assert run(*arguments, "--shard", "1/2")[0] == 0
    assert not out.exists()
    code, said = run(*arguments, "--collect")
    assert code == BatchError.exit_code, said.output
    assert not out.exists()
    assert run(*arguments, "--shard", "2/2")[0] == 0
    code, said = run(*arguments, "--collect")
    assert code == 0, said.output
    run("segment", whole, "--out", tmp_path / "a.gpkg", "--window", "256", "--resolution", "native")
    assert_same_layers(tmp_path / "a.gpkg", out)


def test_tiles_that_cannot_be_read_are_named_and_the_rest_is_mapped(run, town, tmp_path):
    _, folder = town
    (folder / "r0c0.tif").write_bytes(b"no image")
    whole = (folder / "r200c220.tif").read_bytes()
    (folder / "r200c220.tif").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "b.gpkg"
    code, said = run("batch", folder, "--mosaic", out, "--raster")
    assert code == BatchError.exit_code
    assert "2 of 9 scenes failed" in said.stderr
    report = report_of(out)
    failed = {Path(scene["source"]).name: scene["why"] for scene in report["scenes"] if scene["status"] == "failed"}
    assert set(failed) == {"r0c0.tif", "r200c220.tif"}
    assert "is not an image" in failed["r0c0.tif"]
    assert "cannot be read" in failed["r200c220.tif"]
    with rasterio.open(tmp_path / "b.classes.tif") as raster:
        classes = raster.read(1)
    assert (classes[:100, :110] == 0).all()
    assert (classes[100:200] != 0).all()
    # the same again says the same, though nothing is left to do
    assert run("batch", folder, "--mosaic", out, "--raster")[0] == BatchError.exit_code


def test_a_map_for_each_crs(run, town, tmp_path, write_scene):
    _, folder = town
    write_scene(folder / "z.tif", np.full((3, 60, 60), 90, np.uint8), crs="EPSG:32639")
    code, said = run("batch", folder, "--mosaic", tmp_path / "b.gpkg")
    assert code == 0, said.output
    found = sorted(path.name for path in tmp_path.glob("b-*.gpkg"))
    assert found == ["b-EPSG32639.gpkg", "b-EPSG32640.gpkg"]
    for name, code in zip(found, (32639, 32640), strict=True):
        assert pyogrio.read_info(tmp_path / name, layer="land")["crs"] == f"EPSG:{code}"


def test_grids_that_share_ground_do_not_overlap_and_the_first_wins(run, town, tmp_path, write_scene):
    _, folder = town
    coarse = np.random.default_rng(3).integers(0, 256, (3, 20, 20))
    pixels = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)
    finer = write_scene(
        tmp_path / "other.tif", pixels, transform=PLACE @ Affine.translation(250.3, 200.7) @ Affine.scale(0.8)
    )
    out, alone = tmp_path / "b.gpkg", tmp_path / "alone.gpkg"
    assert run("batch", folder, finer, "--mosaic", out)[0] == 0
    assert run("batch", folder, "--mosaic", alone)[0] == 0
    found, first = polygons(out), polygons(alone)
    for layer in CLASSES:
        kept = set(shapely.to_wkb(first[layer].geometry.to_numpy()))
        assert kept <= set(shapely.to_wkb(found[layer].geometry.to_numpy())), layer
    every = np.concatenate([table.geometry.to_numpy() for table in found.values()])
    assert shapely.is_valid(every).all()
    union = shapely.area(shapely.union_all(every))
    assert shapely.area(every).sum() == pytest.approx(union, rel=1e-9)
    ground = shapely.union_all([shapely.box(330_000, 2_779_850, 330_155, 2_780_000)])
    assert union > shapely.area(ground)  # the other one adds what lies beside


def test_objects_across_borders_are_whole(run, town, tmp_path):
    _, folder = town
    out, apart = tmp_path / "b.gpkg", tmp_path / "apart"
    assert run("batch", folder, "--mosaic", out)[0] == 0
    assert run("batch", folder, "--out-dir", apart)[0] == 0
    seams = shapely.MultiLineString([[(330_055, 2_779_850), (330_055, 2_780_000)]])
    joined = [table.geometry.to_numpy() for table in polygons(out).values()]
    across = sum(int(shapely.crosses(geometry, seams).sum()) for geometry in joined)
    assert across > 5
    tiles = [table.geometry.to_numpy() for path in apart.glob("*.gpkg") for table in polygons(path).values()]
    assert sum(int(shapely.crosses(geometry, seams).sum()) for geometry in tiles) == 0
    assert sum(map(len, joined)) < sum(map(len, tiles))


def test_what_lies_at_the_target_is_not_replaced_unasked(run, town, tmp_path):
    _, folder = town
    out = tmp_path / "b.gpkg"
    out.write_bytes(b"mine")
    code, said = run("batch", folder, "--mosaic", out)
    assert code == 4, said.output
    assert out.read_bytes() == b"mine"
    assert run("batch", folder, "--mosaic", out, "--overwrite")[0] == 0
    assert out.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--out-dir DIR for one result of each scene, or --mosaic FILE"),
        (("--mosaic", "nowhere/b.gpkg"), 4, "does not exist"),
        (("--mosaic", "b.shp"), 2, "unknown ending"),
        (("--mosaic", "b.gpkg", "--out-dir", "c"), 2, "--out-dir DIR"),
    ],
)
def test_wrong_targets_are_refused_at_once(run, town, tmp_path, monkeypatch, arguments, code, says):
    monkeypatch.chdir(tmp_path)
    found, said = run("batch", town[1], *arguments)
    assert found == code
    assert says in said.stderr
