"""Class maps, pixels or polygons, brought onto one grid so that they can be compared.

Rasters come by nearest neighbour, polygons by the pixel centre rule; both are asked for a window at a time.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as FileWindow

from geoseg.class_names import is_unlabelled
from geoseg.errors import InputError
from geoseg.layers.legend import read_legend
from geoseg.scene.damage import decoding
from geoseg.scene.georeference import bounds_of, grid_of
from geoseg.scene.longitudes import full_turn, past_the_end, side_by_side
from geoseg.scores.common_ground import PIECES, Outline, onto_both_sides, projection, same_crs, same_grid
from geoseg.scores.named_polygons import NO_CLASS
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scores.named_polygons import NamedPolygons
    from geoseg.vocabulary import Grid, MapClass, Window

    _Rows = Callable[[Window], NDArray[np.uint16]]

NOTHING = 256
"""Code of a pixel that a map leaves blank: nodata, or outside a raster. Classes have codes from 0 to 255."""

_WARP_IT = "warp it first with: gdalwarp -r near -t_srs EPSG:n in.tif out.tif"
_PLACE_IT = "gdal_edit.py -a_srs EPSG:n FILE"
_MOST = 250  # classes of a vector file; pixel values end at 254, and there are "other" and nodata
_WARP_TOLERANCE = 0.01  # pixels; GDAL's own 0.125 would show in the outlines of small objects
_MARGIN = 0.25  # pixels around a window where polygons are cut: no centre lies there, and no traced edge


class RasterMap:
    """A class raster of any CRS; its codes are its pixel values."""

    def __init__(self, name: str, dataset: DatasetReader) -> None:
        """Look at an open raster.

        Args:
            name: begins every message.
            dataset: stays open as long as the map is used.

        Raises:
            InputError: it has more than one band, or no place on the ground.
        """
        bands = [color for color in dataset.colorinterp if color != ColorInterp.alpha]
        if len(bands) != 1 or dataset.dtypes[0].startswith("complex"):
            raise InputError(
                f"{name}: has {len(bands)} bands of {dataset.dtypes[0]}, expected one band of class values; "
                "make one with: geoseg segment SCENE --raster classes.tif"
            )
        self.name, self._dataset, self.grid = name, dataset, grid_of(dataset, means=_PLACE_IT)
        named = read_legend(dataset, range(1, 255)) | {
            value: entry for value, entry in read_legend(dataset, (0, 255)).items() if value in (0, 255)
        }
        blank = {v for v, entry in named.items() if is_unlabelled(entry.name)}
        self._blank = np.array(sorted(blank), np.uint16)
        self.classes: dict[int, MapClass] = {
            value: entry
            for value, entry in named.items()
            if entry.name != f"class_{value}" and value not in blank and value != dataset.nodata
        }
        """The classes that the file names, by value."""

    @property
    def outline(self) -> Outline:
        """The ground under all pixels."""
        return Outline.of_grid(self.name, self.grid)

    def outline_for(self, grid: Grid) -> Outline:  # noqa: ARG002 - of polygons it depends on the grid
        """Return the outline."""
        return self.outline

    @contextmanager
    def onto(self, grid: Grid) -> Iterator[_Rows]:
        """Lend a function that returns the codes in a window of a grid, shape (height, width)."""
        if same_grid(self.grid, grid):
            yield lambda window: self._codes(self._read(self._dataset, window, masked=True))
            return
        with ExitStack() as stack:
            views = [stack.enter_context(self._warped(grid, by)) for by in self._turns(grid)]
            yield lambda window: np.minimum.reduce([self._codes(self._read(it, window, masked=False)) for it in views])

    def _turns(self, grid: Grid) -> list[float]:
        """Return by what to move the raster in x to see all that a grid shows of it, where one goes on past 180°.

        From a CRS in other units, GDAL comes to longitudes from -180 to 180, wherever the raster says that it lies.
        """
        turn, there = full_turn(self.outline.crs), pyproj.CRS.from_wkt(grid.crs)
        left, _, right, _ = bounds_of(self.grid.transform, self.grid.height, self.grid.width)
        ranges = [(-turn / 2, turn / 2)]
        if past_the_end(grid, there):
            first, _, last, _ = bounds_of(grid.transform, grid.height, grid.width)
            per_unit = turn / full_turn(there)
            ranges.append((first * per_unit, last * per_unit))
        moves = [by for by in (-turn, turn) if any(left + by < end and right + by > start for start, end in ranges)]
        return [0.0, *(moves if turn else [])]

    def _warped(self, grid: Grid, moved: float) -> WarpedVRT:
        """Return the raster on a grid, moved in x beforehand."""
        place = {"src_transform": Affine.translation(moved, 0) @ self.grid.transform} if moved else {}
        try:
            return WarpedVRT(
                self._dataset,
                src_crs=CRS.from_wkt(self.grid.crs),
                crs=CRS.from_wkt(grid.crs),
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest,
                tolerance=_WARP_TOLERANCE,
                add_alpha=ColorInterp.alpha not in self._dataset.colorinterp,
                **place,
            )
        except (RasterioError, CPLE_BaseError, ValueError) as error:
            raise InputError(f"{self.name}: cannot be laid over the other map ({error}); {_WARP_IT}") from None

    def _read(self, dataset: DatasetReader, window: Window, *, masked: bool) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return values and validity, from the mask of a raster or from the alpha band of a warped one."""
        box = FileWindow(window.col, window.row, window.width, window.height)
        with decoding(self.name):
            if masked:
                return dataset.read(1, window=box), dataset.read_masks(1, window=box) > 0
            values, alpha = dataset.read((1, dataset.count), window=box)
        return values, alpha > 0

    def _codes(self, read: tuple[NDArray[Any], NDArray[np.bool_]]) -> NDArray[np.uint16]:
        values, valid = read
        if values.dtype != np.uint8:
            values = np.where(valid, values, 0)
            odd = values[(values < 0) | (values > 255) | (values != np.rint(values))]
            if odd.size:
                raise InputError(
                    f"{self.name}: holds the value {odd[0]:g}, expected class values from 0 to 255; "
                    "declare missing pixels with: gdal_edit.py -a_nodata VALUE FILE"
                )
        codes = values.astype(np.uint16)
        codes[~valid] = NOTHING
        if self._blank.size:
            codes[np.isin(codes, self._blank)] = NOTHING
        return codes


