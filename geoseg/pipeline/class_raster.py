"""Class rasters of any origin, strip by strip, with a legend for their values."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import InputError
from geoseg.layers.legend import read_legend
from geoseg.layers.legend_file import read_legend_file
from geoseg.layers.raster import is_confidence
from geoseg.scene.damage import decoding
from geoseg.scene.georeference import grid_of
from geoseg.scene.open import open_raster
from geoseg.vocabulary import NO_CONFIDENCE, NODATA, ClassRows, Legend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.vocabulary import Grid

_ROWS = 512  # read in one go


@dataclass(frozen=True, slots=True)
class ClassRaster:
    """An open class raster whose values have been seen."""

    grid: Grid
    legend: Legend
    origin: dict[str, str]
    """What the raster says about its own making."""
    empty: bool
    """Whether every pixel is nodata."""
    _dataset: DatasetReader
    _table: NDArray[np.uint8]
    """Shape (256,), legend value of each value of the raster."""

    def rows(self, confidence: DatasetReader | None = None) -> Iterator[ClassRows]:
        """Yield all rows, with the confidences of another raster of the same grid where it is given.

        Raises:
            InputError: a block cannot be read.
        """
        percents = _strips(confidence) if confidence is not None else None
        for row, values, valid in _strips(self._dataset):
            classes = np.where(valid, self._table[values], np.uint8(NODATA))
            if percents is None:
                yield ClassRows(row, classes)
            else:
                _, known, there = next(percents)
                yield ClassRows(row, classes, np.where(there, known, np.uint8(NO_CONFIDENCE)))


@contextlib.contextmanager
def class_raster(path: Path, *, src_crs: str | None = None, legend: Path | None = None) -> Iterator[ClassRaster]:
    """Open a class raster and read it once, to see its values.

    Without a nodata value, 0 is nodata, as in our own rasters; where another is declared, 0 is a class.

    Args:
        path: the raster.
        src_crs: its CRS, where it has none or a wrong one.
        legend: a file that says what its values mean; None takes what the raster says itself.

    Raises:
        InputError: more than one band, other pixels than uint8, our own confidences, no place on the ground, or
            unreadable.
    """
    with open_raster(path) as dataset:
        _check_band(dataset, "one band of class values")
        if is_confidence(dataset):
            raise InputError(f"{path}: holds confidences; give the class raster, and this one as --confidence")
        grid = grid_of(dataset, src_crs=src_crs)
        nodata = dataset.nodata if dataset.nodata is not None else NODATA
        counts = np.zeros(256, np.int64)
        for _, values, valid in _strips(dataset):
            counts += np.bincount(values[valid & (values != nodata)], minlength=256)
        seen = np.flatnonzero(counts).tolist()
        found = read_legend(dataset, seen) if legend is None else read_legend_file(legend, seen)
        table = np.zeros(256, np.uint8)
        for value, entry in found.items():
            table[value] = entry.value
        if float(nodata).is_integer() and 0 <= nodata <= 255:
            table[int(nodata)] = NODATA
        origin = {name: text for name, text in dataset.tags().items() if name.startswith("GEOSEG_")}
        origin.pop("GEOSEG_LEGEND", None)
        entries = Legend(tuple(sorted(dict.fromkeys(found.values()), key=lambda entry: entry.value)))
        yield ClassRaster(grid, entries, origin, not seen, dataset, table)


@contextlib.contextmanager
def confidence_raster(path: Path, grid: Grid, src_crs: str | None = None) -> Iterator[DatasetReader]:
    """Open confidences in percent; raises InputError where they do not fit the grid."""
    with open_raster(path) as dataset:
        _check_band(dataset, "one band of percents")
        if grid_of(dataset, src_crs=src_crs) != grid:
            raise InputError(f"{path}: lies on another grid than the class raster; both must have the same pixels")
        yield dataset


def _check_band(raster: DatasetReader, expected: str) -> None:
    """Raise InputError unless a raster has one band of uint8."""
    if raster.count != 1:
        raise InputError(f"{raster.name}: has {raster.count} bands, expected {expected}; is it an image?")
    if raster.dtypes[0] != "uint8":
        raise InputError(f"{raster.name}: has {raster.dtypes[0]} pixels, expected {expected} in uint8")


def _strips(raster: DatasetReader) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.bool_]]]:
    """Yield row, values and validity of strips; raises InputError where they cannot be read."""
    for row in range(0, raster.height, _ROWS):
        window = ((row, min(row + _ROWS, raster.height)), (0, raster.width))
        with decoding(raster.name):
            values, valid = raster.read(1, window=window), raster.read_masks(1, window=window) != 0
        yield row, values, valid
