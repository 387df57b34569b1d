"""The images of a folder and of those below it, and those that a pattern names."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from typing import TYPE_CHECKING

from geoseg.scene.own_rasters import is_own_raster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IMAGE_ENDINGS = frozenset({
    ".tif", ".tiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg", ".img", ".vrt", ".bil", ".bip", ".bsq",
})  # fmt: skip
"""Endings by which images are told from other files of a folder, in lower case."""

_MAGIC = re.compile(r"[*?[]")


def is_pattern(text: str) -> bool:
    """Tell whether a text holds characters of a pattern: ``*``, ``?`` or ``[``."""
    return _MAGIC.search(text) is not None


def root_of(pattern: str) -> str:
    """Return the folder that a pattern begins at: all before the first part with a character of a pattern."""
    parts = pattern.replace(os.sep, "/").split("/")
    first = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else os.curdir)


def images_below(folder: str, note: Callable[[str], None], endings: frozenset[str] = IMAGE_ENDINGS) -> list[str]:
    """Return the images of a folder and of all folders below it, sorted.

    Hidden files and folders are left out, and so are class and confidence rasters that geoseg wrote. Links to
    folders are followed, but no folder is entered twice; broken links to images are kept, to be told as missing.

    Args:
        folder: where to begin.
        note: called with a sentence on every folder that cannot be read.
        endings: of the files to return, in lower case.
    """
    found: list[str] = []
    seen: set[str] = set()
    folders, links = [folder], list[str]()
    while folders or links:
        # Links come last, so that files are called by their own folder where that lies below, too.
        here = folders.pop() if folders else links.pop(0)
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        for entry in _entries(here, note):
            if _is(entry.is_dir):
                (links if entry.is_symlink() else folders).append(entry.path)
            elif _ending(entry.name) in endings and _is_taken(entry):
                found.append(entry.path)
    return sorted(found, key=lambda path: path.split(os.sep))


def images_matching(pattern: str, note: Callable[[str], None]) -> list[str]:
    """Return what a shell would have made of a pattern, sorted: its images, and those of the folders it names.

    ``**`` stands for any number of folders. A pattern that ends in an ending, such as ``*.dat``, names those files
    whether they are called like images or not.

    Args:
        pattern: with ``*``, ``?``, ``[…]`` or ``**``.
        note: called with a sentence on every folder that cannot be read.
    """
    parts = pattern.replace(os.sep, "/").split("/")
    ending = _ending(parts[-1])
    endings = IMAGE_ENDINGS if not ending or is_pattern(ending) else IMAGE_ENDINGS | {ending}
    if "**" in parts:
        return _matching_below(parts, note, endings)
    found: list[str] = []
    for path in sorted(glob.glob(pattern)):
        if os.path.isdir(path):
            found += images_below(path, note)
        elif _ending(path) in endings and not (os.path.isfile(path) and is_own_raster(path)):
            found.append(path)
    return found


def _matching_below(parts: Sequence[str], note: Callable[[str], None], endings: frozenset[str]) -> list[str]:
    """Return the files that match a pattern with ``**``; glob itself would run in circles of links."""
    at = parts.index("**")
    start = "/".join(parts[:at]) + "/" if at else ""
    found: list[str] = []
    for root in sorted(glob.glob(start)) if is_pattern(start) else [start]:
        for path in images_below(root or os.curdir, note, endings) if os.path.isdir(root or os.curdir) else ():
            below = path.removeprefix(os.path.join(root or os.curdir, ""))
            if _fits(below.split(os.sep), parts[at:]):
                found.append(root + below)
    return found


def _fits(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Tell whether folders and file fit a pattern, part by part."""
    ends = {0}  # numbers of names that the pattern so far may take up
    for part in pattern:
        if part == "**":
            ends = set(range(min(ends), len(names) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(names) and fnmatch.fnmatch(names[end], part)}
        if not ends:
            return False
    return len(names) in ends


def _entries(folder: str, note: Callable[[str], None]) -> list[os.DirEntry[str]]:
    """Return what lies in a folder and is not hidden, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        note(f"{folder}: cannot be read ({error.strerror}), so its images are left out; check its permissions")
        return []


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link to itself
        return False


def _is_taken(entry: os.DirEntry[str]) -> bool:
    return not is_own_raster(entry.path) if _is(entry.is_file) else entry.is_symlink()


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()
