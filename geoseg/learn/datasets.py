"""Readers of labelled images.

The Dubai layout (Humans in the Loop and MBRSC, CC0 1.0): ``Tile N/images/image_part_00K.jpg`` beside
``Tile N/masks/image_part_00K.png``. The nine parts of a tile are neighbours, so a tile is one scene and the
group by which images are held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import InputError
from geoseg.scene.open import open_raster
from geoseg.vocabulary import DEFAULT_LEGEND, NODATA, Legend, Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# The masks as published; the data set's classes.json names other colours. Unlabeled (155, 155, 155) and the
# undocumented black are no class.
_MASK_COLORS = {entry.value: tuple(bytes.fromhex(entry.color[1:])) for entry in DEFAULT_LEGEND}
_UNLABELLED = ((155, 155, 155), (0, 0, 0))

DEMO_SEED = 1_000_000
"""First seed of the demo scenes used in training; samples and tests stay below."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image whose pixels are (partly) labelled."""

    name: str
    group: str
    """Scene or tile the image belongs to; images of one group are held out together."""
    pixels: NDArray[np.uint8]
    """Shape (bands, height, width)."""
    labels: NDArray[np.uint8]
    """Shape (height, width), legend values, 0 where there is no label."""


def read_dubai(folder: Path) -> list[LabelledImage]:
    """Read every image of a folder in the Dubai layout that has a mask.

    Raises:
        InputError: the folder has no such images, or an image and its mask differ in size.
    """
    pairs = list(_pairs(folder))
    if not pairs:
        raise InputError(f"{folder}: has no 'Tile N/images/*.jpg' with 'Tile N/masks/*.png', the Dubai layout")
    return [_read_pair(image, mask) for image, mask in pairs]


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    for image in sorted(folder.glob("*/images/*")):
        mask = image.parent.parent / "masks" / f"{image.stem}.png"
        if image.suffix.lower() in {".jpg", ".jpeg", ".png", ".tif"} and mask.is_file():
            yield image, mask


def _read_pair(image: Path, mask: Path) -> LabelledImage:
    pixels, colors = _read_rgb(image), _read_rgb(mask)
    if pixels.shape != colors.shape:
        raise InputError(f"{mask}: is {colors.shape[1:]} pixels, its image is {pixels.shape[1:]}")
    group = image.parent.parent.name
    return LabelledImage(f"{group}/{image.stem}", group, pixels, _labels_of(mask, colors))


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return red, green and blue (3, h, w) of a picture; some masks are palette images."""
    with open_raster(path) as opened:
        if opened.count >= 3:
            return np.asarray(opened.read((1, 2, 3)))
        band = np.asarray(opened.read(1))
        try:
            palette = opened.colormap(1)
        except ValueError:
            return np.stack([band] * 3)
    table = np.zeros((256, 3), np.uint8)
    for value, color in palette.items():
        table[value] = color[:3]
    return np.ascontiguousarray(table[band].transpose(2, 0, 1))


def _labels_of(mask: Path, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return legend values (h, w) of mask colours (3, h, w); refuse a mask that is mostly unknown colours."""
    packed = (colors[0].astype(np.uint32) << 16) | (colors[1].astype(np.uint32) << 8) | colors[2]
    labels = np.zeros(packed.shape, np.uint8)
    known = np.zeros(packed.shape, bool)
    for value, (red, green, blue) in _MASK_COLORS.items():
        here = packed == (red << 16 | green << 8 | blue)
        labels[here] = value
        known |= here
    for red, green, blue in _UNLABELLED:
        known |= packed == (red << 16 | green << 8 | blue)
    if known.mean() < 0.5:
        raise InputError(f"{mask}: {1 - known.mean():.0%} of its pixels have colours that are no class of the legend")
    return labels


def demo_images(count: int, size: int = 512, first: int = DEMO_SEED, climates: bool = False) -> list[LabelledImage]:
    """Render made-up scenes for training, each from a seed of its own: ``first`` and those after it.

    Args:
        count: how many.
        size: rows and columns of each.
        first: the first seed.
        climates: take turns through all of ``CLIMATES`` by seed, rather than dry ones only.
    """
    if count == 0:
        return []
    from geoseg.demo.climates import CLIMATES
    from geoseg.demo.render import render

    names = list(CLIMATES) if climates else ["dry"]
    images = []
    for seed in range(first, first + count):
        climate = names[seed % len(names)]
        pixels, labels = render(seed, Window(0, 0, size, size), climate)
        name = f"demo {seed}" if climate == "dry" else f"demo {seed} {climate}"
        images.append(LabelledImage(name, "demo", pixels, labels))
    return images


def class_shares(images: list[LabelledImage], legend: Legend) -> NDArray[np.float64]:
    """Return the share of each class among labelled pixels, shape (classes,)."""
    counts = np.zeros(256, np.int64)
    for image in images:
        counts += np.bincount(image.labels.ravel(), minlength=256)
    counts[NODATA] = 0
    of_legend = np.array([counts[entry.value] for entry in legend], np.float64)
    total = of_legend.sum()
    return of_legend / total if total > 0 else of_legend
