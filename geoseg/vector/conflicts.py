"""One class for every place, where several inputs have something to say about it: the input named first wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.vector.seams import Pieces, Strips, near_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overlapping(pieces: Pieces, strips: Strips, tolerance: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of pieces of different inputs that cover the same ground, the one of the lower input first.

    Args:
        pieces: polygons after `geoseg.vector.seams.snapped`.
        strips: where inputs meet.
        tolerance: overlaps up to the square of it are none, in units of the CRS.
    """
    pairs = [np.column_stack(near_pairs(pieces, strips, 0.0, how)) for how in ("intersects", "touches")]
    count = len(pieces.geometry)
    codes = [pair[:, 0] * count + pair[:, 1] for pair in pairs]
    first, second = pairs[0][~np.isin(codes[0], codes[1])].T
    common = shapely.area(shapely.intersection(pieces.geometry[first], pieces.geometry[second]))
    real = common > tolerance**2
    return first[real], second[real]


def without_repetitions(
    pieces: Pieces, pairs: tuple[NDArray[np.intp], NDArray[np.intp]], tolerance: float
) -> NDArray[np.bool_]:
    """Tell which pieces are not the same polygon of the same class as one of an input named before; shape (n,).

    Args:
        pieces: polygons.
        pairs: those that overlap, as `overlapping` returns them.
        tolerance: how far apart vertices of the same polygon may lie, in units of the CRS.
    """
    first, second = pairs
    alike = pieces.values[first] == pieces.values[second]
    size = shapely.get_num_coordinates(pieces.geometry)
    alike &= size[first] == size[second]
    first, second = first[alike], second[alike]
    shapes = [shapely.normalize(pieces.geometry[side]) for side in (first, second)]
    same = shapely.equals_exact(*shapes, tolerance=tolerance)
    kept = np.ones(len(pieces.geometry), bool)
    kept[second[same]] = False
    return kept


def first_wins(
    pieces: Pieces, pairs: tuple[NDArray[np.intp], NDArray[np.intp]], tolerance: float
) -> tuple[Pieces, int]:
    """Take from every polygon the ground that inputs named before give to other classes.

    Args:
        pieces: polygons.
        pairs: those that overlap, as `overlapping` returns them.
        tolerance: what a cut leaves is dropped where it is nowhere wider than this, in units of the CRS.

    Returns:
        The polygons, in order, those that fell apart part by part; and how many were cut.
    """
    first, second = pairs
    other = pieces.values[first] != pieces.values[second]
    first, second = first[other], second[other]
    order = np.lexsort((first, second))
    first, second = first[order], second[order]
    cut, begin = np.unique(second, return_index=True)
    if not len(cut):
        return pieces, 0
    blocking = [shapely.union_all(pieces.geometry[part]) for part in np.split(first, begin[1:])]
    geometry = pieces.geometry.copy()
    geometry[cut] = shapely.difference(geometry[cut], np.array(blocking, object))
    parts, of = shapely.get_parts(geometry, return_index=True)
    kept = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    anew = np.flatnonzero(np.isin(of, cut) & kept)
    kept[anew] = ~shapely.is_empty(shapely.buffer(parts[anew], -tolerance / 2, join_style="mitre"))
    return pieces.replaced(parts[kept], of[kept]), len(cut)
