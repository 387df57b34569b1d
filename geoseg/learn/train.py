"""From labelled images to a model file: what ``geoseg train`` does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

import geoseg
from geoseg.errors import InputError, UsageError
from geoseg.labels.labelled import DEMO, LabelledImage, color_means
from geoseg.labels.material import Gathered, Material, gathered
from geoseg.layers.publish import check_target, published
from geoseg.learn.calibrate import temperature_of
from geoseg.learn.chips import ChipPlan
from geoseg.learn.device import device_named
from geoseg.learn.initial_weights import initial_weights
from geoseg.learn.lesson import Lesson, Recipe
from geoseg.learn.loop import Run, train
from geoseg.learn.radius import measure_radius
from geoseg.learn.run_folder import BEST, run_folder
from geoseg.learn.run_page import RunPage
from geoseg.learn.scoring import halo_of, score_images
from geoseg.model.card import Domain, ModelCard
from geoseg.model.file import Model, load_model, save_model
from geoseg.model.learned import learned_from, read_otherwise
from geoseg.model.network import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

_ROWS = 512  # looked at together

GROUND_PIXEL_M = 1.0
"""Of the Dubai images; measured on the athletics track of Tile 7, since the data set states none."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What to learn from and how."""

    material: Material
    out: Path
    init: str | None = None
    """Model to begin with: a file, or the name of a bundled one; None begins with random weights."""
    kind: str = "unet"
    """Kind of network, where no model is begun with."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels per level, finest first, where no model is begun with."""
    patch: int = 1
    """Pixels a side that enter the finest level as one, where no model is begun with."""
    recipe: Recipe = field(default_factory=Recipe)
    chips: ChipPlan = field(default_factory=ChipPlan)
    device: str = "auto"
    overwrite: bool = False
    restart: bool = False


def train_model(
    request: TrainRequest,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
    note: Callable[[str], None] = lambda _sentence: None,
) -> ModelCard:
    """Train on labelled images and write the model file; returns its card.

    Args:
        request: what and how.
        tell: called with steps done and steps in all.
        note: called with sentences on what was read.

    Raises:
        InputError: images or labels cannot be read.
        UsageError: a held-out group does not exist, or nothing is left to train on.
        ModelError: the model to begin with does not fit the data.
        OutputError: the model file cannot be written.
    """
    _check_out(request)
    device_named(request.device)
    model = None if request.init is None else load_model(request.init)
    if model is not None:
        model.card.our_network("trained further; begin with --init default, or a model that geoseg trained")
    material = gathered(request.material, model.card if model else None, note)
    if model is not None and (learned := learned_from(model.card, material.aside)):
        note(learned)
    if model is not None and request.material.scenes:
        unlike = read_otherwise(model.card, request.material.reading_flags)
        if unlike:
            note(unlike)
    return train_on(request, material, model, tell)


def train_on(
    request: TrainRequest, material: Gathered, model: Model | None, tell: Callable[[int, int], None]
) -> ModelCard:
    """Train on what was gathered and write the model file; returns its card.

    Args:
        request: how, and where to.
        material: what to learn from.
        model: what to begin with.
        tell: called with steps done and steps in all.

    Raises:
        UsageError, InputError, ModelError, OutputError: as for :func:`train_model`.
    """
    _check_out(request)
    device = device_named(request.device)
    lesson, spec, start = _lesson(request, material, model)
    chips = _chips(request, spec, model)
    with run_folder(request.out.with_name(request.out.name + ".run"), restart=request.restart) as folder:
        shown = RunPage(folder, f"Training {request.out.name}", spec, lesson, device)
        card = _card(request, material, lesson, spec, model.card if model else None)

        def show(step: int, averaged: dict[str, Tensor], is_best: bool) -> None:
            shown.update(step, averaged)
            if is_best:
                _save(folder / BEST, card, averaged, overwrite=True)

        weights = train(spec, lesson, request.recipe, chips, Run(folder, start, device), tell, show)
    if lesson.held_out:
        confusion = score_images(spec, weights, lesson, lesson.held_out, device, margin=halo_of(spec))
        split = f"held out from training, but used to choose the best step: {material.split}; whole images"
        temperature = temperature_of(spec, weights, lesson, device) or card.temperature
        card = replace(card, scores=[{"split": split, **confusion.to_json()}], temperature=temperature)
    return _save(request.out, card, weights, overwrite=request.overwrite)


def _save(path: Path, card: ModelCard, weights: dict[str, Tensor], *, overwrite: bool) -> ModelCard:
    """Write a model file: what the card's network names; torch's own bookkeeping (num_batches_tracked) stays behind."""
    with published(path, overwrite=overwrite) as half:
        return save_model(
            half, card, {name: weights[name].cpu().numpy() for name in card.our_network().tensor_shapes()}
        )


