"""The pixels of a mosaic: rows made of its tiles' rows, from files that are open while their rows come."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window as FileWindow

from geoseg.errors import InputError
from geoseg.scene.decode import Look, NativeRows
from geoseg.scene.one_file import measured, stamps_of
from geoseg.scene.open import open_raster
from geoseg.scene.reader import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.decode import Faults
    from geoseg.scene.mosaic import Mosaic, Tile
    from geoseg.scene.one_file import Stamps
    from geoseg.scene.read_request import ReadRequest

_SAMPLED = 64  # tiles
_VALUES = 2**14  # pixels of each of them
_OPEN = 200  # files at once; systems allow a process about a thousand


@contextmanager
def open_mosaic(mosaic: Mosaic, request: ReadRequest) -> Iterator[Scene]:
    """Open tiles as one scene; files are opened when their rows are read.

    Raises:
        InputError: the mosaic has more than ``max_pixels``.
    """
    height, width = mosaic.grid.shape
    if height * width > request.max_pixels:
        raise InputError(
            f"{mosaic.name}: {width} x {height} pixels is over --max-pixels {request.max_pixels:g}; "
            "raise it or give fewer tiles"
        )
    with ExitStack() as stack:
        source = _ManyFiles(mosaic, request)
        stack.callback(source.close)
        scene = Scene(mosaic.name, source, request, mosaic.grid)
        scene.notes.extend(mosaic.notes)
        yield scene


class _ManyFiles:
    """The files of a mosaic as the pixels of a scene."""

    def __init__(self, mosaic: Mosaic, request: ReadRequest) -> None:
        self.mosaic = mosaic
        self._request = request
        self._open: dict[str, tuple[ExitStack, DatasetReader]] = {}
        self._read: list[Tile] = []
        self.look = Look(mosaic.tiles[0].bands, mosaic.tiles[0].validity, mosaic.stretch, request.fill)

    def rows(self, cols: tuple[int, int], faults: Faults) -> _MosaicRows:
        """Return what makes rows of some columns."""
        return _MosaicRows(self, cols, faults)

    def sample(self) -> NDArray[Any]:
        """Return valid pixels of some tiles, shape (bands, n)."""
        step = max(1, len(self.mosaic.tiles) // _SAMPLED)
        parts = []
        for tile in self.mosaic.tiles[::step]:
            found = measured(self.file(tile), tile.bands, tile.validity)
            shown = found if tile.bands.palette is None else tile.bands.palette[:3, found[0]]
            parts.append(shown[:, :: max(1, shown.shape[1] // _VALUES)])
        return np.concatenate(parts, axis=1)

    def stamps(self) -> Stamps:
        """Return the stamps of all tiles: of those that were read as they are now."""
        known = {name: stamp for tile in self.mosaic.tiles for name, stamp in tile.stamps.items()}
        return known | {name: now for tile in self._read for name, now in stamps_of(list(tile.stamps)).items()}

    def file(self, tile: Tile) -> DatasetReader:
        """Return a tile's opened file; the one that was not asked for longest may be closed."""
        if tile.path in self._open:
            self._open[tile.path] = self._open.pop(tile.path)
            return self._open[tile.path][1]
        while len(self._open) >= _OPEN:
            self.leave(next(iter(self._open)))
        stack = ExitStack()
        wish = self._request
        opened = open_raster(tile.path, allow_network=wish.allow_network, max_pixels=wish.max_pixels)
        dataset = stack.enter_context(opened)
        self._open[tile.path] = stack, dataset
        self._read.append(tile)
        return dataset

    def leave(self, path: str) -> None:
        """Close a file, if it is open."""
        if path in self._open:
            self._open.pop(path)[0].close()

    def close(self) -> None:
        """Close all files."""
        for path in list(self._open):
            self.leave(path)


class _MosaicRows:
    """Makes rows of a mosaic from the rows of its tiles."""

    def __init__(self, source: _ManyFiles, cols: tuple[int, int], faults: Faults) -> None:
        self._source, self._cols, self._faults = source, cols, faults
        self._makers: dict[str, NativeRows] = {}
        self._lost: set[str] = set()

    def fill(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Write rows ``start`` to ``stop`` into arrays of their shape; each call begins at or after the last."""
        valid[...] = False
        self._source.look.paint_missing(pixels, valid)
        for tile, window in self._source.mosaic.meeting(start, stop):
            left, right = max(window.col, self._cols[0]), min(window.right, self._cols[1])
            if left < right:
                rows = max(window.row, start), min(window.bottom, stop)
                here = slice(rows[0] - start, rows[1] - start), slice(left - self._cols[0], right - self._cols[0])
                part = rows[0] - window.row, rows[1] - window.row
                self._fill_from(tile, (left - window.col, right - window.col), part, pixels[:, *here], valid[here])
            if window.bottom <= stop:
                self._makers.pop(tile.path, None)
                self._source.leave(tile.path)

    def _fill_from(
        self,
        tile: Tile,
        cols: tuple[int, int],
        rows: tuple[int, int],
        pixels: NDArray[Any],
        valid: NDArray[np.bool_],
    ) -> None:
        """Write rows of a tile where nothing is known yet."""
        if not valid.any():
            self._read(tile, cols, rows, pixels, valid)
            return
        made, known = np.empty_like(pixels), np.empty_like(valid)
        self._read(tile, cols, rows, made, known)
        fresh = known & ~valid
        np.copyto(pixels, made, where=fresh)
        valid |= fresh

    def _read(
        self,
        tile: Tile,
        cols: tuple[int, int],
        rows: tuple[int, int],
        pixels: NDArray[Any],
        valid: NDArray[np.bool_],
    ) -> None:
        """Write rows of a tile; where its file cannot be opened any more, that is a fault like any other."""
        try:
            maker = None if tile.path in self._lost else self._maker(tile, cols)
        except InputError:
            if self._faults.policy == "fail":
                raise
            self._lost.add(tile.path)
            self._faults.windows.append((tile.path, FileWindow(0, 0, tile.grid.width, tile.grid.height)))
            maker = None
        if maker is not None:
            maker.fill(*rows, pixels, valid)
        else:
            valid[...] = False
            self._source.look.paint_missing(pixels, valid)

    def _maker(self, tile: Tile, cols: tuple[int, int]) -> NativeRows:
        """Return what makes rows of a tile, on a file that is open."""
        dataset = self._source.file(tile)
        if tile.path not in self._makers:
            look = Look(tile.bands, tile.validity, self._source.mosaic.stretch, self._source.look.fill)
            self._makers[tile.path] = NativeRows(dataset, look, cols, self._faults)
        maker = self._makers[tile.path]
        maker.dataset = dataset
        return maker
