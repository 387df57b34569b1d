"""Readers of labelled folders: pictures beside masks of the same names.

`Tile N/images/*.jpg` with `Tile N/masks/*.png` is the layout of the Dubai data set (Humans in the Loop and MBRSC,
CC0 1.0): the nine parts of a tile are neighbours, so a tile is one scene and the group by which images are held out.
`images/*` with `masks/*` or `labels/*` is everybody else's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import InputError, first_of
from geoseg.labels.labelled import LabelledImage
from geoseg.labels.mask_key import DUBAI, MaskKey
from geoseg.labels.masks import read_labels
from geoseg.labels.pictures import place_of, read_picture
from geoseg.scene.georeference import ground_pixel_m
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import alike
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff"}
_MASK_FOLDERS = ("masks", "labels")
_NUMBERS = re.compile(r"(?:[ _-]*\d+)+$")


def read_folder(
    folder: Path, key: MaskKey = DUBAI, note: Callable[[str], None] = lambda _sentence: None
) -> list[LabelledImage]:
    """Read every image of a folder that has a mask.

    Args:
        folder: of tiles with ``images/`` and ``masks/``, or with these two itself; ``labels/`` goes for masks, too.
        key: what the masks' colours or values mean.
        note: called with sentences on masks that hold more than the key knows.

    Raises:
        InputError: the folder has no such images, or an image and its mask differ in size.
    """
    pairs = list(_pairs(folder))
    if pairs:
        _tell_alone(folder, pairs, note)
    else:
        raise InputError(
            f"{folder}: has no images with masks of the same names, expected images/ beside masks/ or labels/, "
            "or 'Tile N/images/*.jpg' with 'Tile N/masks/*.png'"
        )
    names = _groups([image for image, _ in pairs], folder)
    files = frozenset({folder.resolve().name})
    return [replace(_read_pair(image, mask, names[image], key, note), files=files) for image, mask in pairs]


def ground_pixel_of(folder: Path) -> float | None:
    """Return the ground pixel of a folder's images, in metres; None where none of them says where it lies.

    Raises:
        InputError: their pixels differ; images of a folder are learned from as they are.
    """
    sizes = {image: size for image, _ in _pairs(folder) if (size := _ground_pixel(image)) is not None}
    if not sizes:
        return None
    finest, coarsest = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    if not alike(sizes[coarsest], sizes[finest]):
        raise InputError(
            f"{coarsest}: has pixels of {sizes[coarsest]:.3g} m, and {finest} of {sizes[finest]:.3g} m, expected "
            "images of one ground pixel; give them as --scene with --labels, which resamples them"
        )
    return round(sum(sizes.values()) / len(sizes), 4)


def _ground_pixel(image: Path) -> float | None:
    with open_raster(image) as dataset:
        grid = place_of(dataset)
    return None if grid is None else sum(ground_pixel_m(grid)) / 2


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield images with their masks, in order of their names."""
    images = [*folder.glob("images/*"), *folder.glob("*/images/*")]
    beside = {tile: _masks(tile) for tile in {image.parent.parent for image in images}}
    for image in sorted(images):
        mask = beside[image.parent.parent].get(image.stem)
        if mask is not None and image.suffix.lower() in _PICTURES:
            yield image, mask


def _masks(tile: Path) -> dict[str, Path]:
    """Return the masks of a tile by their stems; of two of one stem, the first by folder and name."""
    masks: dict[str, Path] = {}
    for name in _MASK_FOLDERS:
        for path in sorted((tile / name).glob("*")):
            if path.suffix.lower() in _PICTURES:
                masks.setdefault(path.stem, path)
    return masks


def _tell_alone(folder: Path, pairs: list[tuple[Path, Path]], note: Callable[[str], None]) -> None:
    """Say which pictures have no partner of their name: one name spelled otherwise is easily overlooked."""
    places = {place for image, mask in pairs for place in (image.parent, mask.parent)}
    used = {path for pair in pairs for path in pair}
    images = {image.parent for image, _ in pairs}
    for what, partner, here in (("images", "mask", images), ("masks", "image", places - images)):
        files = (path for place in sorted(here) for path in sorted(place.iterdir()) if not path.name.startswith("."))
        alone = [path for path in files if path.suffix.lower() in _PICTURES and path not in used]
        if alone:
            some = first_of([str(path.relative_to(folder)) for path in alone], 3)
            note(f"{folder}: {len(alone)} of its {what} have no {partner} of the same name and are left out: {some}")


def _groups(images: list[Path], folder: Path) -> dict[Path, str]:
    """Return the group of each image: its tile, else what its name begins with before any numbers.

    Pictures that differ by numbers alone are likely cut from one scene.
    """
    groups = {}
    for image in images:
        tile = image.parent.parent
        groups[image] = tile.name if tile != folder else _NUMBERS.sub("", image.stem) or folder.resolve().name
    return groups


def _read_pair(image: Path, mask: Path, group: str, key: MaskKey, note: Callable[[str], None]) -> LabelledImage:
    (pixels, missing, grid), labels = read_picture(image), read_labels(mask, key, note)
    if pixels.shape[1:] != labels.shape:
        raise InputError(f"{mask}: is {labels.shape} pixels, its image is {pixels.shape[1:]}")
    if missing is not None:
        labels = np.where(missing, np.uint8(NODATA), labels)
    name = image.stem if image.stem.startswith(group) else f"{group}/{image.stem}"
    return LabelledImage(name, group, pixels, labels, grid=grid, missing=missing)
