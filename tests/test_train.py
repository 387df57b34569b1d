"""Training: from a labelled folder to a model file, and never on what is held out."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch

from geoseg.errors import InputError, ModelError, OutputError, UsageError
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import LabelKey, LabelledImage, class_shares
from geoseg.learn import ahead
from geoseg.learn import loop as train_module
from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.loop import Run, train
from geoseg.learn.radius import measure_radius
from geoseg.learn.scoring import answering, halo_of, iter_scores, normalized, score_images
from geoseg.learn.train import train_model
from geoseg.model.file import load_model
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import DEFAULT_LEGEND
from tests.small_city import (
    MASKED,
    SEEN,
    Killed,
    a_request,
    killed_at,
    painted,
    some_labels,
    write_city,
    write_picture,
    write_tile,
)

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def dubai(tmp_path_factory):
    return write_city(tmp_path_factory.mktemp("dubai") / "city")


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


def test_a_model_file_and_its_card(dubai, tmp_path):
    out = tmp_path / "mine.safetensors"
    told = []
    card = train_model(a_request(dubai, out), tell=lambda done, total: told.append((done, total)))
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
        train_model(a_request(dubai, tmp_path / f"{name}.safetensors", seed=seed))
        weights.append(load_model(tmp_path / f"{name}.safetensors").weights["head.weight"])
    np.testing.assert_array_equal(weights[0], weights[1])
    assert np.abs(weights[0] - weights[2]).max() > 1e-3


def test_an_existing_model_is_not_replaced_unless_asked(dubai, tmp_path):
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        train_model(a_request(dubai, out), tell=killed_at(1))
    assert out.read_bytes() == b"precious"
    with pytest.raises(Killed):
        train_model(a_request(dubai, out, overwrite=True), tell=killed_at(5))
    assert out.read_bytes() == b"precious", "an unfinished run must not touch the earlier model"
    train_model(a_request(dubai, out, overwrite=True))
    load_model(out)


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
    train_model(a_request(dubai, tmp_path / "m.safetensors", steps=2, hold_out=hold_out))
    assert seen
    assert all(names == learned for names in seen)


def test_what_is_held_out_changes_nothing_that_is_learned(dubai, tmp_path, monkeypatch):
    """Other pixels in a held-out tile leave statistics and last weights alone."""
    spoilt = tmp_path / "spoilt" / "city"
    for tile, part in itertools.product((1, 2, 3), (1, 2)):
        labels = some_labels(10 * tile + part)
        write_tile(spoilt, tile, part, labels if tile < 3 else labels[::-1].copy(), palette=tile == 2, seed=tile)
    cards = [
        train_model(a_request(folder, tmp_path / f"{i}.safetensors", steps=4))
        for i, folder in enumerate((dubai, spoilt))
    ]
    assert (cards[0].mean, cards[0].std, cards[0].domain) == (cards[1].mean, cards[1].std, cards[1].domain)
    last = [torch.load(tmp_path / f"{i}.safetensors.run/last.pt", weights_only=True)["averaged"] for i in (0, 1)]
    for name, tensor in last[0].items():
        assert torch.equal(tensor, last[1][name]), name


def test_groups_that_do_not_exist_and_groups_that_are_all(dubai, tmp_path):
    out = tmp_path / "m.safetensors"
    with pytest.raises(UsageError, match=r"'Tile 9' is not a tile.*Tile 1, Tile 2, Tile 3"):
        train_model(a_request(dubai, out, hold_out=("Tile 9",)))
    with pytest.raises(UsageError, match="nothing is left to train on"):
        train_model(a_request(dubai, out, hold_out=("Tile 1", "Tile 2", "Tile 3")))
    assert list(tmp_path.iterdir()) == [], "refused before anything is written"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_data_set_without_a_single_label_is_refused_for_that(tmp_path):
    write_tile(tmp_path / "blank", 1, 1, np.zeros((40, 40), np.uint8))
    with pytest.raises((InputError, UsageError)) as refused:
        train_model(a_request(tmp_path / "blank", tmp_path / "m.safetensors", hold_out=()))
    assert "learning-rate" not in str(refused.value)


def test_init_keeps_network_and_normalization(dubai, tmp_path, make_model):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    begin = train_model(a_request(dubai, first, hold_out=("Tile 1",), widths=(4, 6, 8)))
    card = train_model(a_request(dubai, second, init=str(first), widths=(4, 8), steps=1))
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
    card = train_model(a_request(dubai, tmp_path / "m.safetensors", init=str(path), steps=1))
    assert card.legend == DEFAULT_LEGEND
    assert card.network == NetworkSpec(3, 5, (4, 8))
    with pytest.raises(ModelError, match="no such model file"):
        train_model(a_request(dubai, tmp_path / "n.safetensors", init=str(tmp_path / "none.safetensors")))


@pytest.mark.parametrize(("bands", "value_range"), [(4, (0, 255)), (3, (0.0, 1.0))])
def test_init_of_other_bands_or_values_is_refused(dubai, tmp_path, make_model, bands, value_range):
    from geoseg.model.file import save_model

    other = make_model(NetworkSpec(bands, 5, (4, 8)), value_range=value_range)
    path = tmp_path / "other.safetensors"
    save_model(path, other.card, other.weights)
    with pytest.raises((UsageError, ModelError)):
        train_model(a_request(dubai, tmp_path / "m.safetensors", init=str(path), steps=1))


def test_it_learns_what_is_easy(dubai, tmp_path):
    """Plain colours: far better than chance after few steps, on a tile never trained on, in the file."""
    out = tmp_path / "m.safetensors"
    recipe = Recipe(steps=80, learning_rate=1e-2, warmup=10, check_every=80)
    card = train_model(a_request(dubai, out, recipe=recipe, widths=(8, 8), chips=ChipPlan(size=32, batch=6, color=0.3)))
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
    card = train_model(a_request(dubai, out, hold_out=()))
    assert card.scores == []
    averaged = torch.load(f"{out}.run/last.pt", weights_only=True)["averaged"]
    np.testing.assert_array_equal(load_model(out).weights["head.weight"], averaged["head.weight"].numpy())


def test_scoring_counts_every_labelled_pixel_of_any_size(make_model):
    spec = NetworkSpec(3, 5, (4, 8, 8))
    model = make_model(spec)
    labels = some_labels(3, (33, 50))
    image = LabelledImage("a", "g", painted(labels, SEEN, 6), labels)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [], [image], model.card.mean, model.card.std)

    state = UNet(spec).state_dict() | {name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}
    confusion = score_images(spec, state, lesson, [image, image])
    assert confusion.counts.sum() == 2 * (labels > 0).sum()
    assert (confusion.counts[:, -1] == 0).all()
    for i, entry in enumerate(DEFAULT_LEGEND):
        assert confusion.counts[i].sum() == 2 * (labels == entry.value).sum()


def test_a_loss_that_runs_away_is_told(dubai, tmp_path):
    recipe = Recipe(steps=30, learning_rate=1e30, warmup=1, check_every=30)
    with pytest.raises(InputError, match="--learning-rate"):
        train_model(a_request(dubai, tmp_path / "m.safetensors", recipe=recipe))


def test_the_pace_rises_then_falls_to_one_per_cent():
    recipe = Recipe(steps=100, warmup=10)
    pace = [train_module._share_of_peak(step, recipe) for step in range(100)]
    assert pace[0] == pytest.approx(0.1)
    assert max(pace) == pytest.approx(1, abs=1e-3)
    assert all(a < b for a, b in itertools.pairwise(pace[:10]))
    assert all(a > b for a, b in itertools.pairwise(pace[10:]))
    assert 0.01 <= pace[-1] < 0.02
    assert train_module._share_of_peak(0, Recipe(steps=5, warmup=0)) <= 1


def test_a_class_that_is_not_held_out_does_not_choose_the_step(monkeypatch, tmp_path):
    """One pixel of water where there is none made the mean IoU of a better step the lower one."""
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [], [None], (100.0,) * 3, (50.0,) * 3)
    worse, better = np.zeros((2, 5, 6), np.int64)
    for counts, right in ((worse, 70), (better, 80)):
        for i in (0, 1, 3, 4):
            counts[i, i], counts[i, (i + 1) % 5 if i != 1 else 3] = right, 100 - right
    better[0, 2], better[0, 1] = 1, better[0, 1] - 1
    worse[4, 0], better[4, 0] = 30, 20
    given = iter([Confusion(DEFAULT_LEGEND, worse), Confusion(DEFAULT_LEGEND, better)])
    monkeypatch.setattr(train_module, "score_images", lambda *_: next(given))
    scores = [train_module._score(None, {}, lesson, {}, tmp_path, "cpu") for _ in range(2)]
    history = [json.loads(line)["mean_iou"] for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert history[0] > history[1], "else this shows nothing"
    assert scores[0] < scores[1]


def test_a_gradient_without_end_is_no_step():
    net = UNet(NetworkSpec(3, 5, (4, 8)))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    weight = next(net.parameters())
    for changed in (False, True):
        loss = weight.sum() if changed else (weight * 0).sum().sqrt()  # 0, but infinitely steep
        told = train_module._step_down(loss, net, torch.optim.AdamW(net.parameters(), lr=0.1))
        assert math.isfinite(told) == changed
        same = all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
        assert same != changed


@pytest.mark.parametrize("size", [(33, 50), (64, 48)])
def test_with_a_margin_scores_are_those_of_mirrored_ground(make_model, size):
    spec = NetworkSpec(3, 5, (4, 8, 8))
    model = make_model(spec)
    state = UNet(spec).state_dict() | {name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}
    labels = some_labels(3, size)
    image = LabelledImage("a", "g", painted(labels, SEEN, 6), labels)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [], [image], model.card.mean, model.card.std)
    halo = halo_of(spec)
    ((_, scores),) = iter_scores(spec, state, lesson, [image], margin=halo)
    ends = [(halo, halo + -side % spec.stride) for side in size]
    whole = np.pad(image.pixels, ((0, 0), *ends), mode="reflect").astype(np.float32)[None]
    net = answering(spec, state, "cpu")
    with torch.inference_mode():
        expected = net(normalized(whole, lesson))[0, :, halo : halo + size[0], halo : halo + size[1]]
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-4)
    ((_, zeros),) = iter_scores(spec, state, lesson, [image])
    assert float((zeros - scores).abs().max()) > 1e-3, "else the margin does nothing"
