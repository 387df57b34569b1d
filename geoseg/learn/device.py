"""Where a run computes: the processor, or a CUDA device."""

from __future__ import annotations

import re

import torch

from geoseg.errors import UsageError


def device_named(name: str) -> str:
    """Return ``cpu`` or ``cuda[:n]`` for a name; ``auto`` takes CUDA where there is any.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d{1,2})?", name):
        raise UsageError(f"--device: {name!r} is not a device to train on; use auto, cpu, cuda or cuda:N")
    number = int(name.partition(":")[2] or 0)
    if name.startswith("cuda") and number >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    return name


def half_precision(device: str) -> bool:
    """Return whether bfloat16 is faster than float32 there.

    On processors it is with matrix tiles (AMX) alone: without them torch spends more time converting than it saves.
    """
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_amx_tile_supported()  # noqa: SLF001 - torch has no public name for it
