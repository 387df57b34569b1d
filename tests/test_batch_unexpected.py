"""Batches in which something happens that nobody expects."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from geoseg.batch import perform as performing
from tests.batch_runs import RASTER, batch, classes, out, report_of, tiles, told, untidy, write_tile  # noqa: F401


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
