"""Scenes for the benchmarks: a made-up city, repeated to the size asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine

from geoseg.demo.render import render
from geoseg.vocabulary import Window

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write_scene(path: Path, height: int, width: int, seed: int = 7) -> Path:
    """Write a tiled, deflated RGB GeoTIFF of 1 m pixels."""
    block, _ = render(seed, Window(0, 0, 1024, 1024))
    wide = np.tile(block, (1, 1, -(-width // 1024)))[:, :, :width]
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 3,
        "dtype": "uint8",
        "crs": "EPSG:32640",
        "transform": Affine(1, 0, 325000, 0, -1, 2785000),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "photometric": "RGB",
        "BIGTIFF": "IF_SAFER",
    }
    with rasterio.open(path, "w", **profile) as scene:
        for row in range(0, height, 1024):
            rows = min(1024, height - row)
            scene.write(wide[:, :rows], window=rasterio.windows.Window(0, row, width, rows))
    return path


def write_rgb(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write an image, shape (3, height, width), as a GeoTIFF of 1 m pixels."""
    profile = {"count": 3, "height": pixels.shape[1], "width": pixels.shape[2], "dtype": "uint8", "crs": "EPSG:32640"}
    with rasterio.open(
        path, "w", driver="GTiff", transform=Affine(1, 0, 325000, 0, -1, 2785000), photometric="RGB", **profile
    ) as scene:
        scene.write(pixels)
    return path
