"""Cut centrelines along the border of what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.vector.measure import Ruler
from geoseg.vocabulary import Lines

if TYPE_CHECKING:
    from geoseg.vocabulary import Grid

_CRUMB = 1e-6  # pixels; shorter parts are where a line only touches the border


def clipped_lines(lines: Lines, border: Any, grid: Grid) -> Lines:
    """Return what lies inside a border, measured anew, in the order of the lines; each part keeps the width.

    Args:
        lines: centrelines in the coordinates of the grid's CRS.
        border: a shapely Polygon or MultiPolygon in the same coordinates.
        grid: the grid they were traced on, for its CRS and the size of its pixels.
    """
    shapely.prepare(border)
    cut = ~shapely.contains_properly(border, lines.geometry)
    pieces = lines.geometry.copy()
    pieces[cut] = shapely.intersection(pieces[cut], border)
    parts, owner = shapely.get_parts(pieces, return_index=True)
    is_line = shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING
    keep = is_line & (shapely.length(parts) > _CRUMB * np.sqrt(grid.pixel_area))
    geometry, owner = parts[keep], owner[keep]
    length = lines.length_m[owner]
    anew = cut[owner]
    length[anew] = Ruler.of(grid).lengths(geometry[anew])
    return Lines(geometry, lines.width_m[owner], length)
