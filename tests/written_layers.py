"""Class rasters and vector layers written for tests, in many CRSs."""

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.layers.features import WantedLayers
from geoseg.layers.raster import ClassRasterWriter
from geoseg.layers.vector import write_layers
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Polygons

BUILDING = DEFAULT_LEGEND.classes[0]
ROAD = DEFAULT_LEGEND.classes[1]
WATER = DEFAULT_LEGEND.classes[2]
NO_CODE = "+proj=laea +lat_0=12.5 +lon_0=33.25 +x_0=100 +y_0=200 +ellps=GRS80 +units=m +no_defs"
LOCAL = 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["(E)",east],AXIS["(N)",north],LENGTHUNIT["metre",1]]'
CRSS = {
    "utm": CRS.from_epsg(32640),
    "degrees": CRS.from_epsg(4326),
    "mercator": CRS.from_epsg(3857),
    "feet": CRS.from_epsg(2263),
    "no code": CRS.from_proj4(NO_CODE),
    "local": CRS.from_wkt(LOCAL),
}


def grid(height=40, width=30, crs="utm"):
    step = 1e-5 if crs == "degrees" else 0.5
    return Grid(CRSS[crs].to_wkt(version="WKT2_2019"), Affine(step, 0, 55, 0, -step, 25), height, width)


def some_classes(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 6, (height, width)).astype(np.uint8)


def write_classes(path, classes, *, on=None, legend=DEFAULT_LEGEND, tags=None, options=None, step=100):
    where = on or grid(*classes.shape)
    with ClassRasterWriter(path, where, legend, tags or {}, options or {}) as writer:
        for row in range(0, len(classes), step):
            writer.write(ClassRows(row, classes[row : row + step]))
    return path


def some_polygons(entry, count):
    x = np.arange(count) * 2.0
    confidence = np.where(np.arange(count) % 2, 0.75, np.nan)
    boxes = shapely.box(x, 0, x + 1, 1)
    return Polygons(np.full(count, entry.value, np.uint8), boxes, np.full(count, 1.5), np.full(count, 4.0), confidence)


def three_layers(buildings=5, roads=3, water=0):
    counts = zip((BUILDING, ROAD, WATER), (buildings, roads, water), strict=True)
    return [(entry, some_polygons(entry, count)) for entry, count in counts]


def write(path, *, crs="utm", layers=None, rfc7946=False, attributes=()):
    layers = layers or three_layers()
    return write_layers(
        path,
        WantedLayers([entry for entry, _ in layers], attributes, rfc7946),
        [polygons for _, polygons in layers],
        grid(crs=crs),
        {"model": "tiny"},
    ).notes


def in_batches(layers, size):
    """Yield polygons of several classes mixed, a few at a time."""
    for start in range(0, max(len(polygons.values) for _, polygons in layers), size):
        for _, polygons in reversed(layers):
            part = slice(start, start + size)
            yield Polygons(*(getattr(polygons, name)[part] for name in Polygons.__slots__))
