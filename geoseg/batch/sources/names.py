"""Where the result of each input goes: the inputs' folders mirrored, in names that every system takes.

Linux, macOS and Windows each refuse or fold other names, and a batch may move between them; so names are kept to
what all of them take (https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import unquote

from geoseg.batch.sources.addresses import is_address, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LONGEST_PART = 150  # bytes of UTF-8; file systems take 255, temporary files and endings need some of them
_LONGEST_FOLDERS = 600  # bytes

# Separators, what Windows refuses, control characters, undecodable bytes, and characters that hide or turn text.
_UNSAFE = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f'
    "\ud800-\udfff"
    r"\ufeff\ufff9-\uffff]"
)
_RESERVED = re.compile(r"CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(?:COM|LPT)[0-9¹²³]")
# A folder "a.gpkg" would stand where the result of "a.tif" goes.
_ENDING_OF_RESULT = re.compile(r"\.(?=(?:gpkg|geojson|json|fgb|parquet|tiff?|html|xml|lock|log)$)", re.IGNORECASE)


def output_names(sources: Iterable[str], roots: Iterable[str] = ()) -> dict[str, str]:
    """Return a name for the result of each source.

    The folder that all local files and all roots share is cut off, and the rest of their tree is mirrored. Of
    addresses, the path is mirrored likewise: no host, no query, no credentials. ``a.tif`` becomes ``a``, but beside
    ``a.png`` it becomes ``a_tif``; where that does not tell two sources apart, a short hash does.

    Args:
        sources: paths and addresses; each counts once.
        roots: folders that were given. With them, names do not change when their contents do.

    Returns:
        For each source a relative POSIX path without ending. Paths are unique, also where case is ignored, have no
        ``..``, and depend neither on the order of the sources nor on the folder that they share.
    """
    places = _places(sorted(set(sources)), roots)
    levels = dict.fromkeys(places, 0)
    names = {source: _name(source, place, 0) for source, place in places.items()}
    while True:
        same: dict[str, list[str]] = defaultdict(list)
        for source, name in names.items():
            same[_folded(name)].append(source)
        clashing = [source for group in same.values() if len(group) > 1 for source in group]
        if not clashing:
            return names
        # At the last level the whole hash tells them apart, so no two of a group are there.
        for source in clashing:
            levels[source] = min(levels[source] + 1, 4)
            names[source] = _name(source, places[source], levels[source])


def _places(sources: Iterable[str], roots: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return for each source the names of its folders below the shared one, and its own name."""
    files: dict[str, tuple[str, ...]] = {}
    remote: dict[str, tuple[str, ...]] = {}
    for source in sources:
        if is_address(source):
            remote[source] = _address_parts(source)
        else:
            files[source] = tuple(os.path.abspath(source).split(os.sep))
    above = [tuple(os.path.abspath(root).split(os.sep)) for root in roots]
    return _without_shared(files, above) | _without_shared(remote, [])


def _address_parts(address: str) -> tuple[str, ...]:
    path = without_secrets(address).partition("://")[2].partition("/")[2]
    return tuple(unquote(part) for part in path.split("/") if part not in ("", ".", "..")) or ("scene",)


def _without_shared(
    places: Mapping[str, tuple[str, ...]], roots: Sequence[tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    folders = [*(place[:-1] for place in places.values()), *roots]
    first, last = min(folders, default=()), max(folders, default=())  # whatever these share, all between them share
    shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))))
    return {source: place[shared:] for source, place in places.items()}


def _name(source: str, place: tuple[str, ...], level: int) -> str:
    """Return a name; the higher the level, the more it says to be told apart from others."""
    stem, ending = os.path.splitext(place[-1])
    if level > 0 and len(ending) > 1:
        stem = f"{stem}_{ending[1:]}"
    tag = ""
    if level > 1:
        told_by = ("/".join(place), without_secrets(source), source)[level - 2]
        tag = "-" + (_hash(told_by) if level == 4 else _hash(told_by)[:8])
    return _folders(place[:-1]) + _safe(stem, tag)


@functools.lru_cache(maxsize=4096)
def _folders(parts: tuple[str, ...]) -> str:
    """Return the folders of a name, each with a slash behind it."""
    safe = "".join(_safe(_ENDING_OF_RESULT.sub("_", part)) + "/" for part in parts)
    if len(safe.encode()) <= _LONGEST_FOLDERS:
        return safe
    return f"{_safe(parts[0], '-' + _hash('/'.join(parts))[:8])}/"


def _safe(text: str, tag: str = "") -> str:
    """Return a text as a name of one file or folder, with a tag at its end."""
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip().rstrip(" .")
    if not text or text[0] in "-.":  # options and hidden files
        text = "_" + text[1:]
    if _RESERVED.fullmatch(text.split(".", 1)[0].rstrip().upper()):
        text = "_" + text
    if len(text.encode()) + len(tag) > _LONGEST_PART:
        tag = tag or "-" + _hash(text)[:8]
        text = text.encode()[: _LONGEST_PART - len(tag)].decode(errors="ignore")
    return text + tag


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _folded(name: str) -> str:
    """Return a text that is the same for names which some file system takes for one."""
    return unicodedata.normalize("NFC", name.upper().casefold())
