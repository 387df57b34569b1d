"""A legend in a file of its own: what the values of somebody else's class raster mean."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from geoseg.errors import InputError
from geoseg.layers.legend import completed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from geoseg.vocabulary import MapClass

_LARGEST = 1 << 20  # bytes; a legend has 256 lines at most
_SEPARATOR = re.compile(r"\s*(?:\d+|value)\s*?([,;\t])", re.IGNORECASE)
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class NamedValue(NamedTuple):
    """One line of a legend file."""

    value: int
    """0 to 255."""
    name: str
    color: str | None
    """``#RRGGBB``."""


def read_legend_file(path: Path, values: Iterable[int]) -> dict[int, MapClass]:
    """Return a class for each value of a class raster, as a legend file names them.

    Values that the file does not name become ``class_<value>``.

    Args:
        path: see :func:`read_named_values`.
        values: the values found in the raster, 0 to 255.

    Raises:
        InputError: as :func:`read_named_values`.
    """
    told = read_named_values(path)
    names = {one.value: one.name for one in told}
    colors = {one.value: one.color for one in told if one.color}
    found = set(values)
    named = set(names) if 0 in found else set(names) - {0}  # a name for 0 alone is one for nodata, not a class
    return completed(str(path), {}, names, colors, found | named, join=True)


def read_named_values(path: Path) -> list[NamedValue]:
    """Return what a legend file says.

    It is JSON, an object such as ``{"1": "building", "7": "orchard"}`` or a list of objects with ``value``, ``name``
    and perhaps ``color``; or lines of ``value,name`` or ``value,name,#RRGGBB``, with or without a heading.

    Args:
        path: the file, UTF-8.

    Raises:
        InputError: it cannot be read, names nothing, or an entry makes no sense.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: is too large for a legend; expected lines such as 1,building")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise InputError(f"{path}: cannot be read as a legend: {reason}") from error
    told: dict[int, NamedValue] = {}
    for value, name, color in _entries(path, text):
        if not re.fullmatch(r"0*[0-9]{1,3}", value.strip(), re.ASCII) or int(value) > 255 or not name.strip():
            raise InputError(f"{path}: {value!r}, {name!r} is no class; expected a value from 0 to 255 and a name")
        if color and not _COLOR.fullmatch(color.strip()):
            raise InputError(f"{path}: {color!r} of {name} is no colour; expected #RRGGBB")
        if int(value) in told:
            raise InputError(f"{path}: names the value {int(value)} twice")
        told[int(value)] = NamedValue(int(value), name.strip(), color.strip().upper() or None)
    if not told:
        raise InputError(f"{path}: names no class; expected lines such as 1,building")
    return list(told.values())


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, with names that come twice still there."""


def _entries(path: Path, text: str) -> Iterator[tuple[str, str, str]]:
    """Yield value, name and colour as they are written; '' where there is none."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found: Any = json.loads(text, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: is no JSON: {error}") from error
        if isinstance(found, _Pairs):
            found = [_Pairs((("value", value), ("name", name))) for value, name in found]
        for pairs in found:
            entry = dict(pairs) if isinstance(pairs, _Pairs) else {}
            if not isinstance(entry.get("value"), str | int) or not isinstance(entry.get("name"), str):
                raise InputError(f"{path}: {pairs!r:.60} is no class; expected an object with value and name")
            yield str(entry["value"]), entry["name"], str(entry.get("color") or "")
        return
    separator = _SEPARATOR.match(text)
    try:
        lines = list(csv.reader(text.splitlines(), delimiter=separator[1] if separator else ","))
    except csv.Error as error:
        raise InputError(f"{path}: is no list of classes: {error}") from error
    for number, line in enumerate(lines):
        if not line or (number == 0 and line[0].strip().casefold() == "value"):
            continue
        value, name, color, *_ = [*line, "", "", ""]
        yield value, name, color
