"""Leave one tile out: ``python docs/leave_one_tile_out.py DATA OUT [--width N] [--before N] [--steps N]``.

The images of a tile are one scene cut into nine, so only whole tiles kept aside tell what a model does on ground that
it has never seen. DATA holds ``dubai/``, ``banepa/`` and ``naip/`` as docs/accuracy.md describes them.

One network learns from everything but Dubai (``--before`` steps, docs/train_default.py tells from what). It begins each
of eight runs (``--steps``), which learn from seven tiles and made-up scenes. The last weights are scored on the eighth
tile, whose labels decide nothing: as users meet the model, whole images in blended windows.

The temperature of a run is the geometric mean of those that fit the other seven runs' tiles best.

OUT keeps the runs; the same command goes on after a stop. ``folds.json`` and a table on standard output are the result.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from naip_ground import CHOICES, infrared_images
from train_default import banepa_images

from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import DEMO, LabelKey, LabelledImage
from geoseg.labels.made_up import demo_images
from geoseg.labels.material import Gathered, Material
from geoseg.learn.calibrate import temperature_of
from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.train import TrainRequest, train_on
from geoseg.model.file import load_model, save_model
from geoseg.model.network import doubling
from geoseg.pipeline.evaluate.answers import ModelRun
from geoseg.pipeline.evaluate.model import ModelRequest, evaluate_model
from geoseg.pipeline.evaluate.scored_data import ScoredData
from geoseg.vocabulary import DEFAULT_LEGEND

DEMO_SCENES = 120
TITLE = ["tile", "accuracy", "mean IoU", *(entry.name for entry in DEFAULT_LEGEND), "ECE", "all land"]


def main() -> None:
    """Train what is not trained yet, score every fold, and write ``folds.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--before", type=int, default=2000, help="steps without Dubai")
    parser.add_argument("--steps", type=int, default=1500, help="steps of each fold")
    parser.add_argument("--tiles", nargs="*", default=[], help="these tiles only, such as 'Tile 8'")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given.out.mkdir(parents=True, exist_ok=True)

    dubai = read_folder(given.data / "dubai")
    demo = list(demo_images(DEMO_SCENES, climates=True))
    before = given.out / "before.safetensors"
    if not before.exists():
        elsewhere = [*demo, *banepa_images(given.data / "banepa"), *infrared_images(given.data / "naip")]
        learn(given, before, elsewhere, given.before, {DEMO: 0.6, "banepa": 0.2, "naip": 0.2})

    tiles = given.tiles or sorted({image.group for image in dubai})
    files = {tile: given.out / f"without {tile}.safetensors" for tile in tiles}
    for tile, file in files.items():
        if not file.exists():
            learned = [image for image in dubai if image.group != tile] + demo
            learn(given, file, learned, given.steps, {DEMO: 0.25}, init=before)

    temperatures = {
        tile: temperature(file, [image for image in dubai if image.group == tile]) for tile, file in files.items()
    }
    folds = {}
    for tile, file in files.items():
        others = [value for other, value in temperatures.items() if other != tile] or [1.0]
        model = load_model(file)
        scored = given.out / f"scored {tile}.safetensors"
        mild = float(np.exp(np.mean(np.log(others))))
        save_model(scored, replace(model.card, temperature=round(mild, 4)), model.weights)
        report = evaluate_model(ModelRequest(ModelRun(str(scored)), ScoredData(given.data / "dubai"), (tile,)))
        folds[tile] = report.to_json() | {"temperature": mild, "best_temperature": temperatures[tile]}
        (given.out / "folds.json").write_text(json.dumps(folds, indent=1))
    print(table(folds, dubai))


def learn(
    given: argparse.Namespace,
    out: Path,
    images: list[LabelledImage],
    steps: int,
    shares: dict[str, float],
    init: Path | None = None,
) -> None:
    """Train on images, from random weights or those of a model, and keep the last ones."""
    request = TrainRequest(
        Material(given.data),
        out,
        str(init) if init else None,
        widths=doubling(given.width),
        recipe=Recipe(steps=steps, shares=shares, balance=0.15, check_every=300),
        chips=ChipPlan(seed=given.seed, zoom=0.4, turn=0.25),
    )
    material = Gathered(LabelKey(DEFAULT_LEGEND, CHOICES), images, [], "", 1.0, ())
    train_on(request, material, load_model(init) if init else None, lambda _done, _total: None)


def temperature(file: Path, images: list[LabelledImage]) -> float:
    """Return the temperature that fits images best."""
    model = load_model(file)
    lesson = Lesson(LabelKey(DEFAULT_LEGEND), [], images, model.card.mean, model.card.std)
    weights = {name: torch.from_numpy(np.array(values)) for name, values in model.weights.items()}
    return temperature_of(model.card.network, weights, lesson)


def table(folds: dict[str, dict[str, Any]], dubai: list[LabelledImage]) -> str:
    """Return the folds and their mean as Markdown; the last column answers land everywhere."""
    rows = []
    for tile, fold in folds.items():
        counts = sum(
            np.bincount(image.labels.ravel(), minlength=256)[1 : 1 + len(DEFAULT_LEGEND)]
            for image in dubai
            if image.group == tile
        )
        land = counts[[entry.name for entry in DEFAULT_LEGEND].index("land")]
        per_class = [fold["classes"].get(entry.name, {}).get("iou") for entry in DEFAULT_LEGEND]
        ece = fold["ece"]
        rows.append([fold["pixel_accuracy"], fold["mean_iou"], *per_class, ece, land / counts.sum()])
    figures = np.array([[np.nan if value is None else value for value in row] for row in rows], float)
    lines = [[tile, *row] for tile, row in zip(folds, figures, strict=True)] + [["mean", *np.nanmean(figures, 0)]]
    lines.append(["all pixels", *all_pixels(folds)])
    shown = [[line[0], *(f"{value:.3f}" for value in line[1:])] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [TITLE, ["---"] * len(TITLE), *shown])


def all_pixels(folds: dict[str, dict[str, Any]]) -> list[float]:
    """Return the columns of a table that can be told of all tiles' pixels together: accuracy and calibration error."""
    bins: dict[float, list[float]] = {}
    for one in (one for fold in folds.values() for one in fold["reliability"] if one["pixels"]):
        pixels, sure, right = bins.setdefault(one["low"], [0.0, 0.0, 0.0])
        count = one["pixels"]
        bins[one["low"]] = [pixels + count, sure + count * one["confidence"], right + count * one["accuracy"]]
    total = sum(pixels for pixels, _, _ in bins.values())
    ece = sum(abs(sure - right) for _, sure, right in bins.values()) / total
    unknown = [float("nan")] * (len(TITLE) - 4)
    return [sum(right for _, _, right in bins.values()) / total, *unknown, ece, float("nan")]


if __name__ == "__main__":
    main()
