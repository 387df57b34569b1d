"""From strips of classes to finished polygons, as they become complete."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import InputError
from geoseg.vector.belts import belts
from geoseg.vector.faces import Faces
from geoseg.vector.measure import Ruler, ground_pixel_area_m2
from geoseg.vector.runs import Runs
from geoseg.vector.sieve import least_pixels, sieve
from geoseg.vector.threads import in_threads
from geoseg.vector.trace import trace
from geoseg.vocabulary import NODATA, ClassRows, Polygons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from geoseg.vocabulary import Grid, Legend

_ROWS = 256  # looked at in one go


@dataclass(frozen=True, slots=True)
class Tracing:
    """What counts as a region, and how outlines are drawn."""

    min_area_m2: Mapping[int, float]
    """Smallest region worth keeping by class value, in square metres; 0 keeps everything, else it is at least 4 pixels.
    Classes not named are kept whole."""
    simplify_px: float
    """How far outlines may stray from the pixels' borders, in pixels; 0 follows them exactly."""
    split_px: int = 0
    """Size of the cells of a grid along which polygons are cut, in pixels; 0 cuts none."""
    smooth: bool = False
    """Whether corners are cut, see `geoseg.vector.smooth`."""
    to_square: int | None = None
    """A class whose polygons get right angles, see `geoseg.vector.squaring`; None for none."""
    threads: int = 1
    """How many belts are traced at once."""


def polygonize(
    strips: Iterable[ClassRows],
    grid: Grid,
    legend: Legend,
    tracing: Tracing,
    *,
    also: Callable[[Runs], None] = lambda _: None,
) -> Iterator[Polygons]:
    """Yield the regions of a class raster as polygons that neither overlap nor leave gaps.

    Memory holds a belt of rows for each thread and the borders of regions that still grow. Neither the strips nor
    the number of threads changes the result.

    Args:
        strips: all rows of the grid, in order, in strips of any height.
        grid: where the pixels lie; rotated and south-up grids are allowed.
        legend: the classes there may be.
        tracing: how.
        also: called with all rows in order, without small regions, before they are traced.

    Yields:
        Polygons in the coordinates of the grid's CRS, exteriors counter-clockwise; what a belt completes is ordered by
        first pixels. A polygon's confidence is the mean over those pixels of its region that had its class before
        small regions were merged.

    Raises:
        InputError: a value is not in the legend.
    """
    ruler = Ruler.of(grid)
    least = least_pixels(tracing.min_area_m2, ground_pixel_area_m2(grid))
    runs = (Runs.of(part.classes, part.confidence, tracing.split_px) for strip in strips for part in _parts(strip))
    sieved = _shown(sieve(runs, least), also)
    faces = Faces(tracing.to_square)
    draw = partial(trace, tolerance_px=tracing.simplify_px, smoothed=tracing.smooth, square=tracing.to_square)
    for traced in in_threads(draw, belts(sieved), tracing.threads):
        _check(traced.values, legend)
        finished = faces.add(traced)
        geometry = finished.outlines.polygons(grid.transform)
        yield Polygons(finished.values, geometry, *ruler.measure(geometry), finished.confidence)
        del traced, finished, geometry  # the next belt is traced in their room


def _parts(strip: ClassRows) -> Iterator[ClassRows]:
    """Cut a strip into lower ones: what is made of them is much larger than they are, for a moment."""
    for row in range(0, len(strip.classes), _ROWS):
        here = slice(row, row + _ROWS)
        confidence = None if strip.confidence is None else strip.confidence[here]
        yield ClassRows(strip.row + row, strip.classes[here], confidence)


def _shown(strips: Iterable[Runs], also: Callable[[Runs], None]) -> Iterator[Runs]:
    """Pass rows on and show them to somebody else first."""
    for strip in strips:
        also(strip)
        yield strip


def _check(values: np.typing.NDArray[np.uint8], legend: Legend) -> None:
    unknown = set(np.unique(values).tolist()) - {NODATA, *(entry.value for entry in legend)}
    if unknown:
        raise InputError(f"class raster: the value {min(unknown)} is not in the legend")
