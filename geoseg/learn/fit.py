"""From a labelled folder to a model file: what ``geoseg train`` does."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

import geoseg
from geoseg.errors import InputError, ModelError, OutputError, UsageError
from geoseg.layers.publish import check_target, published
from geoseg.learn.chips import ChipPlan
from geoseg.learn.datasets import LabelledImage, demo_images, read_dubai
from geoseg.learn.radius import measure_radius
from geoseg.learn.train import Lesson, Recipe, score_images, train
from geoseg.model.card import Domain, ModelCard
from geoseg.model.file import load_card, load_model, save_model
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import DEFAULT_LEGEND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GROUND_PIXEL_M = 1.0
"""Of the Dubai images; measured on the athletics track of Tile 7, since the data set states none."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What to learn from and how."""

    dataset: Path
    out: Path
    init: str | None = None
    """Model to begin with: a file or ``default``; None begins with random weights."""
    resolution_m: float | None = None
    """Ground pixel of the images in metres; None takes that of the model to begin with, else ``GROUND_PIXEL_M``."""
    hold_out: tuple[str, ...] = ()
    """Groups (tiles) or single images (``Tile 1/image_part_003``) that are scored on and never trained on."""
    demo_scenes: int = 0
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    recipe: Recipe = field(default_factory=Recipe)
    chips: ChipPlan = field(default_factory=ChipPlan)
    overwrite: bool = False
    restart: bool = False


def fit(request: FitRequest, tell: Callable[[int, int], None] = lambda _done, _total: None) -> ModelCard:
    """Train on a data set and write the model file; returns its card.

    Raises:
        InputError: the data set cannot be read.
        UsageError: a held-out group does not exist, or nothing is left to train on.
        ModelError: the model to begin with does not fit the data.
        OutputError: the model file cannot be written.
    """
    if request.out.suffix != ".safetensors":
        raise UsageError(f"{request.out}: a model file ends in .safetensors")
    check_target(request.out, overwrite=request.overwrite)
    lesson, start, spec = _prepare(request)
    folder = request.out.with_name(request.out.name + ".run")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, but the run keeps its checkpoints in a folder of that name")
    if request.restart and folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    weights = train(spec, lesson, request.recipe, request.chips, folder, start=start, tell=tell)

    scores = []
    if lesson.held_out:
        confusion = score_images(spec, weights, lesson, lesson.held_out)
        aside = ", ".join(request.hold_out)
        split = f"held out from training, but used to choose the best step: {aside}; whole images"
        scores = [{"split": split, **confusion.to_json()}]
    card = _card(request, lesson, spec, scores)
    with published(request.out, overwrite=request.overwrite) as half:
        # The file holds what the card's network names; torch's own bookkeeping (num_batches_tracked) stays behind.
        return save_model(half, card, {name: weights[name].numpy() for name in spec.tensor_shapes()})


def _prepare(request: FitRequest) -> tuple[Lesson, dict[str, Any] | None, NetworkSpec]:
    """Read the images, split them by group, and find the weights to begin with."""
    import torch

    images = read_dubai(request.dataset)
    groups = {image.group for image in images}
    kept_aside = set(request.hold_out)
    if unknown := sorted(kept_aside - groups - {image.name for image in images}):
        raise UsageError(
            f"--hold-out: {unknown[0]!r} is not a tile of {request.dataset}, nor an image such as {images[0].name!r};"
            f" it has {', '.join(sorted(groups))}"
        )
    held_out = [image for image in images if kept_aside & {image.group, image.name}]
    learned = [image for image in images if not kept_aside & {image.group, image.name}]
    if not learned:
        raise UsageError("--hold-out: every image is held out, nothing is left to train on")
    mean, std = _color_statistics(learned)
    spec = NetworkSpec(bands=3, classes=len(DEFAULT_LEGEND), widths=request.widths)
    start = None
    if request.init is not None:
        model = load_model(request.init)
        _check_init(model.card, request.init)
        spec, mean, std = model.card.network, model.card.mean, model.card.std
        start = {name: torch.from_numpy(tensor.copy()) for name, tensor in model.weights.items()}
    learned += demo_images(request.demo_scenes)
    return Lesson(DEFAULT_LEGEND, learned, held_out, mean, std), start, spec


def _check_init(card: ModelCard, name: str) -> None:
    """Refuse a model to begin with that expects other images than the data set's."""
    expected = {
        "classes": [entry.name for entry in DEFAULT_LEGEND],
        "bands": ["red", "green", "blue"],
        "values": [0, 255],
    }
    found = {"classes": [entry.name for entry in card.legend], "bands": [*card.bands], "values": [*card.value_range]}
    for noun, wanted in expected.items():
        if found[noun] != wanted:
            raise ModelError(f"--init {name}: its {noun} are {found[noun]}, those of this data set are {wanted}")


def _color_statistics(images: list[LabelledImage]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per band over all labelled pixels."""
    total = np.zeros(3)
    squares = np.zeros(3)
    count = 0
    for image in images:
        values = image.pixels[:, image.labels > 0].astype(np.float64)
        total += values.sum(1)
        squares += (values**2).sum(1)
        count += values.shape[1]
    if count == 0:
        raise InputError(f"{images[0].name} and the other images: not one labelled pixel, so there is nothing to learn")
    mean = total / count
    std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), 1.0)  # images of one flat colour
    return tuple(round(float(v), 3) for v in mean), tuple(round(float(v), 3) for v in std)


def _card(request: FitRequest, lesson: Lesson, spec: NetworkSpec, scores: list[dict[str, Any]]) -> ModelCard:
    real = [image for image in lesson.images if image.group != "demo"]
    means = np.array([image.pixels.mean((1, 2)) for image in real])
    low, high = means.min(0), means.max(0)
    zoom = float(np.exp(request.chips.zoom))
    pixel = request.resolution_m or (load_card(request.init).resolution_m if request.init else GROUND_PIXEL_M)
    return ModelCard(
        name=request.out.stem,
        version=geoseg.__version__,
        network=spec,
        bands=("red", "green", "blue"),
        value_range=(0, 255),
        mean=lesson.mean,
        std=lesson.std,
        resolution_m=pixel,
        legend=lesson.legend,
        receptive_radius=measure_radius(spec),
        domain=Domain(
            resolution_m=(round(pixel / zoom, 2), round(pixel * zoom, 2)),
            color_mean=tuple((round(float(a), 1), round(float(b), 1)) for a, b in zip(low, high, strict=True)),
            text=f"Images like those of {request.dataset.name}, red, green and blue, at about {pixel:g} m",
        ),
        license="as the training data",
        training={
            "data": [{"name": request.dataset.name, "images": len(real), "held_out": list(request.hold_out)}],
            "demo_scenes": request.demo_scenes,
            "init": request.init,
            "recipe": asdict(request.recipe),
            "chips": asdict(request.chips),
        },
        scores=scores,
    )
