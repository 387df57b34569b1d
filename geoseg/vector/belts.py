"""Rows regrouped into belts: stretches of a fixed height that are traced and simplified by themselves.

Belts begin at multiples of their height, whatever strips the rows come in, so strips leave no trace in the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoseg.vector.runs import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.vector.runs import Runs

HEIGHT = 512
"""Rows of a belt."""


@dataclass(frozen=True, slots=True)
class Belt:
    """Some rows of a scene, with the row above and the row below, where there are such."""

    runs: Runs
    """The rows, those above and below included."""
    top: int
    """First row of the belt in the scene."""
    bottom: int
    """Row after its last."""
    above: bool
    """Whether there is a row above."""
    below: bool
    """Whether there is a row below."""


def belts(strips: Iterable[Runs], height: int = HEIGHT) -> Iterator[Belt]:
    """Yield the belts of a raster from the top downwards.

    Args:
        strips: all its rows, in strips of any height.
        height: rows of a belt; the last one may have fewer.
    """
    held: list[Runs] = []
    above = 0  # 1 once the first row held lies above the next belt
    top = 0
    for strip in strips:
        held.append(strip)
        # A belt is complete when the row below it has come.
        while sum(part.height for part in held) > above + height:
            rows = joined(held)
            runs = rows.rows(0, above + height + 1)
            yield Belt(runs, top, top + height, above=bool(above), below=True)
            held = [rows.rows(above + height - 1, rows.height)]
            top += height
            above = 1
    if held:
        rows = joined(held)
        yield Belt(rows, top, top + rows.height - above, above=bool(above), below=False)
