"""Model files: what was written comes back."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from geoseg.errors import ModelError
from geoseg.model.card import card_from_json, card_to_json, dump, load
from geoseg.model.file import load_card, load_model, save_model
from tests.model_files import header, small, stored, written  # noqa: F401


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
