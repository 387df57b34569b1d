"""What is painted on: colour, class and height of a window's pixels, addressed by absolute row and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.demo.noise import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import Window

BUILDING, ROAD, WATER, VEGETATION, LAND = range(1, 6)
"""Class values of the default legend."""


class Canvas(NamedTuple):
    """The pixels of a window, painted in place."""

    row: int
    col: int
    rgb: NDArray[np.float32]
    """Shape (height, width, 3), 0 to 255."""
    classes: NDArray[np.uint8]
    """Shape (height, width)."""
    tall: NDArray[np.float32]
    """Shape (height, width), metres above ground; negative where a building covers less than half of a pixel:
    it is lit like the roof but casts no shadow, lest edges along the sun's rays shade themselves in dots."""


def canvas_of(window: Window) -> Canvas:
    """Return an empty canvas."""
    shape = window.height, window.width
    return Canvas(
        window.row,
        window.col,
        np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.float32),
    )


@compiled
def span(canvas: Canvas, x: float, y: float, radius: float) -> tuple[int, int, int, int]:
    """Return first and last row and column (exclusive), within the canvas, of a disc's pixels."""
    height, width = canvas.classes.shape
    top, left = int(np.floor(y - radius)) - canvas.row, int(np.floor(x - radius)) - canvas.col
    bottom, right = int(np.ceil(y + radius)) + 1 - canvas.row, int(np.ceil(x + radius)) + 1 - canvas.col
    return max(0, top), min(height, bottom), max(0, left), min(width, right)


@compiled
def tint(canvas: Canvas, at: tuple[int, int], color: tuple[float, float, float], share: float) -> None:
    """Mix a colour into a pixel; the share is 0 to 1."""
    r, c = at
    for band in range(3):
        canvas.rgb[r, c, band] += (color[band] - canvas.rgb[r, c, band]) * share
