"""How much of a window the decoder may leave out without changing a single score of the core.

The halo is there for the encoder, which sees far at coarse levels. On the way up, a level only needs the core plus
what its own convolutions reach beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.model.network import NetworkSpec


def decoder_margins(spec: NetworkSpec, halo: int) -> list[int]:
    """Return, per level, the pixels of that level kept around the core before its merging convolutions.

    The last entry is the coarsest level's, kept before it is enlarged. A level's convolutions reach
    ``spec.convolutions`` pixels, so that many more are needed than its result is used for, and twice
    the coarser margin becomes the finer one; rounding up to an even number keeps the levels aligned.

    Args:
        spec: the network's shape.
        halo: pixels around the core in the network's input, a multiple of ``spec.stride``.
    """
    around = halo // spec.patch
    margins = []
    wanted = 0  # pixels around the core that the level's result must be right for
    for level in range(spec.levels):
        kept = wanted + (spec.convolutions if level + 1 < spec.levels else 0)
        kept = min(kept + kept % 2, around >> level)
        margins.append(kept)
        wanted = -(-kept // 2)
    return margins
