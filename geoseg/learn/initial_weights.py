"""Weights to begin with: those of another model, its head fitted to the classes of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from geoseg.class_names import Synonyms

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.model.file import Model
    from geoseg.model.network import NetworkSpec
    from geoseg.vocabulary import Legend


def initial_weights(model: Model, legend: Legend) -> tuple[NetworkSpec, dict[str, Tensor]]:
    """Return a model's network and weights with one output for each class of a legend.

    A class that the model knows by name, in any case of letters, keeps its output; a new one begins as the mean of
    those not kept, or of all.
    """
    spec = replace(model.card.our_network(), classes=len(legend))
    weights = dict(model.weights)
    same = Synonyms.of(model.card.legend).canonical
    known = {same(entry.name): i for i, entry in enumerate(model.card.legend)}
    wanted = [known.get(same(entry.name)) for entry in legend]
    spare = sorted(set(known.values()) - {i for i in wanted if i is not None}) or sorted(known.values())
    for name in ("head.weight", "head.bias"):
        weights[name] = _rows(weights[name], wanted, spare, spec.patch**2)
    return spec, {name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.items()}


def _rows(tensor: NDArray[np.float32], wanted: list[int | None], spare: list[int], each: int) -> NDArray[np.float32]:
    """Return the rows of the wanted classes, ``each`` of them to a class."""
    of_class = tensor.reshape(-1, each, *tensor.shape[1:])
    rows = [of_class[spare].mean(0) if i is None else of_class[i] for i in wanted]
    return np.concatenate(rows).astype(np.float32)
