"""A legend inside a class raster: our own tag, or what others left as class names and colours."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import rasterio.shutil

from geoseg.class_names import foreign_class, plain_name, told_apart
from geoseg.errors import InputError
from geoseg.vocabulary import Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rasterio.io import DatasetReader

_TAG = "GEOSEG_LEGEND"
_USABLE = range(1, 255)  # values a legend may use


def legend_tags(legend: Legend) -> dict[str, str]:
    """Return the legend as raster metadata that `read_legend` understands."""
    return {_TAG: json.dumps([asdict(entry) for entry in legend], ensure_ascii=False)}


def read_legend(raster: DatasetReader, values: Iterable[int]) -> dict[int, MapClass]:
    """Return a class for each value of a class raster, whoever wrote it.

    A legend of ours is taken as it is. Otherwise names come from the raster's category names and colours from
    its colour table; a name of the default legend brings that class's layer, style and smallest area along.
    What has no name becomes ``class_<value>``.

    Args:
        raster: an open raster of one band.
        values: the values found in it, 0 to 255.

    Returns:
        Classes by raster value: those of our legend, and those found. Values that no legend may use (0 and
        255) get a class of another, free value.

    Raises:
        InputError: more than 254 classes.
    """
    classes = _own_classes(raster)
    names, colors = ({}, {}) if classes else (_category_names(raster), _colors(raster))
    return completed(raster.name, classes, names, colors, values, join=True)


def completed(
    source: str,
    classes: dict[int, MapClass],
    names: Mapping[int, str],
    colors: Mapping[int, str],
    values: Iterable[int],
    *,
    join: bool = False,
) -> dict[int, MapClass]:
    """Return classes with one more for each value that has none yet, from names and colours where there are such.

    Args:
        source: is to blame in messages.
        classes: those that there are, by value; more are added.
        names: of other values.
        colors: of other values, ``#RRGGBB``.
        values: all that need a class.
        join: whether values of one name are of one class; else the later one is ``class_<value>``.

    Raises:
        InputError: more than 254 classes.
    """
    first: dict[str, int] = {}
    foreign = sorted(set(values) - set(classes))
    free = iter(value for value in _USABLE if value not in classes and value not in foreign)
    for value in foreign:
        same = first.setdefault(plain_name(names[value]), value) if join and value in names else value
        if same != value:
            classes[value] = classes[same]
            continue
        legal = value if value in _USABLE else next(free, None)
        if legal is None:
            raise InputError(f"{source}: more than {len(_USABLE)} different values; expected a class raster")
        entry = foreign_class(legal, names.get(value) or f"class_{value}", colors.get(value))
        if join and value in names and (twin := next((o for o in classes.values() if o.name == entry.name), None)):
            classes[value] = twin  # building and Buildings
            continue
        classes[value] = told_apart(entry, classes.values(), value)
    return classes


def _own_classes(raster: DatasetReader) -> dict[int, MapClass]:
    """Return the legend that geoseg wrote, nothing if there is none or it makes no sense."""
    try:
        legend = Legend(tuple(MapClass(**entry) for entry in json.loads(raster.tags()[_TAG])))
    except (KeyError, ValueError, TypeError):  # no tag, no JSON, other fields (UsageError is a ValueError)
        return {}
    return {entry.value: entry for entry in legend}


def _category_names(raster: DatasetReader) -> dict[int, str]:
    """Return the names of values, from GDAL's description of the raster: rasterio does not hand them out."""
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "description.vrt"
        rasterio.shutil.copy(raster, description, driver="VRT")
        root = ET.parse(description).getroot()  # noqa: S314 - written by GDAL a moment ago
    names = root.findall("VRTRasterBand[@band='1']/CategoryNames/Category")
    return {value: name.text.strip() for value, name in enumerate(names) if name.text and name.text.strip()}


def _colors(raster: DatasetReader) -> dict[int, str]:
    """Return the colours of the colour table; black is what unused entries have."""
    try:
        table = raster.colormap(1)
    except ValueError:  # there is none
        return {}
    return {value: f"#{r:02X}{g:02X}{b:02X}" for value, (r, g, b, _) in table.items() if (r, g, b) != (0, 0, 0)}
