"""Model files: what was written comes back, and nothing else is ever believed or executed."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from geoseg.errors import ModelError
from geoseg.model.card import card_from_json, card_to_json, dump, load
from geoseg.model.file import BUNDLED, load_card, load_model, model_path, save_model
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import DEFAULT_LEGEND

SPEC = NetworkSpec(3, 5, (2, 3))


@pytest.fixture(scope="module")
def small(make_model):
    return make_model(SPEC, radius=8)


@pytest.fixture
def stored(small, tmp_path):
    """Return a good model file that a test may damage."""
    path = tmp_path / "stored.safetensors"
    save_model(path, small.card, small.weights)
    return path


def refusal(path, read=load_model):
    """Return the one sentence with which a file is refused."""
    with pytest.raises(ModelError) as refused:
        read(path)
    sentence = str(refused.value)
    assert type(refused.value) is ModelError
    assert sentence.startswith(f"{path}: "), sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def header(path):
    """Return the header of a safetensors file and where its tensors begin."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), 8 + length


def with_header(path, plain):
    """Replace the header of a safetensors file, its tensors left alone."""
    content, (_, start) = path.read_bytes(), header(path)
    text = json.dumps(plain).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[start:])


def with_card(path, card):
    """Replace the card of a file by any text."""
    plain, _ = header(path)
    plain["__metadata__"] = {"geoseg": card} if card is not None else {}
    with_header(path, plain)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_a_model_file_is_as_open_as_any_new_file(stored, tmp_path):
    any_file = tmp_path / "any"
    any_file.touch()
    assert stored.stat().st_mode == any_file.stat().st_mode


def test_card_and_weights_come_back(tiny_model, tmp_path):
    card = replace(
        tiny_model.card,
        window=1216,
        quantization={"down.0": [0.0, 1.5]},
        training={"data": [{"name": "Dubaï", "images": 3}], "seed": 7},
        scores=[{"split": "held-out", "mean_iou": 0.5, "classes": {"road": {"iou": None}}}],
    )
    path = tmp_path / "folder with space" / "Modell ä.safetensors"
    path.parent.mkdir()
    written = save_model(path, card, tiny_model.weights)
    model = load_model(path)
    assert model.card == written == replace(card, tensors_sha256=written.tensors_sha256)
    assert len(written.tensors_sha256) == 64
    assert load_card(str(path)) == model.card
    assert set(model.weights) == set(card.network.tensor_shapes())
    for name, tensor in model.weights.items():
        np.testing.assert_array_equal(tensor, tiny_model.weights[name])
        assert tensor.dtype == np.float32


def test_filters_of_half_precision_are_read_as_float32(tiny_model, tmp_path):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    card = save_model(half, tiny_model.card, tiny_model.weights, halved=True)
    kinds = {name: entry["dtype"] for name, entry in header(half)[0].items() if name != "__metadata__"}
    model = load_model(half)
    assert model.card == card
    for name, tensor in model.weights.items():
        wanted, is_filter = tiny_model.weights[name], tensor.ndim > 1
        assert (tensor.dtype, kinds[name]) == (np.float32, "F16" if is_filter else "F32")
        np.testing.assert_array_equal(tensor, wanted.astype(np.float16) if is_filter else wanted)
    assert save_model(full, card, model.weights) == card, "the digest is that of what is read, however it is kept"


def test_weights_too_large_for_half_precision(small, tmp_path):
    weights = {name: tensor * 1e6 if tensor.ndim > 1 else tensor for name, tensor in small.weights.items()}
    with pytest.raises(ModelError, match="infinity"):
        save_model(tmp_path / "half.safetensors", small.card, weights, halved=True)
    assert not list(tmp_path.glob("half*"))


def test_the_card_is_plain_json(small):
    card = replace(small.card, tensors_sha256="ab")
    assert load(dump(card)) == card
    assert card_from_json(json.loads(json.dumps(card_to_json(card)))) == card
    assert json.loads(dump(card))["schema"] == 1


def test_the_digest_is_of_the_weights_and_their_names(small, tmp_path):
    digests = set()
    names = list(small.weights)
    swapped = dict(small.weights)
    swapped["down.0.1.norm.bias"], swapped["down.0.1.norm.weight"] = (
        swapped["down.0.1.norm.weight"],
        swapped["down.0.1.norm.bias"],
    )
    changed = dict(small.weights) | {names[0]: small.weights[names[0]] * np.float32(1.000001)}
    for i, weights in enumerate((small.weights, dict(reversed(small.weights.items())), swapped, changed)):
        digests.add(save_model(tmp_path / f"{i}.safetensors", small.card, weights).tensors_sha256)
    assert len(digests) == 3, "order must not matter, names and values must"


