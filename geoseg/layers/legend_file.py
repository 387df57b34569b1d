"""A legend in a file of its own: what the values of somebody else's class raster mean."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError
from geoseg.layers.legend import completed
from geoseg.vocabulary import Legend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from geoseg.vocabulary import MapClass

_LARGEST = 1 << 20  # bytes; a legend has 256 lines at most
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def legend_of(path: Path) -> Legend:
    """Return the legend that a file names, and nothing else; raises InputError as :func:`read_legend_file`."""
    return Legend(tuple(read_legend_file(path, ()).values()))


def read_legend_file(path: Path, values: Iterable[int]) -> dict[int, MapClass]:
    """Return a class for each value of a class raster.

    The file is JSON, an object such as ``{"1": "building", "7": "orchard"}`` or a list of objects with ``value``,
    ``name`` and perhaps ``color``; or lines of ``value,name`` or ``value,name,#RRGGBB``, with or without a heading.
    A name of the default legend brings that class's layer, style and smallest area along. Values that the file does
    not name become ``class_<value>``.

    Args:
        path: the file, UTF-8.
        values: the values found in the raster, 0 to 255.

    Raises:
        InputError: it cannot be read, or an entry makes no sense.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path}: is too large for a legend; expected lines such as 1,building")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise InputError(f"{path}: cannot be read as a legend: {reason}") from error
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for value, name, color in _entries(path, text):
        if not re.fullmatch(r"0*[0-9]{1,3}", value.strip(), re.ASCII) or int(value) > 255 or not name.strip():
            raise InputError(f"{path}: {value!r}, {name!r} is no class; expected a value from 0 to 255 and a name")
        if color and not _COLOR.fullmatch(color.strip()):
            raise InputError(f"{path}: {color!r} of {name} is no colour; expected #RRGGBB")
        if int(value) in names:
            raise InputError(f"{path}: names the value {int(value)} twice")
        names[int(value)] = name.strip()
        if color:
            colors[int(value)] = color.strip().upper()
    if not names:
        raise InputError(f"{path}: names no class; expected lines such as 1,building")
    found = set(values)
    named = set(names) if 0 in found else set(names) - {0}  # a name for 0 alone is one for nodata, not a class
    return completed(str(path), {}, names, colors, found | named)


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
    try:
        lines = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise InputError(f"{path}: is no list of classes: {error}") from error
    for number, line in enumerate(lines):
        if not line or (number == 0 and line[0].strip().casefold() == "value"):
            continue
        value, name, color, *_ = [*line, "", "", ""]
        yield value, name, color
