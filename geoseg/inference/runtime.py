"""The choice of what runs a network: OpenVINO on the CPU, torch on accelerators and as the fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.errors import ModelError, UsageError
from geoseg.inference.network import Network, RunsOn, WindowShape
from geoseg.model.graph import GraphSpec

if TYPE_CHECKING:
    from geoseg.model.file import Model


def build_network(model: Model, shape: WindowShape, runs_on: RunsOn) -> Network:
    """Build a network: OpenVINO on the CPU, torch on CUDA and MPS, and torch wherever OpenVINO cannot be imported.

    Raises:
        UsageError: the device is unknown or not there.
        ModelError: the precision is not possible with this model.
    """
    if runs_on.precision == "int8":
        raise ModelError(f"--precision int8: model {model.card.name} carries no quantization ranges; use bf16 or fp32")
    device = runs_on.device
    if isinstance(model.card.network, GraphSpec):
        return _build_graph(model, shape, runs_on)
    if device == "auto":
        device = _accelerator() or "cpu"
    if device == "cpu":
        try:
            from geoseg.inference.on_openvino import OpenVINONetwork
        except ImportError:
            pass
        else:
            return OpenVINONetwork(model, shape, runs_on)
    elif device != "mps" and not device.startswith("cuda"):
        raise UsageError(f"--device: {device!r} is not auto, cpu, mps, cuda or cuda:N")
    from geoseg.inference.on_torch import TorchNetwork

    return TorchNetwork(model, shape, RunsOn(device, runs_on.precision, runs_on.threads))


def _build_graph(model: Model, shape: WindowShape, runs_on: RunsOn) -> Network:
    name, tile = model.card.name, model.card.tile
    if runs_on.device not in ("auto", "cpu"):
        raise UsageError(
            f"--device {runs_on.device}: model {name} is an ONNX graph, which runs on the processor; use --device cpu"
        )
    if tile is not None and (shape.height, shape.width) != tile:
        raise ModelError(
            f"model {name}: takes tiles of {tile[0]} x {tile[1]} pixels and nothing else, not {shape.height} x "
            f"{shape.width}; leave --window and --tta away"
        )
    try:
        from geoseg.inference.on_openvino import OpenVINONetwork
    except ImportError as wrong:
        raise ModelError(
            f"model {name}: ONNX graphs run on OpenVINO, which is not installed: pip install openvino"
        ) from wrong
    return OpenVINONetwork(model, shape, runs_on)


def _accelerator() -> str | None:
    """Return the accelerator torch would use; asks the driver first, since importing torch takes two seconds."""
    import ctypes.util
    import platform

    if platform.system() == "Darwin" and platform.machine() == "arm64":
        import torch

        return "mps" if torch.backends.mps.is_available() else None
    if not (ctypes.util.find_library("cuda") or ctypes.util.find_library("nvcuda")):
        return None
    import torch

    return "cuda" if torch.cuda.is_available() else None
