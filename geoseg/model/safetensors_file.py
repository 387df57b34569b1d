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
            tensors = {key: stored.get_tensor(key) for key in sorted(stored.keys())} if weights else {}
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


def save_model(path: Path, card: ModelCard, weights: Mapping[str, NDArray[Any]]) -> ModelCard:
    """Write a model file and return the card with the weights' digest; the caller publishes the file."""
    from safetensors.numpy import save

    kind = np.uint8 if isinstance(card.network, GraphSpec) else np.float32
    kept = {name: np.ascontiguousarray(tensor, dtype=kind) for name, tensor in weights.items()}
    card = cards.with_digest(card, digest_of(kept.items()))
    check_weights(path, Model(card, kept))
    # The library's own save_file makes files that only their owner can read.
    path.write_bytes(save(kept, metadata={CARD_KEY: cards.dump(card)}))
    return card
