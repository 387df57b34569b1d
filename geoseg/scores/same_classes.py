"""Which classes of two maps are the same: matched by name, and folded into one confusion matrix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.class_names import is_background, made_color
from geoseg.errors import InputError, UsageError
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import DEFAULT_LEGEND, NODATA, Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from geoseg.class_names import Synonyms

BUCKET = "other"
"""Name of what is not scored: ground without a polygon, and classes that only one map has."""

_GREY = "#808080"
_NAMELESS = re.compile(r"class_(\d+)")


@dataclass(frozen=True, slots=True)
class MapNames:
    """What a map says about the meaning of its codes."""

    path: str
    names: Mapping[int, str]
    """Canonical class name by code."""
    declared: frozenset[str]
    """Classes the map speaks of, also where none of their pixels is found."""
    numbered: bool
    """Whether codes are pixel values, which mean something by themselves where there are no names."""


@dataclass(frozen=True, slots=True)
class SharedClasses:
    """The classes that two maps are compared by, and how their codes become them."""

    legend: Legend
    """The scored classes, then the bucket where there is one."""
    bucket: str | None
    """Name of the class of everything else; None where every pixel is of a scored class."""
    predicted: NDArray[np.uint8]
    """Shape (codes,), legend value of each code of the predicted map; 0 for nodata, the last code."""
    reference: NDArray[np.uint8]
    """The same for the reference."""

    def confusion(self, pairs: NDArray[np.int64]) -> Confusion:
        """Return the confusion of pixels counted by reference code and predicted code, shape (codes, codes)."""
        size = len(self.legend)
        counts = np.zeros((size + 1, size + 1), np.int64)
        np.add.at(counts, (self.reference[:, None].astype(int) - 1, self.predicted[None, :].astype(int) - 1), pairs)
        return Confusion(self.legend, counts[:size], self.bucket)


def match_classes(
    maps: tuple[MapNames, MapNames],
    pairs: NDArray[np.int64],
    wanted: str | None,
    synonyms: Synonyms,
    note: Callable[[str], None],
) -> SharedClasses:
    """Return the classes that two maps share.

    Args:
        maps: the predicted map and the reference.
        pairs: shape (n, n), pixels by reference code and predicted code; the last code is nodata, which the
            reference never has.
        wanted: comma list of classes, ``all`` for those of either map, None for those of both.
        synonyms: turn names in ``wanted`` into those that are compared, and know the colours of the maps' classes.
        note: called with each sentence worth telling.

    Raises:
        UsageError: a wanted class is in neither map.
        InputError: the maps share no class.
    """
    blank = len(pairs) - 1
    occur = [set(np.flatnonzero(pairs.sum(axis)).tolist()) - {blank} for axis in (0, 1)]
    names = [_named(i, maps, occur, note) for i in (0, 1)]
    declared = [
        (one.declared | {named[code] for code in seen if code in named}) - {BUCKET}
        for one, named, seen in zip(maps, names, occur, strict=True)
    ]
    scored = _scored(maps, declared, wanted, synonyms.canonical)
    for i in (0, 1):
        alone = _in_order(declared[i] - declared[1 - i])
        if alone:
            what = "scored with 0" if set(alone) <= set(scored) else "counted as other unless named in --classes"
            note(f"{maps[i].path}: has {_listed(alone)}, which {maps[1 - i].path} has not; {what}")
    values = {name: value for value, name in enumerate(scored, 1)}
    rest = len(scored) + 1
    tables = [
        np.array([values.get(named.get(code, BUCKET), rest) for code in range(blank)] + [NODATA], np.uint8)
        for named in names
    ]
    unscored = any(rest in table[sorted(seen)] for table, seen in zip(tables, occur, strict=True) if seen)
    unscored = unscored or any(BUCKET in named.values() for named in names)
    if not unscored and declared[0] == declared[1] == set(scored):
        return SharedClasses(_legend(scored, synonyms.classes), None, tables[0], tables[1])
    legend = _legend([*scored, BUCKET], synonyms.classes)
    return SharedClasses(legend, BUCKET, tables[0], tables[1])


def _named(
    i: int, maps: tuple[MapNames, MapNames], occur: list[set[int]], note: Callable[[str], None]
) -> dict[int, str]:
    """Return the class name of every code of a map; codes without one are of no class."""
    one, other = maps[i], maps[1 - i]
    if not one.numbered:
        return dict(one.names)
    if NODATA in occur[i] and NODATA not in one.names:
        note(
            f"{one.path}: its pixels of value 0 are not declared missing and count as other; "
            "if they are, declare it with: gdal_edit.py -a_nodata 0 FILE"
        )
    found = occur[i] - {NODATA}
    numbers = {code: f"class_{code}" for code in found}
    if one.names:
        return numbers | dict(one.names)
    default = {entry.value: entry.name for entry in DEFAULT_LEGEND}
    legend = dict(other.names) if other.numbered and other.names else default
    blind = other.numbered and not other.names  # then only a full match makes the default legend likely
    if not found or (blind and not (found | occur[1 - i]) - {NODATA} <= set(legend)):
        return numbers
    taken = {code: legend[code] for code in sorted(found) if code in legend}
    if taken:
        meaning = ", ".join(f"{code} = {name}" for code, name in taken.items())
        note(f"{one.path}: has no class names; its values are taken as {meaning}")
    return numbers | taken


def _scored(
    maps: tuple[MapNames, MapNames],
    declared: list[frozenset[str]],
    wanted: str | None,
    canonical: Callable[[str], str],
) -> list[str]:
    """Return the names of the classes to score, in order."""
    either = declared[0] | declared[1]
    if wanted is None:
        both = declared[0] & declared[1]
        if not both:
            said = [_listed(one) for one in declared]
            raise InputError(
                f"{maps[0].path}: has the classes {said[0]} but {maps[1].path} has {said[1]}, expected "
                f"common ones; {_way_out(maps)}, or choose with --classes"
            )
        return _in_order(both)
    names = {canonical(name) for name in wanted.split(",") if name.strip()}
    if names == {"all"}:
        names = set(either)
    unknown = _in_order(names - either)
    if unknown or not names:
        raise UsageError(
            f"--classes: {', '.join(unknown) or 'an empty list'} is in neither map; "
            f"use all, or any of {_listed(either)}"
        )
    return _in_order(names)


def _way_out(maps: tuple[MapNames, MapNames]) -> str:
    """Return how to name the classes of maps that do not do so."""
    bare = [one.path for one in maps if one.numbered and all(map(_NAMELESS.fullmatch, one.names.values()))]
    if not bare:
        return "name the field of the classes with --class-field"
    return f"name the values with: geoseg vectorize {bare[0]} --legend NAMES.csv --out labels.gpkg"


def _in_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of the default legend, others after them by the alphabet, background last."""
    first = [entry.name for entry in DEFAULT_LEGEND]
    return sorted(
        names, key=lambda name: (is_background(name), first.index(name) if name in first else len(first), name)
    )


