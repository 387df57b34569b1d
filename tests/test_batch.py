"""Many scenes in one run: what is made, what is made again and why, and what one bad scene does to the others."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

import geoseg as package
from geoseg.batch import manifest
from geoseg.batch import perform as performing
from geoseg.batch.identity import changed
from geoseg.batch.local import gpus_here
from geoseg.cli.main import geoseg

RASTER = ("--to", "none", "--raster")


def write_tile(path: Path, number: int, side: int = 48) -> Path:
    """Write noise, of one grid with the tiles of other numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (3, side, side), dtype=np.uint8)
    place = {"crs": "EPSG:32640", "transform": Affine(1, 0, 325_000 + 48 * number, 0, -1, 2_785_000)}
    shape = {"count": 3, "height": side, "width": side, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **place) as scene:
        scene.write(pixels)
    return path


@pytest.fixture
def tiles(tmp_path) -> Path:
    """Return a folder of four tiles, two of them in a folder below."""
    for number, name in enumerate(("a", "b", "sub/c", "sub/d")):
        write_tile(tmp_path / "tiles" / f"{name}.tif", number)
    return tmp_path / "tiles"


@pytest.fixture
def batch(quiet_log, tiles, tiny_model_path):
    """Return a function that runs a batch of the tiles here, and returns exit code, output and complaints."""

    def run(*words: object, scenes: object = tiles, out: object = tiles.parent / "out") -> tuple[int, str, str]:
        quiet_log.handlers, quiet_log.level = [], 0
        words = ("batch", scenes, "--out-dir", out, "--model", tiny_model_path, *words)
        result = CliRunner().invoke(geoseg, [*map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def out(tiles) -> Path:
    return tiles.parent / "out"


def report_of(out: Path, name: str = "report.json") -> dict:
    return json.loads((out / name).read_text("utf-8"))


def told(out: Path, name: str = "report.json") -> dict[str, tuple[str, str]]:
    """Return status and reason of every scene."""
    return {scene["name"]: (scene["status"], scene["why"]) for scene in report_of(out, name)["scenes"]}


def redone(out: Path) -> dict[str, str]:
    """Return why each scene that was not kept was made."""
    return {name: why for name, (status, why) in told(out).items() if status != "kept"}


def files(out: Path) -> dict[str, tuple[int, int]]:
    """Return time of change and inode of every file but the report."""
    found = {str(p.relative_to(out)): p.stat() for p in out.rglob("*") if p.is_file()}
    return {name: (s.st_mtime_ns, s.st_ino) for name, s in found.items() if not name.startswith("report.")}


def classes(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read()


def untidy(out: Path) -> list[str]:
    """Return what a run should have taken away: temporary files and locks."""
    return [str(p) for p in out.rglob("*") if p.name.startswith(".") or ".tmp" in p.name or p.suffix == ".lock"]


# ---- one result of each


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


# ---- done once


def test_the_same_again_does_nothing(batch, tiles, out):
    assert batch(*RASTER)[0] == 0
    before = files(out)
    code, _, complaints = batch(*RASTER)
    assert code == 0
    assert "geoseg: 4 kept; " in complaints
    assert files(out) == before
    report = report_of(out)
    assert (report["kept"], report["pixels"], report["scenes"][0]["pixels"]) == (4, 0, 48 * 48)
    faster = ("--threads", "1", "--device", "cpu", "--jobs", "2", "--max-pixels", "1e9", "--simplify-px", "2")
    assert batch(*RASTER, *faster, "--max-failures", "3", "-v")[0] == 0
    assert files(out) == before
    assert batch(*RASTER, "--dry-run") == (0, "", "0 to do, 4 done already\n")
    moved = tiles.parent / "moved"
    tiles.rename(moved)
    assert batch(*RASTER, scenes=moved)[0] == 0
    assert files(out) == before


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def older(path: Path) -> None:
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"version": "0.0.9", "key": "0" * 48}))


CHANGES = {
    "input": (lambda tiles, _out: os.utime(tiles / "a.tif"), "input has changed"),
    "side file": (lambda tiles, _out: (tiles / "a.tif.aux.xml").write_text("<PAMDataset/>"), "input has changed"),
    "lost": (lambda _tiles, out: (out / "a.classes.tif").unlink(), "a.classes.tif is missing"),
    "no manifest": (lambda _tiles, out: (out / "a.geoseg.json").write_text("{"), "its manifest cannot be read"),
    "of the future": (
        lambda _tiles, out: (out / "a.geoseg.json").write_text('{"schema": 99, "state": "done"}'),
        "its manifest cannot be read",
    ),
    "no outputs": (
        lambda _tiles, out: edit(out / "a.geoseg.json", outputs=None),
        "other outputs are wanted",
    ),
    "older": (lambda _tiles, out: older(out / "a.geoseg.json"), "was made by geoseg 0.0.9"),
}