# ---- damage


def test_a_missing_file(tmp_path):
    assert "no such model file" in refusal(tmp_path / "none.safetensors")


def test_a_folder(tmp_path):
    folder = tmp_path / "model.safetensors"
    folder.mkdir()
    assert "is a folder" in refusal(folder)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not a model at all, just a text\n" * 40, b"\xff" * 200, b"\0" * 64, b"{}"]
)
def test_something_else_by_that_name(tmp_path, content):
    path = tmp_path / "text.safetensors"
    path.write_bytes(content)
    assert "damaged or not a safetensors file" in refusal(path)
    refusal(path, load_card)


@pytest.mark.parametrize("kept", [7, 8, 100, -1, -400])
def test_a_truncated_file(stored, kept):
    stored.write_bytes(stored.read_bytes()[:kept])
    refusal(stored)
    refusal(stored, load_card)


def test_more_bytes_than_the_header_says(stored):
    stored.write_bytes(stored.read_bytes() + b"tail")
    refusal(stored)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.data())
def test_a_flipped_bit_in_the_weights_is_noticed(stored, data):
    good = stored.read_bytes()
    _, start = header(stored)
    at, bit = data.draw(st.integers(start, len(good) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(good)
    damaged[at] ^= 1 << bit
    other = stored.with_name("flipped.safetensors")
    other.write_bytes(damaged)
    assert any(words in refusal(other) for words in ("sha256", "NaN"))
    assert load_card(other) == load_card(stored), "a card is read without the weights"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_a_flipped_bit_in_the_header_is_never_an_internal_error(stored, data):
    good = stored.read_bytes()
    _, start = header(stored)
    at, bit = data.draw(st.integers(0, start - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(good)
    damaged[at] ^= 1 << bit
    other = stored.with_name("flipped.safetensors")
    other.write_bytes(damaged)
    with contextlib.suppress(ModelError):  # a flip in a name or a text of the card is not noticed
        load_model(other)


def test_a_file_without_a_card(stored):
    with_card(stored, None)
    assert "no geoseg card" in refusal(stored)
    assert "no geoseg card" in refusal(stored, load_card)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "7",
        "null",
        "{}",
        '{"schema": 1}',
        '{"schema": 2}',
        '{"schema": "1"}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_card_that_is_no_card(stored, text):
    with_card(stored, text)
    assert "model card" in refusal(stored)
    refusal(stored, load_card)


def test_a_newer_schema_says_so(stored, small):
    plain = card_to_json(small.card) | {"schema": 2}
    with_card(stored, json.dumps(plain))
    assert "schema 2 is not 1" in refusal(stored)


FIELDS = [
    "name",
    "version",
    "network",
    "bands",
    "value_range",
    "mean",
    "std",
    "resolution_m",
    "legend",
    "receptive_radius",
    "domain",
    "license",
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_card_without_one_of_its_fields(stored, field):
    plain = card_to_json(load_card(stored))
    del plain[field]
    with_card(stored, json.dumps(plain))
    refusal(stored, load_card)


def test_a_card_with_an_unknown_field(stored):
    with_card(stored, json.dumps(card_to_json(load_card(stored)) | {"surprise": 1}))
    refusal(stored, load_card)


WRONG = [
    ("bands", ["red"]),
    ("mean", [1, 2]),
    ("std", [1, 0, 1]),
    ("std", [1, -1, 1]),
    ("std", ["a", "b", "c"]),
    ("value_range", [255, 0]),
    ("resolution_m", 0),
    ("resolution_m", -1),
    ("resolution_m", "one"),
    ("resolution_m", None),
    ("legend", []),
    ("legend", {}),
    ("legend", [{"value": 1}]),
    ("network", []),
    ("network", "unet"),
    ("network.widths", []),
    ("network.widths", [4, "8"]),
    ("network.widths", [4.5, 8]),
    ("network.widths", [0, 8]),
    ("network.widths", [4] * 9),
    ("network.widths", [4097, 8]),
    ("network.kind", "transformer"),
    ("network.bands", 0),
    ("network.bands", 2.5),
    ("network.classes", 1),
    ("network.classes", 300),
    ("network.classes", 4),
    ("network.convolutions", 0),
    ("network.convolutions", "2"),
    ("domain", {}),
    ("domain.resolution_m", 1.0),
    ("tensors_sha256", None),
    ("tensors_sha256", "0" * 64),
]
"""Fields and values that mean nothing; a dot enters an object."""

UNNOTICED = [
    ("bands", "rgb"),
    ("bands", [1, 2, 3]),
    ("mean", ["a", "b", "c"]),
    ("mean", [None, 1, 1]),
    ("mean", [float("nan"), 1, 1]),
    ("std", [float("nan"), 1, 1]),
    ("std", [float("inf"), 1, 1]),
    ("value_range", [0]),
    ("value_range", [0, 255, 1]),
    ("value_range", ["a", "b"]),
    ("value_range", [0, float("inf")]),
    ("resolution_m", float("nan")),
    ("receptive_radius", -5),
    ("receptive_radius", "far"),
    ("receptive_radius", 93.7),
    ("receptive_radius", None),
    ("domain.resolution_m", ["a", "b"]),
    ("domain.color_mean", [[1, 2]]),
    ("domain.color_mean", [["a", "b"]] * 3),
    ("domain.text", None),
    ("name", None),
    ("name", 5),
    ("license", None),
    ("scores", 7),
    ("training", "much"),
    ("window", "large"),
]
"""The same, of kinds that are easily believed."""


@pytest.mark.parametrize(("field", "value"), [*WRONG, *UNNOTICED])
def test_a_card_whose_values_mean_nothing(stored, field, value):
    plain = copy.deepcopy(card_to_json(load_card(stored)))
    *rooms, last = field.split(".")
    inside = plain
    for room in rooms:
        inside = inside[room]
    inside[last] = value
    with_card(stored, json.dumps(plain))
    refusal(stored)


# ---- weights that are not the card's


def written(path, small, weights):
    """Write weights past every check of ``save_model``."""
    save_file(
        {name: np.ascontiguousarray(t) for name, t in weights.items()},
        path,
        metadata={"geoseg": dump(small.card)},
    )
    return path


def test_a_missing_tensor(small, tmp_path):
    weights = dict(small.weights)
    del weights["head.bias"]
    assert "head.bias is missing" in refusal(written(tmp_path / "m.safetensors", small, weights))


def test_an_extra_tensor(small, tmp_path):
    weights = dict(small.weights) | {"spare": np.zeros(3, np.float32)}
    assert "spare is not part" in refusal(written(tmp_path / "m.safetensors", small, weights))


def test_a_tensor_of_another_shape(small, tmp_path):
    weights = dict(small.weights) | {"head.weight": np.zeros((5, 3, 1, 1), np.float32)}
    sentence = refusal(written(tmp_path / "m.safetensors", small, weights))
    assert "(5, 3, 1, 1)" in sentence
    assert "(5, 2, 1, 1)" in sentence


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_tensor_with_nan(small, tmp_path, value):
    weights = dict(small.weights) | {"head.bias": np.array([0, 0, value, 0, 0], np.float32)}
    assert "head.bias holds NaN or infinity" in refusal(written(tmp_path / "m.safetensors", small, weights))
    with pytest.raises(ModelError, match="NaN"):
        save_model(tmp_path / "n.safetensors", small.card, weights)
    assert not (tmp_path / "n.safetensors").exists()


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32])
def test_a_tensor_of_another_type(small, tmp_path, kind):
    weights = dict(small.weights) | {"head.bias": small.weights["head.bias"].astype(kind)}
    refusal(written(tmp_path / "m.safetensors", small, weights))


def test_weights_of_another_model(small, make_model, tmp_path):
    other = make_model(SPEC, seed=9)
    assert "sha256" in refusal(written(tmp_path / "m.safetensors", small, other.weights))


# ---- nothing is executed


class Evil:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".ckpt", ".pkl", ".onnx", ".safetensors", ".bin", ""])
def test_a_pickle_is_never_run(tmp_path, ending):
    trace = tmp_path / "trace"
    path = tmp_path / f"model{ending}"
    path.write_bytes(pickle.dumps(Evil(trace)))
    refusal(path)
    refusal(path, load_card)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists(), "the pickle would not have left a trace anyway"


# ---- the bundled model


@pytest.mark.parametrize(("name", "stride"), [("default", 16), ("dubai", 64)])
def test_the_bundled_models_are_there_and_fit_to_be_given_away(name, stride):
    path = model_path(name)
    assert path.is_file(), f"{path} is missing from the package"
    card = load_model(name).card
    assert card.bands == ("red", "green", "blue")
    assert [(c.value, c.name, c.layer) for c in card.legend] == [(c.value, c.name, c.layer) for c in DEFAULT_LEGEND]
    assert card.network.stride == stride
    assert card.license
    assert card.license != "as the training data"
    assert card.training.get("data")
    assert card.scores, "a bundled model tells how good it is"
    assert all(score["split"] for score in card.scores)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_name_is_not_a_file_here(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("mine")
    assert model_path(name).parent.name == "model"
    assert model_path(f"./{name}") == Path(name)
