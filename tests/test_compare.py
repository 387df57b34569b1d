"""The paper's experiment in small: six networks, tables beside the paper's, runs that go on after a stop."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from geoseg.cli.main import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.labels.labelled import LabelKey
from geoseg.learn.compare import CompareRequest, compare, paired_difference
from geoseg.learn.compare_page import tables, to_html, to_text
from geoseg.learn.lesson import Lesson
from geoseg.learn.measures import measures
from geoseg.learn.paper import LEGEND, TABLES, Protocol
from geoseg.learn.small_regions import small_regions
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.scores.confusion import Confusion
from tests.small_city import some_labels, write_picture, write_tile

pytestmark = pytest.mark.filterwarnings(f"ignore::{NotGeoreferencedWarning.__module__}.NotGeoreferencedWarning")

SHORT = Protocol(epochs=2, width=4, patches=6, size=32, batch=3)
ASIDE = ("Tile 3/image_part_001", "Tile 2/image_part_002")


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "city"
    for tile, part in itertools.product((1, 2, 3), (1, 2, 3)):
        write_tile(folder, tile, part, some_labels(10 * tile + part), seed=tile)
    return folder


@pytest.fixture(scope="module")
def comparison(city, tmp_path_factory):
    """Return a comparison that was stopped in its second run and given again, what it told, and its folder."""
    out = tmp_path_factory.mktemp("compare") / "out"
    request = CompareRequest(city, out, SHORT, ASIDE, device="cpu")
    steps = SHORT.epochs * SHORT.steps_per_epoch

    def stop(done, _total):
        if done == steps + SHORT.steps_per_epoch + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(request, stop)
    told = []
    return compare(request, lambda done, total: told.append((done, total))), told, out


def test_six_networks_learn_and_runs_go_on(comparison):
    found, told, out = comparison
    names = [one.name for one in found.contestants]
    assert names == [f"{kind}-{loss}" for kind in ("unet", "fcn") for loss in ("ce", "focal", "iou")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    steps = SHORT.epochs * SHORT.steps_per_epoch
    assert told[0] == (steps + SHORT.steps_per_epoch + 1, 6 * steps), "it went on from the second run's checkpoint"
    assert told[-1] == (6 * steps, 6 * steps)
    for one in found.contestants:
        assert [record["epoch"] for record in one.epochs] == [1, 2]
        assert len(one.images) == 2
        for part in ("train", "validation"):
            accuracies = one.epochs[-1][part]
            assert 0 <= accuracies["accuracy"] <= accuracies["channel_accuracy"] <= 1
        labelled = [some_labels(n).size for n in (31, 22)]
        assert one.confusion.counts.sum() == sum(labelled), "Unlabeled is a class here"
        assert 0 < one.small.counts.sum() < one.confusion.counts.sum()
    assert [image.name for image in found.learned] == [
        f"Tile {t}/image_part_00{p}" for t in (1, 2, 3) for p in (1, 2, 3) if f"Tile {t}/image_part_00{p}" not in ASIDE
    ]


def test_the_report_holds_the_papers_tables_and_ours(comparison):
    found, _, _ = comparison
    text, html = to_text(found), to_html(found)
    for loss, accuracy, *_ in itertools.chain(*TABLES.values()):
        assert f"{loss:g}" in text
        assert f"{accuracy:g}" in html
    assert "2 epochs instead of 100, 6 patches an epoch instead of 500" in text
    assert html.count("data:image/png") == 3
    assert html.count("min-width: ") > 3, "pictures scroll where texts in them would become too small"
    for title, heads, rows in tables(found):
        assert title
        assert all(len(row) == len(heads) for row in rows)
    plain = json.loads(json.dumps(found.to_json(), allow_nan=True))
    assert len(plain["contestants"]) == 6
    assert set(plain["unet_minus_fcn"]) == {"ce", "focal", "iou"}
    seven = replace(found, protocol=Protocol(), held_out=[*found.held_out, *found.learned[:5]])
    assert seven.to_json()["changed"] == ""
    fewer = replace(seven, protocol=Protocol(width=8), losses=("iou",)).to_json()["changed"]
    assert fewer == "shortened: 8 channels at the finest level instead of 16, without the losses ce, focal"
    longer = replace(found, protocol=Protocol(epochs=200), losses=("ce", "focal", "iou", "ce+iou")).changed()
    assert longer == "changed: 200 epochs instead of 100, with the losses ce+iou, scored on 2 images instead of 7"


def test_only_neighbours_of_what_is_scored_are_called_that(comparison):
    found, _, _ = comparison
    assert "parts of one tile are neighbours" in to_text(found)
    apart = [image for image in found.learned if image.group == "Tile 1"]
    assert "neighbours" not in to_text(replace(found, learned=apart))


@pytest.mark.parametrize(("bare", "words"), [("Tile 2", "held out"), ("Tile 3", "left to learn from")])
def test_sides_without_labels_are_refused_before_anything_is_learned(tmp_path, bare, words):
    for tile in (2, 3):
        write_tile(tmp_path / "city", tile, 1, labels := some_labels(tile), seed=tile)
        if f"Tile {tile}" == bare:
            black = np.zeros((3, *labels.shape), np.uint8)
            write_picture(tmp_path / f"city/{bare}/masks/image_part_001.png", black, "PNG")
    with pytest.raises(InputError, match=f"no labelled pixel is {words}"):
        compare(CompareRequest(tmp_path / "city", tmp_path / "out", SHORT, ("Tile 2",), device="cpu"))
    assert not (tmp_path / "out").exists()


def test_other_settings_are_not_mixed_into_earlier_runs(comparison, city):
    _, _, out = comparison
    with pytest.raises(UsageError, match="other settings"):
        compare(CompareRequest(city, out, replace(SHORT, seed=1), ASIDE, device="cpu"))


def test_curves_are_of_one_set_of_labels(tmp_path):
    """A mask of what is only scored on was changed: curves of before and after would be one curve."""
    for tile in (1, 2):
        write_tile(tmp_path / "city", tile, 1, some_labels(tile), seed=tile)
    request = CompareRequest(tmp_path / "city", tmp_path / "out", SHORT, ("Tile 2",), ("iou",), device="cpu")
    compare(request)
    write_tile(tmp_path / "city", 2, 1, some_labels(3), seed=2)
    with pytest.raises(UsageError, match="other settings or images"):
        compare(request)
    compare(replace(request, overwrite=True))


def test_seven_images_are_held_out_by_themselves(city, tmp_path):
    request = CompareRequest(city, tmp_path, replace(SHORT, epochs=1), losses=("iou",), device="cpu")
    found = compare(request)
    assert len(found.held_out) == 7
    assert len(found.learned) == 2
    assert not {image.name for image in found.held_out} & {image.name for image in found.learned}


def test_the_verb_writes_its_page_and_prints_tables_or_json(city, tmp_path):
    given = ["compare", str(city), "-o", str(tmp_path / "out"), "--epochs", "1", "--width", "4", "--patches", "2"]
    given += ["--losses", "ce", "--hold-out", ASIDE[0], "--hold-out", ASIDE[1], "--device", "cpu"]
    shown = CliRunner().invoke(geoseg, given, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    assert "Table I, U-Net" in shown.stdout
    assert (tmp_path / "out/index.html").read_text().startswith("<!DOCTYPE html>")
    again = CliRunner().invoke(geoseg, [*given, "--json"], catch_exceptions=False)
    assert json.loads(again.stdout) == json.loads((tmp_path / "out/compare.json").read_text()) | {
        "contestants": json.loads(again.stdout)["contestants"]  # the clock is read anew
    }
    wrong = CliRunner().invoke(geoseg, [*given, "--losses", "dice"])
    assert isinstance(wrong.exception, UsageError) or wrong.exit_code == 2


def test_both_accuracies_by_hand():
    """One pixel in four is right; a network of noes has five of six channels right."""
    spec = NetworkSpec(3, 6, (2, 2))
    lesson = Lesson(LabelKey(LEGEND), [], [], (0.0,) * 3, (1.0,) * 3)
    state = {name: torch.zeros_like(tensor) for name, tensor in UNet(spec).state_dict().items()}
    labels = np.array([[[1, 2], [3, 6]], [[0, 0], [0, 0]]], np.uint8).repeat(2, 1).repeat(2, 2)
    pixels = np.zeros((2, 3, 4, 4), np.float32)
    found = measures(spec, state, lesson, (pixels, labels), ("ce", torch.ones(6)), "cpu")
    assert found.accuracy == 0.25
    assert found.channel_accuracy == pytest.approx(5 / 6, abs=1e-5)
    assert found.loss == pytest.approx(np.log(6), abs=1e-5)


def test_differences_are_paired_and_their_intervals_cover_them():
    random = np.random.default_rng(0)
    worse, better = [], []
    for _ in range(7):
        counts = np.diag(random.integers(500, 900, 6)).astype(np.int64)
        counts = np.hstack([counts, np.zeros((6, 1), np.int64)])
        moved = counts.copy()
        moved[np.arange(6), (np.arange(6) + 1) % 6] += 100
        worse.append(Confusion(LEGEND, moved))
        better.append(Confusion(LEGEND, counts))
    found = paired_difference(better, worse)
    for one in found.values():
        low, high = one["interval"]
        assert 0 < low <= one["difference"] <= high < 0.4
    assert all(one["interval"] is None for one in paired_difference(better[:1], worse[:1]).values())
    same = paired_difference(better, better)
    assert all(one == {"difference": 0.0, "interval": [0.0, 0.0]} for one in same.values())


def test_small_regions_are_those_of_scipy():
    labels = ndimage.zoom(np.random.default_rng(2).integers(1, 4, (30, 30)), 7, order=0).astype(np.uint8)
    labels[:50, :50] = 1
    labels[100:104] = 0
    found = small_regions(labels)
    expected = np.zeros(labels.shape, bool)
    for value in (1, 2, 3):
        regions, count = ndimage.label(labels == value)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        expected |= (labels == value) & (sizes[regions] < 400)
    assert not (found & ~expected).any()
    assert (found & expected).sum() > 0.6 * expected.sum(), "a sieve misses small regions among small ones"
