"""The shape of a network as a value, from which it is built for torch and for OpenVINO.

`unet`:
Ronneberger, Fischer, Brox, 2015 (https://arxiv.org/abs/1505.04597), with padded convolutions and batch
normalization: an encoder of two 3×3 convolutions per level and 2×2 max-pooling, a decoder of 2×2 transposed
convolutions joined to the encoder's features of the same level, and a 1×1 convolution to the classes.

`fcn`: the same without the encoder's features, so that all detail must pass through the coarsest level (Long, Shelhamer
and Darrell, 2015, https://arxiv.org/abs/1411.4038, without their skips): the baseline that a U-Net is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import ModelError

KINDS = ("unet", "fcn")
MAX_WIDTH = 4096
LEVELS = 5
"""Of a network whose levels are not named one by one."""


def doubling(finest: int, widest: int = MAX_WIDTH) -> tuple[int, ...]:
    """Return channels per level, finest first: twice as many on each, and never more than ``widest``."""
    return tuple(min(finest * 2**level, widest) for level in range(LEVELS))


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network's shape."""

    bands: int
    """Input bands."""
    classes: int
    """Output classes; output ``i`` is the score of the legend's ``i``-th class."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels of each level, finest first; every level after the first halves the resolution."""
    convolutions: int = 2
    """3×3 convolutions per block."""
    kind: str = "unet"
    """One of ``KINDS``."""
    patch: int = 1
    """Pixels a side that enter the finest level as one.

    With 2, blocks of 2 × 2 pixels become channels and the answers are spread out again (Shi et al., 2016,
    https://arxiv.org/abs/1609.05158), so that no convolution runs at full resolution, where most of the time goes.
    """

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"network kind {self.kind!r} is unknown; this version builds: {', '.join(KINDS)}")
        if not 1 <= len(self.widths) <= 8 or any(not 0 < width <= MAX_WIDTH for width in self.widths):
            raise ModelError(f"network widths {self.widths} are not 1 to 8 numbers between 1 and {MAX_WIDTH}")
        if not 1 <= self.bands <= 512 or not 2 <= self.classes <= 254 or not 1 <= self.convolutions <= 8:
            raise ModelError(
                f"network of {self.bands} bands, {self.classes} classes and {self.convolutions} convolutions a block "
                "is out of range (1–512, 2–254, 1–8)"
            )
        if self.patch not in (1, 2, 4):
            raise ModelError(f"network patch {self.patch} is not 1, 2 or 4 pixels")

    @property
    def stride(self) -> int:
        """Pixels that one step of the coarsest level covers; window offsets and sizes are multiples of it."""
        return int(self.patch * 2 ** (len(self.widths) - 1))

    @property
    def levels(self) -> int:
        """Number of resolutions."""
        return len(self.widths)

    @property
    def skips(self) -> bool:
        """Whether the decoder sees the encoder's features of its level."""
        return self.kind == "unet"

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the name and shape of every tensor a weights file of this network holds."""
        shapes: dict[str, tuple[int, ...]] = {}

        def block(prefix: str, channels_in: int, channels_out: int) -> None:
            for i in range(self.convolutions):
                entering = channels_in if i == 0 else channels_out
                shapes[f"{prefix}.{i}.conv.weight"] = (channels_out, entering, 3, 3)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{prefix}.{i}.norm.{part}"] = (channels_out,)

        entering = self.bands * self.patch**2
        for level, width in enumerate(self.widths):
            block(f"down.{level}", entering, width)
            entering = width
        for level in range(self.levels - 1):
            width, deeper = self.widths[level], self.widths[level + 1]
            shapes[f"up.{level}.weight"] = (deeper, width, 2, 2)
            shapes[f"up.{level}.bias"] = (width,)
            block(f"merge.{level}", 2 * width if self.skips else width, width)
        answers = self.classes * self.patch**2
        shapes["head.weight"] = (answers, self.widths[0], 1, 1)
        shapes["head.bias"] = (answers,)
        return shapes
