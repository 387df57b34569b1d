"""From scenes with polygons to a model of one's own; heads that are carried over, calibration, the page of a run."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from click.testing import CliRunner

from geoseg.cli.main import geoseg
from geoseg.errors import UsageError
from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.learn.calibrate import best_temperature, temperature_of
from geoseg.learn.device import device_named
from geoseg.learn.initial_weights import initial_weights
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.loop import _choices, class_weights, reweighted
from geoseg.model.file import load_card, load_model, save_model
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass

ORIGIN = 350_000.0, 3_056_000.0


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """Return a scene of bright houses on dark ground in two touching tiles, and their footprints in degrees."""
    folder = tmp_path_factory.mktemp("town")
    random = np.random.default_rng(0)
    houses = [(int(r), int(c)) for r in range(4, 150, 20) for c in range(4, 250, 22)]
    picture = random.normal(60, 8, (3, 160, 256))
    for row, col in houses:
        picture[:, row : row + 10, col : col + 12] += 120
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    x, y = ORIGIN
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": "EPSG:32645", "height": 160, "width": 128}
    (folder / "tiles").mkdir()
    for i in range(2):
        at = Affine(1, 0, x + 128 * i, 0, -1, y)
        with rasterio.open(folder / f"tiles/{i}.tif", "w", transform=at, **profile) as file:
            file.write(picture[:, :, 128 * i : 128 * (i + 1)])
    boxes = [shapely.box(x + c, y - r - 10, x + c + 12, y - r) for r, c in houses]
    boxes += [shapely.box(x, y - 1, x + 1, y), shapely.box(x + 255, y - 160, x + 256, y - 159)]
    frame = geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32645").to_crs("EPSG:4326")
    frame.to_file(folder / "houses.geojson")
    return folder


def run(*given):
    return CliRunner().invoke(geoseg, ["train", *map(str, given)], catch_exceptions=False)


def test_scenes_and_footprints_become_a_model_that_segment_takes(town, tmp_path):
    out = tmp_path / "houses.safetensors"
    shown = run(
        "--scene", town / "tiles", "--labels", town / "houses.geojson", "--class-name", "building", "-o", out,
        "--steps", 60, "--chip", 64, "--batch", 6, "--width", 4, "--learning-rate", 2e-2, "--check-every", 20,
        "--color-jitter", 0.3, "--turn", 0.3, "--device", "cpu",
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert "held out from training: the last 1 of 2 images of one scene" in shown.stderr
    model = load_model(out)
    assert [(entry.name, entry.layer) for entry in model.card.legend] == [
        ("building", "buildings"),
        ("background", None),
    ]
    (score,) = model.card.scores
    assert score["classes"]["building"]["iou"] > 0.7
    assert 0.1 <= model.card.temperature <= 10
    assert model.card.resolution_m == pytest.approx(1, rel=1e-3)
    layers = tmp_path / "map.gpkg"
    given = ["segment", str(town / "tiles/1.tif"), "--model", str(out), "--out", str(layers), "--device", "cpu"]
    assert CliRunner().invoke(geoseg, given, catch_exceptions=False).exit_code == 0
    frame = geopandas.read_file(layers, layer="buildings")
    assert 20 < len(frame) < 60
    assert frame.area_m2.median() == pytest.approx(120, rel=0.25)

    folder = out.with_name(out.name + ".run")
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [20, 40, 60]
    page = (folder / "index.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "After 60 steps" in page
    assert page.count("data:image/png") == 3
    for name in ("curves.png", "loss.png", "samples.png"):
        with rasterio.open(folder / name) as picture:
            assert min(picture.shape) > 100


def test_grey_scenes_of_sixteen_bits_without_a_crs_are_learned_from_as_told(town, tmp_path):
    with rasterio.open(town / "tiles/0.tif") as tile:
        grey, place = tile.read(1).astype(np.uint16) * 40, tile.transform
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "height": 160, "width": 128, "transform": place}
    with rasterio.open(tmp_path / "grey.tif", "w", **profile) as file:
        file.write(grey, 1)
    given = ["--scene", tmp_path / "grey.tif", "--labels", town / "houses.geojson", "--class-name", "building"]
    given += ["--steps", 2, "--chip", 32, "--batch", 2, "--width", 4, "-o", tmp_path / "m.safetensors"]
    refused = run(*given)
    assert refused.exit_code == 3
    assert "--src-crs" in refused.stderr
    done = run(*given, "--src-crs", "EPSG:32645", "--bands", "1,1,1", "--stretch", "0,10000")
    assert done.exit_code == 0, done.stderr
    card = load_model(tmp_path / "m.safetensors").card
    assert card.mean[0] == card.mean[1] == card.mean[2]
    assert 50 < card.mean[0] < 160
    assert card.training["read"] == {"bands": "1,1,1", "stretch": "0,10000"}
    scene, model = ["--src-crs", "EPSG:32645", "--bands", "1,1,1"], ["--model", str(tmp_path / "m.safetensors")]
    told = "model m was trained on scenes read with --stretch 0,10000; give the same for scenes like those"
    for verb in (
        ["segment", str(tmp_path / "grey.tif"), *model, "--raster", str(tmp_path / "c.tif"), "--overwrite", *scene],
        ["evaluate", *model, *map(str, given[:6]), *scene],
    ):
        shown = CliRunner().invoke(geoseg, verb, catch_exceptions=False)
        assert (shown.exit_code, told in shown.stderr) == (0, True), shown.stderr
        shown = CliRunner().invoke(geoseg, [*verb, "--stretch", "0,10000"], catch_exceptions=False)
        assert (shown.exit_code, "was trained on scenes read" in shown.stderr) == (0, False), shown.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_cuda_device_learns_the_same_and_takes_over_a_run(town, tmp_path):
    given = ["--scene", town / "tiles", "--labels", town / "houses.geojson", "--class-name", "building", "--chip", 64]
    given += ["--batch", 6, "--width", 4, "--learning-rate", 2e-2, "--check-every", 20, "--steps", 60]
    ious = []
    for device in ("cpu", "cuda"):
        out = tmp_path / f"{device}.safetensors"
        assert run(*given, "--device", device, "-o", out).exit_code == 0
        ious.append(load_model(out).card.scores[0]["classes"]["building"]["iou"])
        state = torch.load(f"{out}.run/last.pt", weights_only=True, map_location="cpu")
        assert state["step"] == 60
    assert abs(ious[0] - ious[1]) < 0.15
    (tmp_path / "cpu.safetensors").unlink()
    assert run(*given, "--device", "cuda", "-o", tmp_path / "cpu.safetensors").exit_code == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ((), "nothing to learn from"),
        (("--scene", "a.tif"), "--scene and --labels go together"),
        (("--labels", "a.gpkg"), "--scene and --labels go together"),
        (("--scene", "a.tif", "--labels", "a.gpkg", "--elsewhere", "unknown"), "--elsewhere unknown"),
        (("somewhere", "--loss", "dice"), "--loss dice"),
        (("somewhere", "--hold-out", "a", "--split", "none"), "--hold-out and --split none"),
        (("somewhere", "--bands", "4,1,2"), "--bands: is about scenes"),
        (("somewhere", "--elsewhere", "background"), "--elsewhere: is about scenes"),
        (("somewhere", "--init", "default", "--width", "16"), "--width: the network is that of --init"),
        (("somewhere", "--width", "16", "--widest", "4"), "--widest 4: is less than --width 16"),
        (("somewhere", "--demo-share", "0.5"), "--demo-share: is about made-up scenes, and there are none"),
        (("somewhere", "--gamma", "3"), "--gamma: is about the focal loss, and the loss is ce+iou"),
        (("somewhere", "--device", "gpu"), "--device: 'gpu' is not a device"),
    ],
)
def test_flags_that_make_no_sense_together(tmp_path, given, sentence):
    shown = run(*given, "-o", tmp_path / "m.safetensors")
    assert shown.exit_code == 2
    assert sentence in shown.stderr
    assert not list(tmp_path.iterdir())


def footprints(town, tmp_path, *given):
    common = ["--scene", town / "tiles", "--labels", town / "houses.geojson", "--class-name", "building"]
    return run(*common, "--steps", 1, "--chip", 32, "--width", 4, "-o", tmp_path / "m.safetensors", *given)


def test_one_pixel_of_one_chip_is_nothing_to_learn_by(town, tmp_path):
    shown = footprints(town, tmp_path, "--patch", 2, "--batch", 1)
    assert shown.exit_code == 2
    assert "give a larger --chip or --batch" in shown.stderr
    assert footprints(town, tmp_path, "--patch", 2, "--batch", 2).exit_code == 0


def test_where_labels_only_say_what_is_not_there_no_class_has_a_score(town, tmp_path):
    houses = geopandas.read_file(town / "houses.geojson").to_crs("EPSG:32645")
    there = houses[houses.bounds.maxx < ORIGIN[0] + 128]
    corner = shapely.box(ORIGIN[0] + 300, ORIGIN[1] - 10, ORIGIN[0] + 310, ORIGIN[1])
    labels = tmp_path / "some.geojson"
    geopandas.GeoDataFrame(geometry=[*there.geometry, corner], crs=houses.crs).to_file(labels)
    given = ["--scene", town / "tiles", "--labels", labels, "--class-name", "building", "--init", "default"]
    given += ["--elsewhere", "unknown", "--hold-out", "1", "--steps", 1, "--chip", 32, "--batch", 2]
    shown = run(*given, "-o", tmp_path / "m.safetensors")
    assert shown.exit_code == 0, shown.stderr
    assert "mean IoU -" in shown.stderr
    (score,) = load_model(tmp_path / "m.safetensors").card.scores
    assert score["mean_iou"] is None, "nothing says where a building is"
    labelled = sum(score["ruled_out"]) + score["not_ruled_out"]
    assert load_model(tmp_path / "m.safetensors").card.temperature == load_card("default").temperature
    assert (tmp_path / "m.safetensors.run/best.safetensors").exists()
    assert 0.9 * 160 * 128 < labelled <= 160 * 128
    assert score["pixel_accuracy"] == pytest.approx(score["not_ruled_out"] / labelled, abs=1e-6)


def test_scores_of_scenes_that_the_first_run_learned_from_are_called_that(town, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    given = ["--scene", town / "tiles", "--labels", town / "houses.geojson", "--class-name", "building"]
    given += ["--steps", 1, "--chip", 32, "--batch", 2]
    for split, told in (("auto", False), ("none", True)):
        begun = run(*given, "--split", split, "--width", 4, "-o", first, "--overwrite", "--restart")
        assert begun.exit_code == 0, begun.stderr
        (data,) = load_model(first).card.training["data"]
        assert (data["name"], data["held_out"]) == ("tiles", ["1"] if split == "auto" else [])
        went_on = run(*given, "--init", first, "-o", second, "--overwrite", "--restart")
        assert went_on.exit_code == 0, went_on.stderr
        words = "trained on tiles, perhaps on the image scored here"
        assert (words in " ".join(went_on.stderr.split())) == told
    files = [word for name in sorted((town / "tiles").glob("*.tif")) for word in ("--scene", name)]
    by_file = run(*files, *given[2:], "--init", first, "-o", second, "--overwrite", "--restart")
    assert by_file.exit_code == 0, by_file.stderr
    assert words in " ".join(by_file.stderr.split())
    data = load_model(second).card.training["data"]
    assert [(one["name"], one["images"], one["held_out"]) for one in data] == [("0.tif", 1, ["1"]), ("1.tif", 0, ["1"])]


def test_devices_that_are_not_there():
    assert device_named("cpu") == "cpu"
    for name in ("gpu", "cuda:99", "mps", ""):
        with pytest.raises(UsageError, match="--device"):
            device_named(name)


# ---- heads


def test_a_head_is_carried_over_by_name(make_model):
    model = make_model(NetworkSpec(3, 5, (4, 8)))
    legend = Legend(
        (MapClass(1, "background", None, "#000001", "#000001"), MapClass(2, "water", "water", "#000002", "#000002"))
    )
    spec, weights = initial_weights(model, legend)
    assert spec == NetworkSpec(3, 2, (4, 8))
    before = model.weights["head.weight"]
    np.testing.assert_array_equal(weights["head.weight"][1], before[2])
    np.testing.assert_allclose(weights["head.weight"][0], before[[0, 1, 3, 4]].mean(0), rtol=1e-6)
    assert weights["head.bias"].shape == (2,)
    same, kept = initial_weights(model, model.card.legend)
    assert same == model.card.network
    for name, tensor in kept.items():
        np.testing.assert_array_equal(tensor, model.weights[name])


def scores_of(spec, weights, pixels):
    net = UNet(spec)
    net.load_state_dict(weights, strict=False)
    with torch.inference_mode():
        return net.eval()(pixels)


def test_classes_that_answer_for_patches_are_carried_over_and_reweighted_whole(make_model):
    model = make_model(NetworkSpec(3, 5, (4, 8), patch=2))
    pixels = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    spec, weights = initial_weights(model, DEFAULT_LEGEND)
    before = scores_of(spec, weights, pixels)
    water_and_road = Legend(tuple(DEFAULT_LEGEND.by_value(value) for value in (3, 2)))
    torch.testing.assert_close(scores_of(*initial_weights(model, water_and_road), pixels), before[:, [2, 1]])
    odds = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    after = scores_of(spec, reweighted(weights, odds), pixels)
    torch.testing.assert_close(after, before + odds.log().view(1, -1, 1, 1))


# ---- calibration


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(truth):
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(40_000, 4, generator=random) * 3
    target = torch.multinomial((scores / truth).softmax(1), 1, generator=random)[:, 0]
    one = torch.nn.functional.one_hot(target, 4).bool()
    assert best_temperature(scores, one) == pytest.approx(truth, rel=0.05)
    first = torch.tensor([True, False, False, False])
    assert best_temperature(scores, torch.where((target == 0)[:, None], first, ~first)) == pytest.approx(
        truth, rel=0.08
    )


def test_where_no_label_says_anything_the_temperature_stays():
    spec = NetworkSpec(3, 5, (2, 4))
    key = LabelKey(DEFAULT_LEGEND, {200: [entry.name for entry in DEFAULT_LEGEND]})
    image = LabelledImage("a", "g", np.zeros((3, 20, 30), np.uint8), np.full((20, 30), 200, np.uint8))
    lesson = Lesson(key, [], [image], (0.0,) * 3, (1.0,) * 3)
    assert temperature_of(spec, UNet(spec).state_dict(), lesson) is None


def test_a_card_without_a_temperature_is_one_of_before_it_was_measured(tmp_path, make_model):
    model = make_model(NetworkSpec(3, 5, (4, 8)))
    from dataclasses import replace

    from geoseg.model.card import card_from_json, card_to_json

    plain = json.loads(json.dumps(card_to_json(replace(model.card, temperature=1.7))))
    assert card_from_json(plain).temperature == 1.7
    del plain["temperature"]
    assert card_from_json(plain).temperature == 1.0
    path = tmp_path / "warm.safetensors"
    save_model(path, replace(model.card, temperature=1.7), model.weights)
    assert load_model(path).card.temperature == 1.7


# ---- weights of classes, and borders


def test_weights_are_powers_of_shares_and_can_be_taken_back():
    labels = np.repeat(np.array([1, 2, 5], np.uint8), (1, 4, 95))[None]
    image = LabelledImage("a", "g", np.zeros((3, *labels.shape), np.uint8), labels)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [image], [], (0.0,) * 3, (1.0,) * 3)
    weight = class_weights(lesson, 0.5)
    assert weight.mean() == pytest.approx(1)
    assert float(weight[1] / weight[4]) == pytest.approx((95 / 4) ** 0.5, rel=1e-4)
    assert float(weight[2] / weight[4]) == pytest.approx(5), "never more than five times the smallest"
    assert class_weights(lesson, 0.0).tolist() == [1.0] * 5
    state = {"head.bias": torch.arange(5.0)}
    there = reweighted(state, weight)
    assert torch.allclose(reweighted(there, 1 / weight)["head.bias"], state["head.bias"], atol=1e-6)


def test_beside_a_border_either_class_is_right():
    labels = torch.ones(1, 6, 8, dtype=torch.uint8)
    labels[:, :, 4:] = 5
    allowed = torch.from_numpy(LabelKey(DEFAULT_LEGEND).allowed())
    strict, loose = (_choices(labels, allowed, tolerance) for tolerance in (0, 1))
    assert (strict.sum(1) == 1).all()
    assert loose[0, 0, 0].tolist() == [True] * 5 + [False] * 3
    assert loose[0, 4, 0].tolist() == [False] * 3 + [True] * 5
    assert (loose[0, 1:4] == 0).all()


def test_beside_ground_without_a_label_a_label_stays_certain():
    """Scribbles on unlabelled ground, and a lone block, teach what they say whatever the tolerance."""
    labels = torch.zeros(1, 20, 30, dtype=torch.uint8)
    labels[:, 4] = 1
    labels[:, 10:16, 5:12] = 2
    allowed = torch.from_numpy(LabelKey(DEFAULT_LEGEND).allowed())
    strict = _choices(labels, allowed, 0)
    for tolerance in (1, 3):
        loose = _choices(labels, allowed, tolerance)
        assert torch.equal(loose[:, :, 10:16, 5:12], strict[:, :, 10:16, 5:12])
        assert torch.equal(loose.all(1), labels == 0)
    assert torch.equal(_choices(labels, allowed, 1), strict)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0.0}, {"loss": "dice"}, {"check_every": 0}])
def test_recipes_that_make_no_sense(wrong):
    with pytest.raises(UsageError):
        Recipe(**wrong)
