"""Names, pixels and whole forward passes of networks, for tests."""

from __future__ import annotations

import numpy as np
import torch

from geoseg.inference.network import RunsOn
from geoseg.model.torch_unet import UNet

FP32 = RunsOn("cpu", "fp32", 1)
ROUNDING = 2e-5
"""Probabilities in single precision differ from double precision by less than this."""


def named(spec):
    shape = f"{spec.levels} levels, {spec.convolutions} convolutions, {spec.bands} bands"
    return f"{spec.kind}, {shape}, patch {spec.patch}"


def pixels_for(model, height, width, seed=0):
    low, high = model.card.value_range
    values = np.random.default_rng(seed).uniform(low, high, (model.card.network.bands, height, width))
    return np.rint(values).astype(np.uint8) if model.card.takes_uint8 else values.astype(np.float32)


def full_forward(model, pixels, halo, kind=torch.float64):
    """Return the probabilities of a plain forward pass over a window, its core cut out at the very end."""
    net = UNet(model.card.network)
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    mean, std = (np.array(v)[:, None, None] for v in (model.card.mean, model.card.std))
    with torch.inference_mode():
        scores = net.to(kind).eval()(torch.from_numpy((pixels - mean) / std)[None].to(kind)).softmax(1)[0].numpy()
    cut = slice(halo, -halo or None)
    return scores[:, cut, cut]
