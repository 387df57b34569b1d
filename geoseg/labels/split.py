"""What is learned from and what is kept aside: by scene or tile, since neighbours know too much of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoseg.errors import UsageError, first_of
from geoseg.labels.same_ground import ends, overlap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from geoseg.labels.labelled import LabelledImage

How = Literal["auto", "patch", "none"]
"""Whole groups, or else a block of the only one; random patches; nothing."""

_ASIDE = 0.15  # of the labelled pixels
_MOST = 0.4  # of them; a larger group is only held out where there is no smaller one
_PATCH = 256  # pixels
_NAMED = 12  # names in a sentence
LEAKY = "random patches held out, their neighbours learned from: this score is leaky and too good"


@dataclass(frozen=True, slots=True)
class Split:
    """Images to learn from, images to score on, and how they were told apart."""

    learned: list[LabelledImage]
    held_out: list[LabelledImage]
    text: str
    """A sentence's worth, for the card; '' where nothing is held out."""
    hides: bool = True
    """Whether ground that is held out has still to be hidden in what is learned from."""


def split(images: Sequence[LabelledImage], named: Iterable[str], how: How, seed: int) -> Split:
    """Tell images apart.

    Args:
        images: all of them.
        named: groups or single images to hold out; none lets ``how`` decide.
        how: what to hold out.
        seed: decides among equals.

    Raises:
        UsageError: a name is none of a group or image, or nothing is left to learn from.
    """
    aside = set(named)
    if aside:
        return _by_name(images, aside)
    if how == "none":
        return Split(list(images), [], "")
    if how == "patch":
        return _by_patch(images, seed)
    groups = sorted({image.group for image in images})
    if len(groups) > 1:
        return _by_group(images, groups, seed)
    return _by_block(images)


def _by_name(images: Sequence[LabelledImage], aside: set[str]) -> Split:
    known = frozenset().union(*(image.names for image in images))
    if unknown := sorted(aside - known):
        groups = first_of(sorted({image.group for image in images}), _NAMED)
        raise UsageError(
            f"--hold-out: {unknown[0]!r} is not a tile of the data, nor an image such as {images[0].name!r}; "
            f"it has {groups}"
        )
    held = [image for image in images if aside & image.names]
    learned = [image for image in images if not aside & image.names]
    if not learned:
        raise UsageError("--hold-out: every image is held out, nothing is left to train on")
    in_all = f" ({len(aside)} in all)" if len(aside) > _NAMED else ""
    return Split(learned, held, first_of(sorted(aside), _NAMED) + in_all)


def _by_group(images: Sequence[LabelledImage], groups: list[str], seed: int) -> Split:
    """Hold out whole groups until they make up enough of the labelled pixels, but never all."""
    size = {group: sum(np.count_nonzero(i.labels) for i in images if i.group == group) for group in groups}
    total = sum(size.values())
    aside: list[str] = []
    for group in np.random.default_rng(seed).permutation(groups).tolist():
        held = sum(size[one] for one in aside)
        if held >= _ASIDE * total or len(aside) == len(groups) - 1:
            break
        if size[group] and held + size[group] <= _MOST * total:
            aside.append(group)
    some = [group for group in groups if size[group]] or groups
    return _by_name(images, set(aside) or {min(some, key=lambda group: size[group])})


def _by_block(images: Sequence[LabelledImage]) -> Split:
    """Hold out one end of a single scene: images that come last, or the end of the only image along its longer side.

    Where images show the same ground, it is the end of that ground, in all of them.
    """
    if len(images) > 1 and overlap(images):
        text = f"one end of the ground of {len(images)} images that overlap, next to what was learned from"
        return Split(*ends(images, 1 - _ASIDE), text, hides=False)
    if len(images) > 1:
        known = np.array([np.count_nonzero(image.labels) for image in images], np.float64)
        count = len(images) - min(max(1, _cut(known)), len(images) - 1)
        text = f"the last {count} of {len(images)} images of one scene, next to what was learned from"
        return Split(list(images[:-count]), list(images[-count:]), text)
    image = images[0]
    height, width = image.labels.shape
    cut = _cut((image.labels > 0).sum(0 if width > height else 1))
    head, tail = ((slice(cut), slice(None)), (slice(cut, None), slice(None)))
    if width > height:
        head, tail = head[::-1], tail[::-1]
    text = "one end of the only scene, next to what was learned from"
    return Split([image.part(*head, "most")], [image.part(*tail, "end")], text)


def _cut(known: NDArray[Any]) -> int:
    """Return where along an axis a last part begins that holds about enough of the labelled pixels."""
    if not known.any():
        return len(known) - 1
    left = 1 - np.cumsum(known) / known.sum()
    wrong = np.where(left > 0, np.abs(left - _ASIDE), 1.0)
    return min(int(wrong.argmin()) + 1, len(known) - 1)


def _by_patch(images: Sequence[LabelledImage], seed: int) -> Split:
    """Hold out random squares."""
    patches = [
        image.part(slice(row, row + _PATCH), slice(col, col + _PATCH), f"{row},{col}")
        for image in images
        for row in range(0, image.labels.shape[0], _PATCH)
        for col in range(0, image.labels.shape[1], _PATCH)
    ]
    aside = np.random.default_rng(seed).random(len(patches)) < _ASIDE
    if aside.all() or not aside.any():
        aside = np.arange(len(patches)) == len(patches) - 1
    if len(patches) < 2:
        raise UsageError(f"--split patch: the images make {len(patches)} patches of {_PATCH} pixels, expected more")
    held = [patch for patch, out in zip(patches, aside, strict=True) if out]
    return Split([patch for patch, out in zip(patches, aside, strict=True) if not out], held, LEAKY, hides=False)
