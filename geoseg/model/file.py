"""Model files: one ``.safetensors`` with the weights and, in its metadata, the card.

Nothing in such a file is ever executed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model import card as cards

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from geoseg.model.card import ModelCard
    from geoseg.model.network import NetworkSpec

BUNDLED = "default"
"""The name under which the model inside the package is known."""

_CARD_KEY = "geoseg"


@dataclass(frozen=True, slots=True)
class Model:
    """A card and the weights it speaks of."""

    card: ModelCard
    weights: Mapping[str, NDArray[np.float32]]


def model_path(name: str | os.PathLike[str]) -> Path:
    """Return the path of a model named by its file, or of the bundled one for ``default``."""
    if os.fspath(name) == BUNDLED:
        return Path(str(resources.files("geoseg.model").joinpath("default.safetensors")))
    return Path(name)


def load_card(name: str | os.PathLike[str]) -> ModelCard:
    """Read a model's card without its weights; raises ModelError."""
    return _read(model_path(name), weights=False).card


def load_model(name: str | os.PathLike[str]) -> Model:
    """Read a model and check its weights against the card.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or its weights are not those of its card.
    """
    path = model_path(name)
    model = _read(path, weights=True)
    _check(path, model)
    return model


def save_model(path: Path, card: ModelCard, weights: Mapping[str, NDArray[Any]]) -> ModelCard:
    """Write a model file and return the card with the weights' digest; the caller publishes the file."""
    from safetensors.numpy import save

    kept = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in weights.items()}
    card = cards.with_digest(card, _digest(kept.items()))
    _check(path, Model(card, kept))
    # The library's own save_file makes files that only their owner can read.
    path.write_bytes(save(kept, metadata={_CARD_KEY: cards.dump(card)}))
    return card


def _read(path: Path, *, weights: bool) -> Model:
    if path.is_dir():
        raise ModelError(f"{path}: is a folder, expected a model file (.safetensors)")
    if not path.is_file():
        hint = "reinstall geoseg" if path == model_path(BUNDLED) else f"give a .safetensors file or {BUNDLED}"
        raise ModelError(f"{path}: no such model file; {hint}")
    if path.suffix != ".safetensors":
        raise ModelError(f"{path}: is not a .safetensors model; pickled and compiled models are not opened")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            tensors = {key: stored.get_tensor(key) for key in sorted(stored.keys())} if weights else {}
    except (SafetensorError, OSError, ValueError, TypeError) as wrong:
        raise ModelError(f"{path}: is damaged or not a safetensors file ({wrong})") from wrong
    if _CARD_KEY not in metadata:
        raise ModelError(f"{path}: has no geoseg card, so bands, classes and resolution are unknown")
    try:
        return Model(cards.load(metadata[_CARD_KEY]), tensors)
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong


def _check(path: Path, model: Model) -> None:
    expected = model.card.network.tensor_shapes()
    for name, shape in expected.items():
        if name not in model.weights:
            raise ModelError(f"{path}: tensor {name} is missing, the card's network has it")
        if model.weights[name].shape != shape:
            raise ModelError(f"{path}: tensor {name} is {model.weights[name].shape}, the card's network wants {shape}")
        if not np.isfinite(model.weights[name]).all():
            raise ModelError(f"{path}: tensor {name} holds NaN or infinity")
    if surplus := sorted(set(model.weights) - set(expected)):
        raise ModelError(f"{path}: tensor {surplus[0]} is not part of the card's network")
    if _digest(model.weights.items()) != model.card.tensors_sha256:
        raise ModelError(f"{path}: the weights are not those the card was written for (sha256 differs)")


def _digest(tensors: Iterable[tuple[str, NDArray[np.float32]]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors):
        digest.update(f"{name}{tensor.shape}{tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()


def folded(spec: NetworkSpec, weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return the weights with every batch normalization folded into its convolution.

    ``PREFIX.conv.weight`` and ``PREFIX.norm.*`` become ``PREFIX.conv.weight`` and ``PREFIX.conv.bias``.
    """
    epsilon = 1e-5  # torch's BatchNorm2d
    result = {name: weights[name] for name in spec.tensor_shapes() if ".norm." not in name}
    for name in [n for n in result if n.endswith(".conv.weight")]:
        norm = name.replace(".conv.weight", ".norm.")
        scale = weights[norm + "weight"] / np.sqrt(weights[norm + "running_var"] + epsilon)
        result[name] = (weights[name] * scale[:, None, None, None]).astype(np.float32)
        bias = weights[norm + "bias"] - weights[norm + "running_mean"] * scale
        result[name.replace(".weight", ".bias")] = bias.astype(np.float32)
    return result
