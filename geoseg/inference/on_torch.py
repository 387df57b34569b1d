"""The network on CUDA or MPS, and on the CPU where OpenVINO is not to be had: torch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import ModelError, UsageError
from geoseg.inference.margins import decoder_margins
from geoseg.model.torch_unet import UNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.inference.network import Precision, RunsOn, WindowShape
    from geoseg.model.file import Model


class TorchNetwork:
    """A network for one window shape on one torch device."""

    def __init__(self, model: Model, shape: WindowShape, runs_on: RunsOn) -> None:
        self.device = "cpu" if runs_on.device == "auto" else runs_on.device
        self._at = _device(self.device)
        if self._at.type == "cpu" and runs_on.threads is not None:
            torch.set_num_threads(runs_on.threads)
        self.precision: Precision = runs_on.precision or ("bf16" if _fast_bf16(self._at) else "fp32")
        self._shape = shape
        spec = model.card.our_network()
        self._margins = decoder_margins(spec, shape.halo)
        net = UNet(spec)
        net.load_state_dict(
            {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}, strict=False
        )
        self._net = net.eval().to(self._at, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(model.card.mean, device=self._at).view(1, -1, 1, 1)
        self._std = torch.tensor(model.card.std, device=self._at).view(1, -1, 1, 1)
        self._temperature = model.card.temperature
        self._dtype = np.uint8 if model.card.takes_uint8 else np.float32

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width)."""
        best = self._probabilities(pixels).max(1)
        percent = (best.values * 100).round().to(torch.uint8)
        return best.indices.to(torch.uint8)[0].cpu().numpy(), percent[0].cpu().numpy()

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities (classes, core height, core width)."""
        scores: NDArray[np.float32] = self._probabilities(pixels)[0].cpu().numpy()
        return scores

    def _probabilities(self, pixels: NDArray[Any]) -> Tensor:
        sent = torch.from_numpy(np.ascontiguousarray(pixels, self._dtype)[None]).to(self._at)
        half = self.precision == "bf16"
        try:
            with torch.inference_mode(), torch.autocast(self._at.type, torch.bfloat16, enabled=half):
                x = ((sent.float() - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
                return (self._core_scores(x).float() / self._temperature).softmax(1)
        except torch.OutOfMemoryError as full:
            height, width = self._shape.height, self._shape.width
            raise ModelError(
                f"--device {self.device}: a window of {height} x {width} pixels does not fit its memory; "
                "give a smaller --window"
            ) from full

    def _core_scores(self, x: Tensor) -> Tensor:
        """The forward pass of ``UNet``, its decoder cut to the margins the core needs."""
        net, halo = self._net, self._shape.halo // self._net.spec.patch
        levels = net.spec.levels
        x = net.gathered(x)
        skips = []
        for level, block in enumerate(net.down):
            x = block(x if level == 0 else net.pool(x))
            skips.append(x)
        around = self._margins[-1]
        x = _cut(x, (halo >> (levels - 1)) - around)
        for level in reversed(range(levels - 1)):
            margin = self._margins[level]
            x = _cut(net.up[level](x), 2 * around - margin)
            if net.spec.skips:
                x = torch.cat([_cut(skips[level], (halo >> level) - margin), x], dim=1)
            x = net.merge[level](x)
            around = margin
        scores: Tensor = net.answers(_cut(x, around))
        return scores


def _cut(x: Tensor, edge: int) -> Tensor:
    """Drop ``edge`` pixels on every side."""
    return x[:, :, edge : x.shape[2] - edge, edge : x.shape[3] - edge] if edge else x


def _device(name: str) -> torch.device:
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,2})?", name):
        raise UsageError(f"--device: {name!r} is not a device; use auto, cpu, mps, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Metal device; use auto or cpu")
    return device


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - torch has no public name for it
