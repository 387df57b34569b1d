"""Tiles that belong to one grid: which of them do, and where each of them lies on it, in whole pixels.

Files are written with rounded coordinates, so the tiles of one image drift by hundredths of a pixel. What counts is
whether neighbours continue one another's pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from affine import Affine

from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SAME_SIZE = 1e-3  # relative difference of pixel sizes that are the same
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
        found += [_tiling(grids, members) for members in _chains(grids, bucket)]
    return sorted(found, key=lambda one: one.members[0])


def _buckets(grids: Sequence[Grid]) -> list[list[int]]:
    """Return indexes of grids of one CRS, pixel size and orientation."""
    buckets: list[list[int]] = []
    for i, grid in enumerate(grids):
        for bucket in buckets:
            if _alike(grids[bucket[0]], grid):
                bucket.append(i)
                break
        else:
            buckets.append([i])
    return buckets


def _alike(one: Grid, other: Grid) -> bool:
    if one.crs != other.crs:
        return False
    size, difference = _steps(one), _steps(one) - _steps(other)
    return bool(np.abs(difference).max() <= _SAME_SIZE * np.abs(size).max())


def _steps(grid: Grid) -> NDArray[np.float64]:
    """Return what a step along a row and a column means on the ground, shape (4,)."""
    a, b, _, d, e, _ = grid.transform[:6]
    return np.array([a, b, d, e], np.float64)


def _chains(grids: Sequence[Grid], bucket: list[int]) -> list[list[int]]:
    """Return the tiles of a bucket in groups whose members continue one another's pixels."""
    corners = _corners(grids[bucket[0]].transform, [grids[i] for i in bucket])
    near = max(_NEAR, *(max(grids[i].shape) for i in bucket))
    boxes = shapely.box(corners[:, 1], corners[:, 0], corners[:, 3], corners[:, 2])
    group = list(range(len(bucket)))

    def first(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    pairs = shapely.STRtree(boxes).query(boxes, "dwithin", near).T
    for i, j in pairs[pairs[:, 0] < pairs[:, 1]].tolist():
        one, other = sorted((first(i), first(j)))
        if one != other and _in_step(grids[bucket[i]], grids[bucket[j]]):
            group[other] = one
    members: dict[int, list[int]] = {}
    for i, tile in enumerate(bucket):
        members.setdefault(first(i), []).append(tile)
    return list(members.values())


def _corners(onto: Affine, tiles: Sequence[Grid]) -> NDArray[np.float64]:
    """Return first row, first column, last row, last column of tiles in pixels of a transform, (n, 4)."""
    back = ~onto
    places = []
    for tile in tiles:
        col, row = back @ (tile.transform @ (0, 0))
        end_col, end_row = back @ (tile.transform @ (tile.width, tile.height))
        places.append((row, col, end_row, end_col))
    return np.array(places, np.float64)


def _in_step(one: Grid, other: Grid) -> bool:
    """Return whether the nearest corners of two tiles are whole pixels apart, by the first one's pixels."""
    row, col, end_row, end_col = _corners(one.transform, [other])[0]
    down = row if abs(row) < abs(end_row) else end_row
    across = col if abs(col) < abs(end_col) else end_col
    return bool(max(abs(down - round(down)), abs(across - round(across))) <= _SAME_PHASE)


def _tiling(grids: Sequence[Grid], members: Sequence[int]) -> Tiling:
    """Return the common grid of tiles, and their places on it."""
    tiles = [grids[i] for i in members]
    first = tiles[0]
    if len(tiles) == 1:
        return Tiling(first, tuple(members), (first.whole,))
    a, b, d, e = sum((_steps(tile) for tile in tiles), np.zeros(4)) / len(tiles)
    shape = Affine(a, b, first.transform.c, d, e, first.transform.f)
    corners = _corners(shape, tiles)
    top, left = int(corners[:, 0].argmin()), int(corners[:, 1].argmin())
    if corners[top, 0] == corners[left, 0]:
        origin = tiles[left].transform.c, tiles[left].transform.f
    elif b == 0 == d:  # each side by itself, without the rounding of a way through pixels
        origin = tiles[left].transform.c, tiles[top].transform.f
    else:
        origin = shape @ (float(corners[left, 1]), float(corners[top, 0]))
    transform = Affine(a, b, origin[0], d, e, origin[1])
    corners = _corners(transform, tiles)
    windows = [
        Window(round(row), round(col), tile.height, tile.width)
        for (row, col), tile in zip(corners[:, :2].tolist(), tiles, strict=True)
    ]
    height, width = max(w.bottom for w in windows), max(w.right for w in windows)
    return Tiling(Grid(first.crs, transform, height, width), tuple(members), tuple(windows))


def drift_px(grids: Sequence[Grid], tiling: Tiling) -> float:
    """Return how far a tile lies from whole pixels of the common grid at most, in pixels."""
    corners = _corners(tiling.grid.transform, [grids[i] for i in tiling.members])[:, :2]
    found = float(np.abs(corners - np.rint(corners)).max())
    return found if math.isfinite(found) else 0.0
