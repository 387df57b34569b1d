"""A model in memory: a card and the weights it speaks of, and the digest that ties them together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model.graph import MAX_BYTES, GraphSpec

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from geoseg.model.card import ModelCard

GRAPH = "onnx"
"""The one tensor of a graph's weights: the bytes of its ONNX file, uint8."""


@dataclass(frozen=True, slots=True)
class Model:
    """A card and the weights it speaks of."""

    card: ModelCard
    weights: Mapping[str, NDArray[Any]]
    """Tensors by name, float32; of a graph `GRAPH` alone."""


def check_weights(path: str | os.PathLike[str], model: Model) -> None:
    """Hold weights against their card.

    Raises:
        ModelError: a tensor is missing, surplus, of another shape or type, not finite, or not the one of the digest.
    """
    if isinstance(model.card.network, GraphSpec):
        _check_graph(path, model)
    else:
        _check_tensors(path, model, model.card.network.tensor_shapes())
    if digest_of(model.weights.items()) != model.card.tensors_sha256:
        raise ModelError(f"{path}: the weights are not those the card was written for (sha256 differs)")


def _check_graph(path: str | os.PathLike[str], model: Model) -> None:
    if set(model.weights) != {GRAPH}:
        raise ModelError(
            f"{path}: holds the tensors {sorted(model.weights)[:3]}, the card's network is one graph, {GRAPH}"
        )
    graph = model.weights[GRAPH]
    if graph.dtype != np.uint8 or graph.ndim != 1 or not 0 < graph.size <= MAX_BYTES:
        raise ModelError(f"{path}: the tensor {GRAPH} is {graph.dtype} of shape {graph.shape}, not the bytes of a file")


def _check_tensors(path: str | os.PathLike[str], model: Model, expected: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in expected.items():
        if name not in model.weights:
            raise ModelError(f"{path}: tensor {name} is missing, the card's network has it")
        if model.weights[name].shape != shape:
            raise ModelError(f"{path}: tensor {name} is {model.weights[name].shape}, the card's network wants {shape}")
        if not np.isfinite(model.weights[name]).all():
            raise ModelError(f"{path}: tensor {name} holds NaN or infinity")
    if surplus := sorted(set(model.weights) - set(expected)):
        raise ModelError(f"{path}: tensor {surplus[0]} is not part of the card's network")


def digest_of(tensors: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Return the digest over names, shapes, types and values of tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors):
        digest.update(f"{name}{tensor.shape}{tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()
