"""Light and sensor: cast shadows, illumination, softness, chroma softness and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from geoseg.demo.noise import blend, cloud, compiled, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.demo.canvas import Canvas
    from geoseg.demo.palette import Look

TALLEST = 46.0
"""Metres; nothing is higher, so that no shadow is longer than TALLEST divided by the sun's climb."""

RIM = 4
"""Pixels beyond a window that blur and chroma softness read."""


@compiled
def _shadow(tall: NDArray[np.float32], look: Look, highest: float, r: int, c: int) -> float:
    """Return how much of a pixel is in cast shadow, 0 to 1, by walking towards the sun.

    Each step is one pixel along the axis nearer to the sun's direction; across it the lower one of the two
    pixels beside the ray counts, so that edges along the ray do not shade themselves in dots.
    """
    height, width = tall.shape
    own = abs(tall[r, c])
    steep = abs(look.sun_y) >= abs(look.sun_x)
    length = 1.0 / max(abs(look.sun_x), abs(look.sun_y))
    down, right = look.sun_y * length, look.sun_x * length
    deepest = 0.0
    step = 1
    while own + step * length * look.climb < highest and deepest < 1.0:
        y, x = r + step * down, c + step * right
        # Along the main axis the place is a whole number but for rounding.
        a = math.floor(y + 0.5) if steep else math.floor(y)
        b = math.floor(x) if steep else math.floor(x + 0.5)
        a2, b2 = (a, b + 1) if steep else (a + 1, b)
        if a < 0 or b < 0 or a2 >= height or b2 >= width:
            break
        deepest = max(deepest, min(tall[a, b], tall[a2, b2]) - own - step * length * look.climb)
        step += 1
    return min(1.0, deepest)


@compiled
def lighten(canvas: Canvas, look: Look) -> None:
    """Darken cast shadows and apply the illumination's slow change over the scene, haze and contrast."""
    height, width = canvas.classes.shape
    highest = min(TALLEST, canvas.tall.max())
    for r in range(height):
        for c in range(width):
            shadow = _shadow(canvas.tall, look, highest, r, c)
            x, y = (c + canvas.col) / 900.0, (r + canvas.row) / 900.0
            sun = look.gain * (0.93 + 0.14 * cloud(x, y, look.salt + 30))
            for band in range(3):
                left = 1.0 - (look.shade + 0.05 - 0.06 * band) * shadow  # shadows are lit by the blue sky
                value = canvas.rgb[r, c, band] * sun * left + look.haze * (1.0 + look.blue * (band - 1))
                canvas.rgb[r, c, band] = 118.0 + (value - 118.0) * look.contrast


@compiled
def _blurred(rgb: NDArray[np.float32], outer: float, far: float) -> NDArray[np.float32]:
    """Return a picture blurred by taps far, outer, rest, outer, far both ways, but for its rim."""
    height, width, bands = rgb.shape
    middle = 1.0 - 2.0 * outer - 2.0 * far
    across, out = rgb.copy(), rgb.copy()
    for r in range(height):
        for c in range(2, width - 2):
            for b in range(bands):
                near = rgb[r, c - 1, b] + rgb[r, c + 1, b]
                across[r, c, b] = rgb[r, c, b] * middle + near * outer + (rgb[r, c - 2, b] + rgb[r, c + 2, b]) * far
    for r in range(2, height - 2):
        for c in range(width):
            for b in range(bands):
                near = across[r - 1, c, b] + across[r + 1, c, b]
                wide = across[r - 2, c, b] + across[r + 2, c, b]
                out[r, c, b] = across[r, c, b] * middle + near * outer + wide * far
    return out


@compiled
def _level(value: float) -> int:
    """Return a grey level, 0 to 255."""
    return int(blend(0.0, 255.0, value / 255.0) + 0.5)


@compiled
def developed(canvas: Canvas, look: Look, inside: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return the finished picture of the rows and columns ``top, bottom, left, right`` of a canvas.

    The result has shape (3, height, width); the canvas reaches at least RIM pixels beyond them.
    """
    top, bottom, left, right = inside
    rgb = canvas.rgb[top - RIM : bottom + RIM, left - RIM : right + RIM].copy()
    sharp = _blurred(rgb, look.soft, 0.0)
    soft = _blurred(sharp, 0.2, 0.2)
    out = np.empty((3, bottom - top, right - left), np.uint8)
    for r in range(bottom - top):
        for c in range(right - left):
            y, x = r + RIM, c + RIM
            grey = 0.299 * sharp[y, x, 0] + 0.587 * sharp[y, x, 1] + 0.114 * sharp[y, x, 2]
            wide = 0.299 * soft[y, x, 0] + 0.587 * soft[y, x, 1] + 0.114 * soft[y, x, 2]
            h = mix(c + left + canvas.col, r + top + canvas.row, look.salt + 31)
            # The sum of four bytes is nearly normal, with a standard deviation of 148.
            dice = (h & 255) + ((h >> 8) & 255) + ((h >> 16) & 255) + (h >> 24) - 510
            grey += look.grain * dice / 148.0
            for b in range(3):
                out[b, r, c] = _level(grey + soft[y, x, b] - wide)
    return out
