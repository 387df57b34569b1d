"""Maps of patches for tests, as class rasters and as polygons, and their scores."""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from rasterio.features import shapes

from geoseg.layers.legend import legend_tags
from geoseg.pipeline.evaluate.maps import EvaluateRequest, evaluate
from geoseg.pipeline.evaluate.two_maps import MapsRequest
from geoseg.vocabulary import DEFAULT_LEGEND

UTM = "EPSG:32633"
NORTH_UP = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
ROTATED = Affine.translation(500_000, 5_000_000) @ Affine.rotation(25) @ Affine.scale(0.5, -0.5)
SOUTH_UP = Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000)
NAMES = {entry.value: entry.name for entry in DEFAULT_LEGEND}
LAYERS = {entry.value: entry.layer for entry in DEFAULT_LEGEND}


def blobs(height=60, width=80, classes=5, seed=0):
    """Return a map of patches with crooked borders, every pixel of one of the classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, classes + 1, (height // 10 + 1, width // 10 + 1)).astype(np.uint8)
    rows, cols = np.indices((height, width)) + rng.integers(0, 4, (2, height, width))
    return coarse[np.minimum(rows // 10, height // 10), np.minimum(cols // 10, width // 10)]


def write_raster(path, classes, transform=NORTH_UP, crs=UTM, *, legend=DEFAULT_LEGEND, nodata=0, mask=None):
    profile = {"driver": "GTiff", "count": 1, "dtype": classes.dtype, "crs": crs, "transform": transform}
    with rasterio.open(path, "w", height=classes.shape[0], width=classes.shape[1], nodata=nodata, **profile) as file:
        file.write(classes, 1)
        if legend is not None:
            file.update_tags(**legend_tags(legend))
        if mask is not None:
            file.write_mask(mask)
    return path


def polygons_of(classes, transform=NORTH_UP, crs=UTM, names=NAMES):
    pairs = list(shapes(classes, mask=classes > 0, transform=transform))
    return geopandas.GeoDataFrame(
        {"class": [names[int(value)] for _, value in pairs]},
        geometry=[shapely.geometry.shape(polygon) for polygon, _ in pairs],
        crs=crs,
    )


def write_layers(path, frame, crs=None):
    """Write one layer per class, as segment does, empty ones included."""
    frame = frame if crs is None else frame.to_crs(crs)
    for value, name in NAMES.items():
        layer = frame[frame["class"] == name]
        pyogrio.write_dataframe(layer, path, layer=LAYERS[value], geometry_type="Polygon", append=path.exists())
    return path


def scores(predicted, reference, **request):
    return evaluate(EvaluateRequest(MapsRequest(Path(predicted), Path(reference), **request)))


def perfect(report):
    found = report.to_json()
    return found["pixel_accuracy"] == found["mean_iou"] == 1
