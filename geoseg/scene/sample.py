"""A small, repeatable sample of a scene, enough to judge its colours without reading it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from geoseg.scene.damage import hear_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

_PIXELS = 2**20
_SPOTS = 8
_SPOT_SIZE = 128


class Sample(NamedTuple):
    """Pixels without their places."""

    pixels: NDArray[Any]
    """Shape (bands, n), in the raster's own type; n may be 0."""
    mask: NDArray[np.bool_]
    """Shape (n,); False where the mask band says so."""


def sample(dataset: DatasetReader, bands: Sequence[int], *, mask: bool = False) -> Sample:
    """Return about a million pixels spread over the scene.

    Small scenes are read whole, those with overviews decimated; of others 8 x 8 spots are read, because a
    decimated read would decode every block. What cannot be read is left out: the full read will report it.

    Args:
        dataset: An opened raster.
        bands: Band numbers, from 1.
        mask: Whether to read the first band's mask too.
    """
    kind = np.result_type(*(dataset.dtypes[i - 1] for i in bands))
    pixels, masks = [np.empty((len(bands), 0), kind)], [np.empty(0, np.bool_)]
    for window, shape in _spots(dataset):
        try:
            read = dataset.read(list(bands), window=window, out_shape=(len(bands), *shape), out_dtype=kind)
            known = dataset.read_masks(bands[0], window=window, out_shape=shape) != 0 if mask else None
        except RasterioIOError:
            hear_out(dataset)
            continue
        pixels.append(read.reshape(len(bands), -1))
        masks.append(np.ones(read[0].size, np.bool_) if known is None else known.ravel())
    return Sample(np.concatenate(pixels, axis=1), np.concatenate(masks))


def _spots(dataset: DatasetReader) -> Iterator[tuple[Window, tuple[int, int]]]:
    """Yield windows with the shapes they are read at."""
    height, width = dataset.height, dataset.width
    if height * width <= _PIXELS or dataset.overviews(1):
        scale = max(1.0, (height * width / _PIXELS) ** 0.5)
        shape = max(1, round(height / scale)), max(1, round(width / scale))
        yield Window(0, 0, width, height), shape
        return
    rows, cols = _starts(height), _starts(width)
    for row, high in rows:
        for col, wide in cols:
            yield Window(col, row, wide, high), (high, wide)


def _starts(size: int) -> list[tuple[int, int]]:
    """Return (start, length) of spots spread evenly along an axis, without overlap."""
    if size <= _SPOTS * _SPOT_SIZE:
        return [(0, size)]
    step = size / _SPOTS
    return [(int((i + 0.5) * step) - _SPOT_SIZE // 2, _SPOT_SIZE) for i in range(_SPOTS)]
