"""The receptive radius of a network, measured: how far beyond a block of pixels its class scores look.

Windows start and end on multiples of the network's stride, so the blocks that matter are aligned to it. The reach
between two single pixels can be up to ``stride - 1`` more, but only within the block's own cells.
"""

from __future__ import annotations

import torch

from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet


def measure_radius(spec: NetworkSpec) -> int:
    """Return how many pixels beyond a stride-aligned block can still change one of the block's outputs.

    The reach is a matter of the network's shape, so it is measured with weights that let every change through:
    positive ones of one narrow twin. A point is moved through all phases of the stride.
    """
    stride = spec.stride
    side = stride * (8 + 2 * 4 * spec.levels)
    narrow = NetworkSpec(1, 2, (1,) * spec.levels, spec.convolutions)
    net = UNet(narrow).double().eval()
    with torch.no_grad():
        for tensor in net.parameters():
            tensor.fill_(1.0)
        for name, tensor in net.named_parameters():
            if name.endswith("conv.weight"):
                tensor.fill_(1.0 / 9.0)
    middle = side // 2 // stride * stride
    flat = torch.zeros(1, 1, side, side, dtype=torch.double)
    farthest = 0
    with torch.inference_mode():
        still = net(flat)
        for phase in range(stride):
            row = col = middle + phase
            moved = flat.clone()
            moved[0, 0, row, col] = 1e6
            changed = ((net(moved) - still).abs() > 0).any(1)[0]
            for hit, place in zip(changed.nonzero(as_tuple=True), (row, col), strict=True):
                before = int(hit.min()) // stride * stride + stride - 1  # last pixel of the first block it changes
                behind = int(hit.max()) // stride * stride  # first pixel of the last block it changes
                farthest = max(farthest, place - before, behind - place)
    if farthest >= middle - stride:
        raise AssertionError("the probe was too small for this network")
    return farthest
