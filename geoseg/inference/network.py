"""What the rest of inference needs of a network, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from geoseg.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.model.file import Model

Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class WindowShape:
    """The one shape of input a network is built for."""

    height: int
    width: int
    halo: int
    """Pixels on each side that are seen but not answered for."""


@dataclass(frozen=True, slots=True)
class RunsOn:
    """Where and how a network is run."""

    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: Precision | None = None
    """None takes the fastest that keeps the classes: bf16 where the hardware has it, else fp32."""
    threads: int | None = None
    """Threads of arithmetic on the CPU; None uses every core."""


class Network(Protocol):
    """A network built for one window shape."""

    device: str
    precision: Precision

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width).

        Args:
            pixels: (bands, height, width), uint8 or float32 in the card's value range.
        """
        ...

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities (classes, core height, core width) of ``pixels`` as above."""
        ...


def build_network(model: Model, shape: WindowShape, runs_on: RunsOn) -> Network:
    """Build a network: OpenVINO on the CPU, torch on CUDA and MPS, and torch wherever OpenVINO cannot be imported.

    Raises:
        UsageError: the device is unknown or not there.
        ModelError: the precision is not possible with this model.
    """
    if runs_on.precision == "int8":
        raise ModelError(f"--precision int8: model {model.card.name} carries no quantization ranges; use bf16 or fp32")
    device = runs_on.device
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
