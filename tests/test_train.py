"""Training: from a labelled folder to a model file, through crashes, and never on what is held out."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from geoseg.errors import InputError, ModelError, OutputError, UsageError
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import LabelKey, LabelledImage, class_shares
from geoseg.labels.material import Material
from geoseg.learn import ahead
from geoseg.learn import train as train_module
from geoseg.learn.chips import ChipPlan
from geoseg.learn.fit import FitRequest, fit
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.radius import measure_radius
from geoseg.learn.scoring import score_images
from geoseg.learn.train import Run, train
from geoseg.model.file import load_model
from geoseg.model.network import NetworkSpec
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import DEFAULT_LEGEND

SEEN = {1: (200, 60, 50), 2: (110, 110, 110), 3: (30, 60, 190), 4: (40, 150, 50), 5: (230, 210, 150)}
"""What the classes look like from above."""

MASKED = {c.value: tuple(bytes.fromhex(c.color[1:])) for c in DEFAULT_LEGEND} | {0: (155, 155, 155)}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write_picture(path, pixels, driver, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    palette = options.pop("palette", None)
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype="uint8", **options
    ) as file:
        if palette:
            file.write_colormap(1, palette)
        file.write(pixels)


def painted(labels, colors, spread=0, seed=0):
    """Return (3, h, w) colours of labels, with some noise."""
    table = np.zeros((256, 3), np.int16)
    for value, color in colors.items():
        table[value] = color
    noise = np.random.default_rng(seed).normal(0, spread, (3, *labels.shape)) if spread else 0
    return np.clip(table[labels].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)


def some_labels(seed, size=(64, 72)):
    random = np.random.default_rng(seed)
    blocks = random.integers(1, 6, (-(-size[0] // 12), -(-size[1] // 12))).astype(np.uint8)
    labels = blocks.repeat(12, 0).repeat(12, 1)[: size[0], : size[1]]
    labels[:3, :3] = 0
    return np.ascontiguousarray(labels)


def write_tile(folder, tile, part, labels, *, palette=False, seed=0):
    write_picture(
        folder / f"Tile {tile}/images/image_part_00{part}.jpg",
        painted(labels, SEEN, 6, seed),
        "JPEG",
        quality=95,
    )
    mask = folder / f"Tile {tile}/masks/image_part_00{part}.png"
    if palette:
        write_picture(mask, labels[None], "PNG", palette={value: (*color, 255) for value, color in MASKED.items()})
    else:
        write_picture(mask, painted(labels, MASKED), "PNG")


@pytest.fixture(scope="module")
def dubai(tmp_path_factory):
    """Return a small folder in the no images with masks: three tiles, one of them with palette masks."""
    folder = tmp_path_factory.mktemp("dubai") / "city"
    for tile, part in itertools.product((1, 2, 3), (1, 2)):
        write_tile(folder, tile, part, some_labels(10 * tile + part), palette=tile == 2, seed=tile)
    (folder / "Tile 1/images/without_a_mask.jpg").write_bytes(
        (folder / "Tile 1/images/image_part_001.jpg").read_bytes()
    )
    (folder / "classes.json").write_text("{}")
    return folder


def a_request(dubai, out, *, steps=12, every=4, seed=1, **more):
    hold_out = more.pop("hold_out", ("Tile 3",))
    material = {"hold_out": hold_out, "how": more.pop("how", "auto" if hold_out else "none")}
    fields = {"material": Material(dubai, **material), "out": out, "widths": (4, 8), "device": "cpu"} | more
    recipe = Recipe(steps=steps, learning_rate=2e-2, warmup=3, check_every=every)
    return FitRequest(**{"recipe": recipe, "chips": ChipPlan(size=32, batch=3, seed=seed), **fields})


class Killed(BaseException):
    """Stands for a process that ends at once."""


def killed_at(step):
    def tell(done, _total):
        if done == step:
            raise Killed

    return tell


def assert_same(one, other):
    first, second = load_model(one), load_model(other)
    assert replace(first.card, name="") == replace(second.card, name="")
    for name, tensor in first.weights.items():
        np.testing.assert_array_equal(tensor, second.weights[name])


# ---- reading labelled images


def test_both_kinds_of_masks_are_read_as_they_were_painted(dubai):
    images = read_folder(dubai)
    assert [image.name for image in images] == [f"Tile {t}/image_part_00{p}" for t in (1, 2, 3) for p in (1, 2)]
    for image, (tile, part) in zip(images, itertools.product((1, 2, 3), (1, 2)), strict=True):
        labels = some_labels(10 * tile + part)
        assert image.group == f"Tile {tile}"
        np.testing.assert_array_equal(image.labels, labels)
        assert image.pixels.shape == (3, *labels.shape)
        assert image.pixels.dtype == image.labels.dtype == np.uint8
        assert np.abs(image.pixels.astype(int) - painted(labels, SEEN).astype(int)).mean() < 12, "a band out of order"


def test_shares_count_labelled_pixels_only():
    image = LabelledImage("a", "g", np.zeros((3, 2, 4), np.uint8), np.array([[0, 0, 1, 1], [1, 5, 0, 77]], np.uint8))
    np.testing.assert_allclose(class_shares([image, image], LabelKey(DEFAULT_LEGEND)), [3 / 4, 0, 0, 0, 1 / 4])


def test_folders_that_are_no_data_set(tmp_path, dubai):
    for folder in (tmp_path / "none", tmp_path, dubai / "Tile 1/images"):
        with pytest.raises(InputError, match="no images with masks") as refused:
            read_folder(folder)
        assert str(refused.value).startswith(f"{folder}: ")


def test_a_mask_of_another_size_and_of_foreign_colours(tmp_path):
    write_tile(tmp_path, 1, 1, some_labels(0))
    write_picture(tmp_path / "Tile 1/masks/image_part_001.png", painted(some_labels(0, (30, 30)), MASKED), "PNG")
    with pytest.raises(InputError, match=r"image_part_001\.png: is \(30, 30\) pixels"):
        read_folder(tmp_path)
    write_picture(tmp_path / "Tile 1/masks/image_part_001.png", painted(some_labels(0), SEEN), "PNG")
    with pytest.raises(InputError, match="colours that are no class"):
        read_folder(tmp_path)


def test_a_damaged_image_names_itself(tmp_path):
    write_tile(tmp_path, 1, 1, some_labels(0))
    image = tmp_path / "Tile 1/images/image_part_001.jpg"
    image.write_bytes(b"no picture")
    with pytest.raises(InputError) as refused:
        read_folder(tmp_path)
    assert str(refused.value).startswith(str(image))


# ---- the model file


def test_a_model_file_and_its_card(dubai, tmp_path):
    out = tmp_path / "mine.safetensors"
    told = []
    card = fit(a_request(dubai, out), tell=lambda done, total: told.append((done, total)))
    assert told == [(step, 12) for step in range(1, 13)]
    model = load_model(out)
    assert model.card == card
    assert (card.name, card.network) == ("mine", NetworkSpec(3, 5, (4, 8)))
    assert card.legend == DEFAULT_LEGEND
    assert card.value_range == (0, 255)
    assert card.receptive_radius == measure_radius(card.network) == 8

    learned = [image for image in read_folder(dubai) if image.group != "Tile 3"]
    values = np.concatenate([image.pixels[:, image.labels > 0] for image in learned], axis=1).astype(float)
    np.testing.assert_allclose(card.mean, values.mean(1), atol=1e-2)
    np.testing.assert_allclose(card.std, values.std(1), atol=1e-2)
    for (low, high), mean in zip(card.domain.color_mean, values.mean(1), strict=True):
        assert low - 1 <= mean <= high + 1
    assert card.domain.resolution_m[0] < card.resolution_m < card.domain.resolution_m[1]

    assert card.training["data"] == [{"name": "city", "images": 4, "held_out": ["Tile 3"]}]
    assert card.training["recipe"]["steps"] == 12
    assert card.training["chips"]["seed"] == 1
    (score,) = card.scores
    assert "Tile 3" in score["split"]
    assert 0 <= score["mean_iou"] <= score["pixel_accuracy"] <= 1
    labelled = sum(int((image.labels > 0).sum()) for image in read_folder(dubai) if image.group == "Tile 3")
    assert np.sum(score["confusion"]) == labelled
    assert all(tensor.dtype == np.float32 for tensor in model.weights.values())


def test_the_same_seed_gives_the_same_model_and_another_one_does_not(dubai, tmp_path):
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(a_request(dubai, tmp_path / f"{name}.safetensors", seed=seed))
        weights.append(load_model(tmp_path / f"{name}.safetensors").weights["head.weight"])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-3


def test_an_existing_model_is_not_replaced_unless_asked(dubai, tmp_path):
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        fit(a_request(dubai, out), tell=killed_at(1))
    assert out.read_bytes() == b"precious"
    with pytest.raises(Killed):
        fit(a_request(dubai, out, overwrite=True), tell=killed_at(5))
    assert out.read_bytes() == b"precious", "an unfinished run must not touch the earlier model"
    fit(a_request(dubai, out, overwrite=True))
    load_model(out)


# ---- what is held out stays out


@pytest.mark.parametrize(
    ("hold_out", "learned"),
    [
        (("Tile 1", "Tile 3"), {"Tile 2/image_part_001", "Tile 2/image_part_002"}),
        (("Tile 1", "Tile 3", "Tile 2/image_part_001"), {"Tile 2/image_part_002"}),
    ],
    ids=["tiles", "and an image"],
)
def test_held_out_images_never_reach_a_chip(dubai, tmp_path, monkeypatch, hold_out, learned):
    seen, real = [], ahead.cut_batch

    def watched(sampler, plan, step):
        seen.append({image.name for image in sampler._images})
        return real(sampler, plan, step)

    monkeypatch.setattr(ahead, "cut_batch", watched)
    fit(a_request(dubai, tmp_path / "m.safetensors", steps=2, hold_out=hold_out))
    assert seen
    assert all(names == learned for names in seen)


def test_what_is_held_out_changes_nothing_that_is_learned(dubai, tmp_path, monkeypatch):
    """Other pixels in a held-out tile leave statistics and last weights alone."""
    spoilt = tmp_path / "spoilt" / "city"
    for tile, part in itertools.product((1, 2, 3), (1, 2)):
        labels = some_labels(10 * tile + part)
        write_tile(spoilt, tile, part, labels if tile < 3 else labels[::-1].copy(), palette=tile == 2, seed=tile)
    cards = [fit(a_request(folder, tmp_path / f"{i}.safetensors", steps=4)) for i, folder in enumerate((dubai, spoilt))]
    assert (cards[0].mean, cards[0].std, cards[0].domain) == (cards[1].mean, cards[1].std, cards[1].domain)
    last = [torch.load(tmp_path / f"{i}.safetensors.run/last.pt", weights_only=True)["averaged"] for i in (0, 1)]
    for name, tensor in last[0].items():
        assert torch.equal(tensor, last[1][name]), name


def test_groups_that_do_not_exist_and_groups_that_are_all(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(UsageError, match=r"'Tile 9' is not a tile.*Tile 1, Tile 2, Tile 3"):
        fit(a_request(dubai, out, hold_out=("Tile 9",)))
    with pytest.raises(UsageError, match="nothing is left to train on"):
        fit(a_request(dubai, out, hold_out=("Tile 1", "Tile 2", "Tile 3")))
    assert list(tmp_path.iterdir()) == [], "refused before anything is written"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_data_set_without_a_single_label_is_refused_for_that(tmp_path):
    write_tile(tmp_path / "blank", 1, 1, np.zeros((40, 40), np.uint8))
    with pytest.raises((InputError, UsageError)) as refused:
        fit(a_request(tmp_path / "blank", tmp_path / "m.safetensors", hold_out=()))
    assert "learning-rate" not in str(refused.value)


# ---- stopped runs


@pytest.mark.parametrize("at", [5, 8, 9])
def test_a_killed_run_goes_on_where_it_was(dubai, tmp_path, at):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    fit(a_request(dubai, straight))
    with pytest.raises(Killed):
        fit(a_request(dubai, broken), tell=killed_at(at))
    assert not broken.exists()
    told = []
    fit(a_request(dubai, broken), tell=lambda done, _total: told.append(done))
    assert told[0] == (at - 1) // 4 * 4 + 1, "it began from the last checkpoint and not anew"
    assert_same(straight, broken)


def test_the_best_so_far_is_a_model_of_its_own_while_the_run_goes_on(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(Killed):
        fit(a_request(dubai, out), tell=killed_at(9))
    begun = load_model(f"{out}.run/best.safetensors")
    assert begun.card.name == "m"
    assert begun.card.scores == []
    fit(a_request(dubai, out))
    ended, best = load_model(out), load_model(f"{out}.run/best.safetensors")
    for name, tensor in ended.weights.items():
        np.testing.assert_array_equal(tensor, best.weights[name])


def test_a_run_killed_before_its_first_checkpoint_begins_anew(dubai, tmp_path):
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    fit(a_request(dubai, straight))
    with pytest.raises(Killed):
        fit(a_request(dubai, broken), tell=killed_at(2))
    fit(a_request(dubai, broken))
    assert_same(straight, broken)


CHILD = """
import sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from geoseg.learn.chips import ChipPlan
from geoseg.learn.fit import FitRequest, fit
from geoseg.labels.material import Material
from geoseg.learn.lesson import Recipe
request = FitRequest(
    Material(Path(sys.argv[1]), hold_out=("Tile 3",)), Path(sys.argv[2]), widths=(4, 8), device="cpu",
    recipe=Recipe(steps=24, learning_rate=2e-2, warmup=3, check_every=4),
    chips=ChipPlan(size=32, batch=3, seed=1),
)
fit(request, tell=lambda done, _: print(done, flush=True))
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
    fit(a_request(dubai, out, steps=24), tell=lambda done, _total: told.append(done))
    assert told[0] == reached + 1
    straight = tmp_path / "straight.safetensors"
    fit(a_request(dubai, straight, steps=24))
    ends = [torch.load(f"{path}.run/last.pt", weights_only=True)["averaged"] for path in (out, straight)]
    for name, tensor in ends[1].items():  # one thread or two add up in another order
        np.testing.assert_allclose(ends[0][name], tensor, atol=1e-3)


