"""Make a bundled model: ``python docs/bundle_model.py default|dubai TRAINED [SCORES [TEMPERATURE]]``.

TRAINED is a model file; docs/accuracy.md tells how it is trained. Its filters are rounded to half precision; the card
gets its name, what it was trained on, and scores: those of SCORES, a JSON file of ``{split: scores}`` of images it has
not seen, and of made-up scenes of unseen seeds. TEMPERATURE comes from ``docs/calibrate_elsewhere.py``, or from a model
before it that had images to measure it on. Run ``docs/score_elsewhere.py`` for the ground kept aside.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoseg.labels.labelled import LabelKey
from geoseg.labels.made_up import demo_images
from geoseg.layers.publish import published
from geoseg.learn.lesson import Lesson
from geoseg.learn.scoring import score_images
from geoseg.model.file import load_model, model_path, save_model
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from geoseg.model.file import Model

UNSEEN = range(100, 130)
DUBAI = {
    "name": "dubai",
    "title": "Semantic segmentation of aerial imagery, Humans in the Loop and MBRSC",
    "license": "CC0-1.0",
    "images": 65,
}
ELSEWHERE = [
    {"name": "made-up scenes of geoseg demo, 512 x 512, five climates", "license": "MIT", "seeds": "from 1000000 on"},
    {
        "name": "Banepa, 27 of 32 tiles, HOTOSM and OpenAerialMap; footprints of OpenStreetMap contributors",
        "license": "CC-BY-4.0; ODbL",
    },
    {
        "name": "NAIP chips of urban-tree-detection-data, USDA; outlines drawn by eye, and their infrared band",
        "license": "CC-BY-4.0",
        "kept aside": ["claremont", "eureka"],
    },
]
DATA = {"default": [DUBAI, *ELSEWHERE], "dubai": [DUBAI]}
DOMAIN = {
    "default": (
        "Aerial imagery in red, green and blue at about 1 m. Labelled ground: Dubai (United Arab Emirates), parts of "
        "six Californian towns and, buildings alone, 27 tiles of Banepa (Nepal). Made-up cities of five climates."
    ),
    "dubai": (
        "Aerial imagery of Dubai (United Arab Emirates) in red, green and blue at about 1 m: dry, built-up, bright. "
        "Useless elsewhere."
    ),
}


def main() -> None:
    """Write the bundled model and print its scores."""
    name, trained = sys.argv[1], load_model(sys.argv[2])
    told = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8")) if len(sys.argv) > 3 else {}
    scores = [{"split": split, **one} for split, one in told.items()]
    if name == "default":
        scores.append(made_up_scores(trained))
    card = replace(
        trained.card,
        name=f"geoseg-{name}",
        legend=DEFAULT_LEGEND,
        domain=replace(trained.card.domain, text=DOMAIN[name]),
        license="MIT",
        training={"data": DATA[name], "last_run": trained.card.training, "all_runs": "docs/accuracy.md"},
        scores=scores,
        temperature=float(sys.argv[4]) if len(sys.argv) > 4 else trained.card.temperature,
    )
    with published(model_path(name), overwrite=True) as path:
        save_model(path, card, trained.weights, halved=True)
    for one in scores:
        classes = {kind: one["classes"][kind]["iou"] for kind in one["classes"]}
        print(one["split"], one["pixel_accuracy"], one["mean_iou"], classes)


def made_up_scores(model: Model) -> dict[str, Any]:
    """Return the scores of made-up scenes that nothing has learned from."""
    images = [image for seed in UNSEEN for image in demo_images(1, first=seed, climates=True)]
    lesson = Lesson(LabelKey(model.card.legend), [], images, model.card.mean, model.card.std)
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}
    confusion = score_images(model.card.network, weights, lesson, images)
    split = f"made-up scenes of unseen seeds {UNSEEN[0]} to {UNSEEN[-1]}, five climates, 512 x 512"
    return {"split": split, **confusion.to_json()}


if __name__ == "__main__":
    sys.exit(main())
