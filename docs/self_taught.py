"""What a model says of NAIP chips that nobody has marked: a teacher for the next one.

The teacher looks at a chip in all eight ways (mirrored, turned) and says its mean class probabilities; a student learns
them from the chip as it is zoomed, turned and recoloured (a noisy student: Xie et al.,
https://arxiv.org/abs/1911.04252). Where the teacher is not sure of one class, the label is the smallest set of classes
that it gives ``SURE`` in all. What near-infrared says comes first.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch
from naip_ground import CHIP_M, CHOICES, city_of, read_chip, same_places, seen_in_infrared
from naip_marks import SCORED, marks

from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.learn.lesson import Lesson
from geoseg.learn.scoring import iter_scores
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.model.file import Model

SURE = 0.8
_NAMES = [entry.name for entry in DEFAULT_LEGEND]
_FIRST = 210
SETS = {
    _FIRST + i: names
    for i, names in enumerate(names for n in range(2, len(_NAMES)) for names in itertools.combinations(_NAMES, n))
}
"""Label values of all sets of two to four classes."""


def self_taught_images(folder: Path, teacher: Model) -> Iterator[LabelledImage]:
    """Yield the unmarked chips of every flight over a city side by side, with the teacher's labels.

    Cities that are for scoring only are left out, and so are places that are marked in any year.
    """
    if [entry.name for entry in teacher.card.legend] != _NAMES:
        raise SystemExit(f"the teacher's classes are {teacher.card.legend}, expected {', '.join(_NAMES)} in this order")
    marked = {other for name in marks() if not name.startswith(SCORED) for other, _ in same_places(folder, name)}
    flights: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("*.tif")):
        if not path.stem.startswith(SCORED) and path.stem not in marked:
            flights[city_of(path.stem)].append(path.stem)
    size = round(CHIP_M / teacher.card.resolution_m)
    for flight, names in flights.items():
        across = int(np.ceil(len(names) ** 0.5))
        chips = [
            read_chip(folder / f"{name}.tif", size) for name in itertools.islice(itertools.cycle(names), across**2)
        ]
        rows = [np.concatenate(chips[i : i + across], axis=2) for i in range(0, len(chips), across)]
        pixels = np.concatenate(rows, axis=1)
        labels = said_by(eightfold(teacher, pixels[:3]), seen_in_infrared(pixels))
        yield LabelledImage(f"{flight} unmarked", flight, pixels[:3], labels, "taught")


def eightfold(teacher: Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean class probabilities (classes, h, w) of pixels (bands, h, w) seen in all eight ways."""
    card, total = teacher.card, np.zeros((len(_NAMES), *pixels.shape[1:]), np.float32)
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in teacher.weights.items()}
    lesson = Lesson(LabelKey(card.legend), [], [], card.mean, card.std)
    for quarter, mirrored in itertools.product(range(4), (False, True)):
        seen = np.rot90(pixels[..., ::-1] if mirrored else pixels, quarter, (1, 2))
        image = LabelledImage("", "", seen, np.zeros(seen.shape[1:], np.uint8))
        ((_, scores),) = iter_scores(card.network, weights, lesson, [image])
        found = np.rot90((scores / card.temperature).softmax(0).numpy(), -quarter, (1, 2))
        total += found[..., ::-1] if mirrored else found
    return total / 8


def said_by(probabilities: NDArray[np.float32], infrared: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return label values (h, w): sets of classes that the teacher thinks likely and near-infrared does not rule out.

    Args:
        probabilities: (classes, h, w).
        infrared: (h, w) values of :data:`naip_ground.CHOICES` or of the legend; where both sources allow no class
            together, this one counts alone.
    """
    ordered = np.argsort(-probabilities, axis=0)
    before = np.cumsum(np.take_along_axis(probabilities, ordered, 0), 0) - np.take_along_axis(probabilities, ordered, 0)
    likely = np.zeros(probabilities.shape, bool)
    np.put_along_axis(likely, ordered, before < SURE, 0)
    both = likely & LabelKey(DEFAULT_LEGEND, CHOICES).allowed()[infrared].transpose(2, 0, 1)
    bits = (both * (1 << np.arange(len(_NAMES)))[:, None, None]).sum(0)
    return np.where(bits > 0, _values()[bits], infrared).astype(np.uint8)


def _values() -> NDArray[np.uint8]:
    """Return the label value of every set of classes, by its bits; 0 for none and for all."""
    table = np.zeros(1 << len(_NAMES), np.uint8)
    singles: Sequence[tuple[int, tuple[str, ...]]] = [(entry.value, (entry.name,)) for entry in DEFAULT_LEGEND]
    for value, names in [*singles, *SETS.items()]:
        table[sum(1 << _NAMES.index(name) for name in names)] = value
    return table
