"""Train the bundled model: ``python docs/train_default.py DATA OUT [--hold-out NAME] [--init MODEL] [--steps N] …``.

DATA holds ``dubai/``, ``banepa/`` and ``naip/`` as docs/accuracy.md describes them. One network learns from all:

- Dubai: five classes.
- Made-up scenes of all climates, and half as many more of dry ones: five classes.
- Banepa, at several ground resolutions: building, or any other class.
- NAIP, chips marked by eye (docs/naip_marks.json): five classes.
- NAIP, chips that are not marked (``--teacher MODEL``): what a model before it says of them (docs/self_taught.py).
- NAIP, all chips: no labels, but a near-infrared band that the network does not see. Pixels are vegetation, or anything
  but vegetation, or neither vegetation nor water.

The run keeps its checkpoints in OUT.run and goes on from there.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from naip_ground import CHOICES, NOT_BUILDING, infrared_images, marked_images
from self_taught import SETS, self_taught_images

from geoseg.labels.classes import taught
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import DEMO, LabelKey, LabelledImage
from geoseg.labels.made_up import demo_images
from geoseg.labels.material import Gathered, Material
from geoseg.labels.mosaic import in_line, joined
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, read_scenes
from geoseg.labels.split import split
from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Recipe
from geoseg.learn.train import TrainRequest, train_on
from geoseg.model.file import load_model
from geoseg.model.network import MAX_WIDTH, doubling
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.model.file import Model

DRY_SEED = 1_010_000
BANEPA_M = (0.5, 0.7, 1.0)
BANEPA_ASIDE = 5
"""Tiles at the southern end that are never learned from."""


def main() -> None:
    """Train and write the model file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--init")
    parser.add_argument("--hold-out", action="append", default=[], help="image or tile of Dubai")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--chip", type=int, default=256)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--widest", type=int, default=MAX_WIDTH)
    parser.add_argument("--patch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--color-jitter", type=float, default=1.0)
    parser.add_argument("--check-every", type=int, default=300)
    parser.add_argument("--demo-scenes", type=int, default=160)
    parser.add_argument(
        "--shares", type=float, nargs=5, default=(0.25, 0.06, 0.03, 0.3, 0.1), help="demo, banepa, naip, marked, taught"
    )
    parser.add_argument("--teacher", help="model whose answers are learned from where nothing is marked")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    demo, banepa, naip, marked, told = given.shares
    request = TrainRequest(
        Material(given.data / "dubai", hold_out=tuple(given.hold_out)),
        given.out,
        given.init,
        widths=doubling(given.width, given.widest),
        patch=given.patch,
        recipe=Recipe(
            steps=given.steps,
            learning_rate=given.learning_rate,
            shares={DEMO: demo, "banepa": banepa, "naip": naip, "marked": marked, "taught": told},
            balance=0.15,
            edge_tolerance=0,
            check_every=given.check_every,
        ),
        chips=ChipPlan(
            size=given.chip, batch=given.batch, seed=given.seed, zoom=0.4, turn=0.25, color=given.color_jitter
        ),
        device=given.device,
        overwrite=True,
    )
    model = load_model(given.init) if given.init else None
    teacher = load_model(given.teacher) if given.teacher else None
    material = everything(given.data, given.hold_out, given.demo_scenes, teacher)
    train_on(request, material, model, lambda _done, _total: None)


def everything(data: Path, hold_out: list[str], demo_scenes: int, teacher: Model | None) -> Gathered:
    """Return all sources, with images of Dubai held out by name, and without the ground of docs/score_elsewhere.py."""
    told = split(read_folder(data / "dubai"), hold_out, "none", 0)
    learned = [
        *told.learned,
        *banepa_images(data / "banepa"),
        *infrared_images(data / "naip"),
        *marked_images(data / "naip"),
        *([] if teacher is None else self_taught_images(data / "naip", teacher)),
        *demo_images(demo_scenes, climates=True),
        *demo_images(demo_scenes // 2, first=DRY_SEED),
    ]
    return Gathered(LabelKey(DEFAULT_LEGEND, {**CHOICES, **SETS}), learned, told.held_out, told.text, 1.0, ())


def banepa_images(folder: Path) -> Iterator[LabelledImage]:
    """Yield the mosaic of Banepa at each ground resolution."""
    for metres in BANEPA_M:
        for image in joined(banepa_tiles(folder, metres)[:-BANEPA_ASIDE]):
            yield replace(image, name=f"{image.name} at {metres} m", source="banepa")


def banepa_tiles(folder: Path, metres: float) -> list[LabelledImage]:
    """Return Banepa's tiles from north to south at a ground pixel, with building or any other class."""
    pair = ScenePair((folder / "tiles",), folder / "buildings.geojson")
    found = read_scenes([pair], ReadRequest(resolution_m=metres), ClassField(one_class="building"), lambda _: None)
    tiles = in_line([one.image for one in taught(found, DEFAULT_LEGEND, "unknown").images])
    return [
        replace(tile, labels=np.where(tile.labels > len(DEFAULT_LEGEND), np.uint8(NOT_BUILDING), tile.labels))
        for tile in tiles
    ]


if __name__ == "__main__":
    main()
