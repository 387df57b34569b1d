"""From rows of a class to the pixels of its skeleton, belt by belt and window by window.

A window is thinned together with so much around it that its own pixels come out as they would from the whole scene.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.roads.beside import clinging, unseen
from geoseg.roads.lee import thinned
from geoseg.roads.surface import surface
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geoseg.roads.scale import Scale
    from geoseg.vector.runs import Runs

BELT = 1024
"""Working rows of a belt."""
_WINDOW = 1024  # working columns thinned at once
_AROUND = 208  # working pixels around a window; see `surface.WIDEST`


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The pixels of the skeleton in some rows, row by row."""

    rows: NDArray[np.int64]
    """Shape (n,)."""
    cols: NDArray[np.int64]
    """Shape (n,)."""
    near: NDArray[np.float32]
    """Shape (n, 11), metres to the nearest middle of a pixel off the road, of each pixel and those around it; at the
    end 1 where a road clings to a building, and where pixels without data cut it off, see `geoseg.roads.beside`,
    else 0."""
    bottom: int
    """Row after the last."""
    last: bool
    """Whether no rows follow."""


class Thinning:
    """Skeletons of belts, as rows come; in memory are the spans of a belt's rows and of those around it."""

    def __init__(self, value: int, width: int, scale: Scale, belt: int = BELT, building: int | None = None) -> None:
        self._values = (value, NODATA) if building is None else (value, NODATA, building)
        self._width = width
        self._scale = scale
        self._belt = belt
        # Of roads, of what is not known, and of buildings where the map knows them: row, first column, column after
        # the last.
        self._spans = [np.empty((0, 3), np.int64) for _ in self._values]
        self._come = 0  # rows
        self._done = 0  # working rows

    def add(self, runs: Runs) -> Iterator[Skeleton]:
        """Take the next rows and yield the belts that are complete with them."""
        rows = np.repeat(np.arange(self._come, self._come + runs.height), np.diff(runs.first))
        found = np.column_stack((rows, runs.starts, runs.stops()))
        for number, value in enumerate(self._values):
            self._spans[number] = np.concatenate((self._spans[number], found[runs.values == value]))
        self._come += runs.height
        while self._come >= (self._done + self._belt + _AROUND) * self._scale.factor:
            yield self._next(self._done + self._belt, last=False)

    def finish(self) -> Iterator[Skeleton]:
        """Yield what is left; the last belt may have no rows of its own."""
        height = -(-self._come // self._scale.factor)
        while self._done + self._belt < height:
            yield self._next(self._done + self._belt, last=False)
        yield self._next(height, last=True)

    def _next(self, bottom: int, *, last: bool) -> Skeleton:
        top, width = self._done, -(-self._width // self._scale.factor)
        found = [self._window(top, bottom, col, min(col + _WINDOW, width)) for col in range(0, width, _WINDOW)]
        rows, cols, near = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((cols, rows))
        self._done = bottom
        above = (bottom - _AROUND) * self._scale.factor
        self._spans = [spans[spans[:, 0] >= above] for spans in self._spans]
        return Skeleton(rows[order], cols[order], near[order], bottom, last)

    def _window(
        self, top: int, bottom: int, left: int, right: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Return rows, columns and surroundings of a window's skeleton pixels."""
        row, col = top - _AROUND, left - _AROUND
        painted = (self._painted(spans, row, bottom + _AROUND, col, right + _AROUND) for spans in self._spans)
        mask = next(painted)
        if not mask.any():
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 11), np.float32)
        nodata, *built = painted
        mask, far = surface(mask, self._scale)
        rows, cols = np.nonzero(thinned(mask)[_AROUND : bottom - row, _AROUND : right - col])
        rows, cols = rows + _AROUND, cols + _AROUND
        near = [far[rows + i, cols + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
        near.append(clinging((rows, cols), far, mask, built[0], self._scale) if built else np.zeros_like(near[0]))
        near.append(unseen((rows, cols), far, mask, nodata, self._scale))
        return rows + row, cols + col, np.stack(near, axis=1)

    def _painted(self, spans: NDArray[np.int64], top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """Return working pixels of a rectangle, False outside the scene; a pixel counts when half of it does."""
        n = self._scale.factor
        low, high = np.searchsorted(spans[:, 0], (top * n, bottom * n))
        row, start, stop = spans[low:high].T
        start, stop = np.clip(start, left * n, right * n), np.clip(stop, left * n, right * n)
        edges = np.zeros(((bottom - top) * n, (right - left) * n + 1), np.int8)
        np.add.at(edges, (row - top * n, start - left * n), 1)
        np.add.at(edges, (row - top * n, stop - left * n), -1)
        painted = np.cumsum(edges, axis=1, dtype=np.int8)[:, :-1]
        if n == 1:
            return np.asarray(painted, np.bool_)
        blocks = painted.reshape(bottom - top, n, right - left, n)
        return np.asarray(2 * blocks.sum((1, 3), dtype=np.int32) >= n * n)
