"""Other people's models run here as they run elsewhere; nothing in their files is believed or executed."""

from __future__ import annotations

import contextlib
import json
import pickle
import sqlite3
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyogrio
import pytest
import rasterio
import torch
from click.testing import CliRunner
from foreign_graphs import REACH, answers, graph, model, softmax, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from scipy.ndimage import gaussian_filter

from geoseg.class_names import legend_of_names
from geoseg.cli.main import geoseg
from geoseg.errors import ModelError, UsageError
from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import Sight, WindowRequest, choose_blend, plan_windows
from geoseg.learn.radius import measure_radius
from geoseg.model.card import card_from_json, card_to_json
from geoseg.model.file import is_model, load_card, load_model, save_model
from geoseg.model.foreign.description import Description
from geoseg.model.foreign.onnx_proto import read_proto, with_metadata, without_metadata
from geoseg.model.foreign.wire import WireError
from geoseg.model.graph import GraphSpec
from geoseg.model.network import NetworkSpec
from geoseg.pipeline.model_import import ImportRequest, import_model
from geoseg.vocabulary import DEFAULT_LEGEND, Window

TOLD = {"resolution_m": 1.0, "value_range": [0, 255], "input_range": [0, 1]}
FOUR = {**TOLD, "classes": ["background", "building", "meadow", "water"], "bands": ["nir", "red"]}
DEEPNESS = {
    "model_type": "Segmentor",
    "class_names": {0: "_background_", 1: "road", 2: "tree"},
    "resolution": 100.0,
    "tile_size": 128,
    "tiles_overlap": 25,
    "standardization_mean": [0.4, 0.5, 0.6],
    "standardization_std": [0.2, 0.25, 0.3],
}


def blurred(bands: int, height: int, width: int, seed: int = 5) -> np.ndarray:
    """Return smooth random bytes (bands, height, width)."""
    noise = np.random.default_rng(seed).normal(size=(bands, height, width))
    smooth = np.stack([gaussian_filter(band, 3) for band in noise])
    low, high = smooth.min(), smooth.max()
    return np.rint((smooth - low) / (high - low) * 255).astype(np.uint8)


