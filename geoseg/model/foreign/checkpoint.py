"""Checkpoints of PyTorch, read for their tensors and plain values alone; objects in them are refused, not built."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.safetensors_file import CARD_KEY

if TYPE_CHECKING:
    from pathlib import Path

_STATES = ("state_dict", "model_state_dict", "model_state", "model", "weights")
"""Where training scripts put a state dict beside other things."""


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors of a checkpoint by name, and whatever else its top level holds.

    Raises:
        ModelError: it is damaged, or holds objects that would have to be built by running code.
    """
    if path.suffix.lower() == ".safetensors":
        return _safetensors(path), {}
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as wrong:
        raise ModelError(f"{path}: {_unbuilt(str(wrong))}") from wrong
    except Exception as wrong:
        reason = " ".join(str(wrong).split())[:160]
        raise ModelError(f"{path}: is damaged or no checkpoint of PyTorch ({reason})") from wrong
    if not isinstance(found, dict):
        raise ModelError(f"{path}: holds a {type(found).__name__}, expected a state dict: {_SAVE}")
    for key in _STATES:
        if isinstance(found.get(key), dict):
            return _tensors(path, found[key]), {name: value for name, value in found.items() if name != key}
    return _tensors(path, found), {}


_SAVE = "torch.save(model.state_dict(), 'weights.pt') where it was made"


def _unbuilt(reason: str) -> str:
    """Return why objects in a pickle were not built, and what to do instead."""
    if "numpy" in reason:
        return (
            "holds numbers of numpy, such as metrics, which are not read; turn them into plain ones with float(...), "
            f"or save the weights alone with {_SAVE}"
        )
    return f"holds objects that only code could build, and no code of it is run; save the weights alone with {_SAVE}"


def _tensors(path: Path, state: dict[Any, Any]) -> dict[str, Any]:
    import torch

    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors or any(not isinstance(name, str) for name in tensors):
        raise ModelError(f"{path}: holds no tensors by name, expected a state dict: {_SAVE}")
    return tensors


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {key: stored.get_tensor(key) for key in sorted(stored.keys())}
    except (SafetensorError, OSError, ValueError, TypeError) as wrong:
        raise ModelError(f"{path}: is damaged or not a safetensors file ({wrong})") from wrong
    if CARD_KEY in metadata:
        raise ModelError(f"{path}: is a model of geoseg already, with its card; give it to --model as it is")
    return tensors
