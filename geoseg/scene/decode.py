"""Rows of a scene at its own resolution: decoded once, in whole block rows, into the caller's arrays."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from geoseg.errors import InputError
from geoseg.scene.open import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.bands import BandChoice
    from geoseg.scene.stretch import Stretch
    from geoseg.scene.validity import ValidityRule

# Reads are cut into pieces of about this size, so that temporary arrays and GDAL's block cache stay small.
_PIECE_BYTES = 16 * 2**20
_SEQUENTIAL = {"PNG", "JPEG"}

# rasterio repeats GDAL's own words on standard error; geoseg says them in its message.
logging.getLogger("rasterio").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Look:
    """How the network sees a scene."""

    bands: BandChoice
    validity: ValidityRule
    stretch: Stretch
    fill: tuple[float, ...]
    """Per band, what invalid pixels become."""

    def paint_missing(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Fill invalid pixels in place; shapes (bands, height, width) and (height, width)."""
        paint(pixels, valid, self.fill)


def paint(pixels: NDArray[Any], valid: NDArray[np.bool_], color: Sequence[float]) -> None:
    """Fill invalid pixels in place, (bands, height, width) and (height, width), with a value per band."""
    if not valid.all():
        for band, value in zip(pixels, color, strict=True):
            np.copyto(band, _as(value, pixels.dtype), where=~valid)


def _as(value: float, dtype: np.dtype[Any]) -> Any:
    return dtype.type(round(min(max(value, 0), 255)) if dtype == np.uint8 else value)


@dataclass
class Faults:
    """What happens where a block cannot be read."""

    policy: Literal["fail", "nodata"]
    windows: list[tuple[str, Window]] = field(default_factory=list)
    """File and place in it of unreadable blocks that became nodata."""
    advice: str = "copy or download the file again, or treat such places as nodata with --on-read-error nodata"
    """What to do about one, for messages."""


