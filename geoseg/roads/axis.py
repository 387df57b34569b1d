"""From a path of pixels to the middle of the road, finer than pixels, and the road's width along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

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
        near: shape (n, 10), see `geoseg.roads.thin.Skeleton`.
        scale: of the pixels.
        ring: whether the path is a ring.
    """
    xy, width = _refined(
        np.ascontiguousarray(pixels), np.ascontiguousarray(near), np.array((scale.width_m, scale.height_m)), ring
    )
    return Axis(xy, width - scale.pixel_m, near[:, 4].astype(np.float64))


@compiled
def _refined(pixels: Any, near: Any, size: Any, ring: Any) -> Any:
    """Return points in metres, and distances across between the middles of pixels off the road."""
    n = len(pixels)
    xy = np.empty((n, 2))
    for i in range(n):
        xy[i, 0] = (pixels[i, 1] + 0.5) * size[0]
        xy[i, 1] = (pixels[i, 0] + 0.5) * size[1]
    course = _smoothed(xy, _DIRECTION_PX, ring)
    step = size.min()
    width = np.empty(n)
    for i in range(n):
        before, after = max(i - 1, 0), min(i + 1, n - 1)
        x, y = course[after, 0] - course[before, 0], course[after, 1] - course[before, 1]
        length = np.hypot(x, y)
        x, y = (-y / length, x / length) if length > 0 else (0.0, 0.0)
        left = _sampled(near[i], -step * x / size[0], -step * y / size[1])
        right = _sampled(near[i], step * x / size[0], step * y / size[1])
        shift = min(max((right - left) / 2, -step), step)
        xy[i, 0] += shift * x
        xy[i, 1] += shift * y
        width[i] = left + right + 2 * step
    return _smoothed(xy, _SMOOTHING_PX, ring), width


@compiled
def _sampled(near: Any, col: Any, row: Any) -> Any:
    """Return the distance at an offset of up to a pixel, between the nine that are known."""
    found = 0.0
    for i in range(3):
        for j in range(3):
            found += near[3 * i + j] * max(0.0, 1.0 - abs(row - (i - 1))) * max(0.0, 1.0 - abs(col - (j - 1)))
    return found


@compiled
def _smoothed(xy: Any, sigma: Any, ring: Any) -> Any:
    """Return a line smoothed by a Gaussian; its ends stay, and a ring stays closed."""
    reach = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    n = len(xy)
    smooth = np.zeros((n, 2))
    for k in range(2):
        for i in range(n):
            for j in range(-reach, reach + 1):
                smooth[i, k] += kernel[j + reach] * (xy[(i + j) % (n - 1), k] if ring else _reflected(xy, i + j, k))
    return smooth


@compiled
def _reflected(xy: Any, i: Any, k: Any) -> Any:
    """Return a coordinate of a line that goes on beyond its ends as its own image, turned half around them."""
    n = len(xy)
    if n == 1:
        return xy[0, k]
    moved, sign = 0.0, 1.0
    while i < 0 or i >= n:
        end = 0 if i < 0 else n - 1
        moved += sign * 2 * xy[end, k]
        sign = -sign
        i = 2 * end - i
    return moved + sign * xy[i, k]
