"""The ``.aux.xml`` beside a raster: what GDAL knows of it and a TIFF cannot hold (its "PAM").

Class names in particular live only there, and rasterio writes none
(https://gdal.org/en/stable/drivers/raster/gtiff.html, "Georeferencing" and "Internal metadata").
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.layers.target import beside

if TYPE_CHECKING:
    from pathlib import Path


def write_companion(path: Path, names: list[str], crs: str | None) -> None:
    """Add category names and, if given, the CRS to the companion file of a raster; no file without either.

    Args:
        path: the raster, closed.
        names: name of each value of band 1, from 0 on.
        crs: WKT 2 of a CRS that the raster's own format could not hold.
    """
    if not names and crs is None:
        return
    companion = beside(path, ".aux.xml")
    # Written by GDAL a moment ago, if at all.
    root = ET.parse(companion).getroot() if companion.exists() else ET.Element("PAMDataset")  # noqa: S314
    if crs is not None:
        for earlier in root.findall("SRS"):
            root.remove(earlier)
        # GDAL keeps x before y whatever the authority says.
        ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="1,2").text = crs
    if names:
        band = root.find("PAMRasterBand[@band='1']")
        if band is None:
            band = ET.SubElement(root, "PAMRasterBand", band="1")
        for earlier in band.findall("CategoryNames"):
            band.remove(earlier)
        categories = ET.SubElement(band, "CategoryNames")
        for name in names:
            ET.SubElement(categories, "Category").text = name
    ET.indent(root)
    ET.ElementTree(root).write(companion, encoding="UTF-8")