@pytest.fixture
def run(quiet_log):
    """Return a function that runs the command line here and returns exit code, output and complaints."""

    def run_(*words: object) -> tuple[int, str, str]:
        quiet_log.handlers, quiet_log.level = [], 0
        result = CliRunner().invoke(geoseg, [*map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run_


def refusal(path, read=load_model):
    """Return the one sentence with which a file is refused."""
    with pytest.raises(ModelError) as refused:
        read(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}: "), sentence
    assert "\n" not in sentence
    return sentence


def raster_of(path):
    with rasterio.open(path) as found:
        return found.read(1)


# ---- a foreign model from end to end


def test_a_model_of_other_bands_classes_and_size_makes_a_styled_map(tmp_path, write_scene, run):
    pixels = blurred(2, 250, 330)
    made = graph(2, 4, (192, 192), like=pixels / np.float32(255))
    path = write(tmp_path / "fields.onnx", made, beside=FOUR)
    scene = write_scene(tmp_path / "scene.tif", pixels)
    out, raster = tmp_path / "map.gpkg", tmp_path / "map.tif"
    words = ("--bands", "1,2", "--blend", "crop", "--classes", "all", "--json")
    code, told, complaint = run("segment", scene, "--model", path, "--out", out, "--raster", raster, *words)
    assert code == 0, complaint
    report = json.loads(told)
    assert report["window"] == [192, 192]
    assert [layer["name"] for layer in report["layers"]] == ["buildings", "meadow", "water"]

    # the same windows, by another runtime
    plan = plan_windows((250, 330), Window(0, 0, 250, 330), WindowRequest("crop"), Sight(0, 32, (192, 192)))
    around = np.pad(pixels, ((0, 0), (192, 192), (192, 192)), "reflect")
    expected = np.zeros((250, 330), np.uint8)
    values = np.array([4, 1, 2, 3], np.uint8)  # of the output channels: background comes last
    for row in plan.rows:
        for col in plan.cols:
            top, left = row - plan.halo + 192, col - plan.halo + 192
            scores = answers(path, around[:, top : top + 192, left : left + 192] / np.float32(255))
            core = values[scores.argmax(0)][plan.halo : 192 - plan.halo, plan.halo : 192 - plan.halo]
            part = expected[row : row + plan.core[0], col : col + plan.core[1]]
            part[:] = core[: part.shape[0], : part.shape[1]]
    found = raster_of(raster)
    assert len(np.unique(expected)) == 4
    assert (found == expected).mean() > 0.9999

    with sqlite3.connect(out) as database:
        styles = dict(database.execute("SELECT f_table_name, styleQML FROM layer_styles").fetchall())
    database.close()
    assert set(styles) == {"buildings", "meadow", "water"}
    of_building = DEFAULT_LEGEND.by_value(1).style
    red, green, blue = (int(of_building[i : i + 2], 16) for i in (1, 3, 5))
    assert f"{red},{green},{blue}" in styles["buildings"]
    layers = {
        name: pyogrio.read_info(out, layer=name) for name, _ in pyogrio.list_layers(out) if name != "layer_styles"
    }
    assert sum(layer["features"] for layer in layers.values()) > 3


def test_one_window_of_the_whole_scene_is_the_oracle_of_exact(tmp_path, write_scene, run):
    pixels = blurred(3, 150, 210)
    mean, std = (np.array(DEEPNESS[f"standardization_{name}"], np.float32)[:, None, None] for name in ("mean", "std"))
    made = graph(3, 3, last="Softmax", like=(pixels / np.float32(255) - mean) / std)
    path = write(tmp_path / "any.onnx", made, DEEPNESS)
    scene, out, raster = write_scene(tmp_path / "scene.tif", pixels), tmp_path / "any.safetensors", tmp_path / "map.tif"
    code, told, complaint = run("model", "import", path, "--out", out, "--stride", "2", "--json")
    assert code == 0, complaint
    card = json.loads(told)["card"]
    assert card["receptive_radius"] == REACH
    assert card["network"]["tile"] is None
    assert [entry["name"] for entry in card["legend"]] == ["road", "tree", "background"]
    assert card["legend"][1]["style"] == DEFAULT_LEGEND.by_value(4).style
    assert np.allclose(card["mean"], np.array([0.4, 0.5, 0.6]) * 255)
    words = ("--raster", raster, "--window", "64", "--json")
    code, told, complaint = run("segment", scene, "--model", out, *words)
    assert code == 0, complaint
    report = json.loads(told)
    assert (report["blend"], report["overlap"]) == ("exact", 2 * (REACH + 1))
    assert report["windows"] > 8

    around = np.pad(pixels, ((0, 0), (32, 32), (32, 32)), "reflect") / np.float32(255)
    scores = answers(path, (around - mean) / std)[:, 32:-32, 32:-32]
    expected = np.array([3, 1, 2], np.uint8)[scores.argmax(0)]
    assert len(np.unique(expected)) == 3
    assert (raster_of(raster) == expected).mean() > 0.9999


ANSWERS = {
    "logits": ((4, None), ["a", "b", "c", "d"], None, softmax),
    "a softmax inside": ((3, "Softmax"), ["a", "b", "c"], None, lambda y: y),
    "background first": ((3, None), ["background", "b", "c"], None, lambda y: softmax(y)[[1, 2, 0]]),
    "a channel left out": ((4, None), ["a", "-", "c", "d"], None, lambda y: softmax(y[[0, 2, 3]])),
    "one channel before the sigmoid": ((1, None), ["building"], None, lambda y: two(1 / (1 + np.exp(-y[0])))),
    "one channel after it": ((1, "Sigmoid"), ["building"], None, lambda y: two(y[0])),
    "one channel, both named": ((1, "Sigmoid"), ["background", "building"], None, lambda y: two(y[0])),
    "independent classes": ((2, None), ["a", "b"], "sigmoid", lambda y: of_three(1 / (1 + np.exp(-y)))),
}


def two(share):
    return np.stack([share, 1 - share])


def of_three(shares):
    found = np.concatenate([shares, 1 - shares.max(0, keepdims=True)])
    return found / found.sum(0)


@pytest.mark.parametrize("kind", ANSWERS)
def test_probabilities_are_those_that_the_output_stands_for(tmp_path, kind):
    (channels, last), names, meaning, expected = ANSWERS[kind]
    told = {**TOLD, "classes": names, "answers": meaning, "mean": [0.5], "std": [0.25]}
    pixels = blurred(3, 96, 128)
    entering = (pixels / np.float32(255) - 0.5) / 0.25
    path = write(tmp_path / "m.onnx", graph(3, channels, last=last, like=entering), beside=told)
    found = load_model(path)
    network = build_network(found, WindowShape(96, 128, 32), RunsOn("cpu"))
    by_hand = expected(answers(path, entering))[:, 32:-32, 32:-32]
    scores = network.scores(pixels).copy()
    np.testing.assert_allclose(scores, by_hand, atol=2e-6)
    classes, percent = network.decide(pixels)
    assert (classes == by_hand.argmax(0)).mean() > 0.999
    np.testing.assert_allclose(percent, by_hand.max(0) * 100, atol=0.51)
    background = [entry for entry in found.card.legend if entry.layer is None]
    assert all(entry.value == len(found.card.legend) for entry in background)


def test_pixel_values_reach_the_graph_as_they_are_told(tmp_path):
    told = {**TOLD, "classes": ["a", "b"], "bands": ["red"], "value_range": [0, 10_000], "input_range": [-1, 1]}
    told |= {"mean": [0.1], "std": [2.0]}
    path = write(tmp_path / "m.onnx", graph(1, 2), beside=told)
    pixels = blurred(1, 32, 32).astype(np.float32) * 39
    network = build_network(load_model(path), WindowShape(32, 32, 0), RunsOn("cpu"))
    expected = softmax(answers(path, (pixels / 5000 - 1 - 0.1) / 2))
    np.testing.assert_allclose(network.scores(pixels), expected, atol=2e-6)


def test_half_precision_graphs_run(tmp_path):
    made = model([helper.make_node("Conv", ["x", "w"], ["y"])], [], 1, 2)
    weights = np.array([1, -1], np.float16).reshape(2, 1, 1, 1)
    made.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    path = write(tmp_path / "half.onnx", made, beside={**TOLD, "classes": ["a", "b"], "bands": ["red"]})
    network = build_network(load_model(path), WindowShape(32, 32, 0), RunsOn("cpu"))
    pixels = blurred(1, 32, 32)
    expected = softmax(np.concatenate([pixels, -pixels.astype(np.float32)]) / 255)
    np.testing.assert_allclose(network.scores(pixels), expected, atol=2e-3)


def test_a_batch_of_two_tiles_is_what_each_gives_alone(tmp_path, write_scene, run):
    path = write(tmp_path / "fields.onnx", graph(2, 4, (96, 128)), beside=FOUR)
    (tmp_path / "tiles").mkdir()
    scenes = [write_scene(tmp_path / "tiles" / f"{i}.tif", blurred(2, 100, 120, i)) for i in (1, 2)]
    words = ("--bands", "1,2", "--model", path)
    code, _, complaint = run(
        "batch", tmp_path / "tiles", "--out-dir", tmp_path / "out", "--to", "none", "--raster", *words
    )
    assert code == 0, complaint
    made = sorted((tmp_path / "out").rglob("*.tif"))
    assert len(made) == 2
    for scene, of_batch in zip(scenes, made, strict=True):
        alone = tmp_path / f"alone {scene.name}"
        assert run("segment", scene, "--raster", alone, *words)[0] == 0
        np.testing.assert_array_equal(raster_of(alone), raster_of(of_batch))
    code, told, _ = run("info", path)
    assert code == 0
    assert "tile (96, 128)" in told


def test_a_foreign_model_is_scored(tmp_path, run):
    from PIL import Image

    path = write(tmp_path / "m.onnx", graph(3, 3), beside={**TOLD, "classes": ["building", "road", "water"]})
    for folder in ("images", "labels"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    Image.fromarray(blurred(3, 90, 110).transpose(1, 2, 0)).save(tmp_path / "set/images/a.png")
    Image.fromarray((blurred(1, 90, 110)[0] // 86 + 1).astype(np.uint8)).save(tmp_path / "set/labels/a.png")
    code, told, complaint = run("evaluate", "--model", path, tmp_path / "set", "--json")
    assert code == 0, complaint
    assert set(json.loads(told)["classes"]) >= {"building", "road", "water"}


# ---- what a graph cannot do


@pytest.fixture
def bound(tmp_path, write_scene):
    """Return a model of fixed tiles and a scene."""
    path = write(tmp_path / "bound.onnx", graph(3, 2, (96, 96)), beside={**TOLD, "classes": ["background", "building"]})
    return path, write_scene(tmp_path / "scene.tif", blurred(3, 60, 60))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--device", "cuda"), 2, "runs on the processor; use --device cpu"),
        (("--window", "128"), 2, "takes tiles of 96 x 96 pixels and nothing else"),
        (("--overlap", "128"), 2, "leaves nothing of tiles"),
        (("--blend", "exact"), 5, "receptive radius is not known"),
        (("--precision", "int8"), 5, "quantization"),
    ],
)
def test_what_a_graph_cannot_do_is_one_sentence(bound, run, tmp_path, words, code, said):
    path, scene = bound
    found, _, complaint = run("segment", scene, "--model", path, "--raster", tmp_path / "map.tif", *words)
    assert found == code
    assert said in complaint
    assert not (tmp_path / "map.tif").exists()


def test_eight_ways_of_square_tiles(bound, run, tmp_path):
    path, scene = bound
    words = ("--raster", tmp_path / "map.tif", "--tta", "--window", "96")
    assert run("segment", scene, "--model", path, *words)[0] == 0


def test_a_graph_is_not_trained_further(bound, run, tmp_path):
    path, _ = bound
    code, _, complaint = run("train", tmp_path, "--init", path, "--out", tmp_path / "x.safetensors")
    assert code == 5
    assert "is an ONNX graph, which runs as it is but cannot be trained further" in complaint


def test_answers_of_nan_are_no_map(tmp_path, write_scene, run):
    made = model([helper.make_node("Log", ["z"], ["y"])], [], 3, 3)
    made.graph.node.insert(0, helper.make_node("Sub", ["x", "one"], ["z"]))
    made.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "one"))
    path = write(tmp_path / "nan.onnx", made, beside={**TOLD, "classes": ["a", "b", "c"]})
    scene = write_scene(tmp_path / "scene.tif", blurred(3, 60, 60))
    for words in ((), ("--blend", "crop")):
        code, _, complaint = run("segment", scene, "--model", path, "--raster", tmp_path / "map.tif", *words)
        assert code == 5
        assert "answers with NaN or infinity" in complaint
    assert run("model", "import", path, "--out", tmp_path / "nan.safetensors")[0] == 5


# ---- windows


def test_windows_of_a_bound_graph_are_its_tiles():
    sees = Sight(0, 8, (96, 128))
    plan = plan_windows((300, 500), Window(0, 0, 300, 500), WindowRequest(), sees)
    assert plan.window == (96, 128)
    assert plan.halo == 8
    assert plan_windows((10, 10), Window(0, 0, 10, 10), WindowRequest(overlap=32), sees).window == (96, 128)
    assert choose_blend(WindowRequest(), replace(sees, radius=20)) == ("exact", 24)
    assert choose_blend(WindowRequest(), replace(sees, radius=40))[0] == "taper", "too little of a tile would count"
    assert choose_blend(WindowRequest("exact"), replace(sees, radius=40)) == ("exact", 40)
    with pytest.raises(UsageError, match="sees 60 pixels far, too far for its tiles"):
        choose_blend(WindowRequest("exact"), replace(sees, radius=60))
    assert choose_blend(WindowRequest(), replace(sees, halo=24)) == ("taper", 24)


def test_a_graph_that_sees_everything_has_no_radius(tmp_path):
    path = write(tmp_path / "m.onnx", graph(3, 2, pooled=True), beside={**TOLD, "classes": ["a", "b"]})
    notes = []
    card = import_model(ImportRequest(str(path), tmp_path / "m.safetensors"), notes.append)
    assert card.receptive_radius == 0
    assert "sees farther than could be measured" in notes[0]


def test_the_radius_of_our_own_network_as_a_graph_is_at_most_the_measured_one(tmp_path, make_model):
    spec = NetworkSpec(3, 4, (4, 6, 8))
    source, out = tmp_path / "ours.safetensors", tmp_path / "ours.onnx"
    ours = make_model(spec)
    save_model(source, ours.card, ours.weights)
    export_model(ExportRequest(str(source), "onnx", out, tile=128))
    out.write_bytes(without_metadata(out.read_bytes(), "geoseg"))
    told = Description(stride=spec.stride)
    card = import_model(ImportRequest(str(out), tmp_path / "again.safetensors", told))
    assert measure_radius(spec) - spec.stride <= card.receptive_radius <= measure_radius(spec)


# ---- descriptions


def test_a_bare_graph_says_what_to_type(tmp_path, run):
    path = write(tmp_path / "bare model.onnx", graph(3, 2))
    sentence = refusal(path)
    command = (
        f"geoseg model import '{path}' --classes background,building --resolution-m 0.3 --value-range 0,255 "
        "--input-range 0,1 --out 'bare model'.safetensors"
    )
    assert sentence.endswith(command)
    words = command.replace("'bare model'.safetensors", str(tmp_path / "m.safetensors"))
    words = words.replace(f"'{path}'", "PATH").split()[1:]
    code, told, complaint = run(*(path if word == "PATH" else word for word in words), "--license", "CC0-1.0")
    assert code == 0, complaint
    assert told.strip() == str(tmp_path / "m.safetensors")
    card = load_card(told.strip())
    assert (card.license, card.name, card.resolution_m) == ("CC0-1.0", "bare model", 0.3)
    assert (card.mean, card.std) == ((0.0,) * 3, (255.0,) * 3)


def test_flags_count_more_than_what_stands_beside_and_that_more_than_what_is_inside(tmp_path, run):
    path = write(tmp_path / "m.onnx", graph(3, 3), DEEPNESS, {"resolution_m": 0.7, "license": "beside"})
    assert (load_card(path).resolution_m, load_card(path).license) == (0.7, "beside")
    out = tmp_path / "m.safetensors"
    assert run("model", "import", path, "--out", out, "--resolution-m", "0.2", "--no-radius")[0] == 0
    card = load_card(out)
    assert (card.resolution_m, card.license, card.receptive_radius) == (0.2, "beside", 0)
    assert [entry.name for entry in card.legend] == ["road", "tree", "background"]


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"classes": ["a", "b", "c"]}, "2 channels and 3 classes are named"),
        ({"classes": ["a"]}, "2 channels and 1 classes are named"),
        ({"classes": ["a", "-"]}, "2 to 254"),
        ({"classes": "ab"}, "is no list"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"bands": ["red"]}, "takes 3 bands, not the 1"),
        ({"mean": [1, 2]}, "3 bands have 2 means"),
        ({"std": [0.0]}, "std"),
        ({"resolution_m": -1}, "resolution"),
        ({"resolution_m": float("nan")}, "is no number"),
        ({"value_range": [255, 0]}, "must rise"),
        ({"answers": "words"}, "none of logits, sigmoid, probabilities"),
        ({"stride": 0}, "range"),
        ({"stride": 7}, "expected a score per class for each pixel"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(tmp_path, beside, said):
    told = {**TOLD, "classes": ["a", "b"], **beside}
    assert said in refusal(write(tmp_path / "m.onnx", graph(3, 2), beside=told))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "Detector"}, "call it a Detector"),
        ({"class_names": {0: "a", 2: "b"}}, "number classes"),
        ({"class_names": 7}, "name classes in no table"),
        ({"resolution": "ten"}, "give resolution as"),
        ({"resolution": None}, "ground pixel"),
    ],
)
def test_metadata_of_deepness_that_make_no_sense(tmp_path, change, said):
    assert said in refusal(write(tmp_path / "m.onnx", graph(3, 3), DEEPNESS | change))


