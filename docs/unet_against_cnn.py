"""U-Net against a plain CNN on every image: ``python docs/unet_against_cnn.py DATA OUT [--epochs N] [--width N]``.

Seven held-out images are too few to say how sure a difference is. Here the images of Dubai are dealt to folds, each
fold is held out once by ``geoseg compare``, and every image is scored by a U-Net and a CNN that have not learned from
it, under equal conditions: the same patches, loss, steps and seed. A fold has images of every tile, and their
neighbours are learned from, as in the paper.

OUT keeps the runs; the same command goes on after a stop. ``folds.json`` and tables on standard output are the result:
differences with 95 % intervals of a bootstrap over images and over whole tiles, and what sevens drawn at random, one
image of each of seven tiles, would have scored.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.labels.folders import read_folder
from geoseg.learn.compare import CompareRequest, compare, paired_difference
from geoseg.learn.paper import KINDS, UNLABELED, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoseg.scores.confusion import Confusion

DRAWS = 2000
KEPT_ASIDE = (
    *("Tile 1/image_part_009", "Tile 2/image_part_004", "Tile 3/image_part_002", "Tile 4/image_part_001"),
    *("Tile 5/image_part_007", "Tile 7/image_part_006", "Tile 8/image_part_007"),
)
"""Those that docs/accuracy.md holds out."""


def main() -> None:
    """Train what is not trained yet, score every fold, and write ``folds.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in the Dubai layout")
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--patches", type=int, default=500)
    parser.add_argument("--loss", default="ce")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    images = read_folder(given.data)
    tile_of = {image.name: image.group for image in images}
    if missing := sorted(set(KEPT_ASIDE) - set(tile_of)):
        parser.error(f"{given.data}: has no {missing[0]}, expected the images of Dubai")
    protocol = Protocol(epochs=given.epochs, width=given.width, patches=given.patches, seed=given.seed)
    scored: dict[str, dict[str, Confusion]] = {kind: {} for kind in KINDS}
    for number, fold in enumerate(dealt(tile_of, given.folds, given.seed), 1):
        done = compare(CompareRequest(given.data, given.out / f"fold {number}", protocol, fold, (given.loss,)))
        for one in done.contestants:
            scored[one.kind] |= zip((image.name for image in done.held_out), one.images, strict=True)
        print(f"fold {number}: {', '.join(fold)}", flush=True)

    names = sorted(scored["unet"])
    unet, fcn = ([scored[kind][name] for name in names] for kind in ("unet", "fcn"))
    tiles = sorted(set(tile_of.values()))
    of_tile = [[i for i, name in enumerate(names) if tile_of[name] == tile] for tile in tiles]
    by_tile = ([together([one[i] for i in members]) for members in of_tile] for one in (unet, fcn))
    result: dict[str, Any] = {
        "folds": given.folds,
        "epochs": given.epochs,
        "width": given.width,
        "patches": given.patches,
        "loss": given.loss,
        "over_images": paired_difference(unet, fcn),
        "over_tiles": paired_difference(*by_tile),
        "images_where_unet_is_ahead": sum(a.pixel_accuracy > b.pixel_accuracy for a, b in zip(unet, fcn, strict=True)),
        "all_images": {kind: together(list(scored[kind].values())).to_json() for kind in KINDS},
        "accuracy": {name: [scored[kind][name].pixel_accuracy for kind in KINDS] for name in names},
        "sevens": sevens(scored["unet"], tile_of, given.seed),
    }
    (given.out / "folds.json").write_text(json.dumps(result, indent=1))
    print(table(result))


def dealt(tile_of: dict[str, str], folds: int, seed: int) -> list[tuple[str, ...]]:
    """Return the names of each fold: shuffled within tiles, then dealt in turn, so that no tile is all in one."""
    random = np.random.default_rng(seed)
    shuffled: list[str] = []
    for tile in sorted(set(tile_of.values())):
        names = sorted(name for name in tile_of if tile_of[name] == tile)
        shuffled += [names[i] for i in random.permutation(len(names))]
    return [tuple(sorted(shuffled[first::folds])) for first in range(folds)]


def together(images: Sequence[Confusion]) -> Confusion:
    """Return one confusion of all images."""
    return replace(images[0], counts=np.sum([image.counts for image in images], axis=0))


def sevens(scored: dict[str, Confusion], tile_of: dict[str, str], seed: int) -> dict[str, list[float]]:
    """Return accuracy and five-class mean IoU that 5 %, half and 95 % of random sevens stay below.

    Two more figures: the score of the seven that docs/accuracy.md keeps aside, and the share of sevens below it.
    """
    random = np.random.default_rng(seed)
    tiles = sorted({tile_of[name] for name in KEPT_ASIDE})
    of_tile = [[name for name in scored if tile_of[name] == tile] for tile in tiles]
    draws = [five_classes(scored, [random.choice(names) for names in of_tile]) for _ in range(DRAWS)]
    kept = five_classes(scored, KEPT_ASIDE)
    below = np.mean(np.array(draws) < kept, axis=0)
    return {
        name: [*np.percentile([draw[i] for draw in draws], (5, 50, 95)).round(4).tolist(), kept[i], float(below[i])]
        for i, name in enumerate(("accuracy", "mean_iou_5"))
    }


def five_classes(scored: dict[str, Confusion], names: Sequence[str]) -> tuple[float, float]:
    """Return accuracy and mean IoU of the five classes over some images; pixels labelled Unlabeled are left out."""
    total = together([scored[name] for name in names])
    known = [i for i, entry in enumerate(total.legend) if entry.name != UNLABELED]
    counts = total.counts[known]
    hits = np.array([counts[row, i] for row, i in enumerate(known)])
    union = counts.sum(1) + counts[:, known].sum(0) - hits
    return float(hits.sum() / counts.sum()), float(np.mean((hits / np.maximum(union, 1))[union > 0]))


def table(result: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the differences, their intervals and the sevens as Markdown."""
    lines = ["| U-Net minus CNN | difference | over images | over tiles |", "|---|---|---|---|"]
    for name, over in result["over_images"].items():
        bounds = (over["interval"], result["over_tiles"][name]["interval"])
        ends = [f"{interval[0]:+.3f} to {interval[1]:+.3f}" for interval in bounds]
        lines.append(f"| {name} | {over['difference']:+.3f} | {' | '.join(ends)} |")
    lines += ["", "| sevens, U-Net | 5 % | half | 95 % | those kept aside | share below them |", f"|{'---|' * 6}"]
    for name, figures in result["sevens"].items():
        lines.append(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
