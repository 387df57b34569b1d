"""Where labels have small regions: what the paper says cross-entropy is bad at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rasterio.features import sieve

from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL_PIXELS = 400
"""A region of fewer pixels is small: 20 metres squared on images of one metre, a house."""


def small_regions(labels: NDArray[np.uint8], pixels: int = SMALL_PIXELS) -> NDArray[np.bool_]:
    """Return which pixels lie in 4-connected regions of one label that are smaller than ``pixels``.

    Found as what a sieve takes away, so a small region among nothing but small ones may be missed.

    Args:
        labels: shape (height, width); 0 is no label and never counts.
        pixels: what is no longer small.
    """
    sieved: NDArray[np.uint8] = sieve(labels, pixels, connectivity=4)
    return np.asarray((sieved != labels) & (labels != NODATA))