def test_metadata_of_deepness_in_the_way_of_python(tmp_path):
    made = graph(3, 3)
    helper.set_model_props(made, {"class_names": "{0: 'a', 1: 'b', 2: 'c'}", "resolution": "25"})
    card = load_card(write(tmp_path / "m.onnx", made))
    assert [entry.name for entry in card.legend] == ["a", "b", "c"]
    assert card.resolution_m == 0.25


def test_names_bring_layers_and_styles():
    legend = legend_of_names(["buildings", "Road", "tree", "zone B", "zone B", "Other"])
    assert [entry.layer for entry in legend] == ["buildings", "roads", "tree", "zone_B", "class_5", None]
    assert [entry.style for entry in legend][:3] == [DEFAULT_LEGEND.by_value(i).style for i in (1, 2, 4)]
    assert len({entry.color for entry in legend}) == 6


# ---- round trips


@pytest.mark.parametrize("spec", [NetworkSpec(3, 5, (4, 8, 8)), NetworkSpec(2, 3, (4, 6), 1, "fcn", 2)], ids=str)
def test_our_own_models_come_back_from_onnx_and_mlm_bit_by_bit(tmp_path, make_model, spec):
    ours = make_model(spec, radius=20)
    source = tmp_path / "source.safetensors"
    card = save_model(
        source, replace(ours.card, temperature=1.3, scores=[{"split": "x", "mean_iou": 0.5}]), ours.weights
    )
    for to, name in (("onnx", "ours.onnx"), ("mlm", "ours.mlm.json")):
        export_model(ExportRequest(str(source), to, tmp_path / name))
        assert is_model(str(tmp_path / name))
        again = load_model(tmp_path / name)
        assert again.card == load_card(tmp_path / name) == card
        assert set(again.weights) == set(spec.tensor_shapes())
        for tensor, values in ours.weights.items():
            np.testing.assert_array_equal(again.weights[tensor], values)


