"""Pictures of maps: imagery, classes in the colours of their style, and what is wrong, side by side as PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from geoseg.report.plots import png
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geoseg.vocabulary import Legend

WRONG = "#AA00FF"
RIGHT = "#D9DEE3"
UNLABELLED = "#FFFFFF"
"""Colours of pictures of errors; pixels without a label or a class are white everywhere. Wrong ones are apart from all
styles of the default legend for colour-blind people, too."""

_DPI = 100
_TITLE = 22  # pixels
_GAP = 8  # pixels
_TITLE_WIDE = 80  # pixels that a title needs


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


def picture_key(legend: Legend) -> list[tuple[str, str]]:
    """Return names and colours of all that pictures of classes and of errors show."""
    classes = [(entry.name, entry.style) for entry in legend]
    return [*classes, ("right", RIGHT), ("wrong", WRONG), ("unlabelled or nodata", UNLABELLED)]


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return pictures (height, width, 3) of any sizes below one another, white between and beside them."""
    wide = max(picture.shape[1] for picture in pictures)
    rows = []
    for number, picture in enumerate(pictures, 1):
        low = _GAP if number < len(pictures) else 0
        rows.append(np.pad(picture, ((0, low), (0, wide - picture.shape[1]), (0, 0)), constant_values=255))
    return np.concatenate(rows)


def side_by_side(panels: Mapping[str, NDArray[np.uint8]], *, height_px: int = 256) -> bytes:
    """Return pictures of one size in a row, each under its title, as PNG.

    Args:
        panels: shape (height, width, 3) each, by title.
        height_px: height of each picture in the PNG; pixels are repeated, not blended.
    """
    height, width = next(iter(panels.values())).shape[:2]
    wide, high = max(1, round(width * height_px / height)), height_px
    step = max(wide, _TITLE_WIDE) + _GAP
    total = len(panels) * step + _GAP, high + _TITLE + _GAP
    figure = Figure(figsize=(total[0] / _DPI, total[1] / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    for i, (title, pixels) in enumerate(panels.items()):
        left = _GAP + i * step
        axes = figure.add_axes((left / total[0], _GAP / total[1], wide / total[0], high / total[1]))
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        axes.text(0, 1 + 5 / high, title, transform=axes.transAxes, fontsize=9, color="#1d2329")
    return png(figure)


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))