class NativeRows:
    """Decodes ascending rows; what a block holds beyond the rows asked for is kept for the next call."""

    def __init__(self, dataset: DatasetReader, look: Look, cols: tuple[int, int], faults: Faults) -> None:
        self.dataset, self.look, self.cols, self.faults = dataset, look, cols, faults
        self.kind = np.result_type(*(dataset.dtypes[i - 1] for i in look.bands.indexes))
        self.plain = look.bands.palette is None and look.stretch.keeps(self.kind)
        self.block = dataset.block_shapes[look.bands.indexes[0] - 1]
        self.is_lost = False
        self.tail_start = 0
        self.tail: tuple[NDArray[Any], NDArray[np.bool_]] | None = None

    def fill(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Write rows ``start`` to ``stop`` into arrays of their shape; each call begins at or after the last.

        Raises:
            InputError: a block cannot be read, unless such blocks become nodata.
        """
        row = start + self._from_tail(start, stop, pixels, valid)
        high, height = self.block[0], self.dataset.height
        whole = stop if stop == height else stop - stop % high
        if row < whole:
            inside = slice(row - start, whole - start)
            self._read(row, whole, pixels[:, inside], valid[inside])
            row = whole
        if row < stop:
            end = min(height, whole + high)
            kept = np.empty((len(pixels), end - row, pixels.shape[2]), pixels.dtype)
            kept_valid = np.empty(kept.shape[1:], np.bool_)
            self._read(row, end, kept, kept_valid)
            self.tail_start, self.tail = row, (kept, kept_valid)
            self._from_tail(row, stop, pixels[:, row - start :], valid[row - start :])

    def _from_tail(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> int:
        """Copy what is already decoded, and return how many rows that was."""
        if self.tail is None:
            return 0
        kept, kept_valid = self.tail
        end = self.tail_start + len(kept_valid)
        count = min(stop, end) - start
        if not self.tail_start <= start < end:
            count = 0
        else:
            here = slice(start - self.tail_start, start - self.tail_start + count)
            pixels[:, :count], valid[:count] = kept[:, here], kept_valid[here]
        if start + count >= end or count == 0:
            self.tail = None
        return count

    def _read(self, start: int, stop: int, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        for window in self._pieces(start, stop):
            self._read_piece(window, *_inside(window, start, self.cols[0], pixels, valid))

    def _pieces(self, start: int, stop: int) -> Iterator[Window]:
        """Cut rows into windows of whole blocks."""
        high, wide = self.block
        first, last = self.cols
        size = max(1, self.kind.itemsize * len(self.look.bands.indexes))
        block_rows = max(1, _PIECE_BYTES // (size * (last - first) * high))
        cols = last - first if size * (last - first) * high <= 2 * _PIECE_BYTES else _PIECE_BYTES // (size * high)
        for row, row_end in _cuts(start, stop, block_rows * high):
            for col, col_end in _cuts(first, last, max(wide, cols - cols % wide) if cols < last - first else cols):
                yield Window(col, row, col_end - col, row_end - row)

    def _read_piece(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Read a window; where that fails, block by block.

        A format without blocks is decoded from its beginning on, and its driver complains once and then makes up what
        follows: nothing behind such a place is believed.
        """
        if self.is_lost:
            self.faults.windows.append((self.dataset.name, window))
            self._lose(pixels, valid)
            return
        try:
            self._decode(window, pixels, valid)
        except RasterioIOError as error:
            known, parts = len(self.faults.windows), list(self._halves(window))
            for part in parts:
                self._read_piece(part, *_inside(part, window.row_off, window.col_off, pixels, valid))
            # A second answer is not believed either, unless it came from far away.
            if not parts or (len(self.faults.windows) == known and not is_remote(self.dataset.name)):
                self.is_lost = self.dataset.driver in _SEQUENTIAL
                self._unreadable(window, error)
                self._lose(pixels, valid)

    def _lose(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        valid[...] = False
        self.look.paint_missing(pixels, valid)

    def _halves(self, window: Window) -> Iterator[Window]:
        """Cut a window of several blocks in two; yield nothing for one block."""
        high, wide = self.block
        row, col = window.row_off, window.col_off
        end, right = row + window.height, col + window.width
        first_row, last_row = row // high, (end - 1) // high
        first_col, last_col = col // wide, (right - 1) // wide
        if last_row > first_row:
            cut = (first_row + last_row + 1) // 2 * high
            yield Window(col, row, window.width, cut - row)
            yield Window(col, cut, window.width, end - cut)
        elif last_col > first_col:
            cut = (first_col + last_col + 1) // 2 * wide
            yield Window(col, row, cut - col, window.height)
            yield Window(cut, row, right - cut, window.height)

    def _unreadable(self, window: Window, error: RasterioIOError) -> None:
        """Note an unreadable block, or raise InputError."""
        self.faults.windows.append((self.dataset.name, window))
        if self.faults.policy == "fail":
            rows = f"rows {window.row_off} to {window.row_off + window.height - 1}"
            cause = " ".join(str(error.__cause__ or error).split())
            raise InputError(f"{self.dataset.name}: {rows} cannot be read ({cause}); {self.faults.advice}") from error

    def _decode(self, window: Window, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Read one window into views of its shape."""
        bands, validity = self.look.bands, self.look.validity
        indexes = list(bands.indexes)
        known = None
        if self.plain:
            raw = self.dataset.read(indexes, window=window, out=pixels)
        else:
            raw = self.dataset.read(indexes, window=window, out_dtype=self.kind)
        known = _both(validity.of_pixels(raw), validity.of_bands(self.dataset, window))
        if bands.palette is not None:
            colors = bands.palette[:, raw[0]]
            known = _both(known, colors[3] != 0)
            raw = colors[:3]
        if not self.plain:
            pixels[...] = self.look.stretch.apply(raw)
        valid[...] = True if known is None else known
        if known is not None:
            self.look.paint_missing(pixels, valid)


def _both(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _cuts(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """Cut a range at the multiples of a step."""
    while start < stop:
        end = min(stop, (start // step + 1) * step)
        yield start, end
        start = end


def _inside(
    window: Window, row: int, col: int, pixels: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the views of a window in arrays whose first pixel is ``row, col``."""
    rows = slice(window.row_off - row, window.row_off - row + window.height)
    cols = slice(window.col_off - col, window.col_off - col + window.width)
    return pixels[:, rows, cols], valid[rows, cols]
