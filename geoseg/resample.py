"""Separable resampling in which every output pixel depends on its own position only.

Whatever rows and columns are asked for, a pixel comes out the same to the last bit, so strips and mosaics
fit. Reducing uses a triangle filter widened by the factor (antialiasing, as Pillow's BILINEAR), enlarging
plain bilinear interpolation between pixel centres; beyond the edge the outermost pixel goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# float32 sums of weights differ from 1 by less than this where nothing is missing; more would show as missing weight.
_WHOLE = 1 - 1e-5


class Taps(NamedTuple):
    """For every output pixel of an axis, the input pixels it is made of."""

    source: NDArray[np.int64]
    """Shape (n_out, k), ascending along both axes."""
    weight: NDArray[np.float32]
    """Shape (n_out, k), every row sums to 1."""

    def reach(self, start: int, stop: int) -> tuple[int, int]:
        """Return the input range that the outputs ``start`` to ``stop`` are made of."""
        part = self.source[start:stop]
        return int(part.min()), int(part.max()) + 1

    def part(self, start: int, stop: int, first: int) -> Taps:
        """Return the taps of some outputs, for an input whose first pixel is ``first``."""
        return Taps(self.source[start:stop] - first, self.weight[start:stop])


def weights(n_in: int, n_out: int) -> Taps:
    """Return the taps that turn ``n_in`` pixels into ``n_out`` over the same ground."""
    scale = n_in / n_out
    support = max(1.0, scale)
    centre = (np.arange(n_out) + 0.5) * scale
    taps = int(np.ceil(support)) * 2 + 1
    first = np.floor(centre - support).astype(np.int64)
    index = first[:, None] + np.arange(taps)
    weight = np.maximum(0.0, 1.0 - np.abs(index + 0.5 - centre[:, None]) / support)
    weight[(index < 0) | (index >= n_in)] = 0.0  # an output's remaining taps share the weight, which is clamping
    weight /= weight.sum(axis=1, keepdims=True)
    used = weight.any(axis=0)
    return Taps(np.clip(index[:, used], 0, n_in - 1), weight[:, used].astype(np.float32))


def resample(pixels: NDArray[Any], rows: Taps, cols: Taps) -> NDArray[np.float32]:
    """Return resampled pixels.

    Args:
        pixels: Shape (bands, height, width), any real type.
        rows: Taps into the height.
        cols: Taps into the width.

    Returns:
        Shape (bands, len(rows), len(cols)).
    """
    return _along_cols(_along_rows(pixels, rows), cols)


def resample_valid(
    pixels: NDArray[Any], valid: NDArray[np.bool_], rows: Taps, cols: Taps
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return resampled pixels to which invalid ones contribute nothing, and where they are valid.

    Args:
        pixels: Shape (bands, height, width), any real type.
        valid: Shape (height, width).
        rows: Taps into the height.
        cols: Taps into the width.

    Returns:
        Pixels of shape (bands, len(rows), len(cols)), arbitrary where invalid, and their validity: True where
        at least half of the weight was valid.
    """
    if valid.all():
        return resample(pixels, rows, cols), np.ones((len(rows.source), len(cols.source)), np.bool_)
    total = resample(np.where(valid, pixels, pixels.dtype.type(0)), rows, cols)
    share = resample(valid[None].astype(np.float32), rows, cols)[0]
    partial = (share > 0) & (share < _WHOLE)
    np.divide(total, share, out=total, where=partial)
    return total, share >= 0.5


def _along_rows(pixels: NDArray[Any], taps: Taps) -> NDArray[np.float32]:
    result = np.zeros((pixels.shape[0], len(taps.source), pixels.shape[2]), np.float32)
    for k in range(taps.source.shape[1]):
        result += pixels[:, taps.source[:, k]] * taps.weight[:, k, None]
    return result


def _along_cols(pixels: NDArray[Any], taps: Taps) -> NDArray[np.float32]:
    result = np.zeros((*pixels.shape[:2], len(taps.source)), np.float32)
    for k in range(taps.source.shape[1]):
        result += np.take(pixels, taps.source[:, k], axis=2) * taps.weight[:, k]
    return result
