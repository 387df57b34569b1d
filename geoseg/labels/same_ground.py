"""Images that show the same ground, at other dates or resolutions: at most slivers of it are on both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import shapely
from affine import Affine

from geoseg.errors import InputError
from geoseg.maps.common_ground import Outline, inside, projection
from geoseg.vocabulary import NODATA, Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoseg.labels.labelled import LabelledImage

SLIVER = 3.0
"""Pixels by which images may overlap that lie side by side."""
_EVERYWHERE = shapely.box(-1e300, -1e300, 1e300, 1e300)
_SQUARES = 2048  # along the longer side of an image, in which its labels are counted


class OnGround(Protocol):
    """An image, or the header of a scene, that lies somewhere."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def ground(self) -> Grid:
        """Where it lies."""
        ...


class Grounds:
    """The ground under images, found by place."""

    def __init__(self, images: Sequence[OnGround]) -> None:
        self._outlines = [Outline.of_grid(image.name, image.ground) for image in images]
        self._trees: dict[str, shapely.STRtree] = {}

    def near(self, grid: Grid, reach: float = 0.0) -> list[int]:
        """Return which of them may cover part of a grid, or lie within a distance in units of its CRS."""
        if grid.crs not in self._trees:  # any grid of that CRS will do to bring boxes to it
            self._trees[grid.crs] = shapely.STRtree([_box(outline, grid) for outline in self._outlines])
        own = shapely.buffer(shapely.Polygon(Outline.of_grid("", grid).corners), reach)
        return sorted(map(int, self._trees[grid.crs].query(own, "intersects")))

    def under(self, grid: Grid, which: Sequence[int]) -> shapely.Geometry:
        """Return the part of a grid that some of them cover, in its column and row coordinates."""
        covered = shapely.union_all([self._outlines[i].on(grid) for i in which])
        return shapely.intersection(covered, shapely.box(0, 0, grid.width, grid.height))


def _box(outline: Outline, grid: Grid) -> shapely.Geometry:
    """Return a box round an outline in the CRS of a grid: empty where nothing leads there, endless if it has none."""
    ground, size = Grid(grid.crs, Affine.identity(), 1, 1), np.ptp(outline.corners, axis=0).max()
    line = shapely.get_coordinates(shapely.segmentize(shapely.LinearRing(outline.corners), size / 8))
    try:
        there = projection(outline, ground)(line)
        back = projection(Outline("", Outline.of_grid("", grid).crs, there), _of(outline))(there)
    except InputError:  # a site's own grid, say
        return shapely.Polygon()
    if not (np.isfinite(there).all() and np.abs(back - line).max() < 0.01 * size):
        return _EVERYWHERE  # a map of the world is no box in the CRS of a town
    return shapely.buffer(shapely.Polygon(there), 0.01 * np.ptp(there, axis=0).max()).envelope


def _of(outline: Outline) -> Grid:
    """Return a grid on which columns and rows are the coordinates of an outline's CRS."""
    return Grid(outline.crs.to_wkt(), Affine.identity(), 1, 1)


def unseen(learned: Sequence[LabelledImage], held_out: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return what is learned from, unlabelled where it shows the ground of what is held out.

    Images that lie nowhere are left as they are.
    """
    grounds = Grounds([image for image in held_out if image.grid is not None])
    return [image if image.grid is None else _hidden(image, grounds) for image in learned]


def _hidden(image: LabelledImage, grounds: Grounds) -> LabelledImage:
    """Return an image, unlabelled where grounds cover more than a sliver of it."""
    shadow = grounds.under(image.ground, grounds.near(image.ground))
    if not _is_more_than_a_sliver(shadow):
        return image
    return replace(image, labels=np.where(inside(shadow, image.ground, touched=True), np.uint8(NODATA), image.labels))


def overlap(images: Sequence[LabelledImage]) -> bool:
    """Return whether all images lie somewhere, and two of them share more ground than a sliver."""
    if any(image.grid is None for image in images):
        return False
    grounds = Grounds(images)
    for i, image in enumerate(images):
        for j in grounds.near(image.ground):
            if i < j and _is_more_than_a_sliver(grounds.under(image.ground, [j])):
                return True
    return False


def _is_more_than_a_sliver(shared: shapely.Geometry) -> bool:
    return not shapely.buffer(shared, -SLIVER / 2).is_empty


def ends(images: Sequence[LabelledImage], share: float) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Cut images across the longer side of the ground that they cover; returns both ends.

    Args:
        images: placed ones, whatever their pixels and CRSs.
        share: of the labelled ground that lies before the cut.
    """
    first = images[0].ground
    outlines = [Outline.of_grid(image.name, image.ground).on(first) for image in images]
    left, top, right, bottom = shapely.total_bounds(outlines)
    axis = 0 if right - left > bottom - top else 1
    low, high = (left, right) if axis == 0 else (top, bottom)
    cut = _quantile([_labelled_along(image, first, axis) for image in images], share, low + share * (high - low))
    sides = (cut, top - 1, right + 1, bottom + 1) if axis == 0 else (left - 1, cut, right + 1, bottom + 1)
    beyond = shapely.box(*sides)
    corners = [first.transform @ xy for xy in shapely.get_coordinates(beyond)[:4]]
    end = Outline("", Outline.of_grid("", first).crs, np.array(corners, np.float64))
    head: list[LabelledImage] = []
    tail: list[LabelledImage] = []
    for image in images:
        aside = inside(end.on(image.ground), image.ground)
        for part, here, called in ((head, ~aside, "most"), (tail, aside, "end")):
            if here.any():
                part.append(image if here.all() else _only(image, here, called))
    return head, tail


def _labelled_along(image: LabelledImage, first: Grid, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the labelled pixels of an image lie along an axis of another grid, and how much ground they are.

    They are counted in squares, each in its middle.
    """
    step = max(1, -(-max(image.labels.shape) // _SQUARES))
    starts = [np.arange(0, size, step) for size in image.labels.shape]
    counts = np.add.reduceat(image.labels != NODATA, starts[0], 0, np.int64)
    counts = np.add.reduceat(counts, starts[1], 1)
    rows, cols = np.nonzero(counts)
    pixels = np.stack([(cols + 0.5) * step, (rows + 0.5) * step], axis=1)
    own = Outline.of_grid(image.name, image.ground)
    there = projection(own, first)(projection(own, image.ground, back=True)(pixels))[:, axis]
    placed = np.isfinite(there)
    return there[placed], counts[rows, cols][placed] * own.on(first).area / image.labels.size


def _quantile(
    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], share: float, otherwise: float
) -> float:
    """Return the place before which a share of the weight lies; another one where nothing weighs anything."""
    places = np.concatenate([places for places, _ in parts])
    weights = np.concatenate([weights for _, weights in parts])
    if not len(places):
        return otherwise
    order = np.argsort(places)
    reached = np.cumsum(weights[order])
    return float(places[order][np.searchsorted(reached, share * reached[-1])])


def _only(image: LabelledImage, where: NDArray[np.bool_], called: str) -> LabelledImage:
    """Return the rectangle of an image around some pixels, with no labels beside them."""
    rows, cols = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    here = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    part = image.part(*here, called)
    return replace(part, labels=np.where(where[here], part.labels, np.uint8(NODATA)))
