"""A demo scene on disk: picture, class raster and polygons, streamed strip by strip at any size."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.windows import Window as FileWindow

from geoseg.demo.render import render
from geoseg.demo.truth import append_polygons, append_world
from geoseg.errors import OutputError
from geoseg.layers.faults import writing
from geoseg.layers.publish import Publication
from geoseg.layers.raster import ClassRasterWriter
from geoseg.layers.styles import write_styles
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from rasterio.io import DatasetWriter

    _Draw = Callable[[Window], tuple[NDArray[np.uint8], NDArray[np.uint8]]]

STRIP = 1024
"""Pixels: scenes are rendered in squares of this size, and reference polygons end at every such row."""

_EPSG = 32640
_ORIGIN = 325_000.0, 2_785_000.0  # metres; by the coast near Dubai
_TILE = 512
_DEFLATE = {"compress": "deflate", "predictor": 2, "zlevel": 9, "photometric": "RGB"}
_JPEG = {"compress": "jpeg", "jpeg_quality": 90, "photometric": "YCbCr"}


class DemoPaths(NamedTuple):
    """The files of a demo."""

    scene: Path
    """The picture: RGB, uint8."""
    reference: Path
    """The true class of each pixel: uint8, values of the default legend."""
    vectors: Path
    """The true polygons, footprints and centrelines."""


def demo_grid(size: int) -> Grid:
    """Return where the pixels of a demo of ``size`` rows and columns lie: EPSG:32640, one metre each."""
    transform = Affine.translation(*_ORIGIN) @ Affine.scale(1.0, -1.0)
    return Grid(CRS.from_epsg(_EPSG).to_wkt(version="WKT2_2018"), transform, size, size)


def write_demo(
    out_dir: str | Path,
    size: int = 1024,
    seed: int = 0,
    overwrite: bool = False,
    compress: Literal["deflate", "jpeg"] = "deflate",
    climate: str = "dry",
    tell: Callable[[int, int, int], None] = lambda _done, _total, _pixels: None,
) -> DemoPaths:
    """Write ``scene.tif``, ``reference.tif`` and ``reference.gpkg`` into a folder, all of them or none.

    Memory is one strip of class values, whatever the size.

    Args:
        out_dir: the folder, created where it is missing.
        size: rows and columns.
        seed: which city, 0 or more.
        overwrite: replace earlier files of these names.
        compress: ``deflate`` keeps every value; ``jpeg`` (quality 90) takes about a fifth of the room.
        climate: the name of one of ``CLIMATES``.
        tell: called with squares done, squares in all, and pixels done.

    Raises:
        OutputError: a file exists and may not be replaced, or cannot be written.
    """
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: is no folder and cannot be made one ({error.strerror})") from error
    paths = DemoPaths(folder / "scene.tif", folder / "reference.tif", folder / "reference.gpkg")
    with Publication(overwrite=overwrite) as publication:
        scene = publication.add(paths.scene, _check_scene)
        reference, vectors = publication.add(paths.reference), publication.add(paths.vectors)
        grid, tags = demo_grid(size), _tags(seed, climate)
        draw = partial(render, seed, climate=climate)
        with (
            writing(scene, CPLE_BaseError),
            _scene_file(scene, grid, tags, compress) as file,
            ClassRasterWriter(reference, grid, DEFAULT_LEGEND, tags, {}) as raster,
        ):
            for rows in _strips(file, draw, size, tell):
                raster.write(rows)
                append_polygons(vectors, rows, grid)
        with writing(vectors):
            append_world(vectors, seed, grid, climate)
            with contextlib.closing(sqlite3.connect(vectors, isolation_level=None)) as database:
                write_styles(database, DEFAULT_LEGEND)
    return paths


def _tags(seed: int, climate: str) -> dict[str, str]:
    """Return metadata that says what the file is."""
    wish = f"--seed {seed}" if climate == "dry" else f"--seed {seed} --climate {climate}"
    return {"TIFFTAG_IMAGEDESCRIPTION": f"Made-up scene of geoseg demo {wish}; no real place"}


def _scene_file(path: Path, grid: Grid, tags: dict[str, str], compress: str) -> DatasetWriter:
    """Return an open, empty GeoTIFF for the picture."""
    file: DatasetWriter = rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.width,
        height=grid.height,
        count=3,
        dtype="uint8",
        crs=CRS.from_wkt(grid.crs),
        transform=grid.transform,
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        interleave="pixel",
        bigtiff="IF_SAFER",
        **(_JPEG if compress == "jpeg" else _DEFLATE),
    )
    file.update_tags(**tags)
    return file


def _check_scene(path: Path) -> None:
    """Read a scene back: GDAL closes files without a word when the last blocks found no room.

    Raises:
        OutputError: a block is missing.
    """
    with writing(path, CPLE_BaseError), rasterio.open(path) as file:
        for _, window in file.block_windows(1):
            if not file.read(window=window).any():
                raise OutputError(f"{path}: came out incomplete; is the disk full?")


def _strips(file: DatasetWriter, draw: _Draw, size: int, tell: Callable[[int, int, int], None]) -> Iterator[ClassRows]:
    """Render square by square, write the picture, and yield the classes of each strip."""
    starts = range(0, size, STRIP)
    total = len(starts) ** 2
    classes: NDArray[np.uint8] = np.zeros((0, size), np.uint8)
    for done, (row, col) in enumerate(product(starts, starts)):
        window = Window(row, col, min(STRIP, size - row), min(STRIP, size - col))
        if col == 0:
            classes = np.empty((window.height, size), np.uint8)
        rgb, classes[:, col : window.right] = draw(window)
        file.write(rgb, window=FileWindow(col, row, window.width, window.height))
        tell(done + 1, total, row * size + window.height * window.right)
        if window.right == size:
            yield ClassRows(row, classes)
