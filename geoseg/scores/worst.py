"""Where a map is most wrong: windows with the most wrong labelled pixels, found while rows pass by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vocabulary import NODATA, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.scores.compared import ComparedRows

WINDOW_PX = 256
"""About the height and width of a window."""


@dataclass(frozen=True, slots=True)
class WrongWindow:
    """A window and how much of it is wrong."""

    window: Window
    wrong: int
    """Labelled pixels that are wrong."""
    labelled: int
    """Labelled pixels."""

    @property
    def share(self) -> float:
        """Share of the labelled pixels that are wrong; 0 without labels."""
        return self.wrong / self.labelled if self.labelled else 0.0


class WrongWindows:
    """Wrong pixels counted in windows that tile a map, all of about the same size; holds two numbers for each."""

    def __init__(self, height: int, width: int, size: int = WINDOW_PX) -> None:
        """Lay out the windows of a map of ``height`` by ``width`` pixels; rows are given from row 0 on."""
        self._rows, self._cols = _cuts(height, size), _cuts(width, size)
        shape = len(self._rows) - 1, len(self._cols) - 1
        self._wrong, self._labelled = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, rows: ComparedRows) -> None:
        """Count a strip."""
        labelled = rows.reference != NODATA
        wrong = labelled & (rows.predicted != rows.reference)
        window_row = np.searchsorted(self._rows, np.arange(rows.row, rows.bottom), side="right") - 1
        for counts, mask in ((self._wrong, wrong), (self._labelled, labelled)):
            of_rows = np.add.reduceat(mask, self._cols[:-1], axis=1, dtype=np.int64)
            np.add.at(counts, window_row, of_rows)

    def worst(self, count: int) -> list[WrongWindow]:
        """Return up to ``count`` windows with wrong pixels, most of them first."""
        order = np.argsort(-self._wrong.ravel(), kind="stable")[:count]
        places = (np.unravel_index(place, self._wrong.shape) for place in order)
        return [self._window(int(row), int(col)) for row, col in places if self._wrong[row, col]]

    def _window(self, row: int, col: int) -> WrongWindow:
        (top, bottom), (left, right) = self._rows[row : row + 2].tolist(), self._cols[col : col + 2].tolist()
        box = Window(top, left, bottom - top, right - left)
        return WrongWindow(box, int(self._wrong[row, col]), int(self._labelled[row, col]))


def _cuts(length: int, size: int) -> NDArray[np.int64]:
    """Return where parts of an axis begin that are all about ``size`` long, and its end."""
    parts = max(1, round(length / size))
    return np.arange(parts + 1) * length // parts
