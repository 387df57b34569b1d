"""GDAL's own polygonize, from raster to GeoPackage, through the library that rasterio brings along."""

from __future__ import annotations

import ctypes
from pathlib import Path

import rasterio


def load_gdal() -> ctypes.CDLL:
    """Return GDAL's C functions."""
    folder = Path(rasterio.__file__).parent.parent / "rasterio.libs"
    gdal = ctypes.CDLL(str(next(folder.glob("libgdal*.so*"))))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "GDALAllRegister": (None, []),
        "GDALOpen": (pointer, [text, number]),
        "GDALGetRasterBand": (pointer, [pointer, number]),
        "GDALGetDriverByName": (pointer, [text]),
        "GDALCreate": (pointer, [pointer, text, number, number, number, number, pointer]),
        "GDALDatasetCreateLayer": (pointer, [pointer, text, pointer, number, pointer]),
        "OGR_Fld_Create": (pointer, [text, number]),
        "OGR_L_CreateField": (number, [pointer, pointer, number]),
        "GDALGetSpatialRef": (pointer, [pointer]),
        "GDALPolygonize": (number, [pointer, pointer, pointer, number, pointer, pointer, pointer]),
        "GDALClose": (number, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(gdal, name)
        function.restype, function.argtypes = result, arguments
    gdal.GDALAllRegister()
    return gdal


def polygonize_with_gdal(gdal: ctypes.CDLL, raster: Path, layers: Path) -> None:
    """Write the regions of a class raster to one layer of a new GeoPackage: no sieve, no simplification."""
    source = gdal.GDALOpen(str(raster).encode(), 0)
    target = gdal.GDALCreate(gdal.GDALGetDriverByName(b"GPKG"), str(layers).encode(), 0, 0, 0, 0, None)
    polygon, integer = 3, 0
    layer = gdal.GDALDatasetCreateLayer(target, b"classes", gdal.GDALGetSpatialRef(source), polygon, None)
    gdal.OGR_L_CreateField(layer, gdal.OGR_Fld_Create(b"class", integer), 1)
    failed = gdal.GDALPolygonize(gdal.GDALGetRasterBand(source, 1), None, layer, 0, None, None, None)
    gdal.GDALClose(target)
    gdal.GDALClose(source)
    if failed:
        raise RuntimeError("GDALPolygonize failed")
