"""The network of a NetworkSpec as a torch module."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from geoseg.model.network import NetworkSpec


class ConvNormReLU(nn.Module):
    """3×3 convolution, batch normalization, ReLU; height and width stay."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels_in, h, w) to (n, channels_out, h, w)."""
        return torch.relu_(self.norm(self.conv(x)))


def _block(channels_in: int, channels_out: int, convolutions: int) -> nn.Sequential:
    widths = [channels_in] + [channels_out] * convolutions
    return nn.Sequential(*(ConvNormReLU(a, b) for a, b in pairwise(widths)))


class UNet(nn.Module):
    """Encoder, decoder and head; any height and width that are multiples of ``spec.stride``."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        steps = pairwise((spec.bands * spec.patch**2, *spec.widths))
        self.down = nn.ModuleList(_block(a, b, spec.convolutions) for a, b in steps)
        finer = list(pairwise(spec.widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, fine, 2, stride=2) for fine, deep in finer)
        joined = 2 if spec.skips else 1
        self.merge = nn.ModuleList(_block(joined * fine, fine, spec.convolutions) for fine, _ in finer)
        self.head = nn.Conv2d(spec.widths[0], spec.classes * spec.patch**2, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized pixels (n, bands, h, w) to class scores before the softmax (n, classes, h, w)."""
        x = self.gathered(x)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        for level in reversed(range(self.spec.levels - 1)):
            x = self.up[level](x)
            x = self.merge[level](torch.cat([skips[level], x], dim=1) if self.spec.skips else x)
        return self.answers(x)

    def gathered(self, x: Tensor) -> Tensor:
        """Turn each patch of pixels into channels: (n, bands, h, w) to (n, bands·patch², h/patch, w/patch)."""
        return functional.pixel_unshuffle(x, self.spec.patch) if self.spec.patch > 1 else x

    def answers(self, x: Tensor) -> Tensor:
        """Map the finest level's features to class scores of every pixel."""
        scores: Tensor = self.head(x)
        return functional.pixel_shuffle(scores, self.spec.patch) if self.spec.patch > 1 else scores
