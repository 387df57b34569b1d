"""Neighbouring tiles as one image: chips may lie across the borders of files, and scores see whole scenes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoseg.labels.labelled import LabelledImage
    from geoseg.labels.scenes import PlacedImage
    from geoseg.vocabulary import Grid

_SAME = 0.01  # relative difference of pixel sizes that are the same
_TOUCH = 1.5  # pixels between tiles that are neighbours
_EMPTY = 4  # times the tiles' area; a joined image would hold more nothing than that


def clusters(placed: Sequence[PlacedImage]) -> list[list[PlacedImage]]:
    """Return the tiles in groups whose members touch, with the same kind of pixels; in order of their first tiles."""
    groups: list[list[PlacedImage]] = []
    for one in placed:
        near = [group for group in groups if any(_neighbours(one.grid, other.grid) for other in group)]
        joined = [tile for group in near for tile in group] + [one]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append(joined)
    return groups


def in_line(tiles: Sequence[PlacedImage]) -> list[PlacedImage]:
    """Return touching tiles in order along the longer side of the ground they cover, so that a block comes last."""
    places = np.array([_offset(tiles[0].grid, tile.grid) for tile in tiles])
    longer = int(np.argmax(np.ptp(places, axis=0)))
    order = np.lexsort((places[:, 1 - longer], places[:, longer]))
    return [tiles[i] for i in order]


def joined(tiles: Sequence[PlacedImage]) -> list[LabelledImage]:
    """Return touching tiles as one image, or as they are where most of that would be empty.

    Pixels between tiles are unlabelled; where tiles overlap, the later one counts.
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
        pixels[:, *here], labels[here] = tile.image.pixels, tile.image.labels
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
    return max(apart_down, apart_across) <= _TOUCH
