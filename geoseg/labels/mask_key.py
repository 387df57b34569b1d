"""What the values and colours of masks mean: the classes of a legend, or nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.class_names import foreign_class, is_background, is_unlabelled, plain_name, told_apart
from geoseg.errors import InputError
from geoseg.layers.legend_file import NamedValue, read_named_values
from geoseg.vocabulary import DEFAULT_LEGEND, NO_CONFIDENCE, NODATA, Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_UNLABELLED_COLORS = ("#9B9B9B", "#000000")
"""The Dubai masks' *Unlabeled*, and their undocumented black."""

_GREY = "#808080"


@dataclass(frozen=True, slots=True)
class MaskKey:
    """What masks mean; values and colours that are not named mean nothing."""

    legend: Legend
    values: Mapping[int, int]
    """Legend value of each value of a mask; 0 for those that are unlabelled."""
    colors: Mapping[int, int]
    """Legend value of each colour, red, green and blue as one number; 0 for those that are unlabelled."""
    is_colored: bool = True
    """Whether every class has a colour; else palettes and grey pictures of three bands tell classes by value."""
    is_told: bool = False
    """Whether somebody said what the values are; else names and nodata that a mask itself has go before them."""

    @classmethod
    def of(cls, legend: Legend) -> MaskKey:
        """Return the key of masks that have a legend's own values or colours."""
        values = {NODATA: NODATA} | {entry.value: entry.value for entry in legend}
        return cls(legend, values, _unlabelled() | {packed(entry.color): entry.value for entry in legend})

    @classmethod
    def read(cls, path: Path) -> MaskKey:
        """Return the key that a legend file gives.

        Values of one name are of one class. Names such as ``unlabelled`` or ``ignore`` are no class. A class keeps its
        value where a legend can have it, so not 0 or 255. Value 0 is a class where the file names it as one. Where the
        file has no colours, those of the default legend's classes are known.

        Raises:
            InputError: as :func:`geoseg.layers.legend_file.read_named_values`, or two classes have one colour, or
                there is no class, or more of them than a legend can have.
        """
        told = read_named_values(path)
        named = [one for one in told if not is_unlabelled(one.name)]
        classes = _classes(path, named)
        value_of = {one.value: classes[plain_name(one.name)].value if one in named else NODATA for one in told}
        colored = {(packed(one.color), value_of[one.value]) for one in told if one.color}
        twice = [color for color, count in Counter(color for color, _ in colored).items() if count > 1]
        if twice:
            raise InputError(f"{path}: gives two classes the colour #{twice[0]:06X}; expected one each")
        colors = dict(colored) or {packed(entry.color): entry.value for entry in classes.values() if _is_usual(entry)}
        legend = Legend(tuple(sorted(set(classes.values()), key=lambda entry: entry.value)))
        is_colored = all(one.color for one in named)
        return cls(legend, {NODATA: NODATA} | value_of, _unlabelled() | colors, is_colored, is_told=True)


def packed(color: str) -> int:
    """Return ``#RRGGBB`` as one number."""
    return int(color[1:], 16)


def _unlabelled() -> dict[int, int]:
    return dict.fromkeys(map(packed, _UNLABELLED_COLORS), NODATA)


def _is_usual(entry: MapClass) -> bool:
    return any(entry.name == usual.name for usual in DEFAULT_LEGEND)


def _classes(path: Path, named: Sequence[NamedValue]) -> dict[str, MapClass]:
    """Return a class for each plain name; those that cannot keep their value get the smallest free ones."""
    if not named:
        raise InputError(f"{path}: names no class, only what is unlabelled; expected lines such as 1,building")
    taken = {one.value for one in named}
    free = iter(value for value in range(1, NO_CONFIDENCE) if value not in taken)
    classes: dict[str, MapClass] = {}
    for one in sorted(named, key=lambda one: is_background(one.name)):  # background comes last, as everywhere
        if plain_name(one.name) in classes:
            continue
        value = one.value if NODATA < one.value < NO_CONFIDENCE else next(free, None)
        if value is None:
            raise InputError(f"{path}: names more than {NO_CONFIDENCE - 1} classes; expected those of a mask")
        entry = _class(value, one)
        twin = next((other for other in classes.values() if other.name == entry.name), None)  # building and Buildings
        classes[plain_name(one.name)] = twin or told_apart(entry, classes.values())
    return classes


def _class(value: int, told: NamedValue) -> MapClass:
    if is_background(told.name):
        return MapClass(value, plain_name(told.name), None, told.color or _GREY, _GREY)
    return foreign_class(value, told.name, told.color)


DUBAI = MaskKey.of(DEFAULT_LEGEND)
"""The masks of the Dubai data set, and made-up ones."""
