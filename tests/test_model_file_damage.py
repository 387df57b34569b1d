"""Model files that are damaged, or say what cannot be: nothing is believed or executed."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.errors import ModelError
from geoseg.model.card import card_to_json
from geoseg.model.file import load_card, load_model, save_model
from tests.model_files import SPEC, header, small, stored, written  # noqa: F401


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
