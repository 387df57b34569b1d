"""What is told while a verb is at work, to people and to programs."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import time
import types

import pytest

from geoseg.cli.progress import message, progress_on
from tests.command_line import ran, verb  # noqa: F401


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def test_progress_as_json_lines(capsys):
    with progress_on("json", "segment", "window") as meter:
        for done in range(1, 1001):
            meter.at(done, 1000, done * 100)
    message("json", 'a "sentence"')
    said = capsys.readouterr()
    assert said.out == ""
    *told, last, sentence = events(said.err)
    assert len(told) < 100, "at most ten a second"
    assert last == {
        "event": "progress",
        "stage": "segment",
        "done": 1000,
        "total": 1000,
        "unit": "window",
        "pixels": 100_000,
    }
    assert sentence == {"event": "message", "level": "warning", "text": 'a "sentence"'}
    assert [event["done"] for event in told] == sorted(event["done"] for event in told)


def test_progress_keeps_telling_while_time_passes(capsys):
    with progress_on("json", "train", "step") as meter:
        for done in range(4):
            meter.at(done, 10)
            time.sleep(0.11)
    assert [event["done"] for event in events(capsys.readouterr().err)] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["auto", "none"])
def test_progress_is_silent_where_nobody_watches(capsys, kind):
    with progress_on(kind, "segment", "window") as meter:
        for done in range(1, 5):
            meter.at(done, 4, done)
    assert capsys.readouterr() == ("", "")


def test_the_bar_stands_on_standard_error_and_leaves_when_done(capsys):
    with progress_on("bar", "segment", "window") as meter:
        meter.at(1, 4, 10_000_000)
        meter.at(4, 4, 40_000_000)
    assert capsys.readouterr().out == ""


def test_a_message_in_plain_words_obeys_q(ran, verb):
    verb(lambda progress, **_options: message(progress, "the scene is blurred"))
    assert ran("probe")[2] == "geoseg: the scene is blurred\n"
    assert ran("probe", "--progress", "json")[2].startswith('{"event": "message"')


def test_a_message_is_silenced_by_q(ran, verb):
    verb(lambda progress, **_options: message(progress, "the scene is blurred"))
    assert ran("probe", "-q")[2] == ""


def test_train_tells_progress_and_prints_the_result(ran, monkeypatch, tmp_path):
    """The verb hands its flags on as they were given; training itself is tested elsewhere."""
    from geoseg.learn import train as learning

    asked = []

    def fitted(request, tell, note):
        note("held out from training: two tiles")
        asked.append(request)
        tell(1, 2)
        tell(2, 2)
        return types.SimpleNamespace(scores=[{"split": "held-out", "pixel_accuracy": 0.5, "mean_iou": 0.25}])

    monkeypatch.setattr(learning, "train_model", fitted)
    out = tmp_path / "m.safetensors"
    given = [
        "--out",
        out,
        "--hold-out",
        "Tile 2",
        "--hold-out",
        "Tile 3",
        "--steps",
        "5",
        "--batch",
        "2",
        "--chip",
        "64",
    ]
    given += ["--learning-rate", "0.5", "--seed", "4", "--color-jitter", "0.5", "--restart", "--overwrite"]
    given += ["--demo-scenes", "3", "--progress", "json"]
    code, said, told = ran("train", "city", *given, "--init", "default")
    assert (code, said) == (0, f"{out}\n")
    code, *_ = ran("train", "city", *given, "--width", "8", "--widest", "40", "--patch", "4")
    assert code == 0
    request, anew = asked
    assert (anew.init, anew.widths, anew.patch) == (None, (8, 16, 32, 40, 40), 4)
    material = request.material
    assert (str(material.dataset), request.out, request.init, material.hold_out) == (
        "city",
        out,
        "default",
        ("Tile 2", "Tile 3"),
    )
    assert "held out from training: two tiles" in told
    assert (material.demo_scenes, request.restart, request.overwrite) == (3, True, True)
    assert (request.recipe.steps, request.recipe.learning_rate) == (5, 0.5)
    assert (request.chips.size, request.chips.batch, request.chips.seed, request.chips.color) == (64, 2, 4, 0.5)
    assert '"stage": "train", "done": 2, "total": 2, "unit": "step"' in told
    assert "accuracy 0.500, mean IoU 0.250" in told
