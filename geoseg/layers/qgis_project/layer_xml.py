"""The part of a project file that describes one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.layers.qgis_project.references import reference
from geoseg.layers.qml import legal, pipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoseg.layers.qgis_project.content import ProjectLayer

_VECTOR = {"polygons": "Polygon", "lines": "Line"}


def layer_ids(layers: Sequence[ProjectLayer]) -> list[str]:
    """Return an id for each layer: letters, digits and underscores, no two alike.

    QGIS passes over those of ten characters and less, and then finds no layer for the tree's entry.
    """
    return [
        "".join(c if c.isascii() and c.isalnum() else "_" for c in layer.name) + f"_geoseg_{number:04}"
        for number, layer in enumerate(layers, 1)
    ]


def map_layer(layer: ProjectLayer, identity: str, project: Path) -> ET.Element:
    """Return the description of a layer in the list of a project's layers."""
    if layer.kind == "raster":
        root = ET.Element("maplayer", type="raster", styleCategories="AllStyleCategories")
    else:
        drawn = {"geometry": _VECTOR[layer.kind], "labelsEnabled": "0"}
        root = ET.Element("maplayer", drawn, type="vector", styleCategories="AllStyleCategories")
    ET.SubElement(root, "id").text = identity
    ET.SubElement(root, "datasource").text = source(layer, project)
    ET.SubElement(root, "layername").text = legal(layer.name)
    ET.SubElement(root, "srs").append(reference_system(layer.crs))
    provider = ET.SubElement(root, "provider")
    if layer.kind == "raster":
        provider.text = "gdal"
        layer.renderer.set("opacity", f"{layer.opacity:g}")
        root.append(pipe(layer.renderer))
    else:
        provider.set("encoding", "UTF-8")
        provider.text = "ogr"
        root.append(layer.renderer)
        ET.SubElement(root, "layerOpacity").text = f"{layer.opacity:g}"
    return root


def tree_layer(layer: ProjectLayer, identity: str, project: Path) -> ET.Element:
    """Return the place of a layer in the tree of layers."""
    return ET.Element(
        "layer-tree-layer",
        id=identity,
        name=legal(layer.name),
        source=source(layer, project),
        providerKey="gdal" if layer.kind == "raster" else "ogr",
        checked="Qt::Checked" if layer.shown else "Qt::Unchecked",
        expanded="0",
    )


def source(layer: ProjectLayer, project: Path) -> str:
    """Return the name of file and layer by which QGIS opens it."""
    name = legal(reference(layer.file, project))
    return name if layer.within is None else f"{name}|layername={layer.within}"


def reference_system(wkt: str) -> ET.Element:
    """Return a CRS; QGIS finds its code, where it has one, by its WKT."""
    root = ET.Element("spatialrefsys", nativeFormat="Wkt")
    ET.SubElement(root, "wkt").text = wkt
    return root
