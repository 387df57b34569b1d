"""The sample, from the README's command to scores against its truth."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import rasterio
from click.testing import CliRunner

from geoseg.cli.main import geoseg
from geoseg.demo.render import render
from geoseg.learn.radius import measure_radius
from geoseg.model.file import BUNDLED, load_card, model_path
from geoseg.pipeline.evaluate.maps import EvaluateRequest, evaluate
from geoseg.pipeline.evaluate.two_maps import MapsRequest
from geoseg.vocabulary import Window

SAMPLE = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """Run the README's command on the sample, only elsewhere."""
    out = tmp_path_factory.mktemp("sample") / "classes.gpkg"
    result = CliRunner().invoke(geoseg, ["segment", str(SAMPLE / "scene.tif"), "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(out)
    return out


def test_layers_agree_with_the_truth(layers):
    classes = evaluate(EvaluateRequest(MapsRequest(layers, SAMPLE / "reference.gpkg"))).to_json()["classes"]
    assert classes["building"]["iou"] >= 0.75
    assert classes["water"]["iou"] >= 0.9
    assert classes["road"]["iou"] >= 0.6


def test_no_warning_for_a_scene_the_model_knows(layers, tmp_path):
    command = ["segment", str(SAMPLE / "scene.tif"), "--raster", str(tmp_path / "c.tif")]
    assert "may not suit" not in CliRunner().invoke(geoseg, command).stderr


def test_the_sample_is_what_its_command_makes():
    with rasterio.open(SAMPLE / "scene.tif") as scene:
        pixels = scene.read()
        assert scene.crs == "EPSG:32640"
        assert scene.res == (1, 1)
    expected, _ = render(0, Window(0, 0, *pixels.shape[1:]))
    # Rounding may differ by a bit between processors, the picture may not.
    assert abs(pixels.astype(int) - expected).max() <= 2


def test_the_repository_stays_lean():
    assert (SAMPLE / "scene.tif").stat().st_size <= 3_000_000
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 5_000_000
    assert sum(model_path(name).stat().st_size for name in BUNDLED) <= 20_000_000


@pytest.mark.parametrize(("name", "radius"), [("default", 94), ("dubai", 376)])
def test_the_bundled_cards_say_where_they_come_from(name, radius):
    card = load_card(name)
    assert card.receptive_radius == radius == measure_radius(card.network)
    assert card.license
    assert "Dubai" in card.domain.text
    assert card.scores
    assert all(score["split"] for score in card.scores)
    assert card.training["data"]
    assert len(card.tensors_sha256) == len(hashlib.sha256().hexdigest())
