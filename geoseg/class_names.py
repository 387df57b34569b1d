"""Names of classes that somebody else chose: which mean the same, and their layer, colour, style and smallest area."""

from __future__ import annotations

import colorsys
import itertools
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from geoseg.errors import UsageError
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_GOLDEN = 0.618033988749895  # of the colour wheel: neighbouring values get distant hues
_NO_LAYER = {"background", "bg", "other", "others", "unlabeled", "unlabelled", "unknown", "none", "nodata", "ignore"}
_UNLABELLED = {
    "nodata", "no data", "unlabelled", "unlabeled", "not labelled", "not labeled", "unclassified", "unknown", "ignore",
    "ignored", "void",
}  # fmt: skip
_SYNONYMS = {
    "house": "building",
    "houses": "building",
    "street": "road",
    "streets": "road",
    "tree": "vegetation",
    "trees": "vegetation",
    "waterbody": "water",
    "water body": "water",
    "bare land": "land",
}
_GREY = "#808080"
_NUMBER = re.compile(r"[0-9]{1,9}")  # as a name, it is no table's


def foreign_class(value: int, name: str, color: str | None = None) -> MapClass:
    """Return a class for a name that somebody else chose; one of the default legend brings its style along."""
    for entry in DEFAULT_LEGEND:
        if name.strip().casefold() in (entry.name, entry.layer):
            return replace(entry, value=value, color=color or entry.color)
    color = color or made_color(value)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    layer = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_")[:60]
    try:
        return MapClass(value, " ".join(re.sub("[,=\0]", " ", name).split()), layer, color, color)
    except UsageError:  # nothing is left of the name, or it cannot be a table's
        number = name.strip()
        if _NUMBER.fullmatch(number):
            return MapClass(value, number, f"class_{number}", color, color)
        return MapClass(value, f"class_{value}", f"class_{value}", color, color)


def made_color(value: int) -> str:
    """Return a colour for a value that has none."""
    red, green, blue = colorsys.hsv_to_rgb(value * _GOLDEN % 1, 0.55, 0.85)
    return f"#{round(red * 255):02X}{round(green * 255):02X}{round(blue * 255):02X}"


def is_background(name: str) -> bool:
    """Return whether a name says that a class is what no other class is."""
    return plain_name(name) in _NO_LAYER


def is_unlabelled(name: str) -> bool:
    """Return whether a name says that nobody told what is there."""
    return plain_name(name) in _UNLABELLED


def plain_name(name: str) -> str:
    """Return what a name is compared by: lower case, with single blanks for underscores, hyphens and blanks."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def told_apart(entry: MapClass, others: Iterable[MapClass], number: int | None = None) -> MapClass:
    """Return a class whose name and layer are none of others'.

    Layers may not differ by case alone: tables and files do not.

    Args:
        entry: the class.
        others: those before it.
        number: what it is called by then, as in ``class_7``; None for its value.
    """
    others = list(others)
    names = {other.name for other in others}
    layers = {other.layer.casefold() for other in others if other.layer is not None}
    spare = (f"class_{entry.value if number is None else number}" + f"_{n}" * (n > 0) for n in itertools.count())
    if entry.name in names:
        free = next(name for name in spare if name not in names | layers)
        return replace(entry, name=free, layer=None if entry.layer is None else free)
    if entry.layer is None or entry.layer.casefold() not in layers:
        return entry
    return replace(entry, layer=next(layer for layer in spare if layer not in layers))


def legend_of_names(names: Sequence[str], colors: Sequence[str | None] | None = None) -> Legend:
    """Return a legend of a foreign model's classes: values from 1 in the names' order, background without a layer.

    Args:
        names: of the classes; what `is_background` knows should come last.
        colors: per name, #RRGGBB or None.

    Raises:
        UsageError: there are too few or too many.
    """
    if not 2 <= len(names) <= 254:
        raise UsageError(f"{len(names)} classes are named; a legend has 2 to 254")
    classes: list[MapClass] = []
    for value, name in enumerate(names, 1):
        entry = _named(value, name, colors[value - 1] if colors else None)
        if any(entry.name == other.name or entry.layer == other.layer is not None for other in classes):
            entry = replace(entry, name=f"class_{value}", layer=f"class_{value}")
        classes.append(entry)
    return Legend(tuple(classes))


def _named(value: int, name: str, color: str | None) -> MapClass:
    if is_background(name):
        return MapClass(value, plain_name(name), None, color or _GREY, _GREY)
    entry = foreign_class(value, name, color)
    known = _SYNONYMS.get(name.strip().casefold())
    twin = next((other for other in DEFAULT_LEGEND if other.name == known), None)
    if twin is None:
        return entry
    # Its own name, the style and smallest area of what it means.
    return replace(entry, style=twin.style, color=color or twin.color, min_area_m2=twin.min_area_m2)


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Names that mean the same class: those of classes and of their layers, in any case of letters."""

    known: Mapping[str, str]
    """Class name by class or layer name, both in lower case."""
    classes: Mapping[str, MapClass] = field(default_factory=dict)
    """The classes that maps have, by the name under which they are compared; the first of a name."""

    @classmethod
    def of(cls, classes: Iterable[MapClass]) -> Synonyms:
        """Return the synonyms of the default legend and of more classes; the default legend wins."""
        known, theirs = {"bg": "background"}, list(classes)
        for legend in (DEFAULT_LEGEND, theirs):
            for entry in legend:
                known.setdefault(_plain(entry.name), _plain(entry.name))
            for entry in legend:  # what is a class by its own name is none by a layer's
                if entry.layer is not None:
                    known.setdefault(_plain(entry.layer), known[_plain(entry.name)])
        by_name = {known[_plain(entry.name)]: entry for entry in reversed(theirs)}
        return cls(known, by_name)

    def is_class(self, name: str) -> bool:
        """Return whether a name is one of a class or of its layer."""
        return _plain(name) in self.known

    def canonical(self, name: str) -> str:
        """Return the one name under which a class is compared."""
        return self.known.get(_plain(name), _plain(name))


def _plain(name: str) -> str:
    """Return a name as it is compared: small letters, without the marks a legend cannot hold."""
    return " ".join(re.sub("[,=\0]", " ", name).split()).casefold()
