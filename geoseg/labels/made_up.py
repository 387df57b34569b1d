"""Made-up scenes as labelled images."""

from __future__ import annotations

from geoseg.labels.labelled import DEMO, LabelledImage
from geoseg.vocabulary import Window

DEMO_SEED = 1_000_000
"""First seed of the made-up scenes used in training; samples and tests stay below."""


def demo_images(count: int, size: int = 512, first: int = DEMO_SEED, *, climates: bool = False) -> list[LabelledImage]:
    """Render made-up scenes for training, each from a seed of its own: ``first`` and those after it.

    Args:
        count: how many.
        size: rows and columns of each.
        first: the first seed.
        climates: take turns through all of ``CLIMATES`` by seed, rather than dry ones only.
    """
    if count == 0:
        return []
    from geoseg.demo.climates import CLIMATES
    from geoseg.demo.render import render

    names = list(CLIMATES) if climates else ["dry"]
    images = []
    for seed in range(first, first + count):
        climate = names[seed % len(names)]
        pixels, labels = render(seed, Window(0, 0, size, size), climate)
        name = f"demo {seed}" if climate == "dry" else f"demo {seed} {climate}"
        images.append(LabelledImage(name, DEMO, pixels, labels, DEMO))
    return images