def test_an_exported_model_with_other_weights_is_noticed(tmp_path, make_model):
    ours = make_model(NetworkSpec(3, 3, (4, 6)))
    source, out = tmp_path / "source.safetensors", tmp_path / "ours.onnx"
    save_model(source, ours.card, ours.weights)
    export_model(ExportRequest(str(source), "onnx", out))
    made = onnx.load(out)
    bias = next(tensor for tensor in made.graph.initializer if tensor.name == "head.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.1), "head.bias"))
    onnx.save(made, out)
    assert "sha256 differs" in refusal(out)


def test_a_graph_comes_back_from_safetensors_and_onnx(tmp_path, run):
    path = write(tmp_path / "m.onnx", graph(2, 4, (96, 96)), beside=FOUR)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.onnx"
    card = import_model(ImportRequest(str(path), first))
    assert card_from_json(json.loads(json.dumps(card_to_json(card)))) == card
    assert run("model", "export", first, "--to", "onnx", "--out", second)[0] == 0
    again = load_model(second)
    assert again.card == load_model(first).card == card
    assert again.weights["onnx"].tobytes() == path.read_bytes()
    onnx.checker.check_model(onnx.load(second))
    for to, name in (("mlm", "x.mlm.json"), ("openvino", "x.xml")):
        code, _, complaint = run("model", "export", first, "--to", to, "--out", tmp_path / name)
        assert code == 5
        assert "use --to onnx" in complaint


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model.", "net."])
@pytest.mark.parametrize("ending", ["pt", "ckpt", "safetensors"])
def test_state_dicts_of_our_network_find_their_shape(tmp_path, make_model, run, prefix, ending):
    spec = NetworkSpec(3, 3, (4, 6, 8), patch=2)
    ours = make_model(spec)
    state = {prefix + name: torch.from_numpy(np.array(tensor)) for name, tensor in ours.weights.items()}
    path, out = tmp_path / f"weights.{ending}", tmp_path / "mine.safetensors"
    if ending == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path)
    else:
        state[f"{prefix}down.0.0.norm.num_batches_tracked"] = torch.tensor(3)
        torch.save(state if ending == "pt" else {"state_dict": state, "epoch": 3}, path)
    words = ("--classes", "building,road,background", "--resolution-m", "0.5", "--value-range", "0,255")
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,255", "--std", "60", "--out", out)
    assert code == 0, complaint
    found = load_model(out)
    assert found.card.network == spec
    assert found.card.receptive_radius == measure_radius(spec)
    assert found.card.std == (60.0,) * 3
    for name, tensor in ours.weights.items():
        np.testing.assert_array_equal(found.weights[name], tensor)
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,1", "--bands", "red", "--out", out)
    assert code == 4, "it is there already"
    out.unlink()
    code, _, complaint = run("model", "import", path, *words, "--input-range", "0,1", "--bands", "red", "--out", out)
    assert code == 5
    assert "takes 12 bands and answers 12 classes, not the 1 and 3" in complaint


