"""The part of a scene that was asked for: a box or polygons on the ground, as a window and a mask of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import InputError, OutsideAreaError, UsageError
from geoseg.scene.georeference import bounds_of, short_name
from geoseg.scene.longitudes import copies, cut_at_the_end, full_turn, past_the_end, projected_whole
from geoseg.scene.open_vector import layer_crs, read_layers, reading, sound_polygons
from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from pathlib import Path

    import pyproj
    from numpy.typing import NDArray

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_SNAP = 1e-6  # pixels; a box drawn along pixel borders must not gain a row from rounding
_TURNED = 1e-9  # share of the pixel by which rows may climb before the scene counts as rotated
_STEPS = 64  # vertices a side of the scene is given before it is drawn in another CRS
_FRAME = 0.01  # share of the scene's sides kept around it, more than a side strays between two of those vertices


@dataclass(frozen=True, slots=True)
class Area:
    """Ground that was asked for, in the CRS of the scene; the whole scene where nothing was said."""

    bounds: Bounds | None = None
    polygons: tuple[Any, ...] = ()
    """Shapely polygons, cut roughly to the scene; pixels whose centre lies outside all of them are nodata."""

    def window(self, grid: Grid) -> Window:
        """Return the smallest window of whole pixels that holds the area; may be empty."""
        if self.bounds is None:
            return grid.whole
        left, bottom, right, top = self.bounds
        corners = [~grid.transform @ xy for xy in ((left, top), (right, top), (left, bottom), (right, bottom))]
        cols, rows = zip(*corners, strict=True)
        first = math.floor(min(rows) + _SNAP), math.floor(min(cols) + _SNAP)
        stop = math.ceil(max(rows) - _SNAP), math.ceil(max(cols) - _SNAP)
        box = Window(*first, max(0, stop[0] - first[0]), max(0, stop[1] - first[1]))
        return box.intersection(grid.whole)

    def inside(self, grid: Grid) -> NDArray[np.bool_] | None:
        """Return which pixels of a grid belong to the polygons, shape (height, width); None if all do."""
        if not self.polygons:
            return None
        from rasterio.features import geometry_mask

        inside: NDArray[np.bool_] = geometry_mask(self.polygons, grid.shape, grid.transform, invert=True)
        return inside

    def widened(self, distance: float) -> Area:
        """Return the area with polygons that reach further on all sides, in units of the CRS."""
        if not self.polygons or distance == 0:
            return self
        return Area(self.bounds, tuple(shapely.buffer(np.array(self.polygons, object), distance, quad_segs=2)))

    def outline(self, grid: Grid) -> Any:
        """Return what a grid shows of the area, as one shapely geometry in the CRS of both."""
        frame = _corners(grid)
        return shapely.union_all(self.polygons).intersection(frame) if self.polygons else frame


def whole_or_box(bounds: Bounds | None, grid: Grid, name: str) -> Area:
    """Return the area of a box, or of the whole scene.

    Raises:
        UsageError: the box is not finite or is turned inside out.
        InputError: the box does not meet the scene.
    """
    if bounds is None:
        return Area()
    left, bottom, right, top = bounds
    if not (all(map(math.isfinite, bounds)) and left < right and bottom < top):
        raise UsageError(
            f"--bounds: {bounds} is not LEFT BOTTOM RIGHT TOP, expected numbers with left < right and bottom < top; "
            "geoseg info shows those of the scene"
        )
    scene = bounds_of(grid.transform, grid.height, grid.width)
    # What lies off the scene is cut away, lest a box around the universe overflow in pixel coordinates.
    box = max(left, scene[0]), max(bottom, scene[1]), min(right, scene[2]), min(top, scene[3])
    if not (box[0] < box[2] and box[1] < box[3]):
        raise _apart(bounds, grid=grid, name=name, flag="--bounds")
    if not _is_turned(grid):
        area = Area(box)
    else:
        shown = shapely.box(*box).intersection(_corners(grid))
        if shown.area == 0:
            raise _apart(bounds, grid=grid, name=name, flag="--bounds")
        area = Area(_bounds([shown]), (shapely.box(*box),))
    if 0 in (area.window(grid).height, area.window(grid).width):
        raise _apart(bounds, grid=grid, name=name, flag="--bounds")
    return area


def read_aoi(path: Path, grid: Grid, name: str) -> Area:
    """Return the polygons of a vector file, brought to the scene's CRS.

    Args:
        path: a vector file; the polygons of all its layers count.
        grid: the scene's grid.
        name: the scene's name, for messages.

    Raises:
        InputError: the file cannot be read, has no polygons or no CRS, or does not meet the scene.
    """
    layers = [(layer, frame) for layer, frame in read_layers(path) if frame is not None]
    found: list[tuple[NDArray[np.object_], pyproj.CRS]] = []
    with reading(path):
        for layer, frame in layers:
            geometry = np.asarray(frame.geometry, object)
            if len(sound_polygons(geometry).polygons):
                crs = layer_crs(path, layer, frame.geometry)
                found.append((sound_polygons(cut_at_the_end(geometry, full_turn(crs))).polygons, crs))
    if not found:
        raise InputError(f"{path}: has no polygons, expected some; draw the area of interest as polygons")
    with reading(path):
        polygons = np.concatenate([_brought(drawn, crs, grid, path) for drawn, crs in found])
    area = Area(_bounds(polygons), tuple(polygons)) if len(polygons) else None
    if area is None or 0 in (area.window(grid).height, area.window(grid).width):
        drawn, crs = found[0]
        raise _apart(*_asked(drawn, crs, grid), grid=grid, name=name, flag="--aoi")
    return area


def _brought(drawn: NDArray[np.object_], crs: pyproj.CRS, grid: Grid, path: Path) -> NDArray[np.object_]:
    """Return polygons in the scene's CRS, cut to the scene; those that do not meet it are left out.

    They are cut first in their own CRS, because a projection need not reach as far as they do: the world has
    no finite outline in UTM.
    """
    import pyproj

    scene = pyproj.CRS.from_wkt(grid.crs).to_2d()
    turn = past_the_end(grid, scene)
    if not crs.equals(scene, ignore_axis_order=True):
        around = _drawn_in(crs, scene, grid)
        if around is not None:
            drawn = shapely.intersection(drawn, around)
        if turn and around is not None:
            drawn = shapely.segmentize(drawn, np.ptp(shapely.bounds(around)[::2]) / _STEPS)
        forth = pyproj.Transformer.from_crs(crs, scene, always_xy=True)
        drawn = shapely.transform(drawn, forth.transform, interleaved=False)
        drawn = projected_whole(drawn, turn) if turn else drawn
    left, _, right, _ = bounds_of(grid.transform, grid.height, grid.width)
    drawn, _ = copies(drawn, turn, left, right)
    sound = sound_polygons(drawn)
    if sound.unplaced:
        raise InputError(
            f"{path}: reaches where the scene's CRS has no coordinates, expected an area about the scene; "
            f"cut it with: ogr2ogr -clipsrc XMIN YMIN XMAX YMAX out.gpkg {path}"
        )
    cut = shapely.intersection(sound.polygons, _corners(grid, _FRAME))
    shown = shapely.area(shapely.intersection(cut, _corners(grid))) > 0
    return sound_polygons(cut[shown]).polygons


def _drawn_in(crs: pyproj.CRS, scene: pyproj.CRS, grid: Grid) -> Any | None:
    """Return the frame around the scene in another CRS; None where it has no outline there, as around a pole."""
    import pyproj
    from shapely.affinity import translate

    frame = _corners(grid, 2 * _FRAME)
    dense = shapely.segmentize(frame, frame.length / (4 * _STEPS))
    back = pyproj.Transformer.from_crs(scene, crs, always_xy=True)
    xy = np.column_stack(back.transform(*shapely.get_coordinates(dense).T))
    middle = np.array(back.transform(frame.centroid.x, frame.centroid.y))
    if not (np.isfinite(xy).all() and np.isfinite(middle).all()):
        return None
    turn = 360.0 if crs.is_geographic else 0.0
    if turn and np.ptp(xy[:, 0]) > turn / 2:  # across the antimeridian: the scene's longitudes are made continuous
        xy[:, 0] += np.where(xy[:, 0] < 0, turn, 0)
        middle[0] += turn if middle[0] < 0 else 0
    around = shapely.Polygon(xy)
    if not around.is_valid or not around.contains(shapely.Point(middle)):
        return None
    turns = (-turn, 0.0, turn) if turn else (0.0,)
    return shapely.union_all([translate(around, by) for by in turns])


def _asked(drawn: NDArray[np.object_], crs: pyproj.CRS, grid: Grid) -> tuple[Bounds, str]:
    """Return bounds of polygons in the scene's CRS, or in their own and its name where they have none there."""
    import pyproj

    own = _bounds(drawn)
    scene = pyproj.CRS.from_wkt(grid.crs).to_2d()
    try:
        there = pyproj.Transformer.from_crs(crs, scene, always_xy=True).transform_bounds(*own)
    except pyproj.exceptions.ProjError:
        there = (math.inf,) * 4
    if all(map(math.isfinite, there)):
        return there, ""
    return own, f" of {short_name(crs.to_wkt())}"