@pytest.fixture
def stopped(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(Killed):
        fit(a_request(dubai, out), tell=killed_at(6))
    return out


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"steps": 13}, {"widths": (4, 4)}, {"hold_out": ("Tile 2",)}, {"every": 3}]
)
def test_other_settings_are_not_mixed_into_an_existing_run(dubai, stopped, other):
    with pytest.raises(UsageError, match="--restart") as refused:
        fit(a_request(dubai, stopped, **other))
    assert "last.pt" in str(refused.value)
    told = []
    fit(a_request(dubai, stopped, restart=True, **other), tell=lambda done, _total: told.append(done))
    assert told[0] == 1


def test_another_start_is_not_mixed_into_an_existing_run(dubai, stopped, tmp_path):
    begin = tmp_path / "begin.safetensors"
    fit(a_request(dubai, begin, steps=1))
    with pytest.raises(UsageError, match="--restart"):
        fit(a_request(dubai, stopped, init=str(begin)))


def test_changed_labels_are_not_answered_with_the_old_model(tmp_path):
    folder, out = tmp_path / "city", tmp_path / "m.safetensors"
    for tile in (1, 3):
        write_tile(folder, tile, 1, some_labels(tile))
    fit(a_request(folder, out, steps=2))
    before = load_model(out).card.tensors_sha256
    write_tile(folder, 1, 1, some_labels(99))
    try:
        fit(a_request(folder, out, steps=2, overwrite=True))
    except UsageError:
        return  # refusing is as good as training again
    assert load_model(out).card.tensors_sha256 != before


