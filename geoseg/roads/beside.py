"""What lies beside roads: a building on one side and something else on the other, or pixels that nobody has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale

_ALIKE_PX = 1.5  # working pixels; what is by so much farther from a road's middle than what is nearest is beside it


def clinging(
    pixels: tuple[NDArray[np.int64], NDArray[np.int64]],
    far: NDArray[np.float32],
    mask: NDArray[np.bool_],
    built: NDArray[np.bool_],
    scale: Scale,
) -> NDArray[np.float32]:
    """Return 1 for pixels of a skeleton as far from a building as from something else off the road, else 0.

    Args:
        pixels: rows and columns, shape (n,) each.
        far: shape (height, width), metres to the nearest pixel off the road.
        mask: shape (height, width), the road's surface.
        built: shape (height, width), pixels of buildings.
        scale: of the pixels.
    """
    size = np.array((scale.height_m, scale.width_m))
    building, other = _beside(*pixels, far, mask, built, size, _ALIKE_PX * scale.pixel_m)
    return np.asarray(building & other, np.float32)


def unseen(
    pixels: tuple[NDArray[np.int64], NDArray[np.int64]],
    far: NDArray[np.float32],
    mask: NDArray[np.bool_],
    nodata: NDArray[np.bool_],
    scale: Scale,
) -> NDArray[np.float32]:
    """Return 1 for pixels of a skeleton that nothing off the road is nearer to than pixels without data, else 0.

    Args:
        pixels: rows and columns, shape (n,) each.
        far: shape (height, width), metres to the nearest pixel off the road.
        mask: shape (height, width), the road's surface.
        nodata: shape (height, width), pixels without data.
        scale: of the pixels.
    """
    if not nodata.any():
        return np.zeros(len(pixels[0]), np.float32)
    size = np.array((scale.height_m, scale.width_m))
    found, _ = _beside(*pixels, far, mask, nodata, size, _ALIKE_PX * scale.pixel_m)
    return np.asarray(found, np.float32)


@compiled
def _beside(rows: Any, cols: Any, far: Any, mask: Any, what: Any, size: Any, alike: Any) -> Any:
    """Tell whether there is something, and whether else, off the road, hardly farther than what is nearest."""
    height, width = mask.shape
    found = np.zeros(len(rows), np.bool_)
    others = np.zeros(len(rows), np.bool_)
    for n in range(len(rows)):
        reach = far[rows[n], cols[n]] + alike
        up, left = int(reach / size[0]), int(reach / size[1])
        for i in range(max(rows[n] - up, 0), min(rows[n] + up + 1, height)):
            for j in range(max(cols[n] - left, 0), min(cols[n] + left + 1, width)):
                if mask[i, j] or np.hypot((i - rows[n]) * size[0], (j - cols[n]) * size[1]) > reach:
                    continue
                if what[i, j]:
                    found[n] = True
                else:
                    others[n] = True
    return found, others
