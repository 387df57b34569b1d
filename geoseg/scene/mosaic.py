"""Many tiles as one scene: windows see across the borders of files, and files are opened when their rows come.

A :class:`Mosaic` is a description: it can be sent to another process, which opens the files it needs. Where tiles
overlap, the one named first counts, as far as it knows something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.scene.bands import choose_bands
from geoseg.scene.georeference import grid_of
from geoseg.scene.one_file import has_full_bytes, measured, needs_values, stamps_of
from geoseg.scene.open import open_raster
from geoseg.scene.stretch import choose_stretch
from geoseg.scene.tiling import drift_px, tilings
from geoseg.scene.validity import validity_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoseg.scene.bands import BandChoice
    from geoseg.scene.one_file import Stamps
    from geoseg.scene.read_request import ReadRequest
    from geoseg.scene.stretch import Stretch
    from geoseg.scene.tiling import Tiling
    from geoseg.scene.validity import ValidityRule
    from geoseg.vocabulary import Grid, Window

_SAMPLED = 64  # tiles whose values decide on the stretch
_VALUES = 2**14  # of each of them
_TOLD_PX = 0.5  # drift from which on it is told


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
