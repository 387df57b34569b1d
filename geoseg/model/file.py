"""Model files: ours, one ``.safetensors`` with the weights and, in its metadata, the card; and those of others.

Nothing in any of them is ever executed.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import ModelError
from geoseg.model.foreign.mlm import local_asset, read_item
from geoseg.model.foreign.mlm_description import is_item
from geoseg.model.foreign.onnx_file import read_object, read_onnx, sidecars
from geoseg.model.foreign.refusals import IMPORTED, refuse
from geoseg.model.safetensors_file import read_safetensors, save_model
from geoseg.model.weights import Model, check_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geoseg.model.card import ModelCard
    from geoseg.model.network import NetworkSpec

__all__ = [
    "BUNDLED",
    "DEFAULT",
    "Model",
    "folded",
    "is_model",
    "load_card",
    "load_model",
    "model_files",
    "model_path",
    "save_model",
]

DEFAULT = "default"
BUNDLED = (DEFAULT, "dubai")
"""The names under which the models inside the package are known."""


def model_path(name: str | os.PathLike[str]) -> Path:
    """Return the path of a model named by its file, or of a bundled one by its name."""
    if os.fspath(name) in BUNDLED:
        return Path(str(resources.files("geoseg.model").joinpath(f"{name}.safetensors")))
    return Path(name)


def is_model(name: str) -> bool:
    """Return whether a name is that of a model; a ``.json`` is one only where it is a STAC item of a model."""
    path = Path(name)
    if name in BUNDLED or path.suffix.lower() in (".safetensors", ".onnx", *IMPORTED):
        return True
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    try:
        return is_item(read_object(path))
    except ModelError:
        return False


def model_files(name: str | os.PathLike[str]) -> list[Path]:
    """Return the files a model is read from: when one of them changes, so may the model; raises ModelError."""
    path = model_path(name)
    if path.suffix.lower() == ".json":
        path = local_asset(path, read_object(path))
        return [model_path(name), path, *(beside for beside in sidecars(path) if beside.is_file())]
    return [path, *(beside for beside in sidecars(path) if path.suffix.lower() == ".onnx" and beside.is_file())]


def load_card(name: str | os.PathLike[str]) -> ModelCard:
    """Read a model's card, of our files without the weights; raises ModelError."""
    path = _checked(name)
    return (read_safetensors(path, weights=False) if path.suffix.lower() == ".safetensors" else _read(path)).card


def load_model(name: str | os.PathLike[str]) -> Model:
    """Read a model and check its weights against the card.

    Raises:
        ModelError: the file is missing, damaged, of another kind, or its weights are not those of its card.
    """
    path = _checked(name)
    model = _read(path)
    check_weights(path, model)
    return model


def _checked(name: str | os.PathLike[str]) -> Path:
    path = model_path(name)
    refuse(os.fspath(name), path, missing="reinstall geoseg" if os.fspath(name) in BUNDLED else "")
    return path


def _read(path: Path) -> Model:
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path)
    return read_onnx(path) if path.suffix.lower() == ".onnx" else read_item(path)


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
