"""Large class rasters for the benchmarks: real masks in a mosaic, and what noise makes of them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio

from geoseg.labels.folders import read_folder
from geoseg.pipeline.request import OutputRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from tests.benchmarks.scenes import write_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CROP = 512


def real_masks(folder: Path, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return (size, size) class values: random crops of the masks of a data set, turned and mirrored."""
    return _mosaic([image.labels for image in read_folder(folder)], size, seed)


def network_output(folder: Path, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return (size, size) class values: the same of what the bundled model makes of the images."""
    maps = []
    with tempfile.TemporaryDirectory() as name:
        scene, classes = Path(name) / "scene.tif", Path(name) / "classes.tif"
        for image in read_folder(folder):
            write_rgb(scene, image.pixels)
            segment(SegmentRequest(scene, OutputRequest(raster=classes, overwrite=True)))
            with rasterio.open(classes) as raster:
                maps.append(raster.read(1))
    return _mosaic(maps, size, seed)


def _mosaic(maps: list[NDArray[np.uint8]], size: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    masks = [one for one in maps if min(one.shape) >= _CROP]
    whole = np.empty((size, size), np.uint8)
    for row in range(0, size, _CROP):
        for col in range(0, size, _CROP):
            mask = masks[rng.integers(len(masks))]
            top, left = (rng.integers(side - _CROP + 1) for side in mask.shape)
            crop = np.rot90(mask[top : top + _CROP, left : left + _CROP], rng.integers(4))
            crop = crop[:, ::-1] if rng.integers(2) else crop
            whole[row : row + _CROP, col : col + _CROP] = crop[: size - row, : size - col]
    return whole


def noisy(classes: NDArray[np.uint8], seed: int = 1) -> NDArray[np.uint8]:
    """Return classes with wobbly borders: every pixel takes the class of one a pixel or two away."""
    rng = np.random.default_rng(seed)
    result = np.empty_like(classes)
    height, width = classes.shape
    for row in range(0, height, 1024):
        rows = np.arange(row, min(row + 1024, height))
        shape = len(rows), width
        shift = [_smooth(rng.normal(0, 2.5, shape)) for _ in range(2)]
        at = [np.rint(shift[0]).astype(int) + rows[:, None], np.rint(shift[1]).astype(int) + np.arange(width)]
        result[rows] = classes[np.clip(at[0], 0, height - 1), np.clip(at[1], 0, width - 1)]
    return result


def speckled(classes: NDArray[np.uint8], seed: int = 2) -> NDArray[np.uint8]:
    """Return noisy classes with four in a thousand pixels of another class, and crumbs of nine pixels."""
    rng = np.random.default_rng(seed)
    result = noisy(classes)
    height, width = classes.shape
    spots = rng.integers(0, classes.size, classes.size // 250)
    result.ravel()[spots] = rng.integers(1, 6, len(spots))
    for row, col in zip(
        rng.integers(0, height - 3, classes.size // 4000), rng.integers(0, width - 3, classes.size // 4000), strict=True
    ):
        result[row : row + 3, col : col + 3] = rng.integers(1, 6)
    return result


def _smooth(field: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each value and its neighbours."""
    for axis in (0, 1):
        field = (np.roll(field, 1, axis) + field + np.roll(field, -1, axis)) / 3
    return field