def test_a_result_that_was_changed_is_made_again_only_where_it_may_be_replaced(batch, tiles, out):
    assert batch(*RASTER)[0] == 0
    truncate(out / "a.classes.tif")
    sentence = f"{out / 'a.classes.tif'}: has changed since it was made; add --overwrite to make it anew"
    assert batch(*RASTER, "--dry-run")[1] == f"{tiles / 'a.tif'}: cannot be done: {sentence}\n"
    before = files(out)["a.classes.tif"]
    assert batch(*RASTER)[0] == 6
    assert told(out)["a"] == ("failed", sentence)
    assert files(out)["a.classes.tif"] == before
    assert batch(*RASTER, "--overwrite")[0] == 0
    assert redone(out) == {"a": "failed before"} or redone(out) == {"a": "a.classes.tif has changed"}
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {}


def test_what_differs_between_keys():
    read, model, chosen = "a" * 16, "b" * 16, "c" * 16
    assert changed(read + model + chosen, "0" * 16 + model + chosen) == "input has changed"
    assert changed(read + model + chosen, "0" * 16 + model + "1" * 16) == "input and options have changed"
    assert changed("0" * 32, "1" * 32) == "input, model or options have changed"  # as joined maps have them


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe{", b'{"schema": 0}', b"null", b"[" * 99_999])
def test_manifests_that_say_nothing(tmp_path, content):
    assert manifest.read(tmp_path / "a.geoseg.json") is None
    (tmp_path / "a.geoseg.json").write_bytes(content)
    assert manifest.read(tmp_path / "a.geoseg.json") == {}
    assert manifest.read(tmp_path / "a.geoseg.json" / "b") is None


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", CHANGES)
def test_exactly_what_has_changed_is_made_again(batch, tiles, out, kind):
    change, why = CHANGES[kind]
    assert batch(*RASTER)[0] == 0
    before, raster = files(out), classes(out / "a.classes.tif")
    change(tiles, out)
    assert batch(*RASTER, "--dry-run")[1] == f"{tiles / 'a.tif'}: {why}\n"
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {"a": why}
    changed = {name for name, stamp in files(out).items() if before[name] != stamp}
    assert changed <= {"a.geoseg.json", "a.classes.tif", "a.classes.tif.aux.xml"}
    assert {"a.geoseg.json", "a.classes.tif"} <= changed
    assert (classes(out / "a.classes.tif") == raster).all()
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--stretch", "0,200"], "options have changed"),
        (["--tta"], "options have changed"),
        (["--window", "512"], "options have changed"),
        (["--on-read-error", "nodata"], "options have changed"),
        (["--confidence"], "options have changed"),
    ],
)
def test_other_options_make_all_again(batch, tiles, out, words, why):
    (tiles / "sub" / "c.tif").unlink()
    (tiles / "sub" / "d.tif").unlink()
    assert batch(*RASTER)[0] == 0
    assert batch(*RASTER, *words)[0] == 0
    assert told(out) == {"a": ("done", why), "b": ("done", why)}


def test_another_model_or_card_makes_all_again(batch, tiles, out, tiny_model, tiny_spec, make_model, tmp_path):
    from dataclasses import replace

    from geoseg.model.file import save_model

    path = tmp_path / "own.safetensors"
    save_model(path, tiny_model.card, tiny_model.weights)
    scenes = tiles / "sub"
    assert batch(*RASTER, "--model", path, scenes=scenes)[0] == 0
    save_model(path, tiny_model.card, tiny_model.weights)  # written again: the same in the file
    assert batch(*RASTER, "--model", path, scenes=scenes)[0] == 0
    assert redone(out) == {}
    save_model(path, replace(tiny_model.card, mean=(90.0, 80.0, 70.0)), tiny_model.weights)
    assert batch(*RASTER, "--model", path, scenes=scenes)[0] == 0
    assert redone(out) == dict.fromkeys("cd", "model has changed")
    other = make_model(tiny_spec, seed=5, radius=94)
    save_model(path, other.card, other.weights)
    os.utime(scenes / "c.tif")
    assert batch(*RASTER, "--model", path, scenes=scenes)[0] == 0
    assert redone(out) == {"c": "input and model have changed", "d": "model has changed"}


def test_a_tile_of_another_folder_is_another_source(batch, tiles, out):
    assert batch(*RASTER, scenes=tiles / "sub" / "c.tif")[0] == 0
    other = write_tile(tiles.parent / "other" / "c.tif", 30)
    assert batch(*RASTER, scenes=other)[0] == 0
    assert redone(out) == {"c": "is of another source"}


