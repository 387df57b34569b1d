"""Damaged files: said in a sentence where GDAL says it in its own words, or reads beyond a file's end without any."""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from geoseg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio.io import DatasetReader

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_JPEG = b"\xff\xd8\xff"
_CHUNK = struct.Struct(">I4s")  # length and kind; the data and four bytes of checksum follow
_SEGMENT = struct.Struct(">BBH")  # marker, kind, and the length of the rest with these two bytes
_MARK, _SCAN = 0xFF, 0xDA
_BARE = {0x01, *range(0xD0, 0xD9)}


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Report what GDAL cannot read in the block.

    Args:
        name: of the file.

    Raises:
        InputError: the file is damaged.
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{name}: is damaged ({reason}); copy or export it again") from error


def hear_out(dataset: DatasetReader) -> None:
    """Let GDAL say what it has still to say, such as of EXIF that is none: whatever asks next would raise it."""
    with suppress(CPLE_BaseError):
        dataset.colorinterp  # noqa: B018


def check_end(name: str, local: Path, head: bytes) -> None:
    """Refuse a PNG or JPEG without its end: GDAL makes up the rows that were cut off.

    Args:
        name: of the file, for messages.
        local: where it is.
        head: its first bytes.

    Raises:
        InputError: its end is missing.
    """
    ends = _png_ends if head.startswith(_PNG) else _jpeg_ends if head.startswith(_JPEG) else None
    if ends is None:
        return
    with local.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if not ends(content):
            raise InputError(f"{name}: is cut off or damaged, its end is not found; copy or download it again")


def _png_ends(content: mmap) -> bool:
    """Step from chunk to chunk until the one that ends a PNG (https://www.w3.org/TR/png-3/#5Chunk-layout)."""
    if content[-len(_PNG_END) :] == _PNG_END:  # so most files need not be walked
        return True
    at = len(_PNG)
    while at + _CHUNK.size <= len(content):
        length, kind = _CHUNK.unpack_from(content, at)
        if kind == b"IEND":
            return True
        at += _CHUNK.size + length + 4
    return False


def _jpeg_ends(content: mmap) -> bool:
    """Step over the segments of a JPEG to its scan, in whose data an end marker is one (ITU-T T.81, annex B).

    Segments may hold thumbnails with ends of their own.
    """
    at = 2
    while at + _SEGMENT.size <= len(content):
        mark, kind, length = _SEGMENT.unpack_from(content, at)
        if mark != _MARK:
            return True  # no segment: GDAL knows what to say of it
        if kind == _SCAN:
            return content.rfind(b"\xff\xd9", at) >= 0  # it is the last thing in most files
        # Filling bytes may come before any marker, and a few kinds have nothing behind them, not even a length.
        at += 1 if kind == _MARK else 2 if kind in _BARE else 2 + length
    return False


def check_raw(name: str, dataset: DatasetReader) -> None:
    """Refuse an ENVI or EHdr image that is shorter than its header says: GDAL takes what is missing for zeros.

    Raises:
        InputError: it is.
    """
    if dataset.driver not in {"ENVI", "EHdr"}:
        return
    said, bits = dataset.tags(ns="ENVI"), dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "8")
    packed = said.get("file_compression", "0").strip() not in {"", "0"} or bits in {"1", "2", "4"}
    if packed or any("complex" in kind for kind in dataset.dtypes):
        return
    start = re.match(r"\d+", said.get("header_offset", "0").strip())
    pixels = dataset.height * dataset.width * sum(np.dtype(kind).itemsize for kind in dataset.dtypes)
    expected = (int(start[0]) if start else 0) + pixels
    held = Path(dataset.files[0]).stat().st_size
    if held < expected:
        raise InputError(f"{name}: is cut off, it has {held} bytes of {expected}; copy or download it again")
