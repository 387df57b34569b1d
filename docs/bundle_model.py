"""Make the bundled model of a trained one: ``python docs/bundle_model.py FINAL WITHOUT_DEMO WITH_DEMO``.

FINAL was trained on every tile, the other two without the held-out ones; their scores go into the card, since FINAL
has no tile left to be scored on. The weights stay as they are.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.layers.publish import published
from geoseg.learn.datasets import LabelledImage, demo_images
from geoseg.model.file import load_card, load_model, model_path, save_model

if TYPE_CHECKING:
    from geoseg.learn.scores import Confusion
    from geoseg.model.card import ModelCard

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


def score_on_demo(final: Path) -> dict[str, object]:
    """Score the model on made-up scenes that no training has seen."""
    import numpy as np
    import torch

    from geoseg.learn.train import Lesson, score_images

    model = load_model(final)
    images: list[LabelledImage] = []
    for seed in UNSEEN:
        (image,) = demo_images(1, first=seed)
        images.append(image)
    card = model.card
    lesson = Lesson(card.legend, [], images, card.mean, card.std)
    weights = {name: torch.from_numpy(np.array(tensor)) for name, tensor in model.weights.items()}
    confusion: Confusion = score_images(card.network, weights, lesson, images)
    return {"split": f"made-up scenes of unseen seeds {UNSEEN[0]} to {UNSEEN[-1]}, 512 x 512", **confusion.to_json()}


def held_out(path: Path, how: str) -> dict[str, object]:
    """Return the score of a model that has not seen the held-out tiles."""
    (score,) = load_card(path).scores
    return {**score, "split": f"{score['split']}; a model trained without them, {how}"}


def main() -> None:
    """Write the bundled model."""
    final, without_demo, with_demo = map(Path, sys.argv[1:])
    model = load_model(final)
    steps: list[ModelCard] = [load_card(with_demo), model.card]
    card = replace(
        model.card,
        name="dubai-unet16",
        domain=replace(model.card.domain, text=DOMAIN),
        license="MIT",
        training={"data": DATA, "runs": [step.training for step in steps], "commands": "docs/accuracy.md"},
        scores=[
            held_out(without_demo, "without made-up scenes"),
            held_out(with_demo, "with made-up scenes"),
            score_on_demo(final),
        ],
    )
    with published(model_path("default"), overwrite=True) as path:
        save_model(path, card, model.weights)
    for score in card.scores:
        print(f"{score['split']}: accuracy {score['pixel_accuracy']:.3f}, mean IoU {score['mean_iou']:.3f}")


if __name__ == "__main__":
    main()
