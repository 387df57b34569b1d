"""Many tiles as one scene: windows see across the borders of files, and files are opened when their rows come.

A :class:`Mosaic` is a description: it can be sent to another process, which opens the files it needs. Where tiles
overlap, the one named first counts, as far as it knows something.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window as FileWindow

from geoseg.errors import InputError
from geoseg.scene.bands import choose_bands
from geoseg.scene.decode import Look, NativeRows
from geoseg.scene.georeference import grid_of
from geoseg.scene.one_file import has_full_bytes, measured, needs_values, stamps_of
from geoseg.scene.open import open_raster
from geoseg.scene.reader import Scene
from geoseg.scene.stretch import choose_stretch
from geoseg.scene.tiling import drift_px, tilings
from geoseg.scene.validity import validity_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.bands import BandChoice
    from geoseg.scene.decode import Faults
    from geoseg.scene.one_file import Stamps
    from geoseg.scene.read_request import ReadRequest
    from geoseg.scene.stretch import Stretch
    from geoseg.scene.tiling import Tiling
    from geoseg.scene.validity import ValidityRule
    from geoseg.vocabulary import Grid, Window

_SAMPLED = 64  # tiles whose values decide on the stretch
_VALUES = 2**14  # of each of them
_TOLD_PX = 0.5  # drift from which on it is told
_OPEN = 200  # files at once; systems allow a process about a thousand


@dataclass(frozen=True, slots=True)
class Tile:
    """A file that was looked at."""

    path: str
    grid: Grid
    bands: BandChoice
    validity: ValidityRule
    kind: str
    """Type of its pixels, such as ``uint8``."""
    full_bytes: bool
    """Whether it has 8-bit pixels, all of whose values are in use."""
    values: NDArray[Any]
    """Shape (bands, n), some of its valid pixels where the stretch depends on them; n may be 0."""
    stamps: Stamps
    """Its files as they were."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Tiles on one grid, to be read as one scene."""

    name: str
    """For messages and provenance."""
    grid: Grid
    tiles: tuple[Tile, ...]
    """First named, first counted where they overlap; without their ``values``."""
    windows: tuple[Window, ...]
    """Where each lies on the grid."""
    stretch: Stretch
    notes: tuple[str, ...] = ()
    """What the user should know of the tiles."""

    def __str__(self) -> str:
        return self.name

    def meeting(self, first: int, stop: int) -> Iterator[tuple[Tile, Window]]:
        """Yield the tiles that have pixels in rows ``first`` to before ``stop``, and their places."""
        for tile, window in zip(self.tiles, self.windows, strict=True):
            if window.row < stop and window.bottom > first:
                yield tile, window

    def seen_from(self, first: int, stop: int) -> Mosaic:
        """Return the mosaic with those tiles only that have pixels in some rows, and one at least."""
        kept = list(self.meeting(first, stop)) or [(self.tiles[0], self.windows[0])]
        tiles, windows = zip(*kept, strict=True)
        return replace(self, tiles=tiles, windows=windows)


def look_at(path: str, request: ReadRequest) -> Tile:
    """Open a file, and describe what a mosaic needs to know of it.

    Raises:
        InputError, UsageError: as for :func:`geoseg.scene.reader.open_scene`.
    """
    with open_raster(path, allow_network=request.allow_network, max_pixels=request.max_pixels) as dataset:
        grid = grid_of(dataset, src_crs=request.src_crs)
        bands = choose_bands(dataset, request.bands, request.model_bands)
        rule = validity_rule(dataset, bands, request.nodata)
        full = has_full_bytes(dataset, bands)
        values = np.empty((bands.count, 0), np.uint8)
        if needs_values(request.stretch, bands, full_bytes=full):
            found = measured(dataset, bands, rule)
            values = found[:, :: max(1, found.shape[1] // _VALUES)]
        kind = str(np.result_type(*(dataset.dtypes[i - 1] for i in bands.indexes)))
        return Tile(path, grid, bands, rule, kind, full, values, stamps_of(dataset.files))


def mosaics(tiles: Sequence[Tile], request: ReadRequest, name: str) -> list[Mosaic]:
    """Return the tiles as mosaics, one for each grid and type of pixels, in order of their first tiles."""
    kinds: dict[str, list[int]] = {}
    for i, tile in enumerate(tiles):
        kinds.setdefault(tile.kind, []).append(i)
    laid = [(of_kind, tiling) for of_kind in kinds.values() for tiling in tilings([tiles[i].grid for i in of_kind])]
    laid.sort(key=lambda pair: pair[0][pair[1].members[0]])
    found = []
    for number, (of_kind, tiling) in enumerate(laid, 1):
        members = [tiles[of_kind[i]] for i in tiling.members]
        plain = tuple(_without_values(tile) for tile in members)
        called = name if len(laid) == 1 else f"{name} ({number} of {len(laid)})"
        found.append(
            Mosaic(called, tiling.grid, plain, tiling.windows, _stretch(members, request), _notes(members, tiling))
        )
    return found


def _notes(tiles: Sequence[Tile], tiling: Tiling) -> tuple[str, ...]:
    """Return what the user should know about how tiles were laid side by side."""
    drift = drift_px([tile.grid for tile in tiles], tiling)
    if drift < _TOLD_PX:
        return ()
    sentence = (
        f"{len(tiles)} tiles drift by up to {drift:.1f} pixels from the grid they have in common; each continues its "
        "neighbour's pixels, and lies that much beside its place"
    )
    return (sentence,)


def _stretch(tiles: Sequence[Tile], request: ReadRequest) -> Stretch:
    """Choose one stretch for all tiles, from the values of some of them."""
    having = [tile.values for tile in tiles if tile.values.shape[1]]
    some = having[:: max(1, len(having) // _SAMPLED)]
    kind = np.result_type(*(values.dtype for values in some)) if some else np.dtype(np.uint8)
    parts = [values.astype(kind) for values in some] or [tiles[0].values]
    full = all(tile.full_bytes for tile in tiles)
    return choose_stretch(request.stretch, np.concatenate(parts, axis=1), request.value_range, full_bytes=full)


def _without_values(tile: Tile) -> Tile:
    return replace(tile, values=np.empty((len(tile.values), 0), tile.values.dtype))


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
