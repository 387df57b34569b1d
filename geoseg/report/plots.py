"""Curves and reliability diagrams as PNG, drawn without matplotlib's global state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_DPI = 150
"""Dots per inch; a picture is shown at about half its pixels, so that it is sharp on fine screens."""

COLORS = ("#2471A3", "#D35400", "#1E8449", "#8E44AD", "#B7950B", "#C0392B", "#5D6D7E", "#117A65")
"""Colours of curves, in order; then they begin again."""

_GREY = "#5A6570"

Curve = tuple["Sequence[float]", "Sequence[float]"]
"""Positions on both axes; NaN leaves a gap."""


def lines(
    curves: Mapping[str, Curve], *, x: str, y: str, size: tuple[float, float] = (7.0, 3.6), log_y: bool = False
) -> bytes:
    """Return curves with a legend as PNG.

    Args:
        curves: by name.
        x: what the horizontal axis shows.
        y: what the vertical axis shows.
        size: width and height in inches.
        log_y: whether the vertical axis is logarithmic.
    """
    figure, axes = _blank(size)
    for i, (name, (xs, ys)) in enumerate(curves.items()):
        alone = "o" if len(xs) == 1 else None  # a line needs two
        axes.plot(xs, ys, color=COLORS[i % len(COLORS)], label=name, linewidth=1.6, marker=alone)
    if log_y:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if curves:  # within, the legend would lie on curves; on the left it is seen first where the picture scrolls
        axes.figure.legend(frameon=False, fontsize=9, loc="outside upper left", ncols=2)
    return png(figure)


def reliability(
    confidence: Sequence[float],
    accuracy: Sequence[float],
    share: Sequence[float],
    *,
    size: tuple[float, float] = (5.0, 5.8),
) -> bytes:
    """Return a reliability diagram as PNG: accuracy by confidence, and how many pixels each bin holds.

    Args:
        confidence: mean confidence of each bin, NaN for an empty one; bins are equally wide from 0 to 1.
        accuracy: share of right pixels of each bin.
        share: share of all pixels that lie in each bin.
        size: width and height in inches.
    """
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    count = len(share)
    middles = [(i + 0.5) / count for i in range(count)]
    for part in (axes, below):
        _plain(part)
    axes.bar(middles, accuracy, 0.94 / count, color=COLORS[0], alpha=0.35, label="accuracy of the bin")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1, label="confidence = accuracy")
    axes.plot(confidence, accuracy, "o", color=COLORS[0], markersize=5, label="mean confidence of the bin")
    axes.set_ylabel("accuracy")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    figure.legend(frameon=False, fontsize=9, loc="outside upper left")  # within, it would lie on bars
    below.bar(middles, share, 0.94 / count, color=_GREY)
    below.set_ylabel("pixels")
    below.yaxis.set_major_formatter(lambda value, _place: f"{value:.0%}")
    below.set_xlabel("confidence")
    return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def _blank(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    """Leave only what is needed to read numbers off."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GREY)
    axes.tick_params(colors=_GREY, labelsize=9)
    axes.grid(color="#E5E8EB", linewidth=0.8)
    axes.set_axisbelow(True)
