"""Neighbouring tiles as one image: chips may lie across the borders of files, and scores see whole scenes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import shapely

from geoseg.labels.same_ground import SLIVER, Grounds, OnGround
from geoseg.maps.common_ground import Outline
from geoseg.vocabulary import NODATA, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from geoseg.labels.labelled import LabelledImage
    from geoseg.vocabulary import Grid

_SAME = 0.01  # relative difference of pixel sizes that are the same
_TOUCH = 1.5  # pixels between tiles that are neighbours
_Placed = TypeVar("_Placed", bound=OnGround)
_EMPTY = 4  # times the tiles' area; a joined image would hold more nothing than that


def continue_pixels(one: Grid, other: Grid) -> bool:
    """Return whether two grids have pixels of one kind and touch."""
    if one.crs != other.crs:
        return False
    sizes = np.array(one.transform[:6])[[0, 1, 3, 4]], np.array(other.transform[:6])[[0, 1, 3, 4]]
    if np.abs(sizes[0] - sizes[1]).max() > _SAME * np.abs(sizes[0]).max():
        return False
    row, col = _offset(one, other)
    apart_down = max(row - one.height, -row - other.height)
    apart_across = max(col - one.width, -col - other.width)
    return max(apart_down, apart_across) <= _TOUCH and -max(apart_down, apart_across) <= SLIVER


def share_ground(one: Grid, other: Grid) -> bool:
    """Return whether two grids touch or overlap on the ground, whatever their pixels and CRSs."""
    if one.crs == other.crs:
        return bool(shapely.distance(_box(one), _box(other)) <= _TOUCH * _pixel(one))
    return bool(Outline.of_grid("", other).on(one).intersects(shapely.box(0, 0, one.width, one.height)))


def clusters(placed: Sequence[_Placed], joins: Callable[[Grid, Grid], bool] = continue_pixels) -> list[list[_Placed]]:
    """Return the tiles in groups whose members touch, in order of their first tiles.

    Args:
        placed: the tiles.
        joins: tells of two tiles that may touch whether they do.
    """
    group = list(range(len(placed)))  # the first tile of each tile's group

    def first(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for i, j in _near(placed):
        one, other = sorted((first(i), first(j)))
        if one != other and joins(placed[i].ground, placed[j].ground):
            group[other] = one
    members: dict[int, list[_Placed]] = {}
    for i, tile in enumerate(placed):
        members.setdefault(first(i), []).append(tile)
    return list(members.values())


def _near(placed: Sequence[OnGround]) -> Iterator[tuple[int, int]]:
    """Yield pairs of tiles that may touch."""
    grounds, largest = Grounds(placed), dict[str, float]()
    for tile in placed:
        largest[tile.ground.crs] = max(largest.get(tile.ground.crs, 0.0), _pixel(tile.ground))
    for i, tile in enumerate(placed):
        for j in grounds.near(tile.ground, 2 * _TOUCH * largest[tile.ground.crs]):
            if i < j:
                yield i, j


def in_line(tiles: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return touching tiles in order along the longer side of the ground they cover, so that a block comes last."""
    places = np.array([_offset(tiles[0].ground, tile.ground) for tile in tiles])
    longer = int(np.argmax(np.ptp(places, axis=0)))
    order = np.lexsort((places[:, 1 - longer], places[:, longer]))
    return [tiles[i] for i in order]


def joined(tiles: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return touching tiles as one image, or as they are where most of that would be empty.

    Pixels between tiles are missing; where tiles overlap, the first one counts that knows something.
    """
    first = tiles[0].ground
    places = [_offset(first, tile.ground) for tile in tiles]
    rows, cols = (np.array([place[axis] for place in places]) for axis in (0, 1))
    top, left = int(rows.min()), int(cols.min())
    height = int(max(row - top + tile.ground.height for row, tile in zip(rows, tiles, strict=True)))
    width = int(max(col - left + tile.ground.width for col, tile in zip(cols, tiles, strict=True)))
    if len(tiles) == 1 or height * width > _EMPTY * sum(tile.ground.height * tile.ground.width for tile in tiles):
        return list(tiles)
    pixels = np.zeros((len(tiles[0].pixels), height, width), tiles[0].pixels.dtype)
    labels = np.full((height, width), NODATA, np.uint8)
    missing = np.ones((height, width), bool)
    for row, col, tile in zip(rows - top, cols - left, tiles, strict=True):
        here = slice(row, row + tile.ground.height), slice(col, col + tile.ground.width)
        fresh = labels[here] == NODATA
        if tile.missing is not None:
            fresh &= ~tile.missing
        pixels[:, *here] = np.where(fresh, tile.pixels, pixels[:, *here])
        labels[here] = np.where(fresh, tile.labels, labels[here])
        missing[here] &= ~fresh
    whole = replace(
        tiles[0],
        name=f"{tiles[0].name} and {len(tiles) - 1} more",
        pixels=pixels,
        labels=labels,
        files=frozenset().union(*(tile.files for tile in tiles)),
        grid=first.crop(Window(top, left, height, width)),
        missing=missing if missing.any() else None,
    )
    return [whole]


def _offset(first: Grid, grid: Grid) -> tuple[int, int]:
    """Return row and column of a grid's first pixel on another grid, to the nearest pixel."""
    col, row = ~first.transform @ (grid.transform @ (0, 0))
    return round(row), round(col)


def _box(grid: Grid) -> shapely.Polygon:
    return shapely.Polygon(Outline.of_grid("", grid).corners)


def _pixel(grid: Grid) -> float:
    return float(grid.pixel_area**0.5)
