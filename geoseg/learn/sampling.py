"""Where chips are cut: images by their share, and places by the classes that lie there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.labels.labelled import class_values
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geoseg.labels.labelled import LabelledImage
    from geoseg.vocabulary import Legend

_CELL = 32  # pixels; places are drawn to that, then anywhere within
_EVENED = 0.8  # exponent of an image's labelled area: large ones are drawn somewhat less than their share


@dataclass(frozen=True, slots=True)
class Spot:
    """An image, and the row and column that a chip should hold."""

    image: LabelledImage
    row: int
    col: int


class Sampler:
    """Draws spots of labelled images."""

    def __init__(
        self, images: Sequence[LabelledImage], legend: Legend, shares: Mapping[str, float], balance: float
    ) -> None:
        """Look at all labels once.

        Args:
            images: where chips come from.
            legend: the classes.
            shares: share of the chips per source; sources without one share what is left by their area.
            balance: share of the chips that are drawn by class, every class as often as any other; the
                others lie anywhere.
        """
        self._images = list(images)
        self.chances = chances(self._images, shares)
        self._balance = balance
        self._values = class_values(legend)
        self._labelled = [_cells(image.labels != NODATA) for image in self._images]
        self._cells = [
            np.stack([_cells(image.labels == value) for value in self._values], axis=-1)
            for image in (self._images if balance > 0 else [])
        ]
        # Chance of each image given the class, (classes, images): its own chance times its share of the class.
        held = [cells.sum((0, 1)) / image.labels.size for cells, image in zip(self._cells, self._images, strict=False)]
        given = (self.chances[:, None] * np.array(held)).T if held else np.zeros((0, 0))
        self._given = [row / row.sum() for row in given if row.sum() > 0]
        self._present = [i for i, row in enumerate(given) if row.sum() > 0]

    def draw(self, rng: np.random.Generator) -> Spot:
        """Return a spot; the generator alone decides which."""
        if self._present and rng.random() < self._balance:
            return self._of_class(int(rng.integers(len(self._present))), rng)
        number = int(rng.choice(len(self._images), p=self.chances))
        return self._within(number, self._labelled[number], rng)

    def _of_class(self, which: int, rng: np.random.Generator) -> Spot:
        number = int(rng.choice(len(self._images), p=self._given[which]))
        return self._within(number, self._cells[number][:, :, self._present[which]], rng)

    def _within(self, number: int, counts: NDArray[np.float32], rng: np.random.Generator) -> Spot:
        """Return a spot of an image, in cells as often as they hold pixels that count; anywhere where none does."""
        image = self._images[number]
        height, width = image.labels.shape
        if not counts.any():
            return Spot(image, int(rng.integers(height)), int(rng.integers(width)))
        chance = counts.ravel().astype(np.float64)
        row, col = divmod(int(rng.choice(counts.size, p=chance / chance.sum())), counts.shape[1])
        return Spot(
            image,
            min(height - 1, row * _CELL + int(rng.integers(_CELL))),
            min(width - 1, col * _CELL + int(rng.integers(_CELL))),
        )


def chances(images: Sequence[LabelledImage], shares: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the chance of each image, shape (n,): by labelled area, evened out a little, within its source's share."""
    labelled = np.array([np.count_nonzero(image.labels) for image in images], np.float64)
    area = (labelled if labelled.any() else labelled + 1) ** _EVENED
    sources = np.array([image.source for image in images])
    wanted = {source: shares[source] for source in dict.fromkeys(sources.tolist()) if source in shares}
    rest = ~np.isin(sources, list(wanted))
    left = max(0.0, 1 - sum(wanted.values())) if rest.any() else 0.0
    result = np.zeros(len(images))
    for part, share in [*((sources == source, share) for source, share in wanted.items()), (rest, left)]:
        if area[part].any():
            result[part] = area[part] / area[part].sum() * share
    kept = result if result.sum() > 0 else area
    return np.asarray(kept / kept.sum())


def _cells(counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how many pixels of each cell count, shape (rows, columns)."""
    rows, cols = (np.arange(0, size, _CELL) for size in counted.shape)
    down = np.add.reduceat(counted, rows, 0, np.float32)
    return np.asarray(np.add.reduceat(down, cols, 1, np.float32))
