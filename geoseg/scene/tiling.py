"""Tiles that belong to one grid: which of them do, and where each of them lies on it, in whole pixels.

Files are written with rounded coordinates, so the tiles of one image drift by hundredths of a pixel. What counts is
whether neighbours continue one another's pixels.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from affine import Affine

from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SAME_SIZE = 0.2  # pixels that the sides of a tile may differ by for the size of its pixels
_BIN = 1e-2  # relative; pixels of the same size are in the same or the next bin
_SAME_PHASE = 0.1  # pixels that neighbours may be out of step
_NEAR = 256  # pixels; what lies nearer may be seen by the same window


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tiles on one grid."""

    grid: Grid
    members: tuple[int, ...]
    """Indexes of the tiles among those that were given."""
    windows: tuple[Window, ...]
    """Where each member lies on the grid, in the same order."""


def tilings(grids: Sequence[Grid]) -> list[Tiling]:
    """Return the tiles grouped by the grid they have in common, in order of their first tiles.

    Tiles are of one grid where they have the same CRS, pixel size and orientation, and continue the pixels of a
    neighbour to a tenth of a pixel. Neighbours need not touch: a tile may be missing between them. The common grid has
    the mean pixel size of its tiles and begins at their outermost corner, as a mosaic that GDAL builds of them does.

    Args:
        grids: of the tiles.
    """
    found: list[Tiling] = []
    for bucket in _buckets(grids):
        found += [_tiling(grids, places) for places in _chains(grids, bucket)]
    return sorted(found, key=lambda one: one.members[0])


def _buckets(grids: Sequence[Grid]) -> list[list[int]]:
    """Return indexes of grids of one CRS, pixel size and orientation."""
    buckets: list[list[int]] = []
    by_size: dict[tuple[str, int], list[list[int]]] = {}  # so that each grid is compared with few others
    for i, grid in enumerate(grids):
        size = round(math.log(grid.pixel_area) / _BIN)
        near = [bucket for at in (size - 1, size, size + 1) for bucket in by_size.get((grid.crs, at), ())]
        bucket = next((bucket for bucket in near if _alike(grids[bucket[0]], grid)), None)
        if bucket is None:
            bucket = []
            buckets.append(bucket)
            by_size.setdefault((grid.crs, size), []).append(bucket)
        bucket.append(i)
    return buckets


def _alike(one: Grid, other: Grid) -> bool:
    size, difference = np.abs(_steps(one)).max(), np.abs(_steps(one) - _steps(other)).max()
    return bool(difference * max(*one.shape, *other.shape) <= _SAME_SIZE * size)


def _steps(grid: Grid) -> NDArray[np.float64]:
    """Return what a step along a row and a column means on the ground, shape (4,)."""
    a, b, _, d, e, _ = grid.transform[:6]
    return np.array([a, b, d, e], np.float64)


def _chains(grids: Sequence[Grid], bucket: list[int]) -> list[dict[int, tuple[int, int]]]:
    """Return the tiles of a bucket in groups whose members continue one another's pixels.

    Returns:
        Row and column of each member, in whole pixels from the first one, counted from neighbour to neighbour.
    """
    corners = _corners(grids[bucket[0]].transform, [grids[i] for i in bucket])
    boxes = shapely.box(corners[:, 1], corners[:, 0], corners[:, 3], corners[:, 2])
    near = max(_NEAR, *(max(grids[i].shape) for i in bucket))
    pairs = shapely.STRtree(boxes).query(boxes, "dwithin", near).T
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    apart = shapely.distance(boxes[pairs[:, 0]], boxes[pairs[:, 1]])
    beside: dict[int, list[int]] = {}
    for i, j in pairs[np.lexsort((pairs[:, 1], apart, pairs[:, 0]))].tolist():  # nearest first
        beside.setdefault(i, []).append(j)
    chains: list[dict[int, tuple[int, int]]] = []
    seen: set[int] = set()
    for start in range(len(bucket)):
        if start in seen:
            continue
        seen.add(start)
        places, waiting = {start: (0, 0)}, deque([start])
        while waiting:
            i = waiting.popleft()
            for j in beside.get(i, ()):
                if j not in seen and (step := _step(grids[bucket[i]], grids[bucket[j]])) is not None:
                    seen.add(j)
                    places[j] = places[i][0] + step[0], places[i][1] + step[1]
                    waiting.append(j)
        chains.append({bucket[i]: places[i] for i in sorted(places)})
    return chains


def _corners(onto: Affine, tiles: Sequence[Grid]) -> NDArray[np.float64]:
    """Return first row, first column, last row, last column of tiles in pixels of a transform, (n, 4)."""
    back = ~onto
    places = []
    for tile in tiles:
        col, row = back @ (tile.transform @ (0, 0))
        end_col, end_row = back @ (tile.transform @ (tile.width, tile.height))
        places.append((row, col, end_row, end_col))
    return np.array(places, np.float64)


def _step(one: Grid, other: Grid) -> tuple[int, int] | None:
    """Return how many rows and columns a tile's first pixel lies from another's; None where they are out of step.

    It is counted at the corners where they come closest, by the first one's pixels.
    """
    row, col, end_row, end_col = _corners(one.transform, [other])[0]
    down, high = (row, 0) if abs(row) < abs(end_row) else (end_row, other.height)
    across, wide = (col, 0) if abs(col) < abs(end_col) else (end_col, other.width)
    if max(abs(down - round(down)), abs(across - round(across))) > _SAME_PHASE:
        return None
    return round(down) - high, round(across) - wide


def _tiling(grids: Sequence[Grid], places: dict[int, tuple[int, int]]) -> Tiling:
    """Return the common grid of tiles whose places are known."""
    tiles = [grids[i] for i in places]
    first = tiles[0]
    if len(tiles) == 1:
        return Tiling(first, tuple(places), (first.whole,))
    a, b, d, e = sum((_steps(tile) for tile in tiles), np.zeros(4)) / len(tiles)
    top, left = min(row for row, _ in places.values()), min(col for _, col in places.values())
    windows = [
        Window(row - top, col - left, tile.height, tile.width)
        for (row, col), tile in zip(places.values(), tiles, strict=True)
    ]
    corners = _corners(Affine(a, b, first.transform.c, d, e, first.transform.f), tiles)
    top_tile, left_tile = tiles[int(corners[:, 0].argmin())], tiles[int(corners[:, 1].argmin())]
    if b == 0 == d:  # each side by itself, without the rounding of a way through pixels
        origin = left_tile.transform.c, top_tile.transform.f
    else:
        shape = Affine(a, b, first.transform.c, d, e, first.transform.f)
        origin = shape @ (float(corners[:, 1].min()), float(corners[:, 0].min()))
    height, width = max(w.bottom for w in windows), max(w.right for w in windows)
    return Tiling(
        Grid(first.crs, Affine(a, b, origin[0], d, e, origin[1]), height, width), tuple(places), tuple(windows)
    )


def drift_px(grids: Sequence[Grid], tiling: Tiling) -> float:
    """Return how far a tile is laid from its own place at most, in pixels; ``grids`` are those of the members."""
    corners = _corners(tiling.grid.transform, grids)[:, :2]
    placed = np.array([(window.row, window.col) for window in tiling.windows], np.float64)
    return float(np.abs(corners - placed).max())
