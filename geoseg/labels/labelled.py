"""Labelled images, and what a label value says: one class, one of several, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import InputError
from geoseg.scene.decode import paint
from geoseg.vocabulary import NODATA, Grid, Legend, Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

_PART = 512  # pixels

DEMO = "demo"
"""Source of made-up scenes."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image whose pixels are (partly) labelled."""

    name: str
    group: str
    """Scene or tile the image belongs to; images of one group are held out together."""
    pixels: NDArray[Any]
    """Shape (bands, height, width), in the model's value range; uint8 where that is 0 to 255."""
    labels: NDArray[np.uint8]
    """Shape (height, width): legend values, values of the :class:`LabelKey`, or 0 where nothing is known."""
    source: str = "images"
    """Kind of data it belongs to; chips are shared out among sources."""
    also: frozenset[str] = frozenset()
    """Other names that it goes by: the ends of its path."""
    files: frozenset[str] = frozenset()
    """What a card may call the data that it is of: names of its file and of the folder that it was given in."""
    grid: Grid | None = None
    """Where it lies; None where nothing says it."""
    missing: NDArray[np.bool_] | None = None
    """Shape (height, width): pixels that nothing was measured of, which are never labelled; None for none."""

    @property
    def names(self) -> frozenset[str]:
        """Every name that it, or its group, goes by."""
        return self.also | {self.name, self.group}

    @property
    def ground(self) -> Grid:
        """Where an image lies that lies somewhere; raises ValueError for any other."""
        if self.grid is None:
            raise ValueError(f"{self.name}: lies nowhere")
        return self.grid

    def part(self, rows: slice, cols: slice, called: str) -> LabelledImage:
        """Return a rectangle of it, as views, under its name and another in brackets."""
        (top, bottom, _), (left, right, _) = (
            at.indices(size) for at, size in zip((rows, cols), self.labels.shape, strict=True)
        )
        here, window = (rows, cols), Window(top, left, bottom - top, right - left)
        return replace(
            self,
            name=f"{self.name} ({called})",
            pixels=self.pixels[:, *here],
            labels=self.labels[here],
            grid=None if self.grid is None else self.grid.crop(window),
            missing=None if self.missing is None else self.missing[here],
        )

    def paint_missing(self, color: Sequence[float]) -> None:
        """Give missing pixels a colour, in place: a value per band, such as the mean that networks take for nothing."""
        if self.missing is not None:
            paint(self.pixels, ~self.missing, color)


@dataclass(frozen=True, slots=True)
class LabelKey:
    """What each label value says about a pixel."""

    legend: Legend
    choices: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Names of classes by label value: the pixel is of one of them. Values of the legend name their own class."""

    def __post_init__(self) -> None:
        values = {entry.value for entry in self.legend}
        names = {entry.name for entry in self.legend}
        for value, choice in self.choices.items():
            if value in values or not NODATA < value < 256 or not choice or not names.issuperset(choice):
                raise InputError(f"label value {value}: is taken, out of range, or names no classes ({choice})")

    def allowed(self) -> NDArray[np.bool_]:
        """Return which classes a pixel of each label value can be of, shape (256, classes).

        Values without a meaning, 0 among them, allow all classes: nothing is known there.
        """
        names = [entry.name for entry in self.legend]
        table = np.ones((256, len(names)), bool)
        for i, entry in enumerate(self.legend):
            table[entry.value] = np.arange(len(names)) == i
        for value, choice in self.choices.items():
            table[value] = [name in choice for name in names]
        return table


def class_shares(images: Sequence[LabelledImage], key: LabelKey) -> NDArray[np.float64]:
    """Return the share of each class among labelled pixels, shape (classes,).

    A pixel that may be of several classes counts for each of them in equal parts.
    """
    counts = np.zeros(256, np.float64)
    for image in images:
        counts += np.bincount(image.labels.ravel(), minlength=256)
    allowed = key.allowed()
    says = ~allowed.all(1)
    shares = (counts * says) @ (allowed / allowed.sum(1, keepdims=True))
    return np.asarray(shares / shares.sum() if shares.sum() > 0 else shares)


def color_means(image: LabelledImage) -> Iterator[NDArray[np.float64]]:
    """Yield the mean of each band, shape (bands,), where an image is labelled: of its parts, and of all of it.

    Scenes may be as small as such a part. Ground without a label may be filler; without any label, all of it counts.
    """
    known = image.labels != NODATA
    if not known.any():
        known = ~known
    total, count = np.zeros(len(image.pixels)), 0
    for row, col in np.ndindex(*(-(-size // _PART) for size in known.shape)):
        part = np.s_[row * _PART : (row + 1) * _PART, col * _PART : (col + 1) * _PART]
        pixels = image.pixels[:, *part][:, known[part]]
        sums = pixels.sum(1, dtype=np.float64)
        if 2 * pixels.shape[1] >= _PART**2:
            yield sums / pixels.shape[1]
        total, count = total + sums, count + pixels.shape[1]
    yield total / count


def class_values(legend: Legend) -> NDArray[np.uint8]:
    """Return the pixel value of each class, shape (classes,)."""
    return np.array([entry.value for entry in legend], np.uint8)
