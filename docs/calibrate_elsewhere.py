"""How sure a model may be far from Dubai: ``python docs/calibrate_elsewhere.py DATA MODEL``.

Two grounds that nothing has learned from, labelled for buildings alone (building, or any other class): Banepa's last
tiles, and the eleven chips of NAIP of ``docs/score_elsewhere.py``. Prints the temperature that fits each best, and for
the model's own temperature and the other ground's the expected calibration error of building or not (15 bins).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from naip_ground import CHIP_M, CHOICES, NOT_BUILDING, read_chip
from naip_marks import SCORED, drawn, marks
from train_default import BANEPA_ASIDE, banepa_tiles

from geoseg.labels.labelled import LabelKey, LabelledImage
from geoseg.labels.mosaic import joined
from geoseg.learn.calibrate import temperature_of
from geoseg.learn.lesson import Lesson
from geoseg.learn.scoring import halo_of, iter_scores
from geoseg.model.file import load_model
from geoseg.scores.calibration import Calibration
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.model.file import Model
    from geoseg.model.network import NetworkSpec

BUILDING = 1


def main() -> None:
    """Print temperatures and errors."""
    data, model = Path(sys.argv[1]), load_model(sys.argv[2])
    metres = model.card.resolution_m
    grounds = {"Banepa": list(banepa(data / "banepa", metres)), "NAIP": list(chips(data / "naip", metres))}
    fits = {name: temperature_of(*asked(model, images)) for name, images in grounds.items()}
    for name, images in grounds.items():
        (other,) = (fit for ground, fit in fits.items() if ground != name)
        told = {"own best": fits[name], "the other ground's": other, "the card's": model.card.temperature, "none": 1.0}
        errors = ", ".join(f"{what} {fit:.2f}: {ece(model, images, fit):.3f}" for what, fit in told.items())
        print(f"{name}: ECE of building or not at temperature {errors}")


def banepa(folder: Path, metres: float) -> Iterator[LabelledImage]:
    """Yield the tiles kept aside as one image."""
    yield from joined(banepa_tiles(folder, metres)[-BANEPA_ASIDE:])


def chips(folder: Path, metres: float) -> Iterator[LabelledImage]:
    """Yield the eleven chips."""
    size = round(CHIP_M / metres)
    for name, outlines in marks().items():
        if name.startswith(SCORED):
            labels = np.full((size, size), NOT_BUILDING, np.uint8)
            labels[drawn(outlines["unsure"], size)] = 0
            labels[drawn(outlines["buildings"], size)] = BUILDING
            yield LabelledImage(name, name, read_chip(folder / f"{name}.tif", size)[:3], labels)


def asked(model: Model, images: list[LabelledImage]) -> tuple[NetworkSpec, dict[str, torch.Tensor], Lesson]:
    """Return what scoring and calibrating take: the network, its weights, and images held out."""
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}
    lesson = Lesson(LabelKey(DEFAULT_LEGEND, CHOICES), [], images, model.card.mean, model.card.std)
    return model.card.our_network(), weights, lesson


def ece(model: Model, images: list[LabelledImage], temperature: float) -> float:
    """Return the expected calibration error of saying building or not."""
    total = Calibration.empty()
    spec, weights, lesson = asked(model, images)
    for image, scores in iter_scores(spec, weights, lesson, images, margin=halo_of(spec)):
        likely = (scores / temperature).softmax(0)[BUILDING - 1].numpy()
        percent = np.rint(100 * np.maximum(likely, 1 - likely)).astype(np.int64)
        known = image.labels > 0
        right = (likely > 0.5) == (image.labels == BUILDING)
        total += Calibration(
            np.bincount(percent[known & right], minlength=101), np.bincount(percent[known], minlength=101)
        )
    return total.ece


if __name__ == "__main__":
    main()
