"""What is said of a foreign model, by flags, beside it, inside it or in a catalog, becomes its card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from foreign_graphs import DEEPNESS, TOLD, answers, blurred, graph, refusal, softmax, write
from onnx import helper

from geoseg.class_names import legend_of_names
from geoseg.errors import ModelError
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.model.file import is_model, load_card, load_model
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from pathlib import Path

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
        ({"resolution_m": -1}, "ground pixel of -1 m"),
        ({"resolution_m": 0}, "ground pixel of 0 m"),
        ({"resolution_m": float("nan")}, "is no number"),
        ({"value_range": [255, 0]}, "must rise"),
        ({"answers": "words"}, "none of logits, sigmoid, probabilities"),
        ({"stride": 0}, "range"),
        ({"receptive_radius": 10**8}, "receptive radius of 100000000 pixels is out of range"),
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
        ({"resolution": 0}, "ground pixel of 0 m"),
        ({"resolution": float("nan")}, "give resolution as"),
        ({"standardization_mean": [float("nan")] * 3, "standardization_std": [1, 1, 1]}, "list of numbers"),
        ({"standardization_mean": [10**400] * 3, "standardization_std": [1, 1, 1]}, "list of numbers"),
        ({"resolution": None}, "ground pixel"),
    ],
)
def test_metadata_of_deepness_that_make_no_sense(tmp_path, change, said):
    assert said in refusal(write(tmp_path / "m.onnx", graph(3, 3), DEEPNESS | change))


def test_flags_stand_in_for_metadata_of_deepness_that_make_no_sense(tmp_path, run):
    broken = DEEPNESS | {"class_names": {0: "a", 2: "b"}, "resolution": "ten", "model_type": "Regressor"}
    path, out = write(tmp_path / "m.onnx", graph(3, 3), broken), tmp_path / "m.safetensors"
    assert "--classes of geoseg model import" in refusal(write(tmp_path / "n.onnx", graph(3, 3), {"class_names": 7}))
    words = ("--classes", "road,tree,other", "--resolution-m", "0.5", "--no-radius", "--out", out)
    code, _, complaint = run("model", "import", path, *words)
    assert code == 0, complaint
    assert [entry.name for entry in load_card(out).legend] == ["road", "tree", "other"]
    assert load_card(out).resolution_m == 0.5


def test_metadata_of_deepness_in_the_way_of_python(tmp_path):
    made = graph(3, 3)
    helper.set_model_props(made, {"class_names": "{0: 'a', 1: 'b', 2: 'c'}", "resolution": "'25'"})
    card = load_card(write(tmp_path / "m.onnx", made))
    assert [entry.name for entry in card.legend] == ["a", "b", "c"]
    assert card.resolution_m == 0.25


def test_names_bring_layers_and_styles():
    legend = legend_of_names(["buildings", "Road", "tree", "zone B", "zone B", "Other"])
    assert [entry.layer for entry in legend] == ["buildings", "roads", "tree", "zone_B", "class_5", None]
    assert [entry.style for entry in legend][:3] == [DEFAULT_LEGEND.by_value(i).style for i in (1, 2, 4)]
    assert len({entry.color for entry in legend}) == 6


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


@pytest.mark.parametrize("href", ["http://[/m.onnx", "m%00.onnx"])
def test_an_address_that_is_none_is_refused(tmp_path, href):
    write(tmp_path / "m.onnx", graph(2, 3))
    assert "put the file beside the item" in refusal(item(tmp_path / "i.json", href))


def test_roles_that_are_no_list_are_no_roles(tmp_path):
    path = item(tmp_path / "i.json", "m.onnx")
    plain = json.loads(path.read_text())
    for roles in (5, "mlm:model", None):
        plain["assets"]["model"]["roles"] = roles
        path.write_text(json.dumps(plain))
        assert "no asset with the role mlm:model" in refusal(path)


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
        (
            {"gsd": None},
            r"i\.json: its ground pixel is not known; .*i\.json --resolution-m 0.3 --out i\.safe",
        ),
        ({"gsd": 10**400}, "does not follow STAC MLM"),
        ({"entering": {"value_scaling": [{"type": "min-max", "minimum": 0}]}}, "no maximum"),
        ({"geoseg:card": {"schema": 9}}, "schema 9"),
    ],
)
def test_items_that_make_no_sense(tmp_path, change, said):
    write(tmp_path / "m.onnx", graph(2, 3))
    with pytest.raises(ModelError, match=said):
        load_model(item(tmp_path / "i.json", "m.onnx", **change))
