"""GDAL creation options: our defaults, the user's ``--co``, and no silence about a misspelt one."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterBlockError, RasterioError

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOSSLESS = ("DEFLATE", "ZSTD", "LZW", "LZMA", "PACKBITS", "NONE")


def raster_options(options: Mapping[str, str], tile: int) -> dict[str, str]:
    """Return the creation options of a GeoTIFF of whole numbers.

    Args:
        options: the user's options, which win.
        tile: edge of a tile in pixels.

    Raises:
        UsageError: the chosen compression would change values.
    """
    chosen = {name.upper(): value for name, value in options.items()}
    ours = {"TILED": "YES", "BIGTIFF": "IF_SAFER"}
    if chosen.get("TILED", "YES").upper() in ("YES", "TRUE", "ON", "1"):
        ours |= {"BLOCKXSIZE": str(tile), "BLOCKYSIZE": str(tile)}
    if "COMPRESS" not in chosen:
        ours |= {"COMPRESS": "DEFLATE", "ZLEVEL": "1"}
    elif chosen["COMPRESS"].upper() not in _LOSSLESS:
        found, usable = chosen["COMPRESS"], ", ".join(_LOSSLESS)
        raise UsageError(f"--co COMPRESS={found}: would change pixel values; use one of {usable}")
    return ours | chosen


@contextlib.contextmanager
def watched_options(options: Mapping[str, str]) -> Iterator[None]:
    """Refuse what GDAL only warns about while a file is created, and what rasterio does not even let it see.

    Raises:
        UsageError: a name or a value is not one of the driver's, or a tile is no multiple of 16 pixels.
    """
    if not options:
        yield
        return
    complaints: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    log = logging.getLogger("rasterio._env")
    listener = Listener(logging.WARNING)
    given = ", ".join(f"{name}={value}" for name, value in options.items())
    log.addHandler(listener)
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        named = any(name.upper() in str(error) for name in options)  # else it is about the file or the disk
        if named or isinstance(error, RasterBlockError):
            raise UsageError(f"--co {given}: {str(error).split(': ', 1)[-1]}") from error
        raise
    finally:
        log.removeHandler(listener)
    if complaints:
        raise UsageError(f"--co {given}: {complaints[0].split(' in ', 1)[-1]}")
