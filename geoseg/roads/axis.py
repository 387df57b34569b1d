"""From a path of pixels to the middle of the road, finer than pixels, and the road's width along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale

_DIRECTION_PX = 3.0  # standard deviation of the smoothing that the direction is taken from
_SMOOTHING_PX = 2.0  # of the smoothing of what comes out


@dataclass(frozen=True, slots=True)
class Axis:
    """Points along the middle of a road."""

    xy: NDArray[np.float64]
    """Shape (n, 2), metres right and down from the scene's first corner."""
    width_m: NDArray[np.float64]
    """Shape (n,), width of the road there."""
    half_m: NDArray[np.float64]
    """Shape (n,), distance to the nearest pixel off the road."""


def refined(pixels: NDArray[np.int64], near: NDArray[np.float32], scale: Scale, *, ring: bool = False) -> Axis:
    """Return the middle of the road along a path of its skeleton.

    Distances fall off on both sides of the middle alike. So from the distances one step to the left and one to the
    right follow both how far the middle is from the pixel, and the width; a distance ends at the middle of the
    first pixel off the road, which is half a pixel too far on each side.

    Args:
        pixels: shape (n, 2), rows and columns; of a ring, the first again at the end.
        near: shape (n, 9), see `geoseg.roads.thin.Skeleton`.
        scale: of the pixels.
        ring: whether the path is a ring.
    """
    size = np.array((scale.width_m, scale.height_m))
    xy = (pixels[:, ::-1] + 0.5) * size
    along = np.gradient(_smoothed(xy, _DIRECTION_PX, ring=ring), axis=0)
    length = np.hypot(*along.T)
    across = np.where(length[:, None] > 0, along[:, ::-1] * (-1, 1) / np.maximum(length, 1e-12)[:, None], 0.0)
    step = float(size.min())
    left, right = (_sampled(near, side * step * across / size) for side in (-1, 1))
    shift = np.clip((right - left) / 2, -step, step)
    moved = _smoothed(xy + shift[:, None] * across, _SMOOTHING_PX, ring=ring)
    return Axis(moved, left + right + 2 * step - scale.pixel_m, near[:, 4].astype(np.float64))


def _sampled(near: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return distances, shape (n,), at offsets (columns, rows) of up to a pixel, between the nine that are known."""
    weights = np.maximum(0.0, 1.0 - np.abs(offset[:, :, None] - (-1.0, 0.0, 1.0)))
    found = np.einsum("nij,nj,ni->n", near.reshape(-1, 3, 3), weights[:, 0], weights[:, 1])
    return np.asarray(found, np.float64)


def _smoothed(xy: NDArray[np.float64], sigma: float, *, ring: bool) -> NDArray[np.float64]:
    """Return a line smoothed by a Gaussian; its ends stay, and a ring stays closed."""
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    if ring:
        padded = np.pad(xy[:-1], ((reach, reach), (0, 0)), mode="wrap")
    else:
        padded = np.pad(xy, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    smooth = np.column_stack([np.convolve(part, kernel, mode="valid") for part in padded.T])
    return np.concatenate((smooth, smooth[:1])) if ring else smooth
