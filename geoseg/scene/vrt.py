"""The check a ``.vrt`` passes before GDAL sees it: only plain mosaics of files beside it are read.

GDAL's own switches against raw bands work from GDAL 3.12 on only, so the XML itself is read here first.
Names are compared without case and attributes like elements, because GDAL does both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from geoseg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BYTES = 50 * 2**20
_MAX_DEPTH = 8
_MAX_NESTING = 64

_FILE_NAMES = frozenset({"sourcefilename", "sourcedataset"})
_DATASET_KINDS = frozenset({"", "vrtdataset", "vrtwarpeddataset"})
_BAND_KINDS = frozenset({"", "vrtrasterband", "vrtsourcedrasterband", "vrtderivedrasterband", "vrtwarpedrasterband"})
# Elements and metadata keys through which GDAL reaches files or code in other ways.
_REFUSED = frozenset(
    {
        "group", "input", "arraysource", "pixelfunctioncode", "outputbands", "processingsteps", "openoptions",
        "dempath", "geoloctransformer", "relativefilename", "pansharpeningoptions", "derivedmultidimdataset",
    }
)  # fmt: skip
_REFUSED_KEYS = frozenset({"x_dataset", "y_dataset", "rpc_dem", "rpc_dem_srs", "overview_file", "geoloc_array"})


def is_xml(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of an XML text, in any encoding."""
    return (
        head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip().startswith((b"<", b"\xff\xfe<", b"\xfe\xff<"))
    )


def check_vrt(path: Path, name: str, check_source: Callable[[Path], None]) -> None:
    """Check a VRT and everything it refers to.

    Args:
        path: The VRT.
        name: What messages call it.
        check_source: Called once with every file of the mosaic, ``.vrt`` included; raises InputError.

    Raises:
        InputError: the text is not plain XML, or refers to code, raw bytes, addresses, missing files, files
            outside the VRT's folder, or to itself.
    """
    top = Path(os.path.realpath(path))
    _check(name, (top,), _Walk(top.parent, check_source))


@dataclass
class _Walk:
    """What one check has seen."""

    folder: Path
    check_source: Callable[[Path], None]
    seen: set[Path] = field(default_factory=set)


@dataclass
class _Node:
    """An open element: its name, text, and whether markup interrupted the text."""

    tag: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)
    plain: bool = True


def _check(name: str, nest: tuple[Path, ...], walk: _Walk) -> None:
    """Check the innermost VRT of a nest, given from the outside in."""
    path = nest[-1]
    if len(nest) > _MAX_DEPTH:
        raise InputError(f"{name}: nests VRTs more than {_MAX_DEPTH} deep; build one mosaic with gdalbuildvrt")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"{name}: is a VRT of more than {_MAX_BYTES // 2**20} MB; build mosaics of fewer files")
    for text, relative in _Reader(name).sources(path.read_bytes()):
        source = _resolve(name, text, path.parent if relative else Path.cwd(), walk.folder)
        if source in nest:
            raise InputError(f"{name}: refers to itself through {source.name}; build it again with gdalbuildvrt")
        if source in walk.seen:
            continue
        walk.seen.add(source)
        try:
            walk.check_source(source)
        except InputError as error:
            raise InputError(f"{name}: its source {error}") from None
        if source.suffix.lower() == ".vrt":
            _check(f"{name}: its source {source}", (*nest, source), walk)


def _resolve(name: str, text: str, base: Path, folder: Path) -> Path:
    """Return the real path of a source; raises InputError where it is not a file inside the folder."""
    hint = "keep the files of a mosaic in the folder of its .vrt"
    odd = not text or text != text.strip() or "\0" in text or "\n" in text
    if odd or "://" in text or text.startswith(("/vsi", "<", "{")):
        raise InputError(f"{name}: its source {text[:200]!r} is not a file; {hint}")
    first = text.replace("\\", "/").split("/", 1)[0]
    if ":" in first and not (os.name == "nt" and Path(text).drive):
        raise InputError(f"{name}: its source {text[:200]!r} is a GDAL connection string, not a file; {hint}")
    source = Path(os.path.realpath(base / text))
    if not source.is_relative_to(folder):
        raise InputError(f"{name}: its source {text[:200]!r} lies outside the VRT's folder; {hint}")
    if not source.exists():
        raise InputError(f"{name}: its source {text[:200]!r} does not exist; restore it, or build the VRT again")
    return source


class _Reader:
    """Reads one VRT with a parser that knows no entities, and gathers the files it names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stack: list[_Node] = []
        self.found: list[tuple[str, bool]] = []

    def sources(self, text: bytes) -> list[tuple[str, bool]]:
        """Return the sources as (text, relative to the VRT or not); raises InputError."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = lambda *_: self._refuse("a document type")
        parser.EntityDeclHandler = lambda *_: self._refuse("an entity")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._interrupt
        parser.StartCdataSectionHandler = self._interrupt
        try:
            parser.Parse(text.removeprefix(b"\xef\xbb\xbf"), True)
        except (expat.ExpatError, UnicodeError) as error:
            raise InputError(
                f"{self.name}: is not well-formed XML ({error}); build it again with gdalbuildvrt"
            ) from None
        return self.found

    def _refuse(self, what: str) -> None:
        raise InputError(f"{self.name}: holds {what}, expected a plain mosaic; write it as GeoTIFF with gdal_translate")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        node = _Node(_plain(tag), {_plain(key): value for key, value in attributes.items()})
        if not self.stack and node.tag != "vrtdataset":
            self._refuse(f"<{tag}>")
        if len(self.stack) > _MAX_NESTING:
            self._refuse(f"more than {_MAX_NESTING} nested elements")
        self._interrupt()
        self.stack.append(node)
        kind = node.attributes.get("subclass", "").lower()
        if node.tag == "vrtdataset" and kind not in _DATASET_KINDS:
            self._refuse(f"the dataset type {kind}")
        if node.tag == "vrtrasterband" and kind not in _BAND_KINDS:
            self._refuse(f"the band type {kind}")
        for word in (node.tag, *node.attributes):
            if word in _REFUSED:
                self._refuse(f"<{word}>")
        if _FILE_NAMES & node.attributes.keys() or "pixelfunctionlanguage" in node.attributes:
            self._refuse("a file or language given as an attribute")
        keys = {node.attributes.get("key", "").lower(), node.attributes.get("name", "").lower()}
        if keys & _REFUSED_KEYS:
            self._refuse(f"the key {', '.join(sorted(keys & _REFUSED_KEYS))}")

    def _end(self, _tag: str) -> None:
        node = self.stack.pop()
        text = "".join(node.text)
        if node.tag in _FILE_NAMES:
            if not node.plain:
                self._refuse("markup inside a file name")
            flag = node.attributes.get("relativetovrt", "0")
            if flag not in ("0", "1"):
                self._refuse(f"relativeToVRT={flag!r}")
            self.found.append((text, flag == "1"))
        elif node.tag == "pixelfunctionlanguage" and text.strip().lower() == "python":
            self._refuse("Python code")
        elif node.tag == "subclass":  # GDAL reads attributes like elements
            self._refuse("a type given as an element")

    def _text(self, text: str) -> None:
        if self.stack:
            self.stack[-1].text.append(text)

    def _interrupt(self, *_: object) -> None:
        if self.stack:
            self.stack[-1].plain = False


def _plain(word: str) -> str:
    """Return an element's name without namespace prefix and case."""
    return word.rsplit(":", 1)[-1].lower()
