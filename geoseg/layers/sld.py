"""SLD, the styles of the Open Geospatial Consortium, as GeoServer, MapServer and QGIS read them.

Layers of vectors are in version 1.1; class rasters in 1.0, whose colour maps are what programs read.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.layers.looks import OPACITY, AreaLook, LineLook, area_look
from geoseg.layers.qml import legal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from geoseg.vocabulary import MapClass

_SPACES = {
    "xmlns": "http://www.opengis.net/sld",
    "xmlns:ogc": "http://www.opengis.net/ogc",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_MM_PX = 1 / 0.28  # the pixel that SLD means has 0.28 mm


@cache  # a batch writes the same few styles for every scene
def class_sld(layer: str, entry: MapClass) -> str:
    """Return the style of a layer of one class."""
    root, style = _layer(layer)
    _add_area(_rule(_part(style), entry.name), area_look(entry))
    return _text(root)


def classes_sld(layer: str, entries: Iterable[MapClass]) -> str:
    """Return the style of a layer of many classes, told apart by the field ``class``."""
    root, style = _layer(layer)
    part = _part(style)
    for entry in entries:
        rule = _rule(part, entry.name)
        same = ET.SubElement(ET.SubElement(rule, "ogc:Filter"), "ogc:PropertyIsEqualTo")
        ET.SubElement(same, "ogc:PropertyName").text = "class"
        ET.SubElement(same, "ogc:Literal").text = legal(entry.name)
        _add_area(rule, area_look(entry))
    return _text(root)


def lines_sld(layer: str, look: LineLook) -> str:
    """Return the style of a layer of centrelines, as wide on every map.

    Widths on the ground are beyond what programs agree on: GeoServer understands ``uom``, QGIS takes it for metres of
    the screen.
    """
    root, style = _layer(layer)
    band = ET.SubElement(_rule(_part(style), layer), "se:LineSymbolizer")
    _stroke(band, look.band, 2 * look.least_mm, look.opacity)
    axis = ET.SubElement(_rule(_part(style), "axis"), "se:LineSymbolizer")  # a part of its own: over all bands
    _stroke(axis, look.axis, look.axis_mm)
    return _text(root)


def class_raster_sld(layer: str, entries: Iterable[MapClass]) -> str:
    """Return the style of a class raster: the colours of the map, the names of the classes."""
    root = ET.Element("StyledLayerDescriptor", {**_SPACES, "version": "1.0.0"})
    named = ET.SubElement(root, "NamedLayer")
    ET.SubElement(named, "Name").text = legal(layer)
    style = ET.SubElement(named, "UserStyle")
    ET.SubElement(style, "Name").text = legal(layer)
    rule = ET.SubElement(ET.SubElement(style, "FeatureTypeStyle"), "Rule")
    colors = ET.SubElement(ET.SubElement(rule, "RasterSymbolizer"), "ColorMap", type="values")
    for entry in entries:
        said = {"quantity": str(entry.value), "color": entry.style.upper(), "label": legal(entry.name), "opacity": "1"}
        ET.SubElement(colors, "ColorMapEntry", said)
    return _text(root)


def _layer(name: str) -> tuple[ET.Element, ET.Element]:
    """Return a document of version 1.1 and the element that its parts go to."""
    root = ET.Element("StyledLayerDescriptor", {**_SPACES, "xmlns:se": "http://www.opengis.net/se", "version": "1.1.0"})
    named = ET.SubElement(root, "NamedLayer")
    ET.SubElement(named, "se:Name").text = legal(name)
    style = ET.SubElement(named, "UserStyle")
    ET.SubElement(style, "se:Name").text = legal(name)
    return root, style


def _part(style: ET.Element) -> ET.Element:
    """Add a part, which is drawn for all features before the next one is."""
    return ET.SubElement(style, "se:FeatureTypeStyle")


def _rule(part: ET.Element, name: str) -> ET.Element:
    rule = ET.SubElement(part, "se:Rule")
    ET.SubElement(rule, "se:Name").text = legal(name)
    return rule


def _add_area(rule: ET.Element, look: AreaLook) -> None:
    """Add fill and outline; without whole layers to make transparent, an edge of the fill's own would show twice."""
    symbol = ET.SubElement(rule, "se:PolygonSymbolizer")
    fill = ET.SubElement(symbol, "se:Fill")
    ET.SubElement(fill, "se:SvgParameter", name="fill").text = look.fill
    ET.SubElement(fill, "se:SvgParameter", name="fill-opacity").text = f"{OPACITY:g}"
    if look.outlined:
        _stroke(symbol, look.edge, look.edge_mm)


def _stroke(symbol: ET.Element, color: str, width_mm: float, opacity: float = 1) -> None:
    stroke = ET.SubElement(symbol, "se:Stroke")
    said = {"stroke": color, "stroke-opacity": f"{opacity:g}", "stroke-width": f"{width_mm * _MM_PX:.2g}"}
    said["stroke-linejoin"] = "round"
    if symbol.tag == "se:LineSymbolizer":
        said["stroke-linecap"] = "round"
    for name, value in said.items():
        ET.SubElement(stroke, "se:SvgParameter", name=name).text = value


def _text(root: ET.Element) -> str:
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
