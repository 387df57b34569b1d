"""The same batch once more: what is made again and why, and whose files are never touched."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from geoseg.batch import manifest
from geoseg.batch.identity import changed
from geoseg.cli.main import geoseg
from tests.batch_runs import RASTER, batch, classes, files, out, redone, report_of, tiles, told, untidy, write_tile  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path


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
