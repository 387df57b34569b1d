"""Exact distances to what is outside a mask, quickly where the mask is narrow.

https://doi.org/10.4086/toc.2012.v008a019
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale

_FAR = 1 << 20  # rows; farther than any window is high


def distances(mask: NDArray[np.bool_], scale: Scale) -> NDArray[np.float32]:
    """Return how far each pixel's middle is from the nearest middle outside the mask, in metres.

    Args:
        mask: shape (height, width).
        scale: of the pixels.
    """
    found: NDArray[np.float32] = _distances(np.ascontiguousarray(mask), scale.height_m / scale.width_m, scale.width_m)
    return found


@compiled
def _distances(mask: Any, ratio: Any, metres: Any) -> Any:
    """Return distances, float32; a pixel is ``metres`` wide, and ``ratio`` as high."""
    height, width = mask.shape
    rows = _in_columns(mask)
    found = np.zeros((height, width), np.float32)
    square = np.empty(width, np.float64)
    lowest = np.empty(width, np.int64)  # columns whose parabolas are lowest somewhere, from left to right
    until = np.empty(width, np.float64)  # where each begins to be
    for i in range(height):
        begin = 0
        while begin < width:
            if not mask[i, begin]:
                begin += 1
                continue
            end = begin
            while end < width and mask[i, end]:
                end += 1
            # Beyond the pixels outside on both sides nothing is nearer than these.
            left, right = max(begin - 1, 0), min(end + 1, width)
            for j in range(left, right):
                square[j] = (rows[i, j] * ratio) ** 2
            count = _envelope(square, left, right, lowest, until)
            at = 0
            for j in range(begin, end):
                while at + 1 < count and until[at + 1] < j:
                    at += 1
                k = lowest[at]
                found[i, j] = np.float32(np.sqrt((j - k) * (j - k) + square[k]) * metres)
            begin = end
    return found


@compiled
def _in_columns(mask: Any) -> Any:
    """Return how many rows it is to the nearest pixel outside in the same column, int32."""
    height, width = mask.shape
    rows = np.zeros((height, width), np.int32)
    for i in range(height):
        for j in range(width):
            if mask[i, j]:
                rows[i, j] = rows[i - 1, j] + 1 if i > 0 else _FAR
    for i in range(height - 2, -1, -1):
        for j in range(width):
            rows[i, j] = min(rows[i, j], rows[i + 1, j] + 1)
    return rows


@compiled
def _envelope(square: Any, left: Any, right: Any, lowest: Any, until: Any) -> Any:
    """Fill in which columns' parabolas are lowest, and from where on; return how many these are."""
    count = 0
    for j in range(left, right):
        cross = -np.inf
        while count > 0:
            k = lowest[count - 1]
            cross = (square[j] - square[k] + (j - k) * (j + k)) / (2.0 * (j - k))
            if cross > until[count - 1]:
                break
            count -= 1
            cross = -np.inf
        lowest[count] = j
        until[count] = cross
        count += 1
    return count
