"""GeoJSON and its one coordinate reference system: what may be written, and what must be said about it.

RFC 7946 knows only longitude and latitude (WGS 84). The older ``crs`` member, which GDAL and QGIS read, names
a CRS by its code; a CRS without one would be read back as WGS 84, in a silently wrong place.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyproj

from geoseg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.vocabulary import Grid

_STEPS_PER_PIXEL = 100  # coordinates are rounded to a hundredth of a pixel
_LONGITUDE_FIRST = ("EPSG:4326", "OGC:CRS84")


def check_place(path: Path, wkt: str) -> None:
    """Refuse a CRS from which no way leads to longitude and latitude, such as that of a building site.

    Raises:
        OutputError: there is none.
    """
    if pyproj.CRS(wkt).geodetic_crs is None:
        raise OutputError(f"{path}: a local CRS has no place on the globe, as GeoJSON needs it; write .gpkg")


def code_of(path: Path, wkt: str) -> str:
    """Return the code by which a ``crs`` member can name a CRS, such as ``EPSG:32640``.

    Raises:
        OutputError: it has none.
    """
    authority = pyproj.CRS(wkt).to_authority(min_confidence=100)
    if authority is None or authority[0] not in ("EPSG", "OGC"):
        check_place(path, wkt)
        raise OutputError(f"{path}: GeoJSON cannot name a CRS without an EPSG code; write .gpkg, or add --rfc7946")
    return ":".join(authority)


def notes_on(code: str) -> list[str]:
    """Return what a user should know about coordinates in a CRS of this code."""
    if code in _LONGITUDE_FIRST:
        return []
    return [f"GeoJSON in {code}: readers that follow RFC 7946 expect WGS 84; --rfc7946 writes that"]


def decimals(grid: Grid) -> int:
    """Return how many decimals coordinates need to be true to a hundredth of a pixel."""
    size = math.sqrt(grid.pixel_area) / _STEPS_PER_PIXEL
    return max(0, math.ceil(-math.log10(size)))


def check_end(path: Path) -> None:
    """See that the collection is closed: GDAL does not say so when the last lines found no room.

    Raises:
        OutputError: it is not.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16))
        if b"".join(file.read().split())[-2:] != b"]}":
            raise OutputError(f"{path}: came out incomplete; is the disk full?")