# ---- STAC items


def item(path: Path, href: str, **more) -> Path:
    """Write an item as catalogs have them, and return its path."""
    entering = {
        "name": "x",
        "bands": ["B04", "B08"],
        "input": {
            "shape": [-1, 2, -1, -1],
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [
            {"type": "z-score", "mean": 1000, "stddev": 500},
            {"type": "z-score", "mean": 2000, "stddev": 800},
        ],
    }
    leaving = {
        "name": "y",
        "tasks": ["semantic-segmentation"],
        "classification:classes": [
            {"value": 2, "name": "water", "color_hint": "0000FF"},
            {"value": 1, "name": "field", "color_hint": "00FF00"},
            {"value": 0, "name": "background"},
        ],
    }
    properties = {
        "datetime": None,
        "gsd": 10,
        "mlm:name": "fields",
        "mlm:tasks": ["semantic-segmentation"],
        "bands": [
            {"name": "B04", "eo:common_name": "red", "data_type": "uint16"},
            {"name": "B08", "eo:common_name": "nir", "data_type": "uint16"},
        ],
        "mlm:input": [entering | more.pop("entering", {})],
        "mlm:output": [leaving],
        **more,
    }
    assets = {"model": {"href": href, "roles": ["mlm:model"], "mlm:artifact_type": "onnx"}}
    plain = {"type": "Feature", "stac_version": "1.1.0", "id": "x", "properties": properties, "assets": assets}
    path.write_text(json.dumps(plain))
    return path


def test_an_item_describes_the_graph_beside_it(tmp_path):
    write(tmp_path / "m.onnx", graph(2, 3))
    card = load_card(item(tmp_path / "m.mlm.json", "./m.onnx"))
    assert card.bands == ("red", "nir")
    assert (card.mean, card.std, card.value_range) == ((1000, 2000), (500, 800), (0, 65535))
    assert [(entry.name, entry.color) for entry in card.legend][:2] == [("field", "#00FF00"), ("water", "#0000FF")]
    assert (card.resolution_m, card.name) == (10, "fields")
    assert is_model(str(tmp_path / "m.mlm.json"))
    assert load_card(tmp_path / "m.mlm.json").tensors_sha256 == card.tensors_sha256


SCALINGS = {
    "min-max": ([{"type": "min-max", "minimum": 100, "maximum": 300}], lambda x: (x - 100) / 200, (100, 300)),
    "scale": ([{"type": "scale", "value": 50}], lambda x: x / 50, (0, 65535)),
    "offset": ([{"type": "offset", "value": 50}], lambda x: x - 50, (0, 65535)),
    "clip": ([{"type": "clip", "minimum": 0, "maximum": 400}], lambda x: x, (0, 400)),
    "none": (None, lambda x: x, (0, 65535)),
}


@pytest.mark.parametrize("kind", SCALINGS)
def test_scalings_of_items(tmp_path, kind):
    steps, by_hand, value_range = SCALINGS[kind]
    path = write(tmp_path / "m.onnx", graph(2, 3))
    found = load_model(item(tmp_path / "i.json", "m.onnx", entering={"value_scaling": steps}))
    assert found.card.value_range == value_range
    pixels = blurred(2, 32, 32).astype(np.float32) + 100
    network = build_network(found, WindowShape(32, 32, 0), RunsOn("cpu"))
    expected = softmax(answers(path, by_hand(pixels)))[[1, 2, 0]]
    np.testing.assert_allclose(network.scores(pixels), expected, atol=1e-4)


@pytest.mark.parametrize(
    "href",
    ["https://example.com/m.onnx", "s3://bucket/m.onnx", "//host/m.onnx", "file://host/m.onnx", "/vsicurl/m.onnx"],
)
def test_nothing_is_fetched_for_an_item(tmp_path, href):
    assert any(words in refusal(item(tmp_path / "i.json", href)) for words in ("nothing is fetched", "outside"))


@pytest.mark.parametrize("href", ["../m.onnx", "%2e%2e/m.onnx", "/etc/passwd", "sub/../../m.onnx", "link.onnx"])
def test_an_item_reaches_nothing_outside_its_folder(tmp_path, href):
    write(tmp_path / "m.onnx", graph(2, 3))
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "link.onnx").symlink_to(tmp_path / "m.onnx")
    assert "outside of the item's folder" in refusal(item(tmp_path / "items" / "i.json", href))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mlm:tasks": ["object-detection"]}, "expected semantic-segmentation"),
        ({"entering": {"pre_processing_function": {"format": "python", "expression": "os:system"}}}, "code of its own"),
        ({"entering": {"value_scaling": [{"type": "processing", "expression": "A"}]}}, "expected z-score"),
        ({"entering": {"value_scaling": [{"type": "z-score"}]}}, "does not follow STAC MLM"),
        ({"entering": {"input": {"dim_order": ["batch", "height", "width", "channel"]}}}, "is ordered"),
        ({"gsd": None}, "ground pixel"),
        ({"geoseg:card": {"schema": 9}}, "schema 9"),
    ],
)
def test_items_that_make_no_sense(tmp_path, change, said):
    write(tmp_path / "m.onnx", graph(2, 3))
    with pytest.raises(ModelError, match=said):
        load_model(item(tmp_path / "i.json", "m.onnx", **change))


