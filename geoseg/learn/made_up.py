"""Made-up scenes as labelled images."""

from __future__ import annotations

from geoseg.learn.labelled import DEMO, LabelledImage
from geoseg.vocabulary import Window

DEMO_SEED = 1_000_000
"""First seed of the made-up scenes used in training; samples and tests stay below."""


def demo_images(count: int, size: int = 512, first: int = DEMO_SEED) -> list[LabelledImage]:
    """Render made-up scenes for training, each from a seed of its own: ``first`` and those after it."""
    if count == 0:
        return []
    from geoseg.demo.render import render

    images = []
    for i in range(count):
        pixels, labels = render(first + i, Window(0, 0, size, size))
        images.append(LabelledImage(f"demo {first + i}", DEMO, pixels, labels, DEMO))
    return images
