"""Folders of runs: torn lines, two runs at once, what a fingerprint tells apart, and passes of bounded size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geoseg.errors import OutputError, UsageError
from geoseg.labels.labelled import LabelKey, LabelledImage, class_shares
from geoseg.learn import checkpoint, journal, scoring
from geoseg.learn import loop as training
from geoseg.learn.chips import ChipPlan
from geoseg.learn.journal import append_record, read_records
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.loop import Run, train
from geoseg.learn.run_folder import run_folder
from geoseg.learn.run_page import RunPage, samples
from geoseg.learn.scoring import iter_scores
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.vocabulary import DEFAULT_LEGEND


def an_image(name="a", size=(40, 50), seed=0):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 255, (3, *size)).astype(np.uint8)
    return LabelledImage(name, "g", pixels, random.integers(1, 6, size).astype(np.uint8))


def a_lesson(images, held_out=()):
    return Lesson(LabelKey(DEFAULT_LEGEND), list(images), list(held_out), (100.0,) * 3, (50.0,) * 3)


def learn(folder, lesson, steps=4, **more):
    recipe = Recipe(steps=steps, check_every=2, warmup=1, learning_rate=1e-2)
    return train(NetworkSpec(3, 5, (4, 8)), lesson, recipe, ChipPlan(size=16, batch=2), Run(folder), **more)


def test_a_torn_line_is_left_out_and_does_no_harm_to_the_next(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_records(path, "step") == []
    for step in (2, 4, 6):
        append_record(path, {"step": step, "loss": step / 10})
    path.write_bytes(path.read_bytes()[:-9])
    append_record(path, {"step": 4, "loss": 9.0})
    append_record(path, {"step": 6, "loss": 0.5})
    assert read_records(path, "step") == [{"step": 2, "loss": 0.2}, {"step": 4, "loss": 9.0}, {"step": 6, "loss": 0.5}]
    with path.open("ab") as more:
        more.write(b'["no record"]\n{"step": "x"}\n\xff\xfe\n')
    assert len(read_records(path, "step")) == 3


def test_a_run_with_a_torn_history_goes_on(tmp_path):
    lesson = a_lesson([an_image()], [an_image("b", seed=1)])

    class Stopped(BaseException):
        pass

    def stop(step, _weights, _is_best):
        if step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        learn(tmp_path, lesson, steps=6, show=stop)
    history = tmp_path / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-5])
    seen = []
    learn(tmp_path, lesson, steps=6, show=lambda step, _weights, _is_best: seen.append(step))
    assert seen == [4, 6], "what was shown before the stop but not kept is shown again"
    assert [record["step"] for record in read_records(history, "step")] == [2, 4, 6]


def test_one_run_at_a_time_and_only_its_own_files_are_taken_away(tmp_path):
    folder = tmp_path / "deep" / "m.run"
    with run_folder(folder) as held:
        (held / "history.jsonl").write_text("{}")
        (held / "notes.txt").write_text("mine")
        with pytest.raises(UsageError, match="another run is at work"), run_folder(folder):
            pass
    with run_folder(folder, restart=True):
        assert not (folder / "history.jsonl").exists()
        assert (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError), run_folder(wrong):
            pass


def test_what_was_learned_from_is_not_scored_on_by_going_on(tmp_path):
    images = [an_image("a", seed=1), an_image("b", seed=2)]
    learn(tmp_path, a_lesson(images))
    with pytest.raises(UsageError, match="other settings or images"):
        learn(tmp_path, a_lesson(images[:1], images[1:]))


def test_the_history_of_a_resumed_run_is_that_of_a_straight_one(tmp_path):
    lesson, stories = a_lesson([an_image()]), []
    for name, stops in (("straight", ()), ("broken", (3, 5))):
        folder = tmp_path / name
        folder.mkdir()
        for stop in stops:

            def tell(done, _total, stop=stop):
                if done == stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                learn(folder, lesson, steps=8, tell=tell)
        learn(folder, lesson, steps=8)
        stories.append(read_records(folder / "history.jsonl", "step"))
    assert stories[0] == stories[1]
    assert json.loads((tmp_path / "straight/history.jsonl").read_text().splitlines()[0])["step"] == 2


def test_a_stop_costs_no_more_than_the_time_between_two_checkpoints(tmp_path, monkeypatch):
    """Scorings may lie far apart; what was learned since the last one is kept as well."""
    lesson = a_lesson([an_image()], [an_image("b", seed=1)])
    (tmp_path / "straight").mkdir()
    straight = learn(tmp_path / "straight", lesson, steps=8)
    monkeypatch.setattr(training, "_KEEP_SECONDS", 0.0)
    told = []

    def tell(done, _total):
        told.append(done)
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, lesson, steps=8, tell=tell)
    weights = learn(tmp_path, lesson, steps=8, tell=tell)
    assert told == [1, 2, 3, 4, 4, 5, 6, 7, 8], "the step of the stop itself is taken again, and no other"
    for name, tensor in straight.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0)
    assert [record["step"] for record in read_records(tmp_path / "history.jsonl", "step")] == [2, 4, 6, 8]


def test_what_the_caller_watches_is_of_the_run(tmp_path):
    lesson, recipe, chips = a_lesson([an_image()]), Recipe(steps=2, warmup=1), ChipPlan(size=16, batch=2)
    spec, watched = NetworkSpec(3, 5, (4, 8)), (an_image("b", seed=1), an_image("c", seed=2))
    train(spec, lesson, recipe, chips, Run(tmp_path, watched=watched))
    train(spec, lesson, recipe, chips, Run(tmp_path, watched=watched))
    watched[1].labels[3, 4] ^= 1
    for other in (watched, watched[:1], ()):
        with pytest.raises(UsageError, match="other settings or images"):
            train(spec, lesson, recipe, chips, Run(tmp_path, watched=other))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device without room")
@pytest.mark.parametrize("name", ["last.pt", "index.html"])
def test_a_full_disk_is_said_with_the_file_and_leaves_the_older_one(tmp_path, name):
    lesson = a_lesson([an_image()])
    learn(tmp_path, lesson, steps=2)
    before = (tmp_path / "last.pt").read_bytes()
    (tmp_path / f".{name}.tmp").symlink_to("/dev/full")
    put = {"last.pt": lambda: checkpoint.store(tmp_path / name, {"a": torch.zeros(99999)}),
           "index.html": lambda: journal.write_whole(tmp_path / name, b"<html>")}  # fmt: skip
    with pytest.raises(OutputError, match=rf"{name}: could not be written: No space left"):
        put[name]()
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))
    (tmp_path / "history.jsonl").unlink()
    (tmp_path / "history.jsonl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"history.jsonl: could not be written"):
        append_record(tmp_path / "history.jsonl", {"step": 1})


@pytest.mark.parametrize("size", [(70, 90), (33, 130), (16, 16)])
def test_large_images_are_scored_in_parts_as_in_one_pass(monkeypatch, make_model, size):
    spec = NetworkSpec(3, 5, (4, 8, 8))
    model = make_model(spec)
    state = UNet(spec).state_dict() | {name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}
    image = an_image(size=size)
    lesson = a_lesson([], [image])
    ((_, whole),) = iter_scores(spec, state, lesson, [image])
    monkeypatch.setattr(scoring, "_CORE", 32)
    ((_, parts),) = iter_scores(spec, state, lesson, [image])
    assert whole.shape == parts.shape == (5, *size)
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-4)


def test_pixels_of_several_classes_count_for_each_in_parts():
    key = LabelKey(DEFAULT_LEGEND, {200: ("road", "water", "vegetation", "land")})
    labels = np.array([[1, 200, 200, 0]], np.uint8)
    image = LabelledImage("a", "g", np.zeros((3, 1, 4), np.uint8), labels)
    np.testing.assert_allclose(class_shares([image], key), [1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((60, 700), [(60, 256)] * 3),
        ((700, 60), [(256, 60)] * 3),
        ((30, 40), [(30, 40)]),
        ((1000, 900), [(256, 256)] * 4),
    ],
)
def test_samples_are_of_ground_that_is_there(size, expected):
    image = an_image(size=size)
    found = samples([image])
    assert [part.labels.shape for part in found] == expected
    for part in found:
        row, col = map(int, part.name.removeprefix("a (").removesuffix(")").split(","))
        np.testing.assert_array_equal(part.pixels, image.pixels[:, row : row + 256, col : col + 256])


def test_samples_are_spread_over_images_and_their_ground():
    images = [an_image(str(i), size=(1024, 1024), seed=i) for i in range(2)]
    images.append(replace(an_image("bare"), labels=np.zeros((40, 50), np.uint8)))
    found = samples(images)
    assert [part.name[0] for part in found] == ["0", "0", "1", "1"]
    for one, other in (found[:2], found[2:]):
        ends = [[int(n) for n in part.name[3:-1].split(",")] for part in (one, other)]
        assert np.hypot(*np.subtract(*ends)) > 512
    assert [part.name for part in samples(images)] == [part.name for part in found]


def test_the_page_shows_nothing_where_there_is_no_image(tmp_path):
    image = an_image(size=(100, 120))
    missing = np.zeros((100, 120), bool)
    missing[:, 60:] = True
    image.labels[missing] = 0
    spec, lesson = NetworkSpec(3, 5, (4, 8)), a_lesson([an_image()], [replace(image, missing=missing)])
    append_record(tmp_path / "history.jsonl", {"step": 2, "loss": 1.0, "pixel_accuracy": 0.5, "mean_iou": 0.25})
    RunPage(tmp_path, "t", spec, lesson, "cpu").update(2, UNet(spec).state_dict())
    picture = np.asarray(Image.open(tmp_path / "samples.png").convert("RGB"))
    for panel in range(4):
        left = 8 + panel * 128
        assert (picture[24:120, left + 62 : left + 118] == 255).all()
        assert (picture[24:120, left + 2 : left + 58] < 255).any(axis=2).all()
    text = (tmp_path / "index.html").read_text("utf-8")
    for words in ("scores on 1 image held out", "mean IoU", ">right<", ">wrong<", ">unlabelled or nodata<"):
        assert words in text
    assert "mean iou" not in text
