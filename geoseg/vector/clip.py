"""Cut finished polygons along the border of what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shapely

from geoseg.vector.measure import Ruler
from geoseg.vocabulary import Polygons

if TYPE_CHECKING:
    from geoseg.vocabulary import Grid

_CRUMB = 1e-6  # pixels; less is left over only where a border of pixels and the cut should be one line


def clipped(polygons: Polygons, border: Any, grid: Grid) -> Polygons:
    """Return what lies inside a border, measured anew, in the order of the polygons.

    Each part that a cut makes is a polygon of its own, and keeps the confidence of the whole one. Neighbours that
    met before still meet: parts are never left out for being small.

    Args:
        polygons: polygons of a coverage, in the coordinates of the grid's CRS.
        border: a shapely Polygon or MultiPolygon in the same coordinates.
        grid: the grid they were traced on, for its CRS and the size of its pixels.
    """
    shapely.prepare(border)
    cut = ~shapely.contains_properly(border, polygons.geometry)
    pieces = polygons.geometry.copy()
    pieces[cut] = shapely.intersection(pieces[cut], border)
    parts, owner = shapely.get_parts(pieces, return_index=True)
    keep = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (
        shapely.area(parts) > _CRUMB * grid.pixel_area
    )
    geometry, owner = shapely.orient_polygons(parts[keep]), owner[keep]
    area, perimeter = polygons.area_m2[owner], polygons.perimeter_m[owner]
    anew = cut[owner]
    area[anew], perimeter[anew] = Ruler.of(grid).measure(geometry[anew])
    return Polygons(polygons.values[owner], geometry, area, perimeter, polygons.confidence[owner])
