"""A small labelled city in the Dubai layout, and runs of training on it, for tests."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import rasterio

from geoseg.labels.material import Material
from geoseg.learn.chips import ChipPlan
from geoseg.learn.lesson import Recipe
from geoseg.learn.train import TrainRequest
from geoseg.model.file import load_model
from geoseg.vocabulary import DEFAULT_LEGEND

SEEN = {1: (200, 60, 50), 2: (110, 110, 110), 3: (30, 60, 190), 4: (40, 150, 50), 5: (230, 210, 150)}
"""What the classes look like from above."""
MASKED = {c.value: tuple(bytes.fromhex(c.color[1:])) for c in DEFAULT_LEGEND} | {0: (155, 155, 155)}


def write_picture(path, pixels, driver, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    palette = options.pop("palette", None)
    with rasterio.open(
        path, "w", driver=driver, count=count, height=height, width=width, dtype="uint8", **options
    ) as file:
        if palette:
            file.write_colormap(1, palette)
        file.write(pixels)


def painted(labels, colors, spread=0, seed=0):
    """Return (3, h, w) colours of labels, with some noise."""
    table = np.zeros((256, 3), np.int16)
    for value, color in colors.items():
        table[value] = color
    noise = np.random.default_rng(seed).normal(0, spread, (3, *labels.shape)) if spread else 0
    return np.clip(table[labels].transpose(2, 0, 1) + noise, 0, 255).astype(np.uint8)


def some_labels(seed, size=(64, 72)):
    random = np.random.default_rng(seed)
    blocks = random.integers(1, 6, (-(-size[0] // 12), -(-size[1] // 12))).astype(np.uint8)
    labels = blocks.repeat(12, 0).repeat(12, 1)[: size[0], : size[1]]
    labels[:3, :3] = 0
    return np.ascontiguousarray(labels)


def write_tile(folder, tile, part, labels, *, palette=False, seed=0):
    write_picture(
        folder / f"Tile {tile}/images/image_part_00{part}.jpg",
        painted(labels, SEEN, 6, seed),
        "JPEG",
        quality=95,
    )
    mask = folder / f"Tile {tile}/masks/image_part_00{part}.png"
    if palette:
        write_picture(mask, labels[None], "PNG", palette={value: (*color, 255) for value, color in MASKED.items()})
    else:
        write_picture(mask, painted(labels, MASKED), "PNG")


def write_city(folder):
    """Write a small folder in the Dubai layout, images with masks: three tiles, one of them with palette masks."""
    for tile, part in itertools.product((1, 2, 3), (1, 2)):
        write_tile(folder, tile, part, some_labels(10 * tile + part), palette=tile == 2, seed=tile)
    (folder / "Tile 1/images/without_a_mask.jpg").write_bytes(
        (folder / "Tile 1/images/image_part_001.jpg").read_bytes()
    )
    (folder / "classes.json").write_text("{}")
    return folder


def a_request(dubai, out, *, steps=12, every=4, seed=1, **more):
    hold_out = more.pop("hold_out", ("Tile 3",))
    material = {"hold_out": hold_out, "how": more.pop("how", "auto" if hold_out else "none")}
    fields = {"material": Material(dubai, **material), "out": out, "widths": (4, 8), "device": "cpu"} | more
    recipe = Recipe(steps=steps, learning_rate=2e-2, warmup=3, check_every=every)
    return TrainRequest(**{"recipe": recipe, "chips": ChipPlan(size=32, batch=3, seed=seed), **fields})


class Killed(BaseException):
    """Stands for a process that ends at once."""


def killed_at(step):
    def tell(done, _total):
        if done == step:
            raise Killed

    return tell


def assert_same(one, other):
    first, second = load_model(one), load_model(other)
    assert replace(first.card, name="") == replace(second.card, name="")
    for name, tensor in first.weights.items():
        np.testing.assert_array_equal(tensor, second.weights[name])
