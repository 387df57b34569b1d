"""From overlapping windows to one map: rows of windows in, finished rows of the asked-for area out.

``exact`` and ``crop`` keep each window's core. ``taper`` averages overlapping probabilities with weights that are
positive everywhere and sum to one at every pixel, so no edge or corner is a special case.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vocabulary import NO_CONFIDENCE, NODATA, ClassRows, Legend, SceneRows, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from geoseg.inference.network import Network
    from geoseg.inference.windows import WindowPlan


@dataclass(frozen=True, slots=True)
class ScoreRows:
    """Full-width rows of class probabilities."""

    row: int
    scores: NDArray[np.float32]
    """Shape (classes, height, width)."""
    valid: NDArray[np.bool_]
    """Shape (height, width)."""


def class_values(legend: Legend) -> NDArray[np.uint8]:
    """Return the pixel value of each class index, shape (classes,)."""
    return np.array([entry.value for entry in legend], np.uint8)


def decided_rows(
    rows: Iterable[SceneRows],
    plan: WindowPlan,
    network: Network,
    legend: Legend,
    tell: Callable[[int], None] = lambda _windows: None,
) -> Iterator[ClassRows]:
    """Return the area's class rows, made one by one, where one window answers for a pixel (``exact``, ``crop``).

    Args:
        rows: one record per row of windows, spanning ``plan.row_spans`` and ``plan.col_span``.
        plan: the windows.
        network: built for ``plan.window`` and its halo.
        legend: the network's classes.
        tell: called after each window with the number of windows done since the last call.
    """
    values = class_values(legend)
    left = plan.cols[0]
    core_height, core_width = plan.core

    def decided(top: int, strip: SceneRows) -> ClassRows:
        core = Window(top, left, core_height, plan.cols[-1] + core_width - left)
        classes = np.full((core.height, core.width), NODATA, np.uint8)
        confidence = np.full((core.height, core.width), NO_CONFIDENCE, np.uint8)
        for col in plan.cols:
            pixels, valid = _window(strip, plan, col)
            place = slice(col - left, col - left + core_width)
            if valid.any():
                index, percent = network.decide(pixels)
                np.copyto(classes[:, place], values[index], where=valid)
                np.copyto(confidence[:, place], percent, where=valid)
            tell(1)
        kept = core.intersection(plan.area)
        here = kept.slices(core.row, core.col)
        return ClassRows(kept.row, classes[here], confidence[here])

    # A strip and its classes are let go before the next are made: a loop here would hold them.
    return itertools.starmap(decided, zip(plan.rows, rows, strict=True))


def scored_rows(
    rows: Iterable[SceneRows],
    plan: WindowPlan,
    network: Network,
    classes: int,
    tell: Callable[[int], None] = lambda _windows: None,
) -> Iterator[ScoreRows]:
    """Yield the area's class probabilities, overlapping windows averaged where the plan says so.

    Args:
        rows: as for ``decided_rows``.
        plan: the windows.
        network: built for ``plan.window``, answering ``plan.reach`` pixels beyond the core.
        classes: number of classes.
        tell: as for ``decided_rows``.
    """
    area, reach = plan.area, plan.reach
    row_weights = _partition(plan.rows, plan.core[0], reach)
    col_weights = _partition(plan.cols, plan.core[1], reach)
    top = plan.rows[0] - reach
    summed = np.zeros((classes, 0, area.width), np.float32)
    known = np.zeros((0, area.width), bool)
    for i, (start, strip) in enumerate(zip(plan.rows, rows, strict=True)):
        end = start + plan.core[0] + reach
        more = end - top - summed.shape[1]
        summed = np.concatenate([summed, np.zeros((classes, more, area.width), np.float32)], axis=1)
        known = np.concatenate([known, np.zeros((more, area.width), bool)])
        here = slice(start - reach - top, end - top)
        for col, col_weight in zip(plan.cols, col_weights, strict=True):
            pixels, valid = _window(strip, plan, col)
            answered = Window(start - reach, col - reach, *valid.shape)
            kept = answered.intersection(Window(answered.row, area.col, answered.height, area.width))
            if kept.width and valid.any():
                part = slice(kept.col - answered.col, kept.right - answered.col)
                place = slice(kept.col - area.col, kept.right - area.col)
                weight = row_weights[i][:, None] * col_weight[None, part]
                summed[:, here, place] += network.scores(pixels)[:, :, part] * weight
                known[here, place] |= valid[:, part]
            tell(1)
        final = (plan.rows[i + 1] - reach if i + 1 < len(plan.rows) else end) - top
        finished = Window(top, area.col, final, area.width)
        kept = finished.intersection(area)
        if kept.height:
            cut = slice(kept.row - top, kept.bottom - top)
            yield ScoreRows(kept.row, summed[:, cut], known[cut])
        summed, known, top = summed[:, final:], known[final:], top + final


def _window(strip: SceneRows, plan: WindowPlan, col: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a window's pixels, and the validity of the part it answers for."""
    start = col - plan.cols[0]
    rim = plan.halo - plan.reach
    height, width = plan.window
    pixels = strip.pixels[:, :, start : start + width]
    valid = strip.valid[rim : height - rim, start + rim : start + width - rim]
    return pixels, valid


def _partition(starts: tuple[int, ...], core: int, reach: int) -> NDArray[np.float32]:
    """Return weights along one axis, shape (windows, core + 2 reach), that sum to one wherever windows overlap."""
    length = core + 2 * reach
    step = np.arange(length)
    ramp = np.minimum(np.minimum(step + 1, length - step), 2 * reach + 1).astype(np.float64)
    total = np.zeros(starts[-1] - starts[0] + length)
    for start in starts:
        total[start - starts[0] :][:length] += ramp
    return np.stack([ramp / total[start - starts[0] :][:length] for start in starts]).astype(np.float32)