# ---- what is not opened


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.write_text, (self.mark, "executed"))


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"\0" * 5_000_000)
    return path


def test_files_of_other_kinds_are_told_apart(tmp_path):
    mark = tmp_path / "executed"
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Evil(mark)))
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Evil(mark)))
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "a.pb").write_bytes(b"\x08\x01")
    (tmp_path / "a.xml").write_text("<net/>")
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "a.json").write_text("{}")
    zipped(tmp_path / "a.dlpk", "model.emd", "../../evil.py")
    zipped(tmp_path / "b.zip", "folder/model.emd")
    zipped(tmp_path / "script.pt", "script/data.pkl", "script/code/net.py", "script/constants.pkl")
    zipped(tmp_path / "a.pt2", "archive/archive_format")
    torch.save({"a": torch.zeros(1)}, tmp_path / "plain.pth")
    (tmp_path / "folder").mkdir()
    (tmp_path / "smp").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "smp" / name).write_text("{}")
    said = {
        "a.pkl": "never opened",
        "a.pt": "geoseg model import",
        "a.h5": "tf2onnx",
        "a.pb": "tf2onnx",
        "a.xml": "half of an OpenVINO model",
        "a.txt": "not a .safetensors or .onnx model",
        "a.json": "no STAC MLM item",
        "a.dlpk": "holds code and is not unpacked",
        "b.zip": "holds code and is not unpacked",
        "script.pt": "TorchScript",
        "a.pt2": "torch.export",
        "plain.pth": "geoseg model import",
        "folder": "is a folder",
        "smp": "folder of segmentation_models_pytorch",
    }
    for name, words in said.items():
        assert words in refusal(tmp_path / name), name
        refusal(tmp_path / name, load_card)
    for address in ("https://example.com/m.onnx", "s3://b/m.safetensors", "/vsicurl/https://x/m.onnx"):
        with pytest.raises(ModelError, match="is an address"):
            load_model(address)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda mark: {"a": Evil(mark)}, "no code of it is run"),
        (lambda _: torch.nn.Conv2d(1, 1, 1), "no code of it is run"),
        (lambda _: {"state_dict": {"a": torch.zeros(1)}, "iou": np.float64(0.5)}, "float"),
        (lambda _: [torch.zeros(1)], "expected a state dict"),
        (lambda _: {"epoch": 3}, "holds no tensors"),
        (lambda _: {"conv.weight": torch.zeros(1)}, "no architecture that is known"),
    ],
)
def test_checkpoints_that_are_no_state_dict(tmp_path, run, content, said):
    path, mark = tmp_path / "x.pt", tmp_path / "executed"
    torch.save(content(mark), path)
    code, _, complaint = run("model", "import", path, "--out", tmp_path / "x.safetensors")
    assert code == 5
    assert said in complaint
    assert not mark.exists()
    assert not (tmp_path / "x.safetensors").exists()


