"""Pictures of a folder, read as scenes are: the same bands, palettes, nodata and transparency."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.errors import InputError
from geoseg.scene.decode import Faults
from geoseg.scene.georeference import grid_of
from geoseg.scene.one_file import OneFile
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.stretch import StretchRequest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.vocabulary import Grid

_ADVICE = "copy or download the file again"


class Picture(NamedTuple):
    """What a file shows."""

    pixels: NDArray[np.uint8]
    """Shape (3, height, width): red, green and blue."""
    missing: NDArray[np.bool_] | None
    """Shape (height, width): nodata and what is transparent; None where nothing is."""
    grid: Grid | None
    """Where it lies; None where nothing says it."""


def read_picture(path: Path) -> Picture:
    """Read a picture whole; grey ones and palettes become red, green and blue.

    Raises:
        InputError: it cannot be read, or holds no bytes.
    """
    with open_raster(path) as dataset:
        if dataset.dtypes[0] != "uint8":
            raise InputError(
                f"{path}: holds {dataset.dtypes[0]}, expected bytes; give it as --scene, where values are stretched"
            )
        is_colored = dataset.count >= 3 or dataset.colorinterp[0].name == "palette"
        request = ReadRequest(bands=None if is_colored else (1, 1, 1), stretch=StretchRequest("none"))
        pixels = np.empty((3, *dataset.shape), np.uint8)
        valid = np.empty(dataset.shape, np.bool_)
        rows = OneFile(dataset, request).rows((0, dataset.width), Faults("fail", advice=_ADVICE))
        rows.fill(0, dataset.height, pixels, valid)
        return Picture(pixels, None if valid.all() else ~valid, place_of(dataset))


def place_of(dataset: DatasetReader) -> Grid | None:
    """Return where a picture lies; None where it does not say."""
    if dataset.transform.is_identity:
        return None
    try:
        return grid_of(dataset)
    except InputError:  # it lies nowhere, and is learned from as it is
        return None
