"""Layers of a project as what geoseg can open: files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingException, QgsProviderRegistry

from .command_line import as_operand

_SAVE_AS = "save it as GeoTIFF first (right-click the layer, Export > Save As…)"


def raster_file(layer: Any, given: object, label: str) -> str:
    """Return the path, or address, of a raster layer's file.

    Args:
        layer: the layer, or None where QGIS could not open what was given.
        given: what was given.
        label: the parameter's name for people.

    Raises:
        QgsProcessingException: there is no file behind it that geoseg can open.
    """
    if layer is None or not layer.isValid():
        raise QgsProcessingException(
            f"{label}: {given} is not a raster that QGIS can open; choose a raster layer or file"
        )
    kind = layer.dataProvider().name()
    if kind != "gdal":
        raise QgsProcessingException(
            f"{label}: {layer.name()} is a layer of the kind {kind}, expected a file; {_SAVE_AS}"
        )
    parts = _parts(layer, label)
    if parts.get("layerName") or not parts.get("path"):
        raise QgsProcessingException(f"{label}: {layer.name()} is one of several images in a file; {_SAVE_AS}")
    return as_operand(str(parts["path"]))


def crs_words(layer: Any) -> list[str]:
    """Return the flag for the CRS that a raster layer was given in QGIS, where its file says none or another."""
    shown, stored = layer.crs(), layer.dataProvider().crs()
    if not shown.isValid() or shown == stored:
        return []
    return [f"--src-crs={shown.authid() or shown.toWkt()}"]


def map_file(layer: Any, given: object, label: str) -> str:
    """Return the file of a raster or vector layer; one that QGIS cannot open may still be a file for geoseg.

    Raises:
        QgsProcessingException: there is none.
    """
    if layer is None or not layer.isValid():
        if isinstance(given, str) and Path(given).is_file():
            return as_operand(given)
        raise QgsProcessingException(f"{label}: {given} is not a map; choose a layer or a file")
    kind = layer.dataProvider().name()
    if kind == "gdal":
        return raster_file(layer, given, label)
    if kind != "ogr":
        raise QgsProcessingException(
            f"{label}: {layer.name()} is a layer of the kind {kind}, expected a file; "
            "save it as GeoPackage first (right-click the layer, Export > Save Features As…)"
        )
    return as_operand(str(_parts(layer, label)["path"]))


def _parts(layer: Any, label: str) -> dict[str, Any]:
    """Return what a layer's source is made of.

    Raises:
        QgsProcessingException: its file is packed into another.
    """
    parts: dict[str, Any] = QgsProviderRegistry.instance().decodeUri(layer.dataProvider().name(), layer.source())
    if parts.get("vsiPrefix"):
        raise QgsProcessingException(
            f"{label}: {layer.name()} lies in the archive {parts['path']}, expected a file; unpack it first"
        )
    return parts
