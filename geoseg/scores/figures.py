"""How scores are written: as JSON values, and as columns of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def plain(value: float) -> float | None:
    """Return a score as a JSON value of six digits; NaN becomes None."""
    return None if np.isnan(value) else round(float(value), 6)


def shown(value: float | None) -> str:
    """Return a score as text of four digits; None and NaN become a dash."""
    return "-" if value is None or np.isnan(value) else f"{value:.4f}"


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text with the first column on the left and the others on the right."""
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join([row[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True))])
        for row in table
    ]


def ratios(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return shares of one shape; NaN where the whole is nothing."""
    found = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=np.asarray(whole) > 0)
    return found
