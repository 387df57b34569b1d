"""Climates: other parts of the world under the same rules, and the Gulf as it always was."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import rasterize

from geoseg.cli.demo import command
from geoseg.demo.climate import ClimateName
from geoseg.demo.climates import CLIMATES
from geoseg.demo.palette import look_of
from geoseg.demo.render import render
from geoseg.demo.world import centerlines, footprints
from geoseg.labels.made_up import DEMO_SEED, demo_images
from geoseg.vocabulary import DEFAULT_LEGEND, Window

BUILDING, ROAD, WATER, VEGETATION, LAND = (entry.value for entry in DEFAULT_LEGEND)
OTHERS = [name for name in CLIMATES if name != "dry"]
FAR = [(-700, -1300), (70_000, 31_000)]


def digest(seed, window, *climate):
    """Return a hash of picture and classes."""
    rgb, classes = render(seed, window, *climate)
    return hashlib.sha256(rgb.tobytes() + classes.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("seed", "window", "known"),
    [
        (0, (0, 0, 300, 300), "81cda282d921af7a"),
        (0, (-700, -1300, 260, 300), "5ed01884f7b68ce6"),
        (0, (70000, 31000, 200, 200), "7dff3288d6ee1b8e"),
        (5, (-700, -1300, 260, 300), "b94070ba473bc896"),
        (12, (0, 0, 300, 300), "7c18a3b93de2c84a"),
        (12, (-700, -1300, 260, 300), "84b59e2842a61b9a"),
        (12, (70000, 31000, 200, 200), "6c805da5adf6b3ba"),
        (999_999, (0, 0, 300, 300), "11595e1c37e84361"),
        (999_999, (-700, -1300, 260, 300), "10cfee8f09796291"),
        (999_999, (70000, 31000, 200, 200), "171347380203e5b6"),
    ],
)
def test_dry_is_as_it_was_before_there_were_climates(seed, window, known):
    assert digest(seed, Window(*window)) == known
    assert digest(seed, Window(*window), "dry") == known


def test_names():
    assert get_args(ClimateName) == tuple(CLIMATES) == tuple(one.name for one in CLIMATES.values())


@pytest.mark.parametrize("climate", CLIMATES.values(), ids=CLIMATES)
def test_tables_are_complete(climate):
    growth, roofs = climate.growth, climate.roofs
    assert {len(row) for row in (climate.shares, climate.kinds, climate.manners)} == {7}
    assert {len(row) for row in (growth.groves, growth.grove_radius, growth.each)} == {7}
    assert len(roofs.colors) == len(roofs.weights)
    assert max(*roofs.flat, *roofs.ribbed, *roofs.pitched) < len(roofs.colors)
    assert all(abs(sum(manner.floor) - 1.0) < 1e-9 for manner in climate.manners)
    assert len(look_of(0, climate).ground) == 14


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("corner", [(0, 0), *FAR])
def test_windows_equal_the_crop(name, corner):
    row, col = corner
    rgb, classes = render(5, Window(row, col, 260, 300), name)
    for top, left, height, width in ((90, 130, 111, 77), (0, 0, 1, 1), (200, 10, 60, 290)):
        part = render(5, Window(row + top, col + left, height, width), name)
        assert np.array_equal(part[0], rgb[:, top : top + height, left : left + width])
        assert np.array_equal(part[1], classes[top : top + height, left : left + width])


@pytest.mark.parametrize("name", OTHERS)
def test_same_again_and_unlike_the_others(name):
    window = Window(-40, 17, 96, 96)
    assert digest(3, window, name) == digest(3, window, CLIMATES[name])
    assert len({digest(3, window, other) for other in CLIMATES}) == len(CLIMATES)


@pytest.fixture(scope="module", params=OTHERS)
def places(request):
    """Return pictures (n, 3, 256, 256) and classes (n, 256, 256) of places of a climate."""
    drawn = [render(seed, Window(seed * 977, -seed * 1311, 256, 256), request.param) for seed in range(24)]
    return np.stack([rgb for rgb, _ in drawn]), np.stack([classes for _, classes in drawn])


def test_all_classes_occur(places):
    shares = np.bincount(places[1].ravel(), minlength=6) / places[1].size
    assert shares[0] == 0.0
    assert np.all(shares[1:] > [0.05, 0.08, 0.02, 0.2, 0.03])
    assert np.all(shares[1:] < [0.3, 0.25, 0.2, 0.75, 0.5])


def test_dark_is_not_water(places):
    grey = places[0].mean(axis=1)
    dark = grey < np.median(grey[places[1] == WATER])
    assert np.mean(places[1][dark] != WATER) > 0.5
    # Light varies so much that no level of grey stands for a class.
    assert np.ptp(grey.mean(axis=(1, 2))) > 30


@pytest.mark.parametrize("name", OTHERS)
def test_vectors_are_what_was_painted(name):
    window = Window(0, 0, 1024, 1024)
    _, classes = render(11, window, name)
    houses = [one.polygon for one in footprints(11, window, name)]
    covered = rasterize(houses, classes.shape).astype(bool)
    assert np.mean(covered[classes == BUILDING]) > 0.99
    assert np.all(np.isin(classes[covered], [BUILDING, VEGETATION]))
    lines = [one.line for one in centerlines(11, window, name)]
    places = np.concatenate([shapely.segmentize(line, 2.0).coords for line in lines])
    rows, cols = (np.clip(places[:, k].astype(int), 0, 1023) for k in (1, 0))
    assert np.mean(classes[rows, cols] == ROAD) > 0.75
    assert np.mean(np.isin(classes[rows, cols], [ROAD, VEGETATION])) > 0.95  # crowns and medians


def test_training_scenes_take_turns():
    images = demo_images(6, size=64, climates=True)
    assert [image.name.split()[1] for image in images] == [str(DEMO_SEED + i) for i in range(6)]
    assert [([*image.name.split(), "dry"])[2] for image in images] == [*CLIMATES, "dry"]
    pixels, labels = render(DEMO_SEED + 1, Window(0, 0, 64, 64), list(CLIMATES)[1])
    assert np.array_equal(images[1].pixels, pixels)
    assert np.array_equal(images[1].labels, labels)
    assert [image.name for image in demo_images(2, size=64)] == [f"demo {DEMO_SEED}", f"demo {DEMO_SEED + 1}"]


def test_verb_writes_a_climate(tmp_path):
    result = CliRunner().invoke(command, ["--out", str(tmp_path), "--size", "64", "--seed", "7", "--climate", "humid"])
    assert result.exit_code == 0, result.output
    with rasterio.open(tmp_path / "scene.tif") as scene:
        assert np.array_equal(scene.read(), render(7, Window(0, 0, 64, 64), "humid")[0])
        assert "--climate humid" in scene.tags()["TIFFTAG_IMAGEDESCRIPTION"]