def test_files_of_others_are_not_replaced(batch, tiles, out):
    (out / "sub").mkdir(parents=True)
    for name in ("a.classes.tif", "sub/c.classes.tif"):
        (out / name).write_text("by hand")
    refusal = f"{out / 'a.classes.tif'}: exists and was not made by a batch; add --overwrite to replace it"
    assert f"{tiles / 'a.tif'}: cannot be done: {refusal}\n" in batch(*RASTER, "--dry-run")[1]
    code, _, complaints = batch(*RASTER)
    assert code == 6
    assert told(out)["a"] == ("failed", refusal)
    assert [status for status, _ in told(out).values()] == ["failed", "done", "failed", "done"]
    assert refusal in complaints
    assert (out / "a.classes.tif").read_text() == "by hand"
    assert not (out / "a.geoseg.json").exists()
    assert batch(*RASTER)[0] == 6  # it stays somebody's
    assert batch(*RASTER, "--overwrite")[0] == 0
    assert set(redone(out)) == {"a", "sub/c"}
    assert classes(out / "a.classes.tif").shape == (1, 48, 48)
    assert batch(*RASTER)[0] == 0


def test_notes_of_others_are_not_touched(batch, tiles):
    (tiles / "a.log").write_text("flight log")
    assert batch(*RASTER, out=tiles)[0] == 0
    assert (tiles / "a.log").read_text() == "flight log"
    assert batch(*RASTER, out=tiles)[0] == 0  # class rasters beside the tiles are not taken for tiles
    assert report_of(tiles)["kept"] == 4


def test_an_earlier_result_survives_a_later_failure(batch, tiles, out):
    assert batch(*RASTER)[0] == 0
    before = (out / "a.classes.tif").read_bytes()
    whole = (tiles / "a.tif").read_bytes()
    (tiles / "a.tif").write_bytes(whole[:300])
    assert batch(*RASTER)[0] == 6
    assert redone(out)["a"].startswith(f"{tiles / 'a.tif'}: ")
    assert (out / "a.classes.tif").read_bytes() == before
    (tiles / "a.tif").write_bytes(whole)
    assert batch(*RASTER)[0] == 0
    assert redone(out) == {"a": "failed before"}


def test_a_dry_run_writes_nothing(batch, tiles, out):
    before = {path: path.stat().st_mtime_ns for path in tiles.parent.rglob("*")}
    code, said, complaints = batch(*RASTER, "--dry-run")
    assert (code, complaints) == (0, "4 to do, 0 done already\n")
    assert said.splitlines() == [f"{tiles / name}.tif: new" for name in ("a", "b", "sub/c", "sub/d")]
    report = json.loads(batch(*RASTER, "--dry-run", "--json")[1])
    assert report["scenes"][0] == {"source": str(tiles / "a.tif"), "why": "new"}
    assert (report["schema"], report["inputs"], report["to_do"]) == (1, 4, 4)
    assert {path: path.stat().st_mtime_ns for path in tiles.parent.rglob("*")} == before
    assert not out.exists()


def test_a_manifest_that_cannot_be_written(batch, out):
    (out / "a.geoseg.json").mkdir(parents=True)
    code, _, complaints = batch(*RASTER)
    assert code == 6
    assert told(out)["a"] == ("failed", f"{out / 'a.geoseg.json'}: cannot be written (Is a directory)")
    assert "internal error" not in complaints
    assert report_of(out)["done"] == 3
    assert untidy(out) == []


def test_a_report_that_cannot_be_written(batch, out):
    (out / "report.csv").mkdir(parents=True)
    code, _, complaints = batch(*RASTER)
    assert (code, complaints) == (4, f"geoseg: {out / 'report.csv'}: cannot be written (Is a directory)\n")
    assert untidy(out) == []


def test_a_dry_run_of_a_map_writes_nothing(tiles, tiny_model_path, quiet_log):
    (tiles / "bad.tif").write_text("no picture")
    town = tiles.parent / "town.gpkg"
    before = {path: path.stat().st_mtime_ns for path in tiles.parent.rglob("*")}
    words = ["batch", tiles, "--mosaic", town, "--model", tiny_model_path, *RASTER, "--dry-run"]
    result = CliRunner().invoke(geoseg, [*map(str, words)])
    assert result.exit_code == 0, result.stderr
    lost, *others = result.stdout.splitlines()
    assert lost.startswith(f"{tiles / 'bad.tif'}: cannot be read: ")
    assert [line.rpartition(": ")[2] for line in others] == ["new"] * len(others)
    assert others[-1] == f"{town}: new"
    assert {path: path.stat().st_mtime_ns for path in tiles.parent.rglob("*")} == before


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


