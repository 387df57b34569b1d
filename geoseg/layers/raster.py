"""Write class and confidence rasters row by row: tiled, compressed, with overviews, read back before use."""

from __future__ import annotations

import contextlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import Resampling

from geoseg.errors import OutputError, UsageError
from geoseg.layers.creation import raster_options, watched_options
from geoseg.layers.faults import writing
from geoseg.layers.legend import legend_tags
from geoseg.layers.pam import write_companion
from geoseg.vocabulary import NO_CONFIDENCE, NODATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

    from geoseg.vocabulary import ClassRows, Grid, Legend

_TILE = 512  # pixels
_ENDINGS = (".tif", ".tiff")
_CONFIDENCE_TAGS = {"GEOSEG_CONTENT": "confidence"}


def check_raster(path: str | Path) -> None:
    """Refuse a name under which nobody would look for a GeoTIFF, the one format in which rasters are written.

    Raises:
        UsageError: another ending than .tif or .tiff.
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise UsageError(f"{path}: ends in {ending!r}, but rasters are GeoTIFF; use one of {', '.join(_ENDINGS)}")


def is_confidence(raster: DatasetReader) -> bool:
    """Tell whether a raster is one that `ConfidenceWriter` has written."""
    tags = raster.tags()
    return all(tags.get(name) == text for name, text in _CONFIDENCE_TAGS.items())


class ClassRasterWriter:
    """A raster of class values: uint8, nodata 0, colour table and class names of the legend.

    A context manager; ``write`` takes strips in order. Memory is one row of tiles.
    """

    def __init__(
        self, path: Path, grid: Grid, legend: Legend, tags: Mapping[str, str], options: Mapping[str, str]
    ) -> None:
        """Create the file.

        Args:
            path: a GeoTIFF to be created (a temporary name, see ``publish``).
            grid: its size and place.
            legend: names and colours of the values.
            tags: provenance, written as metadata.
            options: GDAL creation options that override ours.

        Raises:
            UsageError: an option is unknown or would change pixel values.
            OutputError: the file cannot be created.
        """
        self._names = ["nodata"] + [""] * max((c.value for c in legend), default=0)
        palette = {NODATA: (0, 0, 0, 0)}
        for entry in legend:
            self._names[entry.value] = entry.name
            red, green, blue = bytes.fromhex(entry.color[1:])
            palette[entry.value] = (red, green, blue, 255)
        self._file = _RowFile(path, grid, NODATA, {**tags, **legend_tags(legend)}, options)
        self._file.color(palette)

    def write(self, rows: ClassRows) -> None:
        """Write the next strip."""
        self._file.append(rows.row, rows.classes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._file.finish(Resampling.nearest, self._names)
        else:
            self._file.abandon()


class ConfidenceWriter:
    """A raster of confidences: uint8 whole percents, nodata 255, tagged as what it is.

    A context manager; ``write`` takes strips in order. Memory is one row of tiles.
    """

    def __init__(self, path: Path, grid: Grid, tags: Mapping[str, str], options: Mapping[str, str]) -> None:
        """Create the file; arguments and errors are those of `ClassRasterWriter`."""
        self._file = _RowFile(path, grid, NO_CONFIDENCE, {**tags, **_CONFIDENCE_TAGS}, options)

    def write(self, rows: ClassRows) -> None:
        """Write the next strip; raises ValueError where it has no confidence."""
        if rows.confidence is None:
            raise ValueError("class rows without confidence")
        self._file.append(rows.row, rows.confidence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._file.finish(Resampling.average, [])
        else:
            self._file.abandon()


class _RowFile:
    """A one-band GeoTIFF that grows by strips of any height, and is checked against what was given."""

    def __init__(
        self, path: Path, grid: Grid, nodata: int, tags: Mapping[str, str], options: Mapping[str, str]
    ) -> None:
        self._path = path
        self._grid = grid
        self._crs = CRS.from_wkt(grid.crs)
        self._rows = np.empty((_TILE, grid.width), np.uint8)  # the row of tiles being filled
        self._next = 0  # first row of the scene that is not here yet
        self._sums: list[int] = []  # a checksum for every full row of tiles
        profile = {"height": grid.height, "width": grid.width, "count": 1, "dtype": "uint8", "nodata": nodata}
        profile |= {"crs": self._crs, "transform": grid.transform}
        with writing(path, CPLE_BaseError), watched_options(options):
            self._file: DatasetWriter = rasterio.open(
                path, "w", driver="GTiff", **profile, **raster_options(options, _TILE)
            )
            self._file.update_tags(**tags)

    def color(self, palette: Mapping[int, tuple[int, int, int, int]]) -> None:
        """Set the colour table; only before the first row."""
        with writing(self._path, CPLE_BaseError):
            self._file.write_colormap(1, palette)

    def append(self, row: int, strip: NDArray[np.uint8]) -> None:
        """Write a strip of shape (height, width) that begins at ``row``; raises ValueError out of order."""
        if row != self._next or row + len(strip) > self._grid.height or strip.shape[1:] != (self._grid.width,):
            raise ValueError(f"strip {strip.shape} at row {row} does not follow row {self._next} of {self._grid}")
        while len(strip):
            filled = self._next % _TILE
            part = strip[: _TILE - filled]
            self._rows[filled : filled + len(part)] = part
            self._next += len(part)
            strip = strip[len(part) :]
            if self._next % _TILE == 0 or self._next == self._grid.height:
                self._flush(filled + len(part))

    def _flush(self, height: int) -> None:
        """Hand a full row of tiles to GDAL."""
        first = self._next - height
        rows = self._rows[:height]
        self._sums.append(zlib.crc32(rows.data))
        with writing(self._path, CPLE_BaseError):
            self._file.write(rows, 1, window=((first, self._next), (0, self._grid.width)))

    def finish(self, resampling: Resampling, names: list[str]) -> None:
        """Close the file, add overviews and class names, and read it back.

        Raises:
            ValueError: rows are missing.
            OutputError: what was written is not what is in the file.
        """
        if self._next != self._grid.height:
            self.abandon()
            raise ValueError(f"only {self._next} of {self._grid.height} rows were written")
        factors = _overviews(self._grid)
        with writing(self._path, CPLE_BaseError):
            self._file.close()
            if factors:
                with rasterio.open(self._path, "r+") as file:
                    file.build_overviews(factors, resampling)
            with rasterio.open(self._path) as file:
                crs = None if file.crs == self._crs else self._grid.crs
            write_companion(self._path, names, crs)
            self._check(factors)

    def abandon(self) -> None:
        """Close the file without looking at it again."""
        with contextlib.suppress(OSError, CPLE_BaseError):
            self._file.close()

    def _check(self, factors: list[int]) -> None:
        """Read the file back: GDAL closes files without a word when the last blocks found no room.

        Raises:
            OutputError: a block is missing or another than what was written.
        """
        with rasterio.open(self._path) as file:
            # GDAL reckons factors back from sizes, which fails for a few pixels of width; their number holds.
            whole = len(file.overviews(1)) == len(factors) and file.crs == self._crs
            whole = whole and _blocks_are_there(self._path, file)
            for number, expected in enumerate(self._sums):
                first = number * _TILE
                last = min(first + _TILE, self._grid.height)
                rows = file.read(1, window=((first, last), (0, self._grid.width)))
                whole = whole and zlib.crc32(rows.data) == expected
        if not whole:
            raise OutputError(f"{self._path}: came out incomplete; is the disk full?")


def _overviews(grid: Grid) -> list[int]:
    """Return the factors 2, 4, 8 … that bring a raster down to about one tile."""
    size = max(grid.shape)
    return [2**level for level in range(1, 32) if size > _TILE * 2 ** (level - 1)]


def _blocks_are_there(path: Path, file: DatasetReader) -> bool:
    """Tell whether all blocks of all overviews lie within the file."""
    end = path.stat().st_size
    return all(offset > 0 and offset + size <= end for offset, size in _overview_blocks(file))


def _overview_blocks(file: DatasetReader) -> Iterator[tuple[int, int]]:
    """Yield offset and size in bytes of every block of every overview, zeros for a missing block."""
    for level, _ in enumerate(file.overviews(1)):
        with rasterio.open(file.name, overview_level=level) as overview:
            height, width = overview.block_shapes[0]
            shape = -(-overview.height // height), -(-overview.width // width)
        for row, col in np.ndindex(shape):
            found = (
                file.get_tag_item(f"BLOCK_{noun}_{col}_{row}", "TIFF", bidx=1, ovr=level) for noun in ("OFFSET", "SIZE")
            )
            offset, size = (int(text or 0) for text in found)
            yield offset, size
