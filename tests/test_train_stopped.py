"""Stopped runs of training go on where they were, and nothing else is mixed into them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import InputError, UsageError
from geoseg.learn.train import train_model
from geoseg.model.file import load_model
from tests.small_city import (
    Killed,
    a_request,
    assert_same,
    killed_at,
    some_labels,
    write_city,
    write_picture,
    write_tile,
)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def dubai(tmp_path_factory):
    return write_city(tmp_path_factory.mktemp("dubai") / "city")


@pytest.mark.parametrize("at", [5, 8, 9])
def test_a_killed_run_goes_on_where_it_was(dubai, tmp_path, at):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    train_model(a_request(dubai, straight))
    with pytest.raises(Killed):
        train_model(a_request(dubai, broken), tell=killed_at(at))
    assert not broken.exists()
    told = []
    train_model(a_request(dubai, broken), tell=lambda done, _total: told.append(done))
    assert told[0] == (at - 1) // 4 * 4 + 1, "it began from the last checkpoint and not anew"
    assert_same(straight, broken)


def test_the_best_so_far_is_a_model_of_its_own_while_the_run_goes_on(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(Killed):
        train_model(a_request(dubai, out), tell=killed_at(9))
    begun = load_model(f"{out}.run/best.safetensors")
    assert begun.card.name == "m"
    assert begun.card.scores == []
    train_model(a_request(dubai, out))
    ended, best = load_model(out), load_model(f"{out}.run/best.safetensors")
    for name, tensor in ended.weights.items():
        np.testing.assert_array_equal(tensor, best.weights[name])


def test_a_run_killed_before_its_first_checkpoint_begins_anew(dubai, tmp_path):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    train_model(a_request(dubai, straight))
    with pytest.raises(Killed):
        train_model(a_request(dubai, broken), tell=killed_at(2))
    train_model(a_request(dubai, broken))
    assert_same(straight, broken)


CHILD = """
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from geoseg.learn.chips import ChipPlan
from geoseg.learn.train import TrainRequest, train_model
from geoseg.labels.material import Material
from geoseg.learn.lesson import Recipe
request = TrainRequest(
    Material(Path(sys.argv[1]), hold_out=("Tile 3",)), Path(sys.argv[2]), widths=(4, 8), device="cpu",
    recipe=Recipe(steps=24, learning_rate=2e-2, warmup=3, check_every=4),
    chips=ChipPlan(size=32, batch=3, seed=1),
)
train_model(request, tell=lambda done, _: print(done, flush=True))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_kill_nine_at_any_moment_loses_nothing(dubai, tmp_path):
    """Killed for good several times, the run still ends with the weights of an undisturbed one."""
    out = tmp_path / "killed.safetensors"
    for least in (5, 16):
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CHILD, str(dubai), str(out)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            for line in child.stdout:
                if int(line) >= least:
                    child.send_signal(signal.SIGKILL)
                    break
        assert child.returncode == -signal.SIGKILL
        assert not out.exists()
        reached = torch.load(f"{out}.run/last.pt", weights_only=True)["step"]
        assert reached >= (least - 1) // 4 * 4, "a checkpoint is missing or half-written"
    told = []
    train_model(a_request(dubai, out, steps=24), tell=lambda done, _total: told.append(done))
    assert told[0] == reached + 1
    straight = tmp_path / "straight.safetensors"
    train_model(a_request(dubai, straight, steps=24))
    ends = [torch.load(f"{path}.run/last.pt", weights_only=True)["averaged"] for path in (out, straight)]
    for name, tensor in ends[1].items():  # one thread or two add up in another order
        np.testing.assert_allclose(ends[0][name], tensor, atol=1e-3)


@pytest.fixture
def stopped(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(Killed):
        train_model(a_request(dubai, out), tell=killed_at(6))
    return out


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"steps": 13}, {"widths": (4, 4)}, {"hold_out": ("Tile 2",)}, {"every": 3}]
)
def test_other_settings_are_not_mixed_into_an_existing_run(dubai, stopped, other):
    with pytest.raises(UsageError, match="--restart") as refused:
        train_model(a_request(dubai, stopped, **other))
    assert "last.pt" in str(refused.value)
    told = []
    train_model(a_request(dubai, stopped, restart=True, **other), tell=lambda done, _total: told.append(done))
    assert told[0] == 1


def test_another_start_is_not_mixed_into_an_existing_run(dubai, stopped, tmp_path):
    begin = tmp_path / "begin.safetensors"
    train_model(a_request(dubai, begin, steps=1))
    with pytest.raises(UsageError, match="--restart"):
        train_model(a_request(dubai, stopped, init=str(begin)))


def test_changed_labels_are_not_answered_with_the_old_model(tmp_path):
    folder, out = tmp_path / "city", tmp_path / "m.safetensors"
    for tile in (1, 3):
        write_tile(folder, tile, 1, some_labels(tile))
    train_model(a_request(folder, out, steps=2))
    before = load_model(out).card.tensors_sha256
    write_tile(folder, 1, 1, some_labels(99))
    try:
        train_model(a_request(folder, out, steps=2, overwrite=True))
    except UsageError:
        return  # refusing is as good as training again
    assert load_model(out).card.tensors_sha256 != before


def test_restart_discards_the_earlier_run(dubai, stopped):
    told = []
    train_model(a_request(dubai, stopped, restart=True), tell=lambda done, _total: told.append(done))
    assert told == list(range(1, 13))
    history = [json.loads(line) for line in Path(f"{stopped}.run/history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == [4, 8, 12]


def test_a_damaged_checkpoint_is_told(dubai, stopped):
    checkpoint = Path(f"{stopped}.run/last.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError) as refused:
        train_model(a_request(dubai, stopped))
    assert str(refused.value).startswith(f"{checkpoint}: ")


@pytest.mark.parametrize("state", [{"step": 3}, [1, 2], torch.zeros(2)], ids=["a mapping", "a list", "a tensor"])
def test_a_checkpoint_of_something_else_is_told(dubai, stopped, state):
    checkpoint = Path(f"{stopped}.run/last.pt")
    torch.save(state, checkpoint)
    with pytest.raises(InputError) as refused:
        train_model(a_request(dubai, stopped))
    assert str(refused.value).startswith(f"{checkpoint}: ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_images_of_one_colour_are_no_reason_to_fail(tmp_path):
    """A single flat colour per band (or a band that is always 255) has no deviation, yet nothing is wrong with it."""
    labels = some_labels(1)
    write_tile(tmp_path / "flat", 1, 1, labels)
    flat = np.full((3, *labels.shape), 128, np.uint8)
    write_picture(tmp_path / "flat/Tile 1/images/image_part_001.jpg", flat, "JPEG", quality=100)
    train_model(a_request(tmp_path / "flat", tmp_path / "m.safetensors", hold_out=(), steps=2))


def test_a_checkpoint_that_is_code_does_not_run(dubai, stopped, tmp_path):
    trace = tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return Path.touch, (trace,)

    torch.save({"settings": Evil()}, f"{stopped}.run/last.pt")
    with pytest.raises(InputError):
        train_model(a_request(dubai, stopped))
    assert not trace.exists()
