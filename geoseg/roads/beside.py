"""Where roads run along a building on one side and along something else on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.vector.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale

_ALIKE_PX = 1.5  # working pixels; by so much more the two sides' distances from a road's middle may differ


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
    found: NDArray[np.float32] = _clinging(*pixels, far, mask, built, size, _ALIKE_PX * scale.pixel_m)
    return found


@compiled
def _clinging(rows: Any, cols: Any, far: Any, mask: Any, built: Any, size: Any, alike: Any) -> Any:
    """Look at what lies off the road around each pixel, hardly farther than what is nearest."""
    height, width = mask.shape
    found = np.zeros(len(rows), np.float32)
    for n in range(len(rows)):
        reach = far[rows[n], cols[n]] + alike
        up, left = int(reach / size[0]), int(reach / size[1])
        building = other = False
        for i in range(max(rows[n] - up, 0), min(rows[n] + up + 1, height)):
            for j in range(max(cols[n] - left, 0), min(cols[n] + left + 1, width)):
                if mask[i, j] or np.hypot((i - rows[n]) * size[0], (j - cols[n]) * size[1]) > reach:
                    continue
                if built[i, j]:
                    building = True
                else:
                    other = True
        found[n] = building and other
    return found
