"""Make the bundled model: ``python docs/bundle_model.py FINAL``.

FINAL comes from ``docs/train_default.py``. Its weights stay as they are; the card gets its name, what it was trained
on, and scores on what it never saw. Run ``docs/score_elsewhere.py`` for the ground kept aside.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import torch

from geoseg.labels.labelled import LabelKey
from geoseg.labels.made_up import demo_images
from geoseg.layers.publish import published
from geoseg.learn.lesson import Lesson
from geoseg.learn.scoring import score_images
from geoseg.model.file import load_model, model_path, save_model

UNSEEN = range(100, 130)
DOMAIN = (
    "Aerial imagery in red, green and blue at about 1 m. Labelled ground: Dubai (United Arab Emirates) and, buildings "
    "alone, a quarter of Banepa (Nepal). Made-up cities of five climates; plants of Californian towns seen in infrared."
)
DATA = [
    {
        "name": "Semantic segmentation of aerial imagery, Humans in the Loop and MBRSC",
        "license": "CC0-1.0",
        "images": 65,
    },
    {
        "name": "made-up scenes of geoseg demo, 512 x 512, five climates",
        "license": "MIT",
        "seeds": "1000000 to 1000199",
    },
    {
        "name": "Banepa, 27 of 32 tiles, HOTOSM and OpenAerialMap; footprints of OpenStreetMap contributors",
        "license": "CC-BY-4.0; ODbL",
    },
    {
        "name": "NAIP chips of urban-tree-detection-data, USDA; their near-infrared band is the teacher, and no labels",
        "license": "CC-BY-4.0",
        "kept aside": ["claremont_2018", "eureka_2020", "riverside_2020"],
    },
]


def main() -> None:
    """Write the bundled model and print its scores."""
    model = load_model(sys.argv[1])
    before = load_model("default").card
    images = [image for seed in UNSEEN for image in demo_images(1, first=seed, climates=True)]
    lesson = Lesson(LabelKey(model.card.legend), [], images, model.card.mean, model.card.std)
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}
    confusion = score_images(model.card.network, weights, lesson, images)
    split = f"made-up scenes of unseen seeds {UNSEEN[0]} to {UNSEEN[-1]}, five climates, 512 x 512; this model"
    # What earlier models scored on images that they had not seen, and this one has.
    ancestors = [score for score in before.scores if "held out" in score["split"]]
    card = replace(
        model.card,
        name="geoseg-unet16",
        domain=replace(model.card.domain, text=DOMAIN),
        license="MIT",
        training={"data": DATA, "last_run": model.card.training, "all_runs": "docs/accuracy.md"},
        scores=[*ancestors, {"split": split, **confusion.to_json()}],
    )
    with published(model_path("default"), overwrite=True) as path:
        save_model(path, card, model.weights)
    for one in card.scores:
        classes = {name: one["classes"][name]["iou"] for name in one["classes"]}
        print(one["split"], one["pixel_accuracy"], one["mean_iou"], classes)


if __name__ == "__main__":
    sys.exit(main())
