"""Rasters that geoseg wrote itself: results, and no images to segment or to learn from."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_GDAL_METADATA = 42112  # https://gdal.org/en/stable/drivers/raster/gtiff.html#metadata
_OWN = (b"GEOSEG_LEGEND", b"GEOSEG_CONTENT")


def is_own_raster(path: str | Path) -> bool:
    """Tell whether a file is a class or confidence raster that geoseg wrote, by its tags; GDAL is not needed."""
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff") or not path.is_file():  # a pipe would never be read to its end
        return False
    try:
        with path.open("rb") as file:
            text = _gdal_metadata(file)
    except (OSError, ValueError, struct.error):
        return False
    return any(name in text for name in _OWN)


def _gdal_metadata(file: BinaryIO) -> bytes:
    """Return the metadata of a TIFF's first image; raises struct.error and the like where there is no TIFF."""
    head = file.read(16)
    order = ">" if head[:2] == b"MM" else "<"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    counter, entry = struct.Struct(order + ("Q" if big else "H")), struct.Struct(order + ("HHQQ" if big else "HHII"))
    file.seek(start)
    (count,) = counter.unpack(file.read(counter.size))
    for tag, _, size, where in entry.iter_unpack(file.read(entry.size * min(count, 1000))):
        if tag == _GDAL_METADATA:
            file.seek(where)
            return file.read(min(size, 2**20))
    return b""
