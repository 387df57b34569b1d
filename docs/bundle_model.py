"""Make the bundled model: ``python docs/bundle_model.py DUBAI FIRST FINAL``.

FIRST was trained without the held-out images of the data set DUBAI, and FINAL went on from it with all of them. The
scores of FIRST go into the card, since FINAL has no image left to be scored on. The weights stay as they are.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from geoseg.learn.datasets import LabelledImage, demo_images, read_dubai

from geoseg.layers.publish import published
from geoseg.learn.train import Lesson, score_images
from geoseg.model.file import load_model, model_path, save_model

if TYPE_CHECKING:
    from geoseg.scores.confusion import Confusion

HELD_OUT = (
    "Tile 1/image_part_003",
    "Tile 2/image_part_002",
    "Tile 3/image_part_004",
    "Tile 4/image_part_008",
    "Tile 5/image_part_003",
    "Tile 7/image_part_007",
    "Tile 8/image_part_002",
)
UNSEEN = range(100, 116)
DOMAIN = (
    "Aerial imagery of Dubai (United Arab Emirates) in red, green and blue at about 1 m, and made-up cities in its "
    "manner: dry, built-up, bright. Not shown to work elsewhere."
)
DATA = [
    {
        "name": "Semantic segmentation of aerial imagery, Humans in the Loop and MBRSC",
        "license": "CC0-1.0",
        "images": 65,
    },
    {"name": "made-up scenes of geoseg demo, 512 x 512", "license": "MIT", "seeds": "1000000 to 1000095"},
]


def score(path: Path, images: list[LabelledImage]) -> Confusion:
    """Score a model on whole images."""
    model = load_model(path)
    card = model.card
    lesson = Lesson(card.legend, [], images, card.mean, card.std)
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}
    net_weights = weights | {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
        for name in weights
        if name.endswith("running_mean")
    }
    return score_images(card.network, net_weights, lesson, images)


def main() -> None:
    """Write the bundled model."""
    dubai, first, final = map(Path, sys.argv[1:])
    model = load_model(final)
    aside = [image for image in read_dubai(dubai) if image.name in HELD_OUT]
    unseen = [image for seed in UNSEEN for image in demo_images(1, first=seed)]
    split = (
        f"seven images held out, one of each of seven tiles ({', '.join(HELD_OUT)}), their neighbours learned from; "
        "the model before its last three runs, in which these images were learned from, too"
    )
    scores = [
        {"split": split, **score(first, aside).to_json()},
        {
            "split": f"made-up scenes of unseen seeds {UNSEEN[0]} to {UNSEEN[-1]}, 512 x 512; this model",
            **score(final, unseen).to_json(),
        },
    ]
    card = replace(
        model.card,
        name="dubai-unet16",
        domain=replace(model.card.domain, text=DOMAIN),
        license="MIT",
        training={"data": DATA, "last_run": model.card.training, "all_runs": "docs/accuracy.md"},
        scores=scores,
    )
    with published(model_path("default"), overwrite=True) as path:
        save_model(path, card, model.weights)
    for one in scores:
        classes = {name: one["classes"][name]["iou"] for name in one["classes"]}
        print(one["split"], one["pixel_accuracy"], one["mean_iou"], classes)


if __name__ == "__main__":
    main()
