"""Slow and plain ways to what geoseg does fast: GDAL, shapely, and loops over pixels."""

import numpy as np
import rasterio.features
import shapely
from affine import Affine


def gdal_faces(classes, transform=None):
    """Return all faces of a class raster, nodata included, as GDAL traces them, and their values."""
    found = rasterio.features.shapes(classes, connectivity=4, transform=transform or Affine.identity())
    shapes = [(shapely.geometry.shape(shape), int(value)) for shape, value in found]
    return np.array([shape for shape, _ in shapes], object), np.array([value for _, value in shapes], np.uint8)


def classes_of(runs):
    """Return the raster that runs were cut from, shape (height, width)."""
    return np.repeat(runs.values, runs.stops() - runs.starts).reshape(runs.height, runs.width)


def polygons_of_rings(rings):
    """Put polygons together again that `geoseg.vector.rings.Rings` took apart."""
    parts = np.split(rings.xy, rings.first[1:])
    of_polygons = [
        [part for part, owner in zip(parts, rings.polygon, strict=True) if owner == polygon]
        for polygon in range(rings.polygon.max() + 1)
    ]
    return np.array([shapely.Polygon(exterior, holes) for exterior, *holes in of_polygons], object)


def outlines_of(polygons, values):
    """Return polygons in a form that compares equal however rings begin and straight lines are divided."""
    plain = shapely.normalize(shapely.simplify(polygons, 0))
    return sorted(zip(values.tolist(), shapely.to_wkt(plain, rounding_precision=3).tolist(), strict=True))


def regions_of(classes):
    """Number the 4-connected regions of a class raster by their first pixels; returns numbers and how many."""
    regions = np.full(classes.shape, -1)
    count = 0
    for start in np.ndindex(classes.shape):
        if regions[start] >= 0:
            continue
        regions[start] = count
        front = [start]
        while front:
            row, col = front.pop()
            for there in ((row + 1, col), (row - 1, col), (row, col + 1), (row, col - 1)):
                inside = 0 <= there[0] < classes.shape[0] and 0 <= there[1] < classes.shape[1]
                if inside and regions[there] < 0 and classes[there] == classes[row, col]:
                    regions[there] = count
                    front.append(there)
        count += 1
    return regions, count


def borders_of(inside, classes):
    """Return the length of border that a region shares with each class, nodata and the frame left out."""
    around, region = np.pad(classes, 1), np.pad(inside, 1)
    lengths = np.zeros(256, int)
    for shift in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside, within = np.roll(around, shift, (0, 1))[region], np.roll(region, shift, (0, 1))[region]
        lengths += np.bincount(beside[~within], minlength=256)
    lengths[0] = 0
    return lengths


def sieved(classes, least):
    """Return a class raster without small regions: the whole raster is looked at anew after every single move."""
    classes = classes.copy()
    while True:
        regions, count = regions_of(classes)
        sizes = np.bincount(regions.ravel(), minlength=count)
        for region in np.lexsort((np.arange(count), sizes)):
            inside = regions == region
            value = int(classes[inside][0])
            lengths = borders_of(inside, classes)
            if value and sizes[region] < least.get(value, 0) and lengths.any():
                classes[inside] = 255 - np.argmax(lengths[::-1])
                break
        else:
            return classes
