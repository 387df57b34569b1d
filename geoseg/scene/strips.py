"""Strips of rows with a reflected frame around the scene; strips share the rows they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from geoseg.resample import resample_valid
from geoseg.vocabulary import SceneRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoseg.resample import Taps
    from geoseg.scene.decode import Look

_PIECE_BYTES = 16 * 2**20


class RowMaker(Protocol):
    """Something that makes ascending rows."""

    def fill(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Write rows ``start`` to ``stop`` into arrays of shape (bands, rows, width) and (rows, width)."""


def reflected(start: int, stop: int, size: int) -> NDArray[np.int64]:
    """Return the pixels that positions ``start`` to ``stop`` show, as numpy's pad mode ``reflect`` has it."""
    if size == 1:
        return np.zeros(stop - start, np.int64)
    period = 2 * (size - 1)
    position = np.arange(start, stop) % period
    return np.minimum(position, period - position)


class _Held(NamedTuple):
    """Known rows, as copies, so that the strips they came from can be released."""

    start: int
    pixels: NDArray[Any]
    valid: NDArray[np.bool_]

    @property
    def stop(self) -> int:
        return self.start + len(self.valid)

    def part(self, start: int, stop: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return views of the rows that are held of a range."""
        rows = slice(max(start - self.start, 0), max(stop - self.start, 0))
        return self.pixels[:, rows], self.valid[rows]


class Lookback:
    """Keeps rows that later strips need again, so that their maker is asked for every row once."""

    def __init__(self, maker: RowMaker) -> None:
        self.maker = maker
        self.held: _Held | None = None

    def fill(self, span: tuple[int, int], keep: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Write the rows of a span, and keep all known rows from ``keep`` on."""
        start, stop = span
        row, held = start, self.held
        if held and held.start <= start < held.stop:
            row = min(held.stop, stop)
            pixels[:, : row - start], valid[: row - start] = held.part(start, row)
        if row < stop:
            self.maker.fill(row, stop, pixels[:, row - start :], valid[row - start :])
        made = _Held(start, pixels, valid).part(keep, stop)
        if held and held.start <= start <= held.stop:
            parts = [held.part(keep, start), made, held.part(max(stop, keep), held.stop)]
            first = max(keep, held.start)
        else:
            parts, first = [made], max(keep, start)
        kept_pixels, kept_valid = zip(*parts, strict=True)
        self.held = _Held(first, np.concatenate(kept_pixels, axis=1), np.concatenate(kept_valid))


class ResampledRows:
    """Makes rows on another grid over the same ground, from rows at the scene's own resolution."""

    def __init__(self, native: RowMaker, rows: Taps, cols: Taps, look: Look) -> None:
        """Take a maker of the native columns that ``cols`` reaches, and the taps of all rows."""
        self.native = Lookback(native)
        self.rows, self.look = rows, look
        first, stop = cols.reach(0, len(cols.source))
        self.cols, self.width = cols.part(0, len(cols.source), first), stop - first

    def fill(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Write rows ``start`` to ``stop`` of the new grid."""
        bands = len(pixels)
        ratio = max(1.0, float(self.rows.source[-1, -1] + 1) / len(self.rows.source))
        step = max(1, int(_PIECE_BYTES / (bands * 4 * self.width * ratio)))
        for first in range(start, stop, step):
            last = min(first + step, stop)
            top, bottom = self.rows.reach(first, last)
            keep = bottom if last >= len(self.rows.source) else int(self.rows.source[last].min())
            source = np.empty((bands, bottom - top, self.width), pixels.dtype)
            source_valid = np.empty(source.shape[1:], np.bool_)
            self.native.fill((top, bottom), keep, source, source_valid)
            made, known = resample_valid(source, source_valid, self.rows.part(first, last, top), self.cols)
            here = slice(first - start, last - start)
            if pixels.dtype == np.uint8:
                np.rint(np.clip(made, 0, 255, out=made), out=made)
            pixels[:, here] = made
            valid[here] = known
            self.look.paint_missing(pixels[:, here], valid[here])


def iter_strips(
    maker: RowMaker,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    spans: Sequence[tuple[int, int]],
    cols: tuple[int, int],
) -> Iterator[SceneRows]:
    """Yield strips that may reach beyond the scene, where pixels are reflected and invalid.

    Args:
        maker: Makes the rows, of the columns that :func:`reach` names.
        shape: Bands, height and width of the whole scene.
        dtype: Type of the pixels.
        spans: (start, stop) rows, in ascending order.
        cols: (start, stop) columns of every strip.
    """
    bands, height, width = shape
    source = Lookback(maker)
    needed = [reach(*span, height) for span in spans]
    left, right = reach(*cols, width)
    left_edge, right_edge = min(cols[0], left), max(cols[1], right)
    for i, (start, stop) in enumerate(spans):
        top = min(low for low, _ in needed[i:])
        bottom = needed[i][1]
        keep = min((low for low, _ in needed[i + 1 :]), default=height)
        first = min(start, top)
        pixels = np.empty((bands, max(stop, bottom) - first, right_edge - left_edge), dtype)
        valid = np.zeros(pixels.shape[1:], np.bool_)
        inner = slice(top - first, bottom - first), slice(left - left_edge, right - left_edge)
        source.fill((top, bottom), keep, pixels[:, *inner], valid[inner])
        shown = pixels[:, :, inner[1]]
        for begin, end in _outside(start, stop, height):
            shown[:, begin - first : end - first] = shown[:, reflected(begin, end, height) - first]
        rows = slice(start - first, stop - first)
        shown = pixels[:, rows]
        for begin, end in _outside(*cols, width):
            shown[:, :, begin - left_edge : end - left_edge] = shown[:, :, reflected(begin, end, width) - left_edge]
        across = slice(cols[0] - left_edge, cols[1] - left_edge)
        yield SceneRows(start, pixels[:, rows, across], valid[rows, across])


def reach(start: int, stop: int, size: int) -> tuple[int, int]:
    """Return the range of an axis that positions ``start`` to ``stop`` show."""
    if start >= 0 and stop <= size:
        return start, stop
    shown = reflected(start, stop, size)
    return int(shown.min()), int(shown.max()) + 1


def _outside(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Return the parts of a range that lie before and after an axis."""
    parts = [(start, min(stop, 0)), (max(start, size), stop)]
    return [part for part in parts if part[0] < part[1]]
