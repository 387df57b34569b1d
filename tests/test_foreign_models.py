"""Other people's models run here as they run elsewhere: ONNX Runtime is the oracle."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import numpy as np
import onnx
import pyogrio
import pytest
import rasterio
from foreign_graphs import DEEPNESS, FOUR, REACH, TOLD, answers, blurred, graph, model, softmax, write
from onnx import helper, numpy_helper

from geoseg.errors import UsageError
from geoseg.export.write import ExportRequest, export_model
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import Sight, WindowRequest, choose_blend, plan_windows
from geoseg.learn.radius import measure_radius
from geoseg.model.file import load_model, save_model
from geoseg.model.foreign.description import Description
from geoseg.model.foreign.onnx_proto import without_metadata
from geoseg.model.network import NetworkSpec
from geoseg.pipeline.model_import import ImportRequest, import_model
from geoseg.pipeline.warm import Warm
from geoseg.vocabulary import DEFAULT_LEGEND, Window


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


def test_a_description_that_changes_changes_the_model_that_stays_warm(tmp_path):
    path = write(tmp_path / "m.onnx", graph(3, 2), beside={**TOLD, "classes": ["a", "b"]})
    warm = Warm()
    first = warm.model(str(path))
    assert warm.model(str(path)) is first
    path.with_name("m.onnx.json").write_text(json.dumps({**TOLD, "classes": ["a", "other"]}))
    assert [entry.name for entry in warm.model(str(path)).card.legend] == ["a", "other"]


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