def test_restart_discards_the_earlier_run(dubai, stopped):
    told = []
    fit(a_request(dubai, stopped, restart=True), tell=lambda done, _total: told.append(done))
    assert told == list(range(1, 13))
    history = [json.loads(line) for line in Path(f"{stopped}.run/history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in history] == [4, 8, 12]


def test_a_damaged_checkpoint_is_told(dubai, stopped):
    checkpoint = Path(f"{stopped}.run/last.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError) as refused:
        fit(a_request(dubai, stopped))
    assert str(refused.value).startswith(f"{checkpoint}: ")


@pytest.mark.parametrize("state", [{"step": 3}, [1, 2], torch.zeros(2)], ids=["a mapping", "a list", "a tensor"])
def test_a_checkpoint_of_something_else_is_told(dubai, stopped, state):
    checkpoint = Path(f"{stopped}.run/last.pt")
    torch.save(state, checkpoint)
    with pytest.raises(InputError) as refused:
        fit(a_request(dubai, stopped))
    assert str(refused.value).startswith(f"{checkpoint}: ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_images_of_one_colour_are_no_reason_to_fail(tmp_path):
    """A single flat colour per band (or a band that is always 255) has no deviation, yet nothing is wrong with it."""
    labels = some_labels(1)
    write_tile(tmp_path / "flat", 1, 1, labels)
    flat = np.full((3, *labels.shape), 128, np.uint8)
    write_picture(tmp_path / "flat/Tile 1/images/image_part_001.jpg", flat, "JPEG", quality=100)
    fit(a_request(tmp_path / "flat", tmp_path / "m.safetensors", hold_out=(), steps=2))


def test_a_checkpoint_that_is_code_does_not_run(dubai, stopped, tmp_path):
    trace = tmp_path / "trace"

    class Evil:
        def __reduce__(self):
            return Path.touch, (trace,)

    torch.save({"settings": Evil()}, f"{stopped}.run/last.pt")
    with pytest.raises(InputError):
        fit(a_request(dubai, stopped))
    assert not trace.exists()


# ---- fine-tuning


def test_init_keeps_network_and_normalization(dubai, tmp_path, make_model):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    begin = fit(a_request(dubai, first, hold_out=("Tile 1",), widths=(4, 6, 8)))
    card = fit(a_request(dubai, second, init=str(first), widths=(4, 8), steps=1))
    assert (card.network, card.mean, card.std) == (begin.network, begin.mean, begin.std)
    assert card.network.widths == (4, 6, 8)
    assert card.training["init"] == str(first)
    assert card.training["before"]["data"] == begin.training["data"], "what was learned earlier is not forgotten"
    before, after = load_model(first).weights, load_model(second).weights
    apart = max(np.abs(after[name] - before[name]).max() for name in before if ".norm.running" not in name)
    assert 0 < apart < 0.05, "one small step from where it began"


def test_init_of_another_legend_gets_a_head_of_its_own_and_a_missing_file_is_refused(dubai, tmp_path, make_model):
    other = make_model(NetworkSpec(3, 4, (4, 8)))
    from geoseg.model.file import save_model

    path = tmp_path / "other.safetensors"
    save_model(path, other.card, other.weights)
    card = fit(a_request(dubai, tmp_path / "m.safetensors", init=str(path), steps=1))
    assert card.legend == DEFAULT_LEGEND
    assert card.network == NetworkSpec(3, 5, (4, 8))
    with pytest.raises(ModelError, match="no such model file"):
        fit(a_request(dubai, tmp_path / "n.safetensors", init=str(tmp_path / "none.safetensors")))


@pytest.mark.parametrize(("bands", "value_range"), [(4, (0, 255)), (3, (0.0, 1.0))])
def test_init_of_other_bands_or_values_is_refused(dubai, tmp_path, make_model, bands, value_range):
    from geoseg.model.file import save_model

    other = make_model(NetworkSpec(bands, 5, (4, 8)), value_range=value_range)
    path = tmp_path / "other.safetensors"
    save_model(path, other.card, other.weights)
    with pytest.raises((UsageError, ModelError)):
        fit(a_request(dubai, tmp_path / "m.safetensors", init=str(path), steps=1))


# ---- learning


def test_it_learns_what_is_easy(dubai, tmp_path):
    """Plain colours: far better than chance after few steps, on a tile never trained on, in the file."""
    out = tmp_path / "m.safetensors"
    recipe = Recipe(steps=80, learning_rate=1e-2, warmup=10, check_every=80)
    card = fit(a_request(dubai, out, recipe=recipe, widths=(8, 8), chips=ChipPlan(size=32, batch=6, color=0.3)))
    (score,) = card.scores
    held_out = [image for image in read_folder(dubai) if image.group == "Tile 3"]
    assert class_shares(held_out, LabelKey(DEFAULT_LEGEND)).max() < 0.5, "one class alone would already do well"
    assert score["pixel_accuracy"] > 0.9
    assert score["mean_iou"] > 0.75

    model = load_model(out)
    right = seen = 0
    values = np.array([c.value for c in DEFAULT_LEGEND])
    for image in held_out:
        network = build_network(model, WindowShape(*image.labels.shape, 0), RunsOn("cpu", "fp32", 1))
        classes = values[network.decide(image.pixels)[0]]
        right += (classes == image.labels)[image.labels > 0].sum()
        seen += (image.labels > 0).sum()
    assert right / seen == pytest.approx(score["pixel_accuracy"], abs=0.02), "the card's score is not the file's"


def test_the_best_average_on_held_out_images_is_kept_and_not_the_last(dubai, tmp_path, monkeypatch):
    given = iter([0.2, 0.7, 0.3])
    kept = []

    def scored(_spec, weights, lesson, _images, _device):
        kept.append({name: tensor.clone() for name, tensor in weights.items()})
        size = len(lesson.legend)
        score = next(given)
        counts = np.zeros((size, size + 1), np.int64)
        counts[np.arange(size), np.arange(size)] = round(score * 100)
        counts[:, -1] = 100 - round(score * 100)
        return Confusion(lesson.legend, counts)

    monkeypatch.setattr(train_module, "score_images", scored)
    images = read_folder(dubai)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), images[:4], images[4:], (100.0,) * 3, (50.0,) * 3)
    recipe = Recipe(steps=6, check_every=2, warmup=1)
    best = train(NetworkSpec(3, 5, (4, 8)), lesson, recipe, ChipPlan(size=32, batch=2), Run(tmp_path))
    assert len(kept) == 3
    for name, tensor in best.items():
        assert torch.equal(tensor, kept[1][name])
    assert not torch.equal(best["head.weight"], kept[2]["head.weight"])


def test_without_held_out_images_the_last_average_is_kept_and_no_score_is_claimed(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    card = fit(a_request(dubai, out, hold_out=()))
    assert card.scores == []
    averaged = torch.load(f"{out}.run/last.pt", weights_only=True)["averaged"]
    np.testing.assert_array_equal(load_model(out).weights["head.weight"], averaged["head.weight"].numpy())


def test_scoring_counts_every_labelled_pixel_of_any_size(make_model):
    spec = NetworkSpec(3, 5, (4, 8, 8))
    model = make_model(spec)
    labels = some_labels(3, (33, 50))
    image = LabelledImage("a", "g", painted(labels, SEEN, 6), labels)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [], [image], model.card.mean, model.card.std)
    from geoseg.model.torch_unet import UNet

    state = UNet(spec).state_dict() | {name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}
    confusion = score_images(spec, state, lesson, [image, image])
    assert confusion.counts.sum() == 2 * (labels > 0).sum()
    assert (confusion.counts[:, -1] == 0).all()
    for i, entry in enumerate(DEFAULT_LEGEND):
        assert confusion.counts[i].sum() == 2 * (labels == entry.value).sum()


def test_a_loss_that_runs_away_is_told(dubai, tmp_path):
    recipe = Recipe(steps=30, learning_rate=1e30, warmup=1, check_every=30)
    with pytest.raises(InputError, match="--learning-rate"):
        fit(a_request(dubai, tmp_path / "m.safetensors", recipe=recipe))


def test_the_pace_rises_then_falls_to_one_per_cent():
    recipe = Recipe(steps=100, warmup=10)
    pace = [train_module._pace(step, recipe) for step in range(100)]
    assert pace[0] == pytest.approx(0.1)
    assert max(pace) == pytest.approx(1, abs=1e-3)
    assert all(a < b for a, b in itertools.pairwise(pace[:10]))
    assert all(a > b for a, b in itertools.pairwise(pace[10:]))
    assert 0.01 <= pace[-1] < 0.02
    assert train_module._pace(0, Recipe(steps=5, warmup=0)) <= 1