def _listed(names: Iterable[str]) -> str:
    """Return names in order as text, not all of a great many."""
    shown = [name if len(name) <= 40 else f"{name[:40]}…" for name in _in_order(names)]
    return ", ".join(shown[:12] + ["…"] * (len(shown) > 12)) or "none"


def _legend(names: list[str], classes: Mapping[str, MapClass]) -> Legend:
    """Return a legend in the maps' own colours, else those of the default one, else made-up ones.

    Args:
        names: of the classes, by value from 1.
        classes: of the maps, by name; the smallest areas are those of the default legend all the same.
    """
    areas = {entry.name: entry.min_area_m2 for entry in DEFAULT_LEGEND}
    known = {entry.name: (entry.color, entry.style) for entry in DEFAULT_LEGEND}
    known |= {name: (_GREY, _GREY) for name in names if is_background(name)}
    known |= {name: (entry.color, entry.style) for name, entry in classes.items()}
    known[BUCKET] = _GREY, _GREY
    entries = []
    for value, name in enumerate(names, 1):
        number = _NAMELESS.fullmatch(name)
        made = made_color(int(number[1]) if number else value)
        color, style = known.get(name, (made, made))
        entries.append(MapClass(value, name, None, color, style, areas.get(name, 0.0)))
    return Legend(tuple(entries))
