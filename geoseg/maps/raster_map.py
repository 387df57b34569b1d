"""Class rasters brought onto a grid, by nearest neighbour, a window at a time."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as FileWindow

from geoseg.class_names import is_unlabelled
from geoseg.errors import InputError
from geoseg.layers.legend import read_legend
from geoseg.maps.common_ground import Outline, same_grid
from geoseg.scene.damage import decoding
from geoseg.scene.georeference import bounds_of, grid_of
from geoseg.scene.longitudes import full_turn, past_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.vocabulary import Grid, MapClass, Window

    CodesOf = Callable[[Window], NDArray[np.uint16]]

NOTHING = 256
"""Code of a pixel that a map leaves blank: nodata, or outside a raster. Classes have codes from 0 to 255."""

_WARP_IT = "warp it first with: gdalwarp -r near -t_srs EPSG:n in.tif out.tif"
_PLACE_IT = "gdal_edit.py -a_srs EPSG:n FILE"
_WARP_TOLERANCE = 0.01  # pixels; GDAL's own 0.125 would show in the outlines of small objects


class RasterMap:
    """A class raster of any CRS; its codes are its pixel values."""

    def __init__(self, name: str, dataset: DatasetReader) -> None:
        """Look at an open raster.

        Args:
            name: begins every message.
            dataset: stays open as long as the map is used.

        Raises:
            InputError: it has more than one band, or no place on the ground.
        """
        bands = [color for color in dataset.colorinterp if color != ColorInterp.alpha]
        if len(bands) != 1 or dataset.dtypes[0].startswith("complex"):
            raise InputError(
                f"{name}: has {len(bands)} bands of {dataset.dtypes[0]}, expected one band of class values, as "
                "of: geoseg segment SCENE --raster classes.tif; colours are read from a folder with images/ and masks/"
            )
        self.name, self._dataset, self.grid = name, dataset, grid_of(dataset, means=_PLACE_IT)
        named = read_legend(dataset, range(1, 255)) | {
            value: entry for value, entry in read_legend(dataset, (0, 255)).items() if value in (0, 255)
        }
        blank = {v for v, entry in named.items() if is_unlabelled(entry.name)}
        self._blank = np.array(sorted(blank), np.uint16)
        self.classes: dict[int, MapClass] = {
            value: entry
            for value, entry in named.items()
            if entry.name != f"class_{value}" and value not in blank and value != dataset.nodata
        }
        """The classes that the file names, by value."""

    @property
    def outline(self) -> Outline:
        """The ground under all pixels."""
        return Outline.of_grid(self.name, self.grid)

    def outline_for(self, grid: Grid) -> Outline:  # noqa: ARG002 - of polygons it depends on the grid
        """Return the outline."""
        return self.outline

    @contextmanager
    def onto(self, grid: Grid) -> Iterator[CodesOf]:
        """Lend a function that returns the codes in a window of a grid, shape (height, width)."""
        if same_grid(self.grid, grid):
            yield lambda window: self._codes(self._read(self._dataset, window, masked=True))
            return
        with ExitStack() as stack:
            views = [stack.enter_context(self._warped(grid, by)) for by in self._turns(grid)]
            yield lambda window: np.minimum.reduce([self._codes(self._read(it, window, masked=False)) for it in views])

    def _turns(self, grid: Grid) -> list[float]:
        """Return by what to move the raster in x to see all that a grid shows of it, where one goes on past 180°.

        From a CRS in other units, GDAL comes to longitudes from -180 to 180, wherever the raster says that it lies.
        """
        turn, there = full_turn(self.outline.crs), pyproj.CRS.from_wkt(grid.crs)
        left, _, right, _ = bounds_of(self.grid.transform, self.grid.height, self.grid.width)
        ranges = [(-turn / 2, turn / 2)]
        if past_the_end(grid, there):
            first, _, last, _ = bounds_of(grid.transform, grid.height, grid.width)
            per_unit = turn / full_turn(there)
            ranges.append((first * per_unit, last * per_unit))
        moves = [by for by in (-turn, turn) if any(left + by < end and right + by > start for start, end in ranges)]
        return [0.0, *(moves if turn else [])]

    def _warped(self, grid: Grid, moved: float) -> WarpedVRT:
        """Return the raster on a grid, moved in x beforehand."""
        place = {"src_transform": Affine.translation(moved, 0) @ self.grid.transform} if moved else {}
        try:
            return WarpedVRT(
                self._dataset,
                src_crs=CRS.from_wkt(self.grid.crs),
                crs=CRS.from_wkt(grid.crs),
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest,
                tolerance=_WARP_TOLERANCE,
                add_alpha=ColorInterp.alpha not in self._dataset.colorinterp,
                **place,
            )
        except (RasterioError, CPLE_BaseError, ValueError) as error:
            raise InputError(f"{self.name}: cannot be laid over the other map ({error}); {_WARP_IT}") from None

    def _read(self, dataset: DatasetReader, window: Window, *, masked: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return values and validity, from the mask of a raster or from the alpha band of a warped one."""
        box = FileWindow(window.col, window.row, window.width, window.height)
        with decoding(self.name):
            if masked:
                return dataset.read(1, window=box), dataset.read_masks(1, window=box) > 0
            values, alpha = dataset.read((1, dataset.count), window=box)
        return values, alpha > 0

    def _codes(self, read: tuple[NDArray[Any], NDArray[np.bool_]]) -> NDArray[np.uint16]:
        values, valid = read
        if values.dtype != np.uint8:
            values = np.where(valid, values, 0)
            odd = values[(values < 0) | (values > 255) | (values != np.rint(values))]
            if odd.size:
                raise InputError(
                    f"{self.name}: holds the value {odd[0]:g}, expected class values from 0 to 255; "
                    "declare missing pixels with: gdal_edit.py -a_nodata VALUE FILE"
                )
        codes = values.astype(np.uint16)
        codes[~valid] = NOTHING
        if self._blank.size:
            codes[np.isin(codes, self._blank)] = NOTHING
        return codes
