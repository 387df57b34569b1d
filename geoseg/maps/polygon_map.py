"""Class polygons brought onto a grid, by the pixel centre rule, a window at a time."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoseg.class_names import is_unlabelled
from geoseg.errors import InputError
from geoseg.maps.common_ground import PIECES, Outline, onto_both_sides, projection, same_crs
from geoseg.maps.named_polygons import NO_CLASS
from geoseg.maps.raster_map import NOTHING
from geoseg.scene.longitudes import full_turn, past_the_end, side_by_side
from geoseg.vocabulary import DEFAULT_LEGEND, Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from geoseg.maps.named_polygons import NamedPolygons
    from geoseg.maps.raster_map import CodesOf
    from geoseg.vocabulary import Window

_MOST = 250  # classes of a vector file; pixel values end at 254, and there are "other" and nodata
_MARGIN = 0.25  # pixels around a window where polygons are cut: no centre lies there, and no traced edge


class PolygonMap:
    """Class polygons of any CRS; code 0 is ground without a polygon.

    Where polygons overlap, the class that comes first in the default legend wins (a building over a road over
    land). A class that it does not have lies right above the highest of its classes with larger polygons, measured by
    their medians: a house above the yard that it stands in, and above land. What is called unlabelled lies above all,
    what has no class below all; both are blank.
    """

    def __init__(self, name: str, polygons: NamedPolygons, canonical: Callable[[str], str]) -> None:
        """Number the classes.

        Args:
            name: begins every message.
            polygons: what was read.
            canonical: turns the file's names into those that are compared.

        Raises:
            InputError: there are too many classes.
        """
        self.name, self._crs = name, polygons.crs
        texts, inverse = np.unique(polygons.names.astype(str), return_inverse=True)
        short = np.array([canonical(str(text)) for text in texts], object)
        many = len(set(short))
        if many > _MOST:
            raise InputError(f"{name}: names {many} classes, expected at most {_MOST}; choose another --class-field")
        order = _upwards(short[inverse], polygons.geometry)
        number = {one: code for code, one in enumerate(order, 1)}
        self.names: dict[int, str] = {code: one for one, code in number.items() if _height(one) == 0}
        self.declared: frozenset[str] = frozenset(
            name for name in map(canonical, polygons.declared) if _height(name) == 0
        )
        codes = np.array([number[one] for one in short], np.uint8)[inverse]
        upwards = np.argsort(codes, kind="stable")
        self._geometry, self._codes = polygons.geometry[upwards], codes[upwards]
        self._found_by_place: dict[str, _Places] = {}

    @cached_property
    def outline(self) -> Outline | None:
        """The box around all polygons; None where there are none."""
        if len(self._geometry) == 0:
            return None
        return self._box(self._geometry)

    @property
    def one_piece(self) -> Outline | None:
        """The same, but of a small map on both sides of the antimeridian the box that goes on past it."""
        if len(self._geometry) == 0:
            return None
        return self._box(side_by_side(self._geometry, full_turn(self._crs)))

    def outline_for(self, grid: Grid) -> Outline | None:
        """Return the outline that fits a grid: in one piece if the grid goes on past the antimeridian."""
        return self.one_piece if past_the_end(grid, pyproj.CRS.from_wkt(grid.crs)) else self.outline

    def _box(self, geometry: NDArray[np.object_]) -> Outline:
        left, bottom, right, top = shapely.total_bounds(geometry)
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return Outline(self.name, self._crs, np.array(corners, np.float64))

    def placed(self, grid: Grid) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
        """Return the polygons in column and row coordinates of a grid, and their codes.

        Only what lies around the grid, and of a map much larger than the grid in another CRS no more than is there.
        """
        geometry, codes, outline = self._geometry, self._codes, self.outline
        both_sides = past_the_end(grid, pyproj.CRS.from_wkt(grid.crs))
        if outline is not None and not both_sides:
            geometry, codes = self._around(outline, grid)
        if outline is not None and not same_crs(self._crs, grid):
            (left, bottom), (right, top) = outline.corners.min(0), outline.corners.max(0)
            near = None if both_sides else outline.near(grid)
            if near is not None:
                geometry = shapely.clip_by_rect(geometry, *near)
                here = ~shapely.is_empty(geometry)
                geometry, codes = geometry[here], codes[here]
            if near is not None and len(geometry):
                left, bottom, right, top = shapely.total_bounds(geometry)
            # A straight edge is a curve in another CRS: long ones get vertices to bend at.
            geometry = shapely.segmentize(geometry, max(right - left, top - bottom) / PIECES)
        if outline is not None and both_sides:
            geometry, number = onto_both_sides(geometry, outline, grid)
            codes = codes[number]
        elif outline is not None:
            geometry = shapely.transform(geometry, projection(outline, grid))
        xy, owner = shapely.get_coordinates(geometry, return_index=True)
        placed = np.ones(len(geometry), bool)
        placed[owner[~np.isfinite(xy).all(1)]] = False  # beyond what the grid's CRS can express
        return geometry[placed], codes[placed]

    def _around(self, outline: Outline, grid: Grid) -> tuple[NDArray[np.object_], NDArray[np.uint8]]:
        """Return polygons and codes without most of those that lie elsewhere."""
        if grid.crs not in self._found_by_place:
            self._found_by_place[grid.crs] = _Places(self._geometry, outline, grid)
        here = self._found_by_place[grid.crs].near(grid)
        return self._geometry[here], self._codes[here]

    @contextmanager
    def onto(self, grid: Grid) -> Iterator[CodesOf]:
        """Lend a function that returns the codes in a window of a grid, shape (height, width)."""
        geometry, codes = self.placed(grid)
        tree = shapely.STRtree(geometry)
        meaning: NDArray[np.uint16] = np.full(256, NOTHING, np.uint16)
        meaning[[0, *self.names]] = [0, *self.names]
        yield lambda window: meaning[burned(geometry, codes, tree, window)]


class _Places:
    """Where polygons lie in the CRS of grids, roughly: those of a town are asked for by one tile after the other."""

    def __init__(self, geometry: NDArray[np.object_], outline: Outline, grid: Grid) -> None:
        """Bring points of their boxes to the ground of a grid; any grid of that CRS will do."""
        left, bottom, right, top = shapely.bounds(geometry).T
        points = [
            np.stack([left + across * (right - left), bottom + up * (top - bottom)], axis=1)
            for across in (0, 0.5, 1)
            for up in (0, 0.5, 1)
        ]
        ground = Grid(grid.crs, Affine.identity(), 1, 1)
        there = projection(outline, ground)(np.concatenate(points)).reshape(len(points), -1, 2)
        with np.errstate(invalid="ignore"):
            low, high = there.min(0), there.max(0)
            size = (high - low).max(1, keepdims=True)  # a box may bulge in another CRS
        boxes = np.concatenate([low - size, high + size], axis=1)
        somewhere = np.isfinite(boxes).all(1)
        self._everywhere = np.flatnonzero(~somewhere)  # as far as the CRS can tell
        self._placed = np.flatnonzero(somewhere)
        self._tree = shapely.STRtree(shapely.box(*boxes[somewhere].T))

    def near(self, grid: Grid) -> NDArray[np.intp]:
        """Return the numbers of the polygons that may lie on a grid, in ascending order."""
        corners = Outline.of_grid("", grid).corners
        pixel = np.abs(np.array(grid.transform[:6])[[0, 1, 3, 4]]).max()
        (left, bottom), (right, top) = corners.min(0) - pixel, corners.max(0) + pixel
        found = self._placed[self._tree.query(shapely.box(left, bottom, right, top))]
        return np.sort(np.concatenate([found, self._everywhere]))


def _upwards(names: NDArray[np.object_], geometry: NDArray[np.object_]) -> list[str]:
    """Return the names of polygons in the order in which they are laid over one another.

    Args:
        names: shape (n,), the class of each.
        geometry: shape (n,), the polygons.
    """
    texts, which = np.unique(names.astype(str), return_inverse=True)
    areas = shapely.area(geometry)
    size = {str(text): float(np.median(areas[which == i])) for i, text in enumerate(texts)}
    ground = [entry.name for entry in DEFAULT_LEGEND][::-1]

    def place(name: str) -> tuple[int, int, bool, float, str]:
        if name in ground:
            return _height(name), ground.index(name), False, 0.0, name
        beneath = [i for i, one in enumerate(ground) if one in size and size[one] > size[name]]
        return _height(name), max(beneath, default=-1), True, -size[name], name

    return sorted(size, key=place)


def _height(name: str) -> int:
    """Return whether polygons of a name lie above (1), among (0) or below (-1) those of classes."""
    return -1 if name == NO_CLASS else int(is_unlabelled(name))


def burned(
    geometry: NDArray[np.object_], codes: NDArray[np.uint8], tree: shapely.STRtree, window: Window
) -> NDArray[np.uint8]:
    """Return the code of the last polygon over each pixel centre of a window, 0 where there is none.

    Args:
        geometry: shape (n,), polygons in column and row coordinates.
        codes: shape (n,).
        tree: index of the same polygons.
        window: what to burn.
    """
    box = (
        window.col - _MARGIN,
        window.row - _MARGIN,
        window.right + _MARGIN,
        window.bottom + _MARGIN,
    )
    found = np.sort(tree.query(shapely.box(*box)))
    cut = shapely.clip_by_rect(geometry[found], *box)
    full = ~shapely.is_empty(cut)
    if not full.any():
        return np.zeros((window.height, window.width), np.uint8)
    moved = Affine.translation(window.col, window.row)
    pairs = zip(cut[full], codes[found][full].tolist(), strict=True)
    raster: NDArray[np.uint8] = rasterize(pairs, (window.height, window.width), fill=0, transform=moved, dtype="uint8")
    return raster