def test_graphs_that_do_not_segment(tmp_path):
    two_inputs = graph(3, 2)
    two_inputs.graph.input.append(helper.make_tensor_value_info("more", 1, [1]))
    two_outputs = graph(3, 2)
    two_outputs.graph.output.append(helper.make_tensor_value_info("s", 1, [1, 2, 8, 8]))
    flat = graph(3, 2)
    flat.graph.node.append(helper.make_node("ReduceMean", ["y"], ["mean"], axes=[2, 3], keepdims=0))
    flat.graph.output[0].CopyFrom(helper.make_tensor_value_info("mean", 1, ["n", 2]))
    bytes_in = graph(3, 2)
    bytes_in.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    classes = graph(3, 2)
    classes.graph.node.append(helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=1))
    classes.graph.output[0].CopyFrom(helper.make_tensor_value_info("best", 7, ["n", 1, "h", "w"]))
    many = graph(3, 2, (64, 64))
    many.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    half = model([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], [], 3, 3)
    unknown = model([helper.make_node("Magic", ["x"], ["y"], domain="evil")], [], 3, 3)
    unknown.opset_import.append(helper.make_opsetid("evil", 1))
    for made, said in (
        (two_inputs, "has 2 inputs (x float32 (?, 3, ?, ?); more float32 (1))"),
        (two_outputs, "has 2 outputs"),
        (flat, "has mean float32 (?, 2), expected float32 of (n, bands or classes, height, width)"),
        (bytes_in, "has x uint8"),
        (classes, "has best int64"),
        (many, "bound to 4 images at a time"),
        (half, "expected a score per class for each pixel"),
        (unknown, "OpenVINO cannot read this graph"),
    ):
        told = {**TOLD, "classes": ["a", "b"]}
        assert said in refusal(write(tmp_path / "m.onnx", made, beside=told)), said


def test_weights_elsewhere_are_not_looked_for(tmp_path):
    for place in ("graph", "attribute"):
        made = graph(3, 2)
        if place == "graph":
            tensor = made.graph.initializer[0]
        else:
            hidden = numpy_helper.from_array(np.zeros(3, np.float32))
            made.graph.node.append(helper.make_node("Constant", [], ["c"], value=hidden))
            tensor = made.graph.node[-1].attribute[0].t
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        sentence = refusal(write(tmp_path / "m.onnx", made, beside={**TOLD, "classes": ["a", "b"]}))
        assert "keeps weights in another file" in sentence