def _check_out(request: TrainRequest) -> None:
    """Refuse early what cannot be written."""
    if request.out.suffix != ".safetensors":
        raise UsageError(f"{request.out}: a model file ends in .safetensors")
    check_target(request.out, overwrite=request.overwrite)


def _lesson(
    request: TrainRequest, material: Gathered, model: Model | None
) -> tuple[Lesson, NetworkSpec, dict[str, Tensor] | None]:
    """Return what is learned from, the network, and the weights to begin with."""
    key, learned, held_out = material.key, material.learned, material.held_out
    if model is not None:
        (spec, start), mean, std = initial_weights(model, key.legend), model.card.mean, model.card.std
    else:
        mean, std = _color_statistics(_real(material))
        spec = NetworkSpec(len(mean), len(key.legend), request.widths, kind=request.kind, patch=request.patch)
        start = None
    for image in (*learned, *held_out):
        image.paint_missing(mean)
    return Lesson(key, learned, held_out, mean, std), spec, start


def _color_statistics(images: list[LabelledImage]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per band over all labelled pixels."""
    total = squares = np.zeros(len(images[0].pixels))
    count = 0
    for image in images:
        for row in range(0, len(image.labels), _ROWS):
            here = slice(row, row + _ROWS)
            values = image.pixels[:, here][:, image.labels[here] > 0].astype(np.float64)
            total = total + values.sum(1)
            squares = squares + (values**2).sum(1)
            count += values.shape[1]
    if count == 0:
        raise InputError(f"{images[0].name} and the other images: not one labelled pixel, so there is nothing to learn")
    mean = total / count
    std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), 1.0)  # images of one flat colour
    return tuple(round(float(v), 3) for v in mean), tuple(round(float(v), 3) for v in std)


def _chips(request: TrainRequest, spec: NetworkSpec, model: Model | None) -> ChipPlan:
    """Return how chips are cut; refuse a size that the network cannot halve."""
    if request.chips.size % spec.stride:
        raise UsageError(
            f"--chip {request.chips.size}: is not a multiple of {spec.stride}, as the network's levels need; "
            f"give {max(1, round(request.chips.size / spec.stride)) * spec.stride}"
        )
    if request.chips.size == spec.stride and request.chips.batch == 1:
        raise UsageError(
            f"--chip {request.chips.size}: leaves the coarsest level one pixel of one chip, which has no mean and "
            "deviation to learn by; give a larger --chip or --batch"
        )
    return request.chips if model is None else replace(request.chips, values=model.card.value_range)


def _card(
    request: TrainRequest, material: Gathered, lesson: Lesson, spec: NetworkSpec, init: ModelCard | None
) -> ModelCard:
    pixel = material.resolution_m or (init.resolution_m if init else GROUND_PIXEL_M)
    means = np.array([mean for image in _real(material) for mean in color_means(image)])
    low, high = means.min(0), means.max(0)
    zoom, named = float(np.exp(request.chips.zoom)), ", ".join(request.material.names)
    return ModelCard(
        name=request.out.stem,
        version=geoseg.__version__,
        network=spec,
        bands=init.bands if init else ("red", "green", "blue"),
        value_range=init.value_range if init else (0, 255),
        mean=lesson.mean,
        std=lesson.std,
        resolution_m=round(pixel, 4),
        legend=lesson.legend,
        receptive_radius=measure_radius(spec),
        domain=Domain(
            resolution_m=(round(pixel / zoom, 3), round(pixel * zoom, 3)),
            color_mean=tuple((round(float(a), 1), round(float(b), 1)) for a, b in zip(low, high, strict=True)),
            text=f"Images like those of {named}, at about {pixel:.3g} m",
        ),
        license="as the training data",
        training=_training(request, material, init),
        temperature=init.temperature if init else 1.0,
    )


def _real(material: Gathered) -> list[LabelledImage]:
    """Return what is learned from that is not made up."""
    return [image for image in material.learned if image.source != DEMO]


def _training(request: TrainRequest, material: Gathered, init: ModelCard | None) -> dict[str, Any]:
    """Return what the card says about how a model came to be, and what the one before it learned from."""
    real, aside = _real(material), list(request.material.hold_out) or [image.name for image in material.aside]
    counts = {name: sum(name in image.files for image in real) for name in request.material.names}
    return {
        "data": [{"name": name, "images": count, "held_out": aside} for name, count in counts.items()],
        **({"before": init.training} if init else {}),
        "read": request.material.reading_flags,
        "demo_scenes": len(material.learned) - len(real),
        "init": request.init,
        "recipe": {**asdict(request.recipe), "shares": dict(request.recipe.shares)},
        "chips": {**asdict(request.chips), "values": list(request.chips.values)},
    }
