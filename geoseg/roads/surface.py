"""What counts as the surface of roads: pixels of the class, without small islands and narrow medians.

Everything here looks a bounded number of pixels far, so a window with enough around it gives what the whole would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from geoseg.roads.distance import distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale

ISLAND_M2 = 60.0
"""Islands up to this area, a usual road's width squared, lie on the road: a tree, a lorry."""
_ISLAND_REACH = 64  # pixels; longer islands are none
_LEAST_ISLAND = 4  # pixels
_MEDIAN_M = 5.0  # metres; a strip up to this width between carriageways does not part them
_CARRIAGEWAY_M = 9.5  # metres; least width of what a median may lie between
WIDEST = 96
"""Working pixels; about the widest that a line is led through. Wider places are led around."""
_RIM = 8  # working pixels; a middle smaller than that is left in


def surface(mask: NDArray[np.bool_], scale: Scale) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the surface of roads in a window, and how far from its pixels the nearest off it are, in metres.

    Args:
        mask: shape (height, width), pixels of the class; what lies outside the scene is False.
        scale: of the pixels.
    """
    mask = _without_islands(mask, scale)
    mask, far = _without_medians(mask, scale)
    pixel = min(scale.height_m, scale.width_m)
    middles = far > (WIDEST / 2 + _RIM) * pixel
    if not middles.any():
        return mask, far
    # Without the middles of places wider than any road, thinning comes to its end nearby.
    mask = np.asarray(mask & (distances(~middles, scale) > _RIM * pixel))
    return mask, distances(mask, scale)


def _without_islands(mask: NDArray[np.bool_], scale: Scale) -> NDArray[np.bool_]:
    """Fill small islands; what touches the window's edge is none."""
    labels, count = ndimage.label(~mask)
    if count < 2:
        return mask
    most = max(_LEAST_ISLAND, int(ISLAND_M2 / scale.pixel_m**2))
    small = np.bincount(labels.ravel(), minlength=count + 1) <= most
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        small[edge] = False
    small[0] = False
    boxes = ndimage.find_objects(labels)
    for number in np.flatnonzero(small):
        small[number] = max(part.stop - part.start for part in boxes[number - 1]) <= _ISLAND_REACH
    return np.asarray(mask | small[labels])


def _without_medians(mask: NDArray[np.bool_], scale: Scale) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Fill narrow strips between carriageways: close what is left of the mask without its narrow parts.

    Returns:
        The mask, and distances from what is outside it.
    """
    radius, gap = _CARRIAGEWAY_M / 2, (_MEDIAN_M + scale.pixel_m) / 2
    far = distances(mask, scale)
    if scale.pixel_m > _MEDIAN_M / 2.5:  # too coarse to tell strips from stairs
        return mask, far
    cores = far > radius
    if not cores.any():
        return mask, far
    reach = radius + gap
    joined = distances(distances(~cores, scale) <= reach, scale) > reach
    # A pixel beside a carriageway is as far from its core as the core is from it: more than the radius, never less.
    strips = (distances(~joined, scale) <= radius) & ~mask
    if not strips.any():
        return mask, far
    mask = np.asarray(mask | strips)
    return mask, distances(mask, scale)
