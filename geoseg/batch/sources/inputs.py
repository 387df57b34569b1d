"""Gather the inputs of a batch: files, folders, patterns, lists, STAC and addresses."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.batch.sources.addresses import check_address, is_address, without_secrets
from geoseg.batch.sources.folders import images_below, images_matching, is_pattern, root_of
from geoseg.batch.sources.listing import read_list
from geoseg.batch.sources.names import output_names
from geoseg.batch.sources.stac import stac_sources
from geoseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_STAC_ENDINGS = (".json", ".geojson")


@dataclass(frozen=True, slots=True)
class Input:
    """One scene of a batch, and what its results are called."""

    source: str
    """Path or address, as ``segment`` takes it."""
    name: str
    """Relative POSIX path without ending, unique among the inputs, also where case is ignored; the result is
    ``name + ".gpkg"`` below the folder of results."""


def gather_inputs(
    given: Sequence[str],
    *,
    files_from: str | None = None,
    nul: bool = False,
    allow_network: bool = False,
    note: Callable[[str], None] = lambda _sentence: None,
) -> list[Input]:
    """Return the inputs in the order in which they are given, those of a folder sorted, each file once.

    A file named by itself is an input whether it exists or not: a batch tells what failed and goes on. Of several
    names of one file, the one without links is kept.

    Args:
        given: files, folders with all images below them, patterns that no shell expanded, STAC files (``.json``,
            ``.geojson``), addresses. What exists under its very name is not taken for a pattern.
        files_from: a file, or ``-`` for standard input, that lists more of these; nothing there is a pattern.
            Relative paths count from the current folder.
        nul: entries of the list end with NUL instead of a line's end.
        allow_network: take addresses, and follow those in STAC files.
        note: called with sentences on what is left out.

    Raises:
        UsageError: nothing is given; a folder or pattern has no images; an address without ``allow_network``.
        InputError: the list or a STAC file cannot be used.
    """
    if nul and files_from is None:
        raise UsageError("-0 says how a list ends its entries, but no list is given; add --files-from LIST")
    listed = [] if files_from is None else read_list(files_from, nul=nul)
    if not given and not listed:
        raise UsageError(_nothing(files_from))
    finder = _Finder(allow_network, note, [])
    sources = [source for text in given for source in finder.sources(text, may_be_pattern=True)]
    sources += [source for text in listed for source in finder.sources(text, may_be_pattern=False)]
    kept = _each_once(sources, note)
    names = output_names(kept, finder.roots)
    return [Input(source, names[source]) for source in kept]


def _nothing(files_from: str | None) -> str:
    if files_from is None:
        return "no scenes are given; type: geoseg batch FOLDER, or name files, or add --files-from LIST"
    shown = "standard input" if files_from == "-" else files_from
    return f"{shown}: lists no scenes, expected one path per line; write some into it, or type: geoseg batch FOLDER"


@dataclass(frozen=True, slots=True)
class _Finder:
    """Turns what is given into sources."""

    allow_network: bool
    note: Callable[[str], None]
    roots: list[str]
    """Folders below which names of results mirror where scenes lie; grows with what is given."""

    def sources(self, text: str, *, may_be_pattern: bool) -> list[str]:
        """Return the sources that one argument, or one entry of a list, stands for."""
        if is_address(text):
            check_address(text, allow_network=self.allow_network)
            return self._file(text)
        _check_path(text)
        if os.path.isdir(text):
            self.roots.append(text)
            return self._some(text, images_below(text, self.note), "holds no images, expected .tif and the like in it")
        if may_be_pattern and not os.path.lexists(text):
            if is_pattern(text):
                self.roots.append(root_of(text))
                found = [source for path in images_matching(text, self.note) for source in self._file(path)]
                return self._some(text, found, "matches no images, expected .tif and the like")
            if text == "-":
                raise UsageError("-: is no file; to read a list from standard input, type: --files-from -")
        return self._file(text)

    def _file(self, place: str) -> list[str]:
        """Return a file or address itself, or what a STAC file names."""
        named_stac = without_secrets(place) if is_address(place) else place
        if named_stac.lower().endswith(_STAC_ENDINGS) and (is_address(place) or os.path.exists(place)):
            if not is_address(place):
                self.roots.append(os.path.dirname(place) or os.curdir)
            return stac_sources(place, allow_network=self.allow_network, note=self.note)
        return [place]

    def _some(self, text: str, found: list[str], why_not: str) -> list[str]:
        if not found:
            raise UsageError(f"{text}: {why_not}; name another folder, or the files themselves")
        return found


def _check_path(text: str) -> None:
    """Refuse what no file can be called; raises UsageError."""
    try:
        possible = bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise UsageError(f"{text!r}: is not a path, expected a file or folder; check what was typed")


def _each_once(sources: Iterable[str], note: Callable[[str], None]) -> list[str]:
    """Return the sources as ``segment`` takes them, of each file one: the name without links, else the first by name.

    Which one is kept does not depend on the order, so that neither do names of results.
    """
    folder_of = functools.lru_cache(maxsize=None)(os.path.realpath)
    kept: dict[str, tuple[bool, str, str]] = {}
    count = 0
    for source in sources:
        count += 1
        if is_address(source):
            kept.setdefault(source, (False, source, source))
            continue
        path = os.path.abspath(source)
        folder, name = os.path.split(source)
        real = os.path.realpath(source) if os.path.islink(source) else os.path.join(folder_of(folder), name)
        candidate = (real != path, path, _as_path(source))
        key = os.path.normcase(real)
        kept[key] = min(kept.get(key, candidate), candidate)
    if count > len(kept):
        note(f"{count - len(kept)} of {count} inputs name a file that is given already; each file is taken once")
    return [source for _, _, source in kept.values()]


def _as_path(source: str) -> str:
    """Return a path that cannot be taken for an option or a text."""
    return os.path.join(os.curdir, source) if source[0] in "-<{" or source[0].isspace() else source
