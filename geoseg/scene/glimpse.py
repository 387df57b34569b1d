"""Small pictures of a scene on the pixels of any other grid."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as FileWindow

from geoseg.errors import InputError
from geoseg.scene.damage import decoding
from geoseg.scene.georeference import grid_of
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.decode import Look
    from geoseg.vocabulary import Grid, Window


@contextmanager
def glimpses(path: Path, grid: Grid) -> Iterator[Callable[[Window], NDArray[np.uint8]]]:
    """Lend a function that shows a window of a grid: red, green and blue, shape (3, height, width).

    Values are stretched as for the network; ground that the scene does not cover is black. One band is shown as grey,
    a palette in its colours.

    Raises:
        InputError: the scene cannot be used, or not be laid over the grid.
    """
    with open_raster(path) as dataset, open_scene(path, ReadRequest(bands=_grey(dataset))) as scene:
        try:
            warped = WarpedVRT(
                dataset,
                src_crs=CRS.from_wkt(scene.native.crs),
                crs=CRS.from_wkt(grid.crs),
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest if scene.look.bands.palette is not None else Resampling.bilinear,
            )
        except (RasterioError, CPLE_BaseError, ValueError) as error:
            raise InputError(
                f"{path}: cannot be laid over the maps ({error}); warp it first with: gdalwarp -t_srs EPSG:n in.tif "
                "out.tif"
            ) from None
        with warped:
            yield lambda window: _picture(path, warped, scene.look, window)


def ground_of(path: Path) -> Grid:
    """Return where a scene lies; raises InputError where that is nowhere, and says how to place its file."""
    with open_raster(path) as dataset:
        return grid_of(dataset, means="gdal_edit.py -a_srs EPSG:n FILE")


def _grey(dataset: DatasetReader) -> tuple[int, int, int] | None:
    """Return the first band as red, green and blue where there are no three, nor a palette; else None."""
    colors = [color.name for color in dataset.colorinterp]
    imagery = [number for number, color in enumerate(colors, 1) if color != "alpha"] or [1]
    return None if len(imagery) > 2 or colors[0] == "palette" else (imagery[0],) * 3


def _picture(path: Path, dataset: DatasetReader, look: Look, window: Window) -> NDArray[np.uint8]:
    box = FileWindow(window.col, window.row, window.width, window.height)
    with decoding(str(path)):
        pixels = dataset.read(look.bands.indexes, window=box)
    if look.bands.palette is not None:
        return np.asarray(look.bands.palette[:3, pixels[0]])
    return np.asarray(look.stretch.apply(pixels), np.uint8)
