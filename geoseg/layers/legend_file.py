"""A legend in a file of its own: what the values of somebody else's class raster mean."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any

from geoseg.errors import InputError
from geoseg.layers.legend import completed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from geoseg.vocabulary import MapClass

_LARGEST = 1 << 20  # bytes; a legend has 256 lines at most
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


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
        if not value.strip().isdecimal() or int(value) > 255 or not name.strip():
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
    return completed(str(path), {}, names, colors, {*values, *names} - {0} | ({0} & {*values}))


def _entries(path: Path, text: str) -> Iterator[tuple[str, str, str]]:
    """Yield value, name and colour as they are written; '' where there is none."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            found: Any = json.loads(text)
        except ValueError as error:
            raise InputError(f"{path}: is no JSON: {error}") from error
        if isinstance(found, dict):
            found = [{"value": value, "name": name} for value, name in found.items()]
        for entry in found:
            if not isinstance(entry, dict):
                raise InputError(f"{path}: {entry!r} is no class; expected an object with value and name")
            yield str(entry.get("value", "")), str(entry.get("name", "")), str(entry.get("color") or "")
        return
    for number, line in enumerate(csv.reader(text.splitlines())):
        if not line or (number == 0 and line[0].strip().casefold() == "value"):
            continue
        value, name, color, *_ = [*line, "", "", ""]
        yield value, name, color
