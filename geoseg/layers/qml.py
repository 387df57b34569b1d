"""QML, the language of QGIS for styles: symbols, renderers, and whole style files.

QGIS reads ``Option`` elements since 3.22 and ``prop`` elements before, so symbols have both.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from geoseg.layers.looks import OPACITY, WIDTH_FIELD, AreaLook, LineLook, area_look

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geoseg.vocabulary import MapClass

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

VERSION = "3.22.0"
"""Of QGIS, whose reading of the files is meant."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_METRES = "RenderMetersInMapUnits"  # on the ground, whatever the CRS's unit


def legal(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _NOT_XML.sub("", text)


@cache  # a batch writes the same few styles for every scene
def class_qml(entry: MapClass) -> str:
    """Return the style of a layer of one class."""
    return style_file(single_renderer(area_symbol(area_look(entry))), OPACITY)


def classes_qml(entries: Iterable[MapClass]) -> str:
    """Return the style of a layer of many classes, told apart by the field ``class``."""
    return style_file(categories_renderer(entries), OPACITY)


def lines_qml(look: LineLook) -> str:
    """Return the style of a layer of centrelines."""
    return style_file(line_renderer(look), look.opacity)


def class_raster_qml(entries: Iterable[MapClass]) -> str:
    """Return the style of a class raster: the colours of the map, the names of the classes."""
    root = _root("Symbology")
    root.append(pipe(palette_renderer((entry.value, entry.style, 255, entry.name) for entry in entries)))
    return text_of(root)


def style_file(renderer: ET.Element, opacity: float) -> str:
    """Return the style of a vector layer; without labels, which QGIS then does not draw."""
    root = _root("Symbology|Rendering")
    root.append(renderer)
    ET.SubElement(root, "layerOpacity").text = f"{opacity:g}"
    return text_of(root)


def text_of(root: ET.Element) -> str:
    """Return a document."""
    ET.indent(root, " ")
    return DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _root(categories: str) -> ET.Element:
    return ET.Element("qgis", version=VERSION, styleCategories=categories)


def single_renderer(symbol: ET.Element, *, levels: bool = False) -> ET.Element:
    """Return a renderer that draws every feature alike; with levels, the parts of symbols one after the other."""
    level = str(int(levels))
    root = ET.Element("renderer-v2", type="singleSymbol", symbollevels=level, forceraster="0", enableorderby="0")
    ET.SubElement(root, "symbols").append(symbol)
    return root


def categories_renderer(entries: Iterable[MapClass]) -> ET.Element:
    """Return a renderer that draws polygons by their field ``class``."""
    root = ET.Element("renderer-v2", type="categorizedSymbol", attr="class", symbollevels="0", enableorderby="0")
    categories, symbols = ET.SubElement(root, "categories"), ET.SubElement(root, "symbols")
    for number, entry in enumerate(entries):
        name = legal(entry.name)
        ET.SubElement(categories, "category", symbol=str(number), value=name, label=name, render="true", type="string")
        symbols.append(area_symbol(area_look(entry), str(number)))
    return root


def area_symbol(look: AreaLook, name: str = "0") -> ET.Element:
    """Return a symbol of polygons."""
    symbol = _symbol("fill", name)
    properties = {
        "color": _rgba(look.fill),
        "outline_color": _rgba(look.edge),
        "outline_style": "solid",
        "outline_width": f"{look.edge_mm:g}",
        "outline_width_unit": "MM",
        "joinstyle": "bevel",
        "style": "solid",
    }
    _add_layer(symbol, "SimpleFill", properties)
    return symbol


def line_renderer(look: LineLook) -> ET.Element:
    """Return a renderer of centrelines: roads as wide as they are on the ground, and over all of them thin axes."""
    symbol = _symbol("line", "0")
    ends = {"line_style": "solid", "capstyle": "round", "joinstyle": "round"}
    least = f"3x:0,0,1,{look.least_mm:g},0,0"  # never thinner than that in millimetres
    band = {"line_color": _rgba(look.band), "line_width": "6", "line_width_unit": _METRES} | ends
    layer = _add_layer(symbol, "SimpleLine", band | {"width_map_unit_scale": least})
    _define(layer, "outlineWidth", f'coalesce("{WIDTH_FIELD}", 6)')
    axis = {"line_color": _rgba(look.axis), "line_width": f"{look.axis_mm:g}", "line_width_unit": "MM"} | ends
    _add_layer(symbol, "SimpleLine", axis, level=1)
    return single_renderer(symbol, levels=True)


def palette_renderer(entries: Iterable[tuple[int, str, int, str]], *, band: int = 1) -> ET.Element:
    """Return a renderer of the values of one band.

    Args:
        entries: value, colour ``#RRGGBB``, opacity 0 to 255, and name.
        band: its number.
    """
    root = _raster_renderer("paletted", band=str(band))
    palette = ET.SubElement(root, "colorPalette")
    for value, color, alpha, name in entries:
        said = {"value": str(value), "color": color.lower(), "alpha": str(alpha), "label": legal(name)}
        ET.SubElement(palette, "paletteEntry", said)
    return root


def gray_renderer(low: float, high: float, *, band: int = 1) -> ET.Element:
    """Return a renderer of one band from black at ``low`` to white at ``high``."""
    root = _raster_renderer("singlebandgray", grayBand=str(band), gradient="BlackToWhite")
    _enhance(root, "contrastEnhancement", (low, high))
    return root


def rgb_renderer(
    bands: tuple[int, int, int], limits: tuple[tuple[float, float], ...] | None, alpha: int | None
) -> ET.Element:
    """Return a renderer of three bands as red, green and blue.

    Args:
        bands: their numbers, from 1.
        limits: of each, the value that becomes dark and the one that becomes bright; None where values are colours.
        alpha: number of the band of transparency.
    """
    named = dict(zip(("redBand", "greenBand", "blueBand"), map(str, bands), strict=True))
    root = _raster_renderer("multibandcolor", alpha, **named)
    if limits is not None:
        for color, pair in zip(("red", "green", "blue"), limits, strict=True):
            _enhance(root, f"{color}ContrastEnhancement", pair)
    return root


def pipe(renderer: ET.Element) -> ET.Element:
    """Return what QGIS draws a raster through."""
    root = ET.Element("pipe")
    root.append(renderer)
    return root


def _raster_renderer(kind: str, alpha: int | None = None, **more: str) -> ET.Element:
    root = ET.Element("rasterrenderer", {"type": kind, "opacity": "1", "alphaBand": str(alpha or -1), **more})
    ET.SubElement(root, "rasterTransparency")
    return root


def _enhance(renderer: ET.Element, name: str, limits: tuple[float, float]) -> None:
    root = ET.SubElement(renderer, name)
    for end, value in zip(("minValue", "maxValue"), limits, strict=True):
        ET.SubElement(root, end).text = repr(float(value))
    ET.SubElement(root, "algorithm").text = "StretchToMinimumMaximum"


def _symbol(kind: str, name: str) -> ET.Element:
    return ET.Element("symbol", type=kind, name=name, alpha="1", clip_to_extent="1", force_rhr="0")


def _add_layer(symbol: ET.Element, kind: str, properties: Mapping[str, str], *, level: int = 0) -> ET.Element:
    """Add one drawing of a symbol and return it."""
    layer = ET.SubElement(symbol, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": str(level)})
    options = ET.SubElement(layer, "Option", type="Map")
    for name, value in properties.items():
        ET.SubElement(options, "Option", type="QString", name=name, value=value)
    for name, value in properties.items():
        ET.SubElement(layer, "prop", k=name, v=value)
    return layer


def _define(layer: ET.Element, name: str, expression: str) -> None:
    """Let an expression decide a property of a drawing."""
    options = ET.SubElement(ET.SubElement(layer, "data_defined_properties"), "Option", type="Map")
    ET.SubElement(options, "Option", type="QString", name="name", value="")
    properties = ET.SubElement(options, "Option", type="Map", name="properties")
    one = ET.SubElement(properties, "Option", type="Map", name=name)
    ET.SubElement(one, "Option", type="bool", name="active", value="true")
    ET.SubElement(one, "Option", type="QString", name="expression", value=expression)
    ET.SubElement(one, "Option", type="int", name="type", value="3")
    ET.SubElement(options, "Option", type="QString", name="type", value="collection")


def _rgba(color: str) -> str:
    """Return an opaque colour as QGIS writes it."""
    return ",".join(map(str, (*bytes.fromhex(color[1:]), 255)))
