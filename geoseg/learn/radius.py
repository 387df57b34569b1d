"""The receptive radius of a network, measured: how far beyond a block of pixels its class scores look.

Windows start and end on multiples of the network's stride, so the blocks that matter are aligned to it. The reach
between two single pixels can be up to ``stride - 1`` more, but only within the block's own cells.
"""

from __future__ import annotations

from functools import cache

import torch

from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet


@cache
def measure_radius(spec: NetworkSpec) -> int:
    """Return how many pixels beyond a stride-aligned block can still change one of the block's outputs.

    The reach is a matter of the network's shape, so it is measured with weights that let every change through:
    positive ones of one narrow twin. A line of pixels is moved through all phases of the stride; the kernels are
    square, so what holds along columns holds along rows.
    """
    stride = spec.stride
    side = stride * (8 + 8 * spec.levels)
    net = UNet(NetworkSpec(1, 2, (1,) * spec.levels, spec.convolutions, spec.kind, spec.patch)).double().eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.fill_(1.0 / 9.0 if name.endswith("conv.weight") else 1.0)
    middle = side // 2 // stride * stride
    flat = torch.zeros(1, 1, side, stride, dtype=torch.double)
    farthest = 0
    with torch.inference_mode():
        still = net(flat)
        for row in range(middle, middle + stride):
            moved = flat.clone()
            moved[0, 0, row] = 1e6
            changed = ((net(moved) - still).abs() > 0).any(1)[0].any(1).nonzero()
            before = int(changed.min()) // stride * stride + stride - 1  # last pixel of the first block it changes
            behind = int(changed.max()) // stride * stride  # first pixel of the last block it changes
            farthest = max(farthest, row - before, behind - row)
    if farthest >= middle - stride:
        raise AssertionError("the probe was too small for this network")
    return farthest