class PolygonMap:
    """Class polygons of any CRS; code 0 is ground without a polygon.

    Where polygons overlap, the class that comes first in the default legend wins (a building over a road over
    land), and classes it does not have lie beneath. What is called unlabelled lies above all, what has no class below
    all; both are blank.
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
        top = [entry.name for entry in DEFAULT_LEGEND][::-1]
        order = sorted(set(short), key=lambda one: (_height(one), top.index(one) if one in top else -1, one))
        if len(order) > _MOST:
            raise InputError(
                f"{name}: names {len(order)} classes, expected at most {_MOST}; choose another --class-field"
            )
        number = {one: code for code, one in enumerate(order, 1)}
        self.names: dict[int, str] = {code: one for one, code in number.items() if _height(one) == 0}
        self.declared: frozenset[str] = frozenset(
            name for name in map(canonical, polygons.declared) if _height(name) == 0
        )
        codes = np.array([number[one] for one in short], np.uint8)[inverse]
        upwards = np.argsort(codes, kind="stable")
        self._geometry, self._codes = polygons.geometry[upwards], codes[upwards]

    @cached_property
    def outline(self) -> Outline | None:
        """The box around all polygons; None where there are none."""
        if len(self._geometry) == 0:
            return None
        return self._box(self._geometry)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        """Index of all polygons: those of a town are asked for by one tile after the other."""
        return shapely.STRtree(self._geometry)

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
        box = outline.around(grid)
        if box is None:
            return self._geometry, self._codes
        found = np.sort(self._tree.query(shapely.box(*box)))
        return self._geometry[found], self._codes[found]

    @contextmanager
    def onto(self, grid: Grid) -> Iterator[_Rows]:
        """Lend a function that returns the codes in a window of a grid, shape (height, width)."""
        geometry, codes = self.placed(grid)
        tree = shapely.STRtree(geometry)
        meaning: NDArray[np.uint16] = np.full(256, NOTHING, np.uint16)
        meaning[[0, *self.names]] = [0, *self.names]
        yield lambda window: meaning[burned(geometry, codes, tree, window)]


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
