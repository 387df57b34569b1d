"""Train the bundled model: ``python docs/train_default.py DATA OUT [--hold-out NAME] [--init MODEL] [--steps N] …``.

DATA holds ``dubai/``, ``banepa/`` and ``naip/`` as docs/accuracy.md describes them. One network learns from all:

- Dubai: five classes.
- Made-up scenes of all climates: five classes.
- Banepa, at several ground resolutions: building, or any other class.
- NAIP: no labels, but a near-infrared band that the network does not see. Plants are bright there and dark in red
  (NDVI, their normalized difference, is high), and water is dark there. So pixels are vegetation, or anything but
  vegetation, or neither vegetation nor water.

The run keeps its checkpoints in OUT.run and goes on from there.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio

from geoseg.labels.classes import taught
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import DEMO, LabelKey, LabelledImage
from geoseg.labels.made_up import demo_images
from geoseg.labels.material import Gathered, Material
from geoseg.labels.mosaic import in_line, joined
from geoseg.labels.scenes import ClassField, ScenePair, read_scenes
from geoseg.labels.split import split
from geoseg.learn.chips import ChipPlan
from geoseg.learn.fit import FitRequest, fit_on
from geoseg.learn.lesson import Recipe
from geoseg.model.file import load_model
from geoseg.model.network import MAX_WIDTH, doubling
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

NOT_BUILDING, NO_PLANT, DRY = 201, 202, 203
CHOICES = {
    NOT_BUILDING: ("road", "water", "vegetation", "land"),
    NO_PLANT: ("building", "road", "water", "land"),
    DRY: ("building", "road", "land"),
}
VEGETATION = 4
BANEPA_M = (0.5, 0.7, 1.0)
BANEPA_ASIDE = 5
"""Tiles at the southern end that are never learned from."""
PLANT_NDVI, BARE_NDVI = 0.22, 0.05
DRY_NIR = 70  # of 255: water reflects less


def main() -> None:
    """Train and write the model file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--init")
    parser.add_argument("--hold-out", action="append", default=[], help="image or tile of Dubai, or a city of NAIP")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--widest", type=int, default=MAX_WIDTH)
    parser.add_argument("--patch", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--color-jitter", type=float, default=1.0)
    parser.add_argument("--check-every", type=int, default=300)
    parser.add_argument("--demo-scenes", type=int, default=160)
    parser.add_argument("--shares", type=float, nargs=3, default=(0.25, 0.08, 0.12), help="demo, banepa, naip")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    demo, banepa, naip = given.shares
    request = FitRequest(
        Material(given.data, hold_out=tuple(given.hold_out)),
        given.out,
        given.init,
        widths=doubling(given.width, given.widest),
        patch=given.patch,
        recipe=Recipe(
            steps=given.steps,
            learning_rate=given.learning_rate,
            shares={DEMO: demo, "banepa": banepa, "naip": naip},
            balance=0.15,
            edge_tolerance=0,
            check_every=given.check_every,
        ),
        chips=ChipPlan(batch=given.batch, seed=given.seed, zoom=0.4, turn=0.25, color=given.color_jitter),
        device=given.device,
        overwrite=True,
    )
    model = load_model(given.init) if given.init else None
    fit_on(request, everything(given.data, given.hold_out, given.demo_scenes), model, lambda _done, _total: None)


def everything(data: Path, hold_out: list[str], demo_scenes: int) -> Gathered:
    """Return all sources, with images of Dubai and cities of NAIP held out by name."""
    dubai = [name for name in hold_out if name.startswith("Tile")]
    told = split(read_folder(data / "dubai"), dubai, "none", 0)
    chips = list(naip_images(data / "naip"))
    if unknown := set(hold_out) - set(dubai) - {image.group for image in chips}:
        raise SystemExit(f"--hold-out: {min(unknown)} is no tile or image of Dubai and no city of NAIP")
    naip = [image for image in chips if image.group not in hold_out]
    learned = [
        *told.learned,
        *banepa_images(data / "banepa"),
        *naip,
        *demo_images(demo_scenes, climates=True),
    ]
    return Gathered(LabelKey(DEFAULT_LEGEND, CHOICES), learned, told.held_out, told.text, 1.0)


def banepa_images(folder: Path) -> Iterator[LabelledImage]:
    """Yield the mosaic of Banepa at each ground resolution."""
    pair = ScenePair((folder / "tiles",), folder / "buildings.geojson")
    for metres in BANEPA_M:
        found = read_scenes([pair], ReadRequest(resolution_m=metres), ClassField(one_class="building"), lambda _: None)
        tiles = in_line(taught(found, DEFAULT_LEGEND, "unknown").images)
        for image in joined(tiles[:-BANEPA_ASIDE]):
            labels = np.where(image.labels > len(DEFAULT_LEGEND), np.uint8(NOT_BUILDING), image.labels)
            yield replace(image, name=f"{image.name} at {metres} m", labels=labels, source="banepa")


def naip_images(folder: Path) -> Iterator[LabelledImage]:
    """Yield the chips with what their near-infrared band says."""
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as chip:
            pixels = chip.read((1, 2, 3, 4))
        name = path.stem
        yield LabelledImage(name, name.rsplit("_", 1)[0], pixels[:3], seen_in_infrared(pixels), "naip")


def seen_in_infrared(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return label values (h, w) of red, green, blue and near-infrared (4, h, w)."""
    red, infrared = pixels[0].astype(np.float32), pixels[3].astype(np.float32)
    ndvi = (infrared - red) / np.maximum(infrared + red, 1)
    labels = np.zeros(ndvi.shape, np.uint8)
    labels[ndvi < BARE_NDVI] = NO_PLANT
    labels[(ndvi < BARE_NDVI) & (infrared > DRY_NIR)] = DRY
    labels[ndvi > PLANT_NDVI] = VEGETATION
    return labels


if __name__ == "__main__":
    main()
