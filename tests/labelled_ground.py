"""Small labelled images, masks and scenes for tests."""

from __future__ import annotations

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine

from geoseg.labels.labelled import LabelledImage
from geoseg.vocabulary import DEFAULT_LEGEND

UTM = "EPSG:32645"
ORIGIN = (350_000.0, 3_056_000.0)


def write(path, pixels, driver="GTiff", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    palette = options.pop("palette", None)
    count, height, width = pixels.shape
    profile = {"driver": driver, "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", **profile, **options) as file:
        file.write(pixels)
        if palette:
            file.write_colormap(1, palette)


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(np.uint8)


def classes(shape, seed=0, most=5):
    return np.random.default_rng(seed).integers(1, most + 1, shape).astype(np.uint8)


def colored(labels, legend=DEFAULT_LEGEND):
    table = np.zeros((256, 3), np.uint8)
    for entry in legend:
        table[entry.value] = tuple(bytes.fromhex(entry.color[1:]))
    return table[labels].transpose(2, 0, 1)


def square(row, col, size, pixel=1.0):
    """Return a square of pixels as a polygon on the ground."""
    x, y = ORIGIN
    return shapely.box(x + col * pixel, y - (row + size) * pixel, x + (col + size) * pixel, y - row * pixel)


def write_scene(path, shape=(60, 80), *, row=0, col=0, pixel=1.0, seed=0):
    x, y = ORIGIN
    transform = Affine(pixel, 0, x + col * pixel, 0, -pixel, y - row * pixel)
    write(path, noise(shape, seed), crs=UTM, transform=transform)
    return path


HOUSES = [square(5, 5, 10), square(20, 30, 12), square(40, 60, 15), square(59, 79, 1), square(0, 0, 1)]


def tiles_of(tmp_path, rows, cols, size=(20, 24), drift=0.0):
    """Write a scene in pieces and its labels; returns the folder and the labels."""
    folder = tmp_path / "tiles"
    whole = noise((rows * size[0], cols * size[1]))
    x, y = ORIGIN
    for i in range(rows):
        for j in range(cols):
            part = whole[:, i * size[0] : (i + 1) * size[0], j * size[1] : (j + 1) * size[1]]
            at = Affine(1 + drift, 0, x + j * size[1] + drift, 0, -1, y - i * size[0])
            write(folder / f"z{9 - i}{j}.tif", np.ascontiguousarray(part), crs=UTM, transform=at)
    labels = tmp_path / "houses.gpkg"
    houses = [square(0, 0, 1), square(15, 20, 9), square(rows * size[0] - 1, cols * size[1] - 1, 1)]
    geopandas.GeoDataFrame(geometry=houses, crs=UTM).to_file(labels, layer="buildings")
    return folder, labels, whole, houses


def plain(name, group, size=(40, 50)):
    return LabelledImage(name, group, noise(size), classes(size))
