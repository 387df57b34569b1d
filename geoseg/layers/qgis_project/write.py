"""Write a project file as QGIS reads it: a ``.qgz`` is a zip archive of one XML document, the ``.qgs``."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.errors import OutputError, UsageError
from geoseg.layers.faults import writing
from geoseg.layers.qgis_project.layer_xml import layer_ids, map_layer, reference_system, tree_layer
from geoseg.layers.qml import VERSION, legal, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.layers.qgis_project.content import Project

_SAME_MOMENT = (1980, 1, 1, 0, 0, 0)  # the same project is the same file, whenever it is written
_ELLIPSOID = "EPSG:7030"  # of WGS 84; by it QGIS finds metres where the CRS has degrees


def check_project_name(path: Path) -> None:
    """Refuse a name that QGIS would not open as a project; raises UsageError."""
    if path.suffix.lower() != ".qgz":
        raise UsageError(f"{path}: ends in {path.suffix!r}, but --qgis-project writes a QGIS project; end it in .qgz")


def write_project(path: Path, project: Project, final: Path) -> None:
    """Write a project.

    Args:
        path: a file that does not exist yet (a temporary name, see ``publish``).
        project: what it shows.
        final: the name that the file will have, from whose folder other files are named.

    Raises:
        OutputError: it cannot be written.
    """
    document = text_of(project_xml(project, final)).encode()
    with writing(path), zipfile.ZipFile(path, "w") as archive:
        inside = zipfile.ZipInfo(f"{final.stem}.qgs", _SAME_MOMENT)
        inside.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(inside, document)


def check_written(path: Path) -> None:
    """Read a project back; raises OutputError where it came out incomplete."""
    try:
        with zipfile.ZipFile(path) as archive:
            whole = archive.testzip() is None
    except (zipfile.BadZipFile, OSError):
        whole = False
    if not whole:
        raise OutputError(f"{path}: came out incomplete; is the disk full?")


def project_xml(project: Project, final: Path) -> ET.Element:
    """Return the document of a project that will have a certain name."""
    root = ET.Element("qgis", version=VERSION, projectname=legal(project.title))
    ET.SubElement(root, "title").text = legal(project.title)
    ET.SubElement(root, "projectCrs").append(reference_system(project.crs))
    named = dict(zip(project.layers, layer_ids(project.layers), strict=True))
    tree = ET.SubElement(root, "layer-tree-group")
    if project.group:
        shown = {"checked": "Qt::Checked", "expanded": "1"}
        group = ET.SubElement(tree, "layer-tree-group", shown, name=legal(project.title))
        group.extend(tree_layer(layer, named[layer], final) for layer in project.group)
    tree.extend(tree_layer(layer, named[layer], final) for layer in project.below)
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas", annotationsVisible="1")
    _add_extent(canvas, project)
    ET.SubElement(canvas, "rotation").text = "0"
    ET.SubElement(canvas, "destinationsrs").append(reference_system(project.crs))
    layers = ET.SubElement(root, "projectlayers")
    layers.extend(map_layer(layer, identity, final) for layer, identity in named.items())
    order = ET.SubElement(root, "layerorder")
    for identity in named.values():
        ET.SubElement(order, "layer", id=identity)
    root.append(_properties(project.crs))
    view = ET.SubElement(root, "ProjectViewSettings", UseProjectScales="0", rotation="0")
    sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(repr, map(float, project.extent)), strict=True))
    ET.SubElement(view, "DefaultViewExtent", sides).append(reference_system(project.crs))
    return root


def _add_extent(canvas: ET.Element, project: Project) -> None:
    extent = ET.SubElement(canvas, "extent")
    for side, value in zip(("xmin", "ymin", "xmax", "ymax"), project.extent, strict=True):
        ET.SubElement(extent, side).text = repr(float(value))


def _properties(crs: str) -> ET.Element:
    """Return the settings of a project: relative paths, that it has a CRS, and what metres are measured on."""
    import pyproj

    root = ET.Element("properties")
    paths = ET.SubElement(root, "Paths")
    ET.SubElement(paths, "Absolute", type="bool").text = "false"
    reference = ET.SubElement(root, "SpatialRefSys")
    ET.SubElement(reference, "ProjectionsEnabled", type="int").text = "1"
    measure = ET.SubElement(root, "Measure")
    on_globe = pyproj.CRS.from_wkt(crs).geodetic_crs is not None
    ET.SubElement(measure, "Ellipsoid", type="QString").text = _ELLIPSOID if on_globe else "NONE"
    return root
