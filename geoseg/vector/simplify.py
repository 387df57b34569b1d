"""Simplify all faces of a class raster together, so that neighbours keep their common border."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.vector.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Takes away vertices on straight lines and nothing else: the smallest corner of a pixel border measures 0.7.
_STRAIGHT = 1e-3


def simplify(faces: NDArray[np.object_], tolerance_px: float, shape: tuple[int, int]) -> NDArray[np.object_]:
    """Return the faces with fewer vertices: no gaps, no overlaps, the frame of the scene as it is.

    Args:
        faces: all faces of a class raster as ``trace`` returns them: shape (n,), pixel coordinates.
        tolerance_px: root of the area of the largest corner cut off, in pixels; 0 keeps every corner.
        shape: height and width of the raster in pixels.
    """
    if len(faces) == 0:
        return faces
    # https://shapely.readthedocs.io/en/stable/reference/shapely.coverage_simplify.html
    simple = shapely.coverage_simplify(faces, max(tolerance_px, _STRAIGHT), simplify_boundary=False)
    return _straighten_frame(simple, shape)


def _straighten_frame(faces: NDArray[np.object_], shape: tuple[int, int]) -> NDArray[np.object_]:
    """Drop vertices in the middle of the frame's sides.

    A vertex there whose neighbours in the ring both lie on the same side is no corner, and no other face has
    it.
    """
    height, width = shape
    rings = Rings.of(faces)
    x, y = rings.xy.T
    after = rings.following
    straight = np.zeros(len(x), np.bool_)
    for on_side in (x == 0, x == width, y == 0, y == height):
        with_next = on_side & on_side[after]
        straight[after] |= with_next & with_next[after]
    return rings.keep(~straight).polygons()
