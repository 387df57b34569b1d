"""A class raster as runs: every row cut where the class changes.

Regions, borders and polygons need nothing but the places where classes change, and those are few: everything after
this room takes time and memory that grow with them, not with pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from geoseg.vector.compiled import compiled
from geoseg.vocabulary import NO_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Runs:
    """Full-width rows of a class raster. A run is never empty, and ends where the class or the cell does."""

    width: int
    """Pixels of a row."""
    cell: int
    """Height and width in pixels of the cells that polygons are cut along, from the first pixel traced; 0 for none."""
    first: NDArray[np.int64]
    """Shape (rows + 1,), index of each row's first run, and at the end the number of runs."""
    starts: NDArray[np.int32]
    """Shape (runs,), first column of each run."""
    values: NDArray[np.uint8]
    """Shape (runs,), class values."""
    percents: NDArray[np.int32]
    """Shape (runs,), sum of the confidences that count, in whole percents."""
    counted: NDArray[np.int32]
    """Shape (runs,), pixels whose confidence counts."""

    @classmethod
    def of(cls, classes: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None, cell: int = 0) -> Self:
        """Cut rows of shape (height, width) into runs; confidences are whole percents, 255 where there is none."""
        known = np.empty((0, 0), np.uint8) if confidence is None else np.ascontiguousarray(confidence)
        return cls(classes.shape[1], cell, *_encode(np.ascontiguousarray(classes), known, cell))

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.first) - 1

    def rows(self, start: int, stop: int) -> Self:
        """Return the rows from ``start`` to before ``stop``; the arrays are shared."""
        here = slice(self.first[start], self.first[stop])
        first = self.first[start : stop + 1] - self.first[start]
        columns = self.starts[here], self.values[here], self.percents[here], self.counted[here]
        return type(self)(self.width, self.cell, first, *columns)

    def stops(self) -> NDArray[np.int32]:
        """Return the column after the last of each run, shape (runs,)."""
        stops = np.append(self.starts[1:], np.int32(self.width))
        stops[self.first[1:] - 1] = self.width
        return stops

    def with_values(self, values: NDArray[np.uint8]) -> Self:
        """Return runs of other values, shape (runs,); confidences of a changed class no longer count."""
        columns = self.starts, self.values, self.percents, self.counted
        return type(self)(self.width, self.cell, *_coalesced(self.first, *columns, values, self.cell))

    def of_cells(self, row: int) -> NDArray[np.uint16]:
        """Return values that differ between neighbouring cells too, shape (runs,).

        Args:
            row: first row of these runs in the scene.
        """
        if self.cell == 0:
            return self.values.astype(np.uint16)
        rows = np.repeat(np.arange(row, row + self.height), np.diff(self.first))
        shade = (self.starts // self.cell & 1) + (rows // self.cell & 1) * 2
        return np.asarray(self.values + 256 * shade, np.uint16)


def joined(parts: Sequence[Runs]) -> Runs:
    """Return runs of the same width, one part below the other."""
    if len(parts) == 1:
        return parts[0]
    offsets = np.cumsum([0, *(len(part.starts) for part in parts)])
    first = [part.first[:-1] + offset for part, offset in zip(parts, offsets, strict=False)]
    return replace(
        parts[0],
        first=np.concatenate([*first, offsets[-1:]]),
        starts=np.concatenate([part.starts for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        percents=np.concatenate([part.percents for part in parts]),
        counted=np.concatenate([part.counted for part in parts]),
    )


@compiled
def _encode(classes: Any, confidence: Any, cell: Any) -> Any:
    height, width = classes.shape
    lines = 0 if cell == 0 else (width - 1) // cell
    first = np.zeros(height + 1, np.int64)
    for row in range(height):
        changes = 0
        for col in range(1, width):
            changes += classes[row, col] != classes[row, col - 1]
        for line in range(lines):
            col = (line + 1) * cell
            changes += classes[row, col] == classes[row, col - 1]
        first[row + 1] = first[row] + changes + 1
    starts = np.empty(first[-1], np.int32)
    values = np.empty(first[-1], np.uint8)
    percents = np.zeros(first[-1], np.int32)
    counted = np.zeros(first[-1], np.int32)
    for row in range(height):
        run = first[row]
        starts[run] = 0
        values[run] = classes[row, 0]
        line = width if cell == 0 else cell
        for col in range(1, width):
            if classes[row, col] != classes[row, col - 1] or col == line:
                run += 1
                starts[run] = col
                values[run] = classes[row, col]
                if col >= line:
                    line += cell
        if confidence.size == 0:
            continue
        for run in range(first[row], first[row + 1]):
            stop = starts[run + 1] if run + 1 < first[row + 1] else width
            total = 0
            pixels = 0
            for col in range(starts[run], stop):
                percent = confidence[row, col]
                if percent != NO_CONFIDENCE:
                    total += percent
                    pixels += 1
            percents[run] = total
            counted[run] = pixels
    return first, starts, values, percents, counted


@compiled
def _coalesced(first: Any, starts: Any, values: Any, percents: Any, counted: Any, wanted: Any, cell: Any) -> Any:
    height = first.size - 1
    new_first = np.zeros(height + 1, np.int64)
    new_starts = np.empty_like(starts)
    new_values = np.empty_like(values)
    new_percents = np.zeros_like(percents)
    new_counted = np.zeros_like(counted)
    n = 0
    for row in range(height):
        for run in range(first[row], first[row + 1]):
            on_line = cell > 0 and starts[run] % cell == 0
            if run == first[row] or on_line or wanted[run] != new_values[n - 1]:
                new_starts[n] = starts[run]
                new_values[n] = wanted[run]
                n += 1
            if wanted[run] == values[run]:
                new_percents[n - 1] += percents[run]
                new_counted[n - 1] += counted[run]
        new_first[row + 1] = n
    return new_first, new_starts[:n].copy(), new_values[:n].copy(), new_percents[:n].copy(), new_counted[:n].copy()
