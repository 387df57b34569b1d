"""Fields of polygons that are computed only where they are asked for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.errors import UsageError
from geoseg.vector.measure import Ruler
from geoseg.vocabulary import Attribute

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid

KNOWN = ("elongation", "holes")
"""Names of the fields, in the order in which they are written."""

_ROUNDING = 1e-9  # of a length; widths below are rounding errors


def chosen_attributes(wanted: str | None, grid: Grid) -> tuple[Attribute, ...]:
    """Return the fields named by a comma list, for polygons in the coordinates of a grid's CRS; None names none.

    Raises:
        UsageError: a name is not known, or the list is empty.
    """
    if wanted is None:
        return ()
    names = {name.strip() for name in wanted.split(",") if name.strip()}
    if not names or not names <= set(KNOWN):
        found = ", ".join(sorted(names - set(KNOWN))) or "an empty list"
        raise UsageError(f"--attributes: {found} is no field of polygons; use any of {', '.join(KNOWN)}")
    by_name = {
        "elongation": Attribute("elongation", "float64", partial(elongation, ruler=Ruler.of(grid))),
        "holes": Attribute("holes", "int32", holes),
    }
    return tuple(by_name[name] for name in KNOWN if name in names)


def elongation(polygons: NDArray[np.object_], ruler: Ruler) -> NDArray[np.float64]:
    """Return how many times longer than wide polygons are on the ground, at least 1; shape (n,).

    Measured are the sides of the smallest rectangle around a polygon, whatever its direction; NaN where the rectangle
    has no width, and for polygons that lie nowhere on the ground.
    """
    result = np.full(len(polygons), np.nan)
    with np.errstate(all="ignore"):  # of rectangles without width
        boxes = shapely.oriented_envelope(ruler.flat(polygons))
    # A polygon without width gets a line or a point.
    is_whole = (shapely.get_type_id(boxes) == shapely.GeometryType.POLYGON) & (shapely.get_num_coordinates(boxes) == 5)
    whole = np.flatnonzero(is_whole)
    corners = shapely.get_coordinates(boxes[whole]).reshape(-1, 5, 2)
    sides = np.linalg.norm(np.diff(corners[:, :3], axis=1), axis=2)
    short, long = sides.min(axis=1), sides.max(axis=1)
    wide = short > _ROUNDING * long
    result[whole[wide]] = long[wide] / short[wide]
    return result


def holes(polygons: NDArray[np.object_]) -> NDArray[np.int32]:
    """Return the number of interior rings, shape (n,)."""
    return np.asarray(shapely.get_num_interior_rings(polygons), np.int32)
