"""Pictures of maps: imagery, classes in the colours of their style, and what is wrong, side by side as PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from geoseg.report.plots import png
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from geoseg.vocabulary import Legend

WRONG = "#D62828"
RIGHT = "#D9DEE3"
UNLABELLED = "#FFFFFF"
"""Colours of pictures of errors; pixels without a label or a class are white everywhere."""

_DPI = 100
_TITLE = 22  # pixels
_GAP = 8  # pixels


def class_picture(classes: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    """Return legend values (height, width) in the colours of their style, shape (height, width, 3)."""
    table = np.full((256, 3), 255, np.uint8)
    for entry in legend:
        table[entry.value] = _rgb(entry.style)
    return np.asarray(table[classes])


def error_picture(predicted: NDArray[np.uint8], reference: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is right, wrong and unlabelled in colours, shape (height, width, 3).

    Args:
        predicted: shape (height, width), legend values.
        reference: the same, 0 where there is no label.
    """
    picture = np.empty((*reference.shape, 3), np.uint8)
    picture[...] = _rgb(RIGHT)
    picture[predicted != reference] = _rgb(WRONG)
    picture[reference == NODATA] = _rgb(UNLABELLED)
    return picture


def side_by_side(panels: Mapping[str, NDArray[np.uint8]], *, height_px: int = 256) -> bytes:
    """Return pictures of one size in a row, each under its title, as PNG.

    Args:
        panels: shape (height, width, 3) each, by title.
        height_px: height of each picture in the PNG; pixels are repeated, not blended.
    """
    height, width = next(iter(panels.values())).shape[:2]
    wide, high = max(1, round(width * height_px / height)), height_px
    total = len(panels) * (wide + _GAP) + _GAP, high + _TITLE + _GAP
    figure = Figure(figsize=(total[0] / _DPI, total[1] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    for i, (title, pixels) in enumerate(panels.items()):
        left = _GAP + i * (wide + _GAP)
        axes = figure.add_axes((left / total[0], _GAP / total[1], wide / total[0], high / total[1]))
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        axes.text(0, 1 + 5 / high, title, transform=axes.transAxes, fontsize=9, color="#1d2329")
    return png(figure)


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))
