"""Our model files: safetensors with the card in the metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model import card as cards
from geoseg.model.graph import GraphSpec
from geoseg.model.weights import Model, check_weights, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.model.card import ModelCard

CARD_KEY = "geoseg"
"""Of the metadata, here and in ONNX files of ours."""


def read_safetensors(path: Path, *, weights: bool = True) -> Model:
    """Read a file of ours, its weights unchecked; raises ModelError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
            tensors = {key: _widened(stored.get_tensor(key)) for key in sorted(stored.keys())} if weights else {}
    except (SafetensorError, OSError, ValueError, TypeError) as wrong:
        raise ModelError(f"{path}: is damaged or not a safetensors file ({wrong})") from wrong
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{path}: has no geoseg card, so bands, classes and resolution are unknown; "
            "give it one with geoseg model import"
        )
    try:
        return Model(cards.load(metadata[CARD_KEY]), tensors)
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong


def save_model(path: Path, card: ModelCard, weights: Mapping[str, NDArray[Any]], *, halved: bool = False) -> ModelCard:
    """Write a model file and return the card with the weights' digest; the caller publishes the file.

    Args:
        path: where to.
        card: the model's card.
        weights: tensors by name.
        halved: whether filters are rounded to float16, which halves the file; they are float32 again when read. The
            digest is that of what is read.

    Raises:
        ModelError: the weights are not those of the card's network, or too large for float16.
    """
    from safetensors.numpy import save

    kind = np.uint8 if isinstance(card.network, GraphSpec) else np.float32
    kept = {name: np.ascontiguousarray(tensor, dtype=kind) for name, tensor in weights.items()}
    if halved:
        with np.errstate(over="ignore"):  # told by the check
            kept = {name: tensor.astype(np.float16) if tensor.ndim > 1 else tensor for name, tensor in kept.items()}
    model = Model(card, {name: _widened(tensor) for name, tensor in kept.items()})
    card = cards.with_digest(card, digest_of(model.weights.items()))
    check_weights(path, Model(card, model.weights))
    # The library's own save_file makes files that only their owner can read.
    path.write_bytes(save(kept, metadata={CARD_KEY: cards.dump(card)}))
    return card


def _widened(tensor: NDArray[Any]) -> NDArray[Any]:
    return tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor
