"""Scenes written and read whole, for tests."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene

UTM = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 0.5, 0.5)}
FILL = (7, 8, 9)


def write(path, pixels, **profile):
    mask, colors, table = (profile.pop(key, None) for key in ("mask", "colors", "table"))
    height, width = pixels.shape[1:]
    size = {"height": height, "width": width, "count": len(pixels), "dtype": pixels.dtype}
    with rasterio.open(path, "w", **{"driver": "GTiff", **size, **UTM, **profile}) as file:
        if colors:
            file.colorinterp = [ColorInterp[color] for color in colors]
        file.write(pixels)
        if table:
            file.write_colormap(1, table)
        if mask is not None:
            file.write_mask(mask)
    return path


def noise(shape, dtype="uint8", low=0, high=255, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(dtype)


def read(path, spans, cols, **request):
    with open_scene(path, ReadRequest(fill=FILL, **request)) as scene:
        return list(scene.iter_rows(spans, cols)), scene


def whole(path, **request):
    with open_scene(path, ReadRequest(**{"fill": FILL, **request})) as scene:
        (rows,) = scene.iter_rows([(0, scene.grid.height)], (0, scene.grid.width))
    return rows.pixels, rows.valid
