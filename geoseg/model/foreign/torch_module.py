"""Networks of other libraries: built by the library itself, filled with the weights, and kept as an ONNX graph."""

from __future__ import annotations

import importlib.util
import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.foreign.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from torch import nn

_OPSET = 17
_SIDE = 256
_SMP = "segmentation_models_pytorch"


def module_of_folder(folder: Path) -> tuple[nn.Module, int]:
    """Return the network of a folder that segmentation_models_pytorch saved, and its bands.

    Raises:
        ModelError: the library is missing, or does not have such a network.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = config.pop("_model_class")
    except (OSError, ValueError, KeyError, AttributeError) as wrong:
        raise ModelError(f"{folder}: its config.json is none of {_SMP} ({wrong!r:.80})") from wrong
    _needed(folder, _SMP, "segmentation-models-pytorch")
    import segmentation_models_pytorch as smp

    kind = getattr(smp, str(name), None)
    if not (isinstance(kind, type) and issubclass(kind, smp.base.SegmentationModel)):
        raise ModelError(f"{folder}: {_SMP} has no network {name!r}; install the version that it was saved with")
    module = _built(folder, lambda: kind(**{**config, "encoder_weights": None}))
    tensors, _ = read_checkpoint(folder / "model.safetensors")
    _fill(folder, module, tensors)
    return module, int(config.get("in_channels", 3))


def module_of_task(path: Path, tensors: dict[str, Any], settings: dict[str, Any]) -> tuple[nn.Module, int]:
    """Return the network of a checkpoint of torchgeo's SemanticSegmentationTask, and its bands.

    Raises:
        ModelError: the library is missing, or does not have such a network.
    """
    _needed(path, "torchgeo", "torchgeo")
    from torchgeo.trainers import SemanticSegmentationTask

    told = {**settings, "weights": None, "class_weights": None}
    task = _built(path, lambda: SemanticSegmentationTask(**told))
    mine = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    _fill(path, task.model, mine)
    return task.model, int(settings.get("in_channels", 3))


def as_onnx(path: Path, module: nn.Module, bands: int) -> bytes:
    """Return a network as an ONNX file's bytes, for any height and width.

    Raises:
        ModelError: the package onnx is missing, or the network cannot be written as a graph.
    """
    _needed(path, "onnx", "'geoseg[onnx]'")
    import torch

    free = {0: "batch", 2: "height", 3: "width"}
    try:
        with warnings.catch_warnings(), torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "graph.onnx"
            warnings.simplefilter("ignore")  # that this exporter is the older one; the newer needs onnxscript
            torch.onnx.export(
                module.eval(),
                (torch.zeros(1, bands, _SIDE, _SIDE),),
                written,
                dynamo=False,
                opset_version=_OPSET,
                input_names=["pixels"],
                output_names=["scores"],
                dynamic_axes={"pixels": free, "scores": free},
            )
            return written.read_bytes()
    except Exception as wrong:
        reason = " ".join(str(wrong).split())[:160]
        raise ModelError(f"{path}: its network cannot be written as an ONNX graph ({reason})") from wrong


def _needed(path: Path, package: str, install: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ModelError(f"{path}: needs the package {package}, which is not installed; type: pip install {install}")


def _built(path: Path, build: Any) -> Any:
    try:
        return build()
    except Exception as wrong:
        reason = " ".join(str(wrong).split())[:160]
        raise ModelError(f"{path}: its network cannot be built as its settings say ({reason})") from wrong


def _fill(path: Path, module: nn.Module, tensors: dict[str, Any]) -> None:
    try:
        module.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError) as wrong:
        reason = " ".join(str(wrong).split())[:200]
        raise ModelError(f"{path}: its weights are not those of its network ({reason})") from wrong
