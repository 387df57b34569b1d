"""Give regions too small to be worth keeping to their neighbours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import rasterio.features

from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LEAST_PIXELS = 4  # less is noise at any resolution


def least_pixels(min_area_m2: Mapping[int, float], pixel_area_m2: float) -> dict[int, int]:
    """Return the smallest number of pixels worth keeping, by class value; 0 keeps everything.

    Args:
        min_area_m2: smallest area by class value, in square metres; 0 keeps everything.
        pixel_area_m2: area of one pixel on the ground.
    """
    return {
        value: max(_LEAST_PIXELS, math.ceil(area / pixel_area_m2)) if area > 0 else 0
        for value, area in min_area_m2.items()
    }


def sieve(classes: NDArray[np.uint8], least: Mapping[int, int]) -> NDArray[np.uint8]:
    """Return a class raster without small regions: each has taken the class of its largest neighbour.

    Regions are 4-connected, as in ``trace``. Nodata neither grows nor shrinks; a small region with no other
    neighbour than nodata stays, because there is nothing it could belong to.

    Args:
        classes: shape (height, width), class values.
        least: smallest number of pixels worth keeping, by class value; classes not named are kept.
    """
    seen = classes != NODATA
    result = classes
    for threshold in sorted({pixels for pixels in least.values() if pixels > 1}):
        chosen = np.zeros(256, np.bool_)
        chosen[[value for value, pixels in least.items() if pixels == threshold]] = True
        merged = rasterio.features.sieve(result, min(threshold, classes.size), mask=seen, connectivity=4)
        result = np.where(chosen[result], merged, result)
    return result