# ---- what nobody expects


@pytest.mark.parametrize("error", [MemoryError("no room"), ZeroDivisionError("division by zero")])
def test_what_nobody_expects_is_the_failure_of_one_scene(batch, tiles, out, monkeypatch, error):
    usual = performing.segment

    def segment(request, *rest):
        if Path(request.scene).name == "b.tif":
            raise error
        return usual(request, *rest)

    monkeypatch.setattr(performing, "segment", segment)
    code, _, complaints = batch(*RASTER)
    assert code == 6
    sentence = f"{tiles / 'b.tif'}: internal error, please report it with its log: {type(error).__name__}: {error}"
    assert told(out)["b"] == ("failed", sentence)
    assert "Traceback" not in complaints
    log = (out / "b.geoseg.log").read_text()
    assert log.startswith(f"{sentence}\n\nTraceback (most recent call last):")
    assert report_of(out)["done"] == 3
    assert batch(*RASTER, "--collect")[0] == 6
    assert told(out)["b"] == ("failed", sentence)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_no_room_for_one(batch, tiles, out):
    import resource

    write_tile(tiles / "big.tif", 9, side=1100)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        code = batch(*RASTER, "--co", "COMPRESS=NONE")[0]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert code == 6
    assert report_of(out)["done"] == 4
    sentence = told(out)["big"][1]
    assert str(out / "big.classes.tif") in sentence
    assert "internal error" not in sentence
    assert untidy(out) == []
    assert not (out / "big.classes.tif").exists()


# ---- addresses


SERVE = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


@pytest.fixture
def served(tiles):
    """Yield the address at which the tiles are served, and the log of requests."""
    log = tiles.parent / "requests.log"
    with log.open("w") as requests:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tiles)], stdout=subprocess.PIPE, stderr=requests, text=True
        )
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}", log
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def child(*words: object, env=None) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "no_proxy": "*", "NO_PROXY": "*", **(env or {})}
    words = [sys.executable, "-m", "geoseg", *map(str, words)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_addresses_stay_as_they_are(served, tiles, out, tiny_model_path):
    address, log = served
    secret = f"{address.replace('//', '//me:pass@')}/sub/c.tif?key=secret"
    model = ("--model", tiny_model_path, "--allow-network")
    one = child("segment", f"{address}/a.tif", "--raster", tiles.parent / "one.tif", *model, "--json")
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout)["scene"] == f"{address}/a.tif"
    bad = f"{address}/missing.tif?key=secret"
    many = child("batch", f"{address}/a.tif", secret, bad, "--out-dir", out, *RASTER, *model)
    assert many.returncode == 6, many.stderr
    assert "GET /a.tif" in log.read_text()
    assert "GET /sub/c.tif?key=secret" in log.read_text()
    local = classes(tiles.parent / "one.tif")
    assert (classes(out / "a.classes.tif") == local).all()
    told_of = {scene["name"]: scene for scene in report_of(out)["scenes"]}
    assert told_of["a"]["status"] == told_of["sub/c"]["status"] == "done"
    assert told_of["sub/c"]["source"] == f"{address}/sub/c.tif"
    assert told_of["missing"]["status"] == "failed"
    kept_texts = [p.read_bytes() for p in out.rglob("*") if p.is_file()] + [(many.stdout + many.stderr).encode()]
    assert not any(b"secret" in text or b"me:pass" in text for text in kept_texts)


def test_addresses_need_leave(batch):
    code, _, complaints = batch(*RASTER, scenes="https://example.org/a.tif?key=secret")
    assert code == 2
    assert complaints == (
        "geoseg: https://example.org/a.tif: is an address, not a local file; download it first, or add "
        "--allow-network\n"
    )


# ---- accelerators


@pytest.mark.parametrize(
    ("visible", "found"),
    [("", []), ("-1", []), ("0,1", ["0", "1"]), (" 2 , GPU-7f ", ["2", "GPU-7f"]), ("MIG-a/1/0", ["MIG-a/1/0"])],
)
def test_accelerators_that_are_visible(monkeypatch, visible, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_here() == found


@pytest.mark.skipif(sys.platform == "win32", reason="a script of POSIX")
@pytest.mark.parametrize(("script", "found"), [("echo 0; echo 1", ["0", "1"]), ("exit 9", []), (None, [])])
def test_accelerators_that_the_driver_knows(tmp_path, monkeypatch, script, found):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert gpus_here() == found
