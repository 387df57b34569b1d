"""Neighbouring tiles as one image: chips may lie across the borders of files, and scores see whole scenes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import shapely
from rasterio.features import rasterize

from geoseg.scores.common_ground import Outline
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geoseg.labels.labelled import LabelledImage
    from geoseg.labels.scenes import PlacedImage
    from geoseg.vocabulary import Grid

_SAME = 0.01  # relative difference of pixel sizes that are the same
_TOUCH = 1.5  # pixels between tiles that are neighbours
_SLIVER = 3.0  # pixels that neighbouring tiles may overlap by
_EMPTY = 4  # times the tiles' area; a joined image would hold more nothing than that


def clusters(placed: Sequence[PlacedImage], *, same_pixels: bool = True) -> list[list[PlacedImage]]:
    """Return the tiles in groups whose members touch, in order of their first tiles.

    Args:
        placed: the tiles.
        same_pixels: whether they must have the same kind of pixels and not overlap, as tiles of one image do; if not,
            all that show the same ground are of one group.
    """
    joins = _neighbours if same_pixels else _share_ground
    group = list(range(len(placed)))  # the first tile of each tile's group

    def first(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for i, j in _near(placed):
        one, other = sorted((first(i), first(j)))
        if one != other and joins(placed[i].grid, placed[j].grid):
            group[other] = one
    members: dict[int, list[PlacedImage]] = {}
    for i, tile in enumerate(placed):
        members.setdefault(first(i), []).append(tile)
    return list(members.values())


def _near(placed: Sequence[PlacedImage]) -> Iterator[tuple[int, int]]:
    """Yield pairs of tiles that may touch: all of them where their CRSs differ."""
    if len({tile.grid.crs for tile in placed}) != 1:
        yield from itertools.combinations(range(len(placed)), 2)
        return
    boxes = np.array([_box(tile.grid) for tile in placed], object)
    reach = 2 * _TOUCH * max(_pixel(tile.grid) for tile in placed)
    for i, j in shapely.STRtree(boxes).query(boxes, "dwithin", reach).T.tolist():
        if i < j:
            yield i, j


def in_line(tiles: Sequence[PlacedImage]) -> list[PlacedImage]:
    """Return touching tiles in order along the longer side of the ground they cover, so that a block comes last."""
    places = np.array([_offset(tiles[0].grid, tile.grid) for tile in tiles])
    longer = int(np.argmax(np.ptp(places, axis=0)))
    order = np.lexsort((places[:, 1 - longer], places[:, longer]))
    return [tiles[i] for i in order]


def joined(tiles: Sequence[PlacedImage]) -> list[LabelledImage]:
    """Return touching tiles as one image, or as they are where most of that would be empty.

    Pixels between tiles are unlabelled; where tiles overlap, the first one counts that knows something.
    """
    first = tiles[0].grid
    places = [_offset(first, tile.grid) for tile in tiles]
    rows, cols = (np.array([place[axis] for place in places]) for axis in (0, 1))
    top, left = rows.min(), cols.min()
    height = max(row - top + tile.grid.height for row, tile in zip(rows, tiles, strict=True))
    width = max(col - left + tile.grid.width for col, tile in zip(cols, tiles, strict=True))
    if len(tiles) == 1 or height * width > _EMPTY * sum(tile.grid.height * tile.grid.width for tile in tiles):
        return [tile.image for tile in tiles]
    sample = tiles[0].image
    pixels = np.zeros((len(sample.pixels), height, width), sample.pixels.dtype)
    labels = np.full((height, width), NODATA, np.uint8)
    for row, col, tile in zip(rows - top, cols - left, tiles, strict=True):
        here = slice(row, row + tile.grid.height), slice(col, col + tile.grid.width)
        fresh = labels[here] == NODATA
        pixels[:, *here] = np.where(fresh, tile.image.pixels, pixels[:, *here])
        labels[here] = np.where(fresh, tile.image.labels, labels[here])
    name = f"{sample.name} and {len(tiles) - 1} more"
    return [replace(sample, name=name, pixels=pixels, labels=labels)]


def _offset(first: Grid, grid: Grid) -> tuple[int, int]:
    """Return row and column of a grid's first pixel on another grid, to the nearest pixel."""
    col, row = ~first.transform @ (grid.transform @ (0, 0))
    return round(row), round(col)


def _neighbours(one: Grid, other: Grid) -> bool:
    """Return whether two grids have pixels of one kind and touch."""
    if one.crs != other.crs:
        return False
    sizes = np.array(one.transform[:6])[[0, 1, 3, 4]], np.array(other.transform[:6])[[0, 1, 3, 4]]
    if np.abs(sizes[0] - sizes[1]).max() > _SAME * np.abs(sizes[0]).max():
        return False
    row, col = _offset(one, other)
    apart_down = max(row - one.height, -row - other.height)
    apart_across = max(col - one.width, -col - other.width)
    return max(apart_down, apart_across) <= _TOUCH and -max(apart_down, apart_across) <= _SLIVER


def _share_ground(one: Grid, other: Grid) -> bool:
    """Return whether two grids touch or overlap on the ground, whatever their pixels and CRSs."""
    if one.crs == other.crs:
        return bool(shapely.distance(_box(one), _box(other)) <= _TOUCH * _pixel(one))
    return bool(Outline.of_grid("", other).on(one).intersects(shapely.box(0, 0, one.width, one.height)))


def _box(grid: Grid) -> shapely.Polygon:
    return shapely.Polygon(Outline.of_grid("", grid).corners)


def _pixel(grid: Grid) -> float:
    return float(grid.pixel_area**0.5)


def unseen(
    learned: Sequence[LabelledImage], held_out: Sequence[LabelledImage], tiles: Sequence[PlacedImage]
) -> list[LabelledImage]:
    """Return what is learned from, unlabelled where it shows the ground of what is held out.

    Args:
        learned: images to learn from.
        held_out: images that must not be learned from.
        tiles: where the images lie; those that lie nowhere are left as they are.
    """
    where = {id(tile.image): tile.grid for tile in tiles}
    kept = [Outline.of_grid("", where[id(image)]) for image in held_out if id(image) in where]
    result = []
    for image in learned:
        grid = where.get(id(image))
        shadow = shapely.union_all([outline.on(grid) for outline in kept]) if grid and kept else shapely.Polygon()
        inner = shapely.buffer(shadow, -_SLIVER)
        if grid is not None and not inner.is_empty and inner.intersects(shapely.box(0, 0, grid.width, grid.height)):
            hidden = rasterize([(shadow, 1)], grid.shape, fill=0, dtype="uint8") > 0
            image.labels[hidden] = NODATA  # in place: the pixels were read for this run alone
        result.append(image)
    return result