def _bounds(polygons: Any) -> Bounds:
    left, bottom, right, top = map(float, shapely.total_bounds(polygons))
    return left, bottom, right, top


def _corners(grid: Grid, frame: float = 0.0) -> Any:
    """Return the four sides of a grid as a polygon, with a frame of a share of its sides (and a pixel) around it."""
    below, right = (frame * size + (1 if frame else 0) for size in grid.shape)
    left, bottom = -right, grid.height + below
    ends = ((left, -below), (grid.width + right, -below), (grid.width + right, bottom), (left, bottom))
    return shapely.Polygon([grid.transform @ end for end in ends])


def _is_turned(grid: Grid) -> bool:
    """Return whether rows of pixels run neither along x nor along y."""
    a, b, _, d, e, _ = grid.transform[:6]
    straight, turned = sorted((abs(a) + abs(e), abs(b) + abs(d)), reverse=True)
    return bool(turned > _TURNED * straight)


def _apart(bounds: Bounds, of: str = "", *, grid: Grid, name: str, flag: str) -> OutsideAreaError:
    """Return the error for an area that does not meet the scene; ``of`` names the bounds' CRS if not the scene's."""
    scene = ", ".join(f"{v:.10g}" for v in bounds_of(grid.transform, grid.height, grid.width))
    asked = ", ".join(f"{v:.10g}" for v in bounds)
    return OutsideAreaError(
        f"{name}: {flag} asks for {asked}{of}, but the scene covers {scene} (left, bottom, right, top)"
    )
