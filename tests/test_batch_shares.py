"""Batches of a part of the ground, and of a share of the work."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import os
import shutil

import pytest

from tests.batch_runs import RASTER, batch, files, out, redone, report_of, tiles, told, write_tile  # noqa: F401

# ---- only a part of the ground


def test_tiles_outside_the_area_are_no_failures(batch, tiles, out):
    box = ("--bounds", 325_000, 2_784_952, 325_040, 2_785_000)
    assert batch(*RASTER)[0] == 0
    code, _, complaints = batch(*RASTER, *box)
    assert code == 0
    assert [status for status, _ in told(out).values()] == ["done", "outside", "outside", "outside"]
    assert "geoseg: 1 done, 3 outside; " in complaints
    assert not (out / "b.geoseg.log").exists()
    before = files(out)
    assert batch(*RASTER, *box)[0] == 0
    assert [status for status, _ in told(out).values()] == ["kept", "outside", "outside", "outside"]
    assert "--bounds asks for 325000, " in told(out)["b"][1]
    assert files(out) == before
    assert batch(*RASTER)[0] == 0  # earlier results are still ours
    assert redone(out)["b"] == "was outside the area asked for"
    assert set(redone(out)) == {"a", "b", "sub/c", "sub/d"}


def test_an_area_of_polygons(batch, tiles, out):
    import geopandas
    from shapely import box

    area = tiles.parent / "area.geojson"
    geopandas.GeoDataFrame(geometry=[box(325_050, 2_784_960, 325_080, 2_784_990)], crs="EPSG:32640").to_file(area)
    assert batch(*RASTER, "--aoi", area)[0] == 0
    assert [status for status, _ in told(out).values()] == ["outside", "done", "outside", "outside"]
    os.utime(area)
    assert batch(*RASTER, "--aoi", area)[0] == 0
    assert redone(out)["b"] == "input has changed"
    other = shutil.copy2(area, tiles.parent / "sub-area.geojson").rename(tiles / "area.geojson")
    assert batch(*RASTER, "--aoi", other)[0] == 0
    assert told(out)["b"][0] == "kept"  # the same area, elsewhere


# ---- shares of the work


@pytest.mark.parametrize("shares", range(1, 8))
def test_shares_are_all_of_the_work_and_have_nothing_in_common(batch, tiles, shares):
    taken: list[str] = []
    for share in range(1, shares + 1):
        report = json.loads(batch(*RASTER, "--shard", f"{share}/{shares}", "--dry-run", "--json")[1])
        taken += [scene["source"] for scene in report["scenes"]]
    assert sorted(taken) == sorted(map(str, tiles.rglob("*.tif")))


def test_shares_are_done_and_gathered(batch, tiles, out):
    (tiles / "bad.tif").write_text("no picture")
    assert batch(*RASTER, "--shard", "1/3")[0] == 0
    code, _, complaints = batch(*RASTER, "--collect")
    assert code == 6
    assert "0 of 5 scenes failed and 3 were not done" in complaints
    assert told(out) == {
        "a": ("kept", ""), "b": ("left", "new"), "bad": ("left", "new"), "sub/c": ("kept", ""), "sub/d": ("left", "new")
    }  # fmt: skip
    codes = [batch(*RASTER, "--shard", f"{share}/3")[0] for share in (2, 3)]
    assert codes == [0, 6]
    reports = sorted(path.name for path in out.glob("*report.json"))
    assert reports == ["report.json", *(f"shard-{share}-of-3-report.json" for share in (1, 2, 3))]
    assert [len(told(out, name)) for name in reports] == [5, 2, 2, 1]
    code, _, complaints = batch(*RASTER, "--collect", "--max-failures", "0")
    assert code == 6
    assert told(out)["bad"][0] == "failed"
    assert told(out)["bad"][1].startswith(f"{tiles / 'bad.tif'}: is not an image")
    write_tile(tiles / "bad.tif", 9)
    assert [batch(*RASTER, "--shard", f"{share}/3")[0] for share in (1, 2, 3)] == [0, 0, 0]
    before = files(out)
    assert batch(*RASTER, "--collect")[0] == 0
    assert set(told(out).values()) == {("kept", "")}
    assert files(out) == before


def test_shares_with_an_area_are_gathered(batch, out):
    box = ("--bounds", 325_000, 2_784_952, 325_040, 2_785_000)
    assert [batch(*RASTER, *box, "--shard", f"{share}/2")[0] for share in (1, 2)] == [0, 0]
    assert batch(*RASTER, *box, "--collect")[0] == 0
    assert report_of(out)["outside"] == 3