def test_sizes_that_are_claimed_are_not_made(tmp_path):
    huge = graph(3, 2)
    del huge.graph.initializer[0].dims[:]
    huge.graph.initializer[0].dims.extend([1 << 40, 1 << 20])
    assert "claims" in refusal(write(tmp_path / "m.onnx", huge, beside={**TOLD, "classes": ["a", "b"]}))
    filled = model([helper.make_node("ConstantOfShape", ["size"], ["c"])], [], 3, 3)
    filled.graph.node.extend(
        [helper.make_node("ReduceMax", ["c"], ["m"], keepdims=0), helper.make_node("Add", ["x", "m"], ["y"])]
    )
    filled.graph.initializer.append(numpy_helper.from_array(np.array([100_000, 100_000, 100]), "size"))
    refusal(write(tmp_path / "n.onnx", filled, beside={**TOLD, "classes": ["a", "b", "c"]}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_file_is_never_an_internal_error(tmp_path, data):
    good = graph(1, 2).SerializeToString()
    if data.draw(st.booleans()):
        damaged = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        changed = bytearray(good)
        changed[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        damaged = bytes(changed)
    path = tmp_path / "m.onnx"
    path.write_bytes(damaged)
    path.with_name("m.onnx.json").write_text(json.dumps({**TOLD, "classes": ["a", "b"]}))
    with contextlib.suppress(ModelError):  # a flip in a weight is not noticed: there is no digest yet
        load_model(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_refused(content):
    with contextlib.suppress(WireError):
        read_proto(content)


def test_what_a_file_says_is_what_the_library_reads():
    made = graph(3, 4, (64, 96), last="Softmax")
    helper.set_model_props(made, {"a": "1", "b": "ü"})
    content = made.SerializeToString()
    found = read_proto(content)
    assert found.metadata == {"a": "1", "b": "ü"}
    assert str(found.inputs[0]) == "x float32 (1, 3, 64, 96)"
    assert found.last == "Softmax"
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    weights = found.weights()
    assert set(weights) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(weights[name], tensor)
    more = with_metadata(content, "geoseg", "card")
    assert {entry.key: entry.value for entry in onnx.load_from_string(more).metadata_props}["geoseg"] == "card"
    assert without_metadata(more, "geoseg") == content


# ---- networks of other libraries

FAKE = '''
import torch
from torch import nn
class base:
    class SegmentationModel(nn.Module):
        pass
class Unet(base.SegmentationModel):
    """The library's own call, and a network that is quickly made."""
    def __init__(self, encoder_name="resnet34", encoder_weights="imagenet", in_channels=3, classes=1, activation=None):
        super().__init__()
        assert encoder_weights is None, "it would be fetched"
        self.encoder = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.segmentation_head = nn.Conv2d(4, classes, 1)
    def forward(self, x):
        return self.segmentation_head(torch.relu(self.encoder(x)))
'''
TORCHGEO = """
from torch import nn
class SemanticSegmentationTask(nn.Module):
    def __init__(self, model="unet", backbone="resnet50", weights=None, in_channels=3, num_classes=None, loss="ce",
                 class_weights=None):
        super().__init__()
        assert weights is None
        import segmentation_models_pytorch as smp
        self.model = smp.Unet(backbone, None, in_channels, num_classes)
"""


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Put packages of the libraries' names and calls on the path; the real ones weigh gigabytes."""
    import sys

    (tmp_path / "lib" / "torchgeo").mkdir(parents=True)
    (tmp_path / "lib" / "segmentation_models_pytorch.py").write_text(FAKE)
    (tmp_path / "lib" / "torchgeo" / "__init__.py").write_text("")
    (tmp_path / "lib" / "torchgeo" / "trainers.py").write_text(TORCHGEO)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    yield
    for name in ("segmentation_models_pytorch", "torchgeo", "torchgeo.trainers"):
        sys.modules.pop(name, None)


SAID = ("--classes", "background,building", "--resolution-m", "1", "--value-range", "0,255", "--input-range", "0,1")


def smp_folder(folder: Path) -> dict[str, torch.Tensor]:
    """Write a folder as segmentation_models_pytorch 0.5 saves them."""
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(0)
    state = {
        "encoder.weight": torch.randn(4, 3, 3, 3, generator=random),
        "encoder.bias": torch.randn(4, generator=random),
        "segmentation_head.weight": torch.randn(2, 4, 1, 1, generator=random),
        "segmentation_head.bias": torch.randn(2, generator=random),
    }
    folder.mkdir()
    config = {"_model_class": "Unet", "encoder_name": "resnet18", "encoder_weights": "imagenet", "in_channels": 3}
    (folder / "config.json").write_text(json.dumps({**config, "classes": 2, "activation": None}))
    save_file(state, folder / "model.safetensors")
    return state


def by_torch(state: dict[str, torch.Tensor], pixels: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(pixels / np.float32(255))[None]
    x = torch.relu(torch.nn.functional.conv2d(x, state["encoder.weight"], state["encoder.bias"], padding=1))
    x = torch.nn.functional.conv2d(x, state["segmentation_head.weight"], state["segmentation_head.bias"])
    return x.softmax(1)[0].numpy()[[1, 0]]


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("kind", ["folder", "task"])
def test_networks_of_libraries_are_built_by_them_and_kept_as_graphs(tmp_path, run, kind):
    source, out = tmp_path / "source", tmp_path / "out.safetensors"
    state = smp_folder(source)
    if kind == "task":
        source = tmp_path / "last.ckpt"
        named = {f"model.{name}": tensor for name, tensor in state.items()} | {"criterion.weight": torch.ones(2)}
        settings_ = {"model": "unet", "backbone": "resnet18", "weights": True, "in_channels": 3, "num_classes": 2}
        torch.save({"state_dict": named, "hyper_parameters": settings_, "epoch": 9}, source)
    code, _, complaint = run("model", "import", source, *SAID, "--out", out)
    assert code == 0, complaint
    found = load_model(out)
    assert isinstance(found.card.network, GraphSpec)
    assert found.card.receptive_radius == 1
    pixels = blurred(3, 32, 64)
    scores = build_network(found, WindowShape(32, 64, 0), RunsOn("cpu")).scores(pixels)
    np.testing.assert_allclose(scores, by_torch(state, pixels), atol=2e-6)


def test_a_missing_library_is_named_with_how_to_get_it(tmp_path, run):
    smp_folder(tmp_path / "net")
    torch.save({"state_dict": {"model.a": torch.zeros(1)}, "hyper_parameters": {"model": "unet"}}, tmp_path / "a.ckpt")
    for source, install in (("net", "pip install segmentation-models-pytorch"), ("a.ckpt", "pip install torchgeo")):
        code, _, complaint = run("model", "import", tmp_path / source, *SAID, "--out", tmp_path / "x.safetensors")
        assert code == 5
        assert install in complaint


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("name", ["base", "nn", "torch", "Nothing", "__loader__"])
def test_only_networks_of_a_library_are_built(tmp_path, run, name):
    smp_folder(tmp_path / "net")
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    (tmp_path / "net" / "config.json").write_text(json.dumps(config | {"_model_class": name}))
    code, _, complaint = run("model", "import", tmp_path / "net", *SAID, "--out", tmp_path / "x.safetensors")
    assert code == 5
    assert "has no network" in complaint
