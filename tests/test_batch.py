"""Many scenes in one run: what is made, what is refused, and what one bad scene does to the others."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import geoseg as package
from geoseg.cli.main import geoseg
from tests.batch_runs import RASTER, batch, classes, files, out, redone, report_of, tiles, told, untidy, write_tile  # noqa: F401


def test_one_result_of_each_in_mirrored_folders_equal_to_segment(batch, tiles, out, tiny_model_path):
    code, said, _ = batch(*RASTER, "--confidence")
    assert code == 0
    assert said == f"{out / 'report.csv'}\n"
    names = ["a", "b", "sub/c", "sub/d"]
    assert list(told(out)) == names
    assert set(told(out).values()) == {("done", "new")}
    for name in names:
        again, sure = tiles.parent / "again.tif", tiles.parent / "sure.tif"
        words = ["segment", tiles / f"{name}.tif", "--raster", again, "--confidence", sure, "--overwrite"]
        result = CliRunner().invoke(geoseg, [*map(str, words), "--model", str(tiny_model_path)])
        assert result.exit_code == 0, result.stderr
        assert (classes(out / f"{name}.classes.tif") == classes(again)).all()
        assert (classes(out / f"{name}.confidence.tif") == classes(sure)).all()
        assert len(np.unique(classes(again))) > 1
    assert untidy(out) == []


@pytest.mark.slow
def test_layers_are_those_of_segment(batch, tiles, out, tiny_model_path):
    import geopandas

    assert batch("--jobs", "2", "--min-area-m2", "0", "--classes", "all")[0] == 0
    for name in ("a", "sub/d"):
        again = tiles.parent / f"{Path(name).name}-again.gpkg"
        words = ["segment", tiles / f"{name}.tif", "--out", again, "--min-area-m2", "0", "--classes", "all"]
        result = CliRunner().invoke(geoseg, [*map(str, words), "--model", str(tiny_model_path)])
        assert result.exit_code == 0, result.stderr
        layers = geopandas.list_layers(again)["name"].tolist()
        assert geopandas.list_layers(out / f"{name}.gpkg")["name"].tolist() == layers
        features = 0
        for layer in layers:
            ours, theirs = (geopandas.read_file(file, layer=layer) for file in (out / f"{name}.gpkg", again))
            if layer == "layer_styles":
                assert ours.drop(columns="update_time").equals(theirs.drop(columns="update_time"))
                continue
            assert ours.crs == theirs.crs
            assert ours.drop(columns="geometry").equals(theirs.drop(columns="geometry"))
            assert (ours.geometry.to_wkb() == theirs.geometry.to_wkb()).all()
            features += len(ours)
        assert features > 5
    with (out / "report.csv").open(encoding="utf-8") as table:
        assert all(int(row["features"]) > 0 for row in csv.DictReader(table))


def test_one_bad_scene_does_not_end_the_run(batch, tiles, out):
    (tiles / "bad.tif").write_text("no picture")
    code, said, complaints = batch(*RASTER, "--json")
    assert code == 6
    report = json.loads(said)
    assert report == report_of(out)
    assert {key: report[key] for key in ("inputs", "done", "kept", "outside", "failed", "left")} == {
        "inputs": 5, "done": 4, "kept": 0, "outside": 0, "failed": 1, "left": 0,
    }  # fmt: skip
    (bad,) = [scene for scene in report["scenes"] if scene["status"] == "failed"]
    assert (bad["name"], bad["source"], bad["outputs"]) == ("bad", str(tiles / "bad.tif"), [])
    assert bad["why"].startswith(f"{tiles / 'bad.tif'}: is not an image geoseg can read")
    assert (out / "bad.geoseg.log").read_text("utf-8") == bad["why"] + "\n"
    with (out / "report.csv").open(encoding="utf-8", newline="") as table:
        rows = {row["source"]: row for row in csv.DictReader(table)}
    assert rows[str(tiles / "bad.tif")]["why"] == bad["why"]
    assert rows[str(tiles / "a.tif")]["status"] == "done"
    lines = complaints.splitlines()
    assert lines[0] == f"geoseg: {bad['why']}"
    assert lines[-1] == f"geoseg: 1 of 5 scenes failed: see {out / 'report.csv'}"
    assert "Traceback" not in complaints

    write_tile(tiles / "bad.tif", 9)
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {"bad": "failed before"}
    assert not (out / "bad.geoseg.log").exists()


def test_the_json_object_has_a_schema(batch, out):
    report = json.loads(batch(*RASTER, "--json")[1])
    assert set(report) == {
        "schema", "version", "finished", "model", "shard", "inputs", "done", "kept", "outside", "failed", "left",
        "pixels", "seconds", "interrupted", "maps", "warnings", "scenes",
    }  # fmt: skip
    assert (report["schema"], report["version"], report["interrupted"]) == (1, package.__version__, False)
    assert report["model"]["name"] == "tiny"
    assert report["pixels"] == 4 * 48 * 48
    assert set(report["scenes"][0]) == {
        "name", "source", "status", "why", "seconds", "pixels", "outputs", "report", "damaged",
    }  # fmt: skip
    assert report["scenes"][0]["outputs"] == [str(out / "a.classes.tif")]


def test_progress_for_programs_and_silence(batch, out):
    code, said, complaints = batch(*RASTER, "--progress", "json")
    events = [json.loads(line) for line in complaints.splitlines()]
    assert events[-1] == {"event": "message", "level": "info", "text": events[-1]["text"]}
    steps = [event for event in events if event["event"] == "progress"]
    assert steps[-1] == {
        "event": "progress", "stage": "segment", "done": 4, "total": 4, "unit": "tile", "pixels": 4 * 48 * 48,
    }  # fmt: skip
    assert (code, said) == (0, f"{out / 'report.csv'}\n")
    assert batch(*RASTER, "-q") == (0, f"{out / 'report.csv'}\n", "")


def test_failures_end_the_run_where_that_is_asked_for(batch, tiles, out):
    for name in ("0bad", "1bad", "2bad"):
        (tiles / f"{name}.tif").write_text("no picture")
    code, _, complaints = batch(*RASTER, "--max-failures", "1")
    assert code == 6
    assert [status for status, _ in told(out).values()] == ["failed", "failed", *["left"] * 5]
    assert report_of(out)["warnings"] == ["ended after 2 failures (--max-failures 1)"]
    assert report_of(out)["interrupted"]
    assert "2 of 7 scenes failed and 5 were not done" in complaints


@pytest.mark.slow
def test_failures_end_a_run_of_several_processes(batch, tiles, out):
    (tiles / "0bad.tif").write_text("no picture")
    code, _, _ = batch(*RASTER, "--max-failures", "0", "--jobs", "2")
    assert code == 6
    assert told(out)["0bad"][0] == "failed"
    assert untidy(out) == []


# ---- refused before anything is done


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--to", "none"], 2),
        (["--classes", "castles"], 2),
        (["--min-area-m2", "castle=3"], 2),
        (["--overlap", "33"], 2),
        (["--rfc7946"], 2),
        (["--co", "COMPRESS=ZSTD"], 2),
        (["--to", "none", "--raster", "--attributes", "holes"], 2),
        (["--aoi", "missing.gpkg"], 3),
        (["--model", "missing.safetensors"], 5),
        (["--shard", "3/2"], 2),
        (["--shard", "0/2"], 2),
        (["--shard", "two"], 2),
        (["--collect", "--shard", "1/2"], 2),
        (["--jobs", "0"], 2),
        (["--mosaic", "town.gpkg"], 2),
        (["--scheduler", "tcp://127.0.0.1:1", "--scheduler-file", "s.json"], 2),
        (["--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"], 2),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_no_scene_could_have_is_refused_once(batch, out, words, code, dry):
    found, _, complaints = batch(*words, *dry)
    assert found == code, complaints
    assert "Traceback" not in complaints
    assert not out.exists()


def test_places_that_cannot_be_written_to(batch, tiles, out, monkeypatch):
    out.write_text("a file")
    code, _, complaints = batch(*RASTER)
    assert (code, complaints) == (4, f"geoseg: {out}: is a file, but results go to a folder of that name\n")
    code, _, complaints = batch(*RASTER, out=out / "below")
    assert (code, complaints.startswith(f"geoseg: {out / 'below'}: cannot be made (Not a directory)")) == (4, True)
    out.unlink()
    (out / "sub").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != "sub")
    code, _, complaints = batch(*RASTER)
    assert code == 4
    assert complaints.startswith(f"geoseg: {out / 'sub'}: cannot be written to; check its permissions")
    assert files(out) == {}


def test_a_folder_that_becomes_unwritable(batch, out, monkeypatch):
    opened = os.open

    def refuse(path, *rest, **more):
        if str(path).endswith("a.geoseg.lock"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    code, _, complaints = batch(*RASTER)
    assert code == 6
    assert told(out)["a"][1] == (
        f"{out / 'a.geoseg.lock'}: cannot be made (Permission denied), so nothing can be written beside it; "
        "check the folder"
    )
    assert "internal error" not in complaints
    assert report_of(out)["done"] == 3


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_that_lead_out(batch, tiles, out):
    elsewhere = tiles.parent / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "sub").symlink_to(elsewhere)
    write_tile(tiles / "sub" / "deep" / "e.tif", 7)
    code, _, complaints = batch(*RASTER)
    assert code == 4
    assert f"geoseg: {out / 'sub'}: is a link that leads out of {out}; remove it" in complaints
    assert list(elsewhere.iterdir()) == []
    (out / "sub").unlink()
    victim = elsewhere / "victim"
    victim.write_text("precious")
    for name in ("a.geoseg.log", "a.geoseg.lock", "b.geoseg.json"):
        (out / name).symlink_to(victim)
    (tiles / "b.tif").write_text("no picture")
    batch(*RASTER)
    assert victim.read_text() == "precious"
    out_itself = tiles.parent / "linked"
    out_itself.symlink_to(elsewhere)  # what the user names is meant
    assert batch(*RASTER, scenes=tiles / "sub", out=out_itself)[0] == 0
    assert (elsewhere / "c.classes.tif").exists()
