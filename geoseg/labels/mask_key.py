"""What the values and colours of masks mean: the classes of a legend, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geoseg.class_names import foreign_class, is_background, is_unlabelled
from geoseg.errors import InputError
from geoseg.layers.legend_file import NamedValue, read_named_values
from geoseg.vocabulary import DEFAULT_LEGEND, NO_CONFIDENCE, NODATA, Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

UNLABELLED_COLORS = ("#9B9B9B", "#000000")
"""Colours of no class: the Dubai masks' *Unlabeled*, and their undocumented black."""

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
    """Whether colours were chosen for the classes; else a grey picture of three bands tells them by value."""
    is_told: bool = False
    """Whether somebody said what the values are; else names that a mask has for its own values go before these."""

    @classmethod
    def of(cls, legend: Legend) -> MaskKey:
        """Return the key of masks that have a legend's own values or colours."""
        values = {NODATA: NODATA} | {entry.value: entry.value for entry in legend}
        return cls(legend, values, _unlabelled() | {packed(entry.color): entry.value for entry in legend})

    @classmethod
    def read(cls, path: Path) -> MaskKey:
        """Return the key that a legend file gives.

        Values of one name are of one class. Names such as ``unlabelled`` or ``ignore`` are no class. A class keeps its
        value where a legend can have it, so not 0 or 255. Value 0 is a class where the file names it as one.

        Raises:
            InputError: as :func:`geoseg.layers.legend_file.read_named_values`, or nothing is left to tell apart.
        """
        told = read_named_values(path)
        classes = _classes([one for one in told if not is_unlabelled(one.name)])
        if not classes:
            raise InputError(f"{path}: names no class, only what is unlabelled; expected lines such as 1,building")
        of_name = {name: entry.value for name, entry in classes.items()}
        meaning = {one: of_name.get(_plain(one.name), NODATA) for one in told}
        entries = sorted(dict.fromkeys(classes.values()), key=lambda entry: entry.value)
        return cls(
            Legend(tuple(entries)),
            {NODATA: NODATA} | {one.value: value for one, value in meaning.items()},
            _unlabelled() | {packed(one.color): value for one, value in meaning.items() if one.color},
            is_colored=any(one.color for one in told),
            is_told=True,
        )


def packed(color: str) -> int:
    """Return ``#RRGGBB`` as one number."""
    return int(color[1:], 16)


def _unlabelled() -> dict[int, int]:
    return dict.fromkeys(map(packed, UNLABELLED_COLORS), NODATA)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _classes(told: Sequence[NamedValue]) -> dict[str, MapClass]:
    """Return a class for each name; those that must have another value than theirs get the smallest free ones."""
    taken = {one.value for one in told}
    free = iter(value for value in range(1, NO_CONFIDENCE) if value not in taken)
    classes: dict[str, MapClass] = {}
    for one in sorted(told, key=lambda one: is_background(one.name)):  # background comes last, as everywhere
        entry = _class(one.value if NODATA < one.value < NO_CONFIDENCE else next(free), one)
        twin = next((other for other in classes.values() if other.name == entry.name), None)
        if any(entry.layer == other.layer is not None for other in classes.values()):
            entry = replace(entry, layer=f"class_{entry.value}")
        classes.setdefault(_plain(one.name), twin or entry)
    return classes


def _class(value: int, told: NamedValue) -> MapClass:
    if is_background(told.name):
        return MapClass(value, _plain(told.name), None, told.color or _GREY, _GREY)
    return foreign_class(value, told.name, told.color)


DUBAI = MaskKey.of(DEFAULT_LEGEND)
"""The masks of the Dubai data set, and made-up ones."""
