"""What is known of NAIP's chips: from their near-infrared band, and from the outlines that were marked by eye.

The network does not see the near-infrared band. Plants are bright there and dark in red (NDVI, their normalized
difference, is high), and water is dark there.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from naip_marks import SCORED, drawn, marks
from rasterio.enums import Resampling

from geoseg.labels.labelled import LabelledImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NOT_BUILDING, NO_PLANT, DRY, BARE_OR_GREEN = range(201, 205)
CHOICES = {
    NOT_BUILDING: ("road", "water", "vegetation", "land"),
    NO_PLANT: ("building", "road", "water", "land"),
    DRY: ("building", "road", "land"),
    BARE_OR_GREEN: ("vegetation", "land"),
}
UNKNOWN, BUILDING, ROAD, WATER, VEGETATION, LAND = range(6)
PLANT_NDVI, BARE_NDVI = 0.22, 0.05
DRY_NIR = 70  # of 255: water reflects less, and so does shadow
CHIP_M = 153.6
MARKED_M = (0.8, 1.0)
"""Ground pixels at which marked chips are learned from."""
ACROSS = 3
"""Chips that lie side by side at least, so that a training chip is full."""
FARTHEST = 4
"""Pixels of 0.6 m by which two flights may lie apart."""
AGREES = 0.3
"""Correlation of two flights' edges below which their ground is too different for one's marks to count on the other."""


def infrared_images(folder: Path) -> Iterator[LabelledImage]:
    """Yield the chips with what their near-infrared band says, but for those of cities that are for scoring only."""
    for path in sorted(folder.glob("*.tif")):
        if path.stem.startswith(SCORED):
            continue
        pixels = read_chip(path)
        yield LabelledImage(path.stem, city_of(path.stem), pixels[:3], seen_in_infrared(pixels), "naip")


def marked_images(folder: Path) -> Iterator[LabelledImage]:
    """Yield the marked chips of every flight over a city side by side, and so those of other years at their places.

    Cities that are for scoring only are left out.
    """
    flights: dict[str, list[tuple[str, str, tuple[int, int]]]] = defaultdict(list)
    for name in marks():
        if not name.startswith(SCORED):
            for other, shift in same_places(folder, name):
                flights[city_of(other)].append((other, name, shift))
    for (city, chips), metres in itertools.product(sorted(flights.items()), MARKED_M):
        across = max(ACROSS, int(np.ceil(len(chips) ** 0.5)))
        told = itertools.islice(itertools.cycle(chips), across**2)
        parts = [known(folder, *one, round(CHIP_M / metres)) for one in told]
        rows = [parts[i : i + across] for i in range(0, len(parts), across)]
        pixels = np.concatenate([np.concatenate([p for p, _ in row], axis=2) for row in rows], axis=1)
        labels = np.concatenate([np.concatenate([k for _, k in row], axis=1) for row in rows])
        yield LabelledImage(f"{city} marked, {metres} m", city, pixels, labels, "marked")


def city_of(name: str) -> str:
    """Return city and year of a chip."""
    return name.rsplit("_", 1)[0]


def read_chip(path: Path, size: int | None = None) -> NDArray[np.uint8]:
    """Return red, green, blue and near-infrared, (4, h, w), averaged down to a size a side."""
    with rasterio.open(path) as chip:
        shape = None if size is None else (4, size, size)
        return np.asarray(chip.read((1, 2, 3, 4), out_shape=shape, resampling=Resampling.average))


def known(
    folder: Path, name: str, marked: str, shift: tuple[int, int], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return colours (3, size, size) and label values (size, size) of a chip.

    Args:
        folder: where the chips are.
        name: the chip.
        marked: the chip of the same place whose marks count.
        shift: columns and rows from the marked one's ground to this one's.
        size: pixels a side.
    """
    pixels = read_chip(folder / f"{name}.tif", size)
    seen = {
        kind: drawn([[[x + shift[0], y + shift[1]] for x, y in one] for one in outlines], size)
        for kind, outlines in marks()[marked].items()
    }
    ndvi = ndvi_of(pixels)
    labels = np.full(ndvi.shape, BARE_OR_GREEN, np.uint8)
    labels[ndvi < BARE_NDVI] = LAND
    labels[pixels[3] <= DRY_NIR] = NOT_BUILDING  # a shadow, or water, or what lies in the shadow
    labels[ndvi > PLANT_NDVI] = VEGETATION
    labels[seen["roads"]] = ROAD
    labels[seen["roads"] & (ndvi > PLANT_NDVI)] = NOT_BUILDING  # a tree over it
    labels[seen["water"]] = WATER
    labels[seen["unsure"]] = UNKNOWN
    labels[seen["buildings"]] = BUILDING
    return pixels[:3], labels


def same_places(folder: Path, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield a chip and those of other years at its place, with how far each one's ground lies from the first's."""
    number = name.rsplit("_", 1)[1]
    place, _ = city_of(name).rsplit("_", 1)
    with rasterio.open(folder / f"{name}.tif") as chip:
        bounds = chip.bounds
    first = read_chip(folder / f"{name}.tif")
    yield name, (0, 0)
    for path in sorted(folder.glob(f"{place}_[0-9][0-9][0-9][0-9]_{number}.tif")):
        with rasterio.open(path) as other:
            same = path.stem != name and np.allclose(other.bounds, bounds, atol=0.3)
        if same and (shift := shift_between(first, read_chip(path))) is not None:
            yield path.stem, shift


def shift_between(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Return how many columns and rows the second chip's ground lies from the first's; None where edges do not agree.

    Edges are compared at every shift of up to ``FARTHEST`` pixels; the best must correlate by ``AGREES``.
    """
    first, second = (_edges(chip) for chip in (one, other))
    far = FARTHEST
    inner = first[far:-far, far:-far]
    found = {
        (cols, rows): float(
            np.corrcoef(
                inner.ravel(),
                second[far + rows : len(second) - far + rows, far + cols : second.shape[1] - far + cols].ravel(),
            )[0, 1]
        )
        for rows in range(-far, far + 1)
        for cols in range(-far, far + 1)
    }
    best = max(found, key=found.__getitem__)
    if found[best] < AGREES or FARTHEST in map(abs, best):
        return None
    return best


def _edges(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = pixels[:3].astype(np.float32).mean(0)
    down, across = np.gradient(grey)
    return np.minimum(np.hypot(down, across), 40)


def seen_in_infrared(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return label values (h, w) of red, green, blue and near-infrared (4, h, w)."""
    ndvi = ndvi_of(pixels)
    labels = np.zeros(ndvi.shape, np.uint8)
    labels[ndvi < BARE_NDVI] = NO_PLANT
    labels[(ndvi < BARE_NDVI) & (pixels[3] > DRY_NIR)] = DRY
    labels[ndvi > PLANT_NDVI] = VEGETATION
    return labels


def ndvi_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the normalized difference of near-infrared and red, (h, w), of four bands (4, h, w)."""
    red, infrared = pixels[0].astype(np.float32), pixels[3].astype(np.float32)
    return np.asarray((infrared - red) / np.maximum(infrared + red, 1))
