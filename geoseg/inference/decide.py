"""From class probabilities to one class for every pixel, on the scene's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.inference.blend import ScoreRows, class_values
from geoseg.resample import resample_valid, weights
from geoseg.vocabulary import NO_CONFIDENCE, NODATA, ClassRows, Legend, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIXELS_AT_ONCE = 2**21
"""Pixels of the scene's grid brought over at a time, which bounds memory when it is much finer than the model's."""


def decide(rows: Iterable[ScoreRows], legend: Legend) -> Iterator[ClassRows]:
    """Yield the most probable class of every valid pixel, the first one on a tie, and its probability in percent."""
    values = class_values(legend)
    for strip in rows:
        best = strip.scores.argmax(0)
        probability = np.take_along_axis(strip.scores, best[None], 0)[0]
        percent = np.rint(np.clip(probability, 0, 1) * 100).astype(np.uint8)
        yield ClassRows(
            strip.row,
            np.where(strip.valid, values[best], NODATA).astype(np.uint8),
            np.where(strip.valid, percent, NO_CONFIDENCE).astype(np.uint8),
        )


def onto_grid(
    rows: Iterable[ScoreRows], grid: tuple[int, int], target: tuple[int, int], seen: Window, wanted: Window
) -> Iterator[ScoreRows]:
    """Yield the probabilities interpolated to another grid over the same ground.

    Args:
        rows: probabilities of ``seen``, on the network's grid.
        grid: height and width of the whole scene on the network's grid.
        target: height and width of the whole scene on the wanted grid.
        seen: the part of the network's grid that ``rows`` covers; holds everything that ``wanted`` is made of.
        wanted: the part of the target grid to yield.
    """
    row_taps, col_taps = weights(grid[0], target[0]), weights(grid[1], target[1])
    across = col_taps.part(wanted.col, wanted.right, seen.col)
    height = max(1, _PIXELS_AT_ONCE // wanted.width)
    held: ScoreRows | None = None
    rows = iter(rows)
    for top in range(wanted.row, wanted.bottom, height):
        stop = min(top + height, wanted.bottom)
        first, end = row_taps.reach(top, stop)
        while held is None or held.row + held.scores.shape[1] < end:
            held = _joined(held, next(rows), first)
        down = row_taps.part(top, stop, held.row)
        scores, valid = resample_valid(held.scores, held.valid, down, across)
        yield ScoreRows(top, scores, valid)
    for _ in rows:  # let the reader come to its end, where it checks that the scene has not changed
        pass


def network_window(grid: tuple[int, int], target: tuple[int, int], wanted: Window) -> Window:
    """Return the part of the network's grid that the ``wanted`` part of the target grid is interpolated from."""
    top, bottom = weights(grid[0], target[0]).reach(wanted.row, wanted.bottom)
    left, right = weights(grid[1], target[1]).reach(wanted.col, wanted.right)
    return Window(top, left, bottom - top, right - left)


def _joined(held: ScoreRows | None, more: ScoreRows, first: int) -> ScoreRows:
    """Append rows, and drop those above ``first`` that nothing needs any more."""
    if held is None:
        return more
    drop = min(max(0, first - held.row), held.scores.shape[1])
    return ScoreRows(
        held.row + drop,
        np.concatenate([held.scores[:, drop:], more.scores], axis=1),
        np.concatenate([held.valid[drop:], more.valid]),
    )
