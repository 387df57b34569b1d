"""The training loop: one function, top to bottom.

AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101) with warm-up and cosine decay, an exponential moving
average of the weights, and the average that scores best on held-out images is kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import InputError, UsageError
from geoseg.learn import checkpoint
from geoseg.learn.chips import ChipPlan, cut_batch
from geoseg.learn.datasets import LabelledImage, class_shares
from geoseg.learn.losses import IGNORED, ce_iou
from geoseg.model.torch_unet import UNet
from geoseg.scores.confusion import Confusion
from geoseg.vocabulary import NODATA, Legend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.model.network import NetworkSpec

log = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
HISTORY = "history.jsonl"
_STATE = ("settings", "step", "net", "optimizer", "averaged", "best", "best_score")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a run learns."""

    steps: int = 4000
    learning_rate: float = 2e-3
    """Peak; reached after the warm-up, then decayed by a cosine to one per cent."""
    warmup: int = 100
    weight_decay: float = 0.01
    average: float = 0.998
    """Decay of the moving average of the weights, per step."""
    demo_share: float = 0.25
    """Share of chips cut from made-up scenes, where there are any."""
    check_every: int = 300
    """Steps between two scorings and checkpoints."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned from: the images, their legend and their statistics."""

    legend: Legend
    images: list[LabelledImage]
    held_out: list[LabelledImage]
    """Images that are only scored on; may be empty, then the last weights are kept."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


def train(
    spec: NetworkSpec,
    lesson: Lesson,
    recipe: Recipe,
    chips: ChipPlan,
    folder: Path,
    *,
    start: dict[str, Tensor] | None = None,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Tensor]:
    """Train and return the best averaged weights.

    Args:
        spec: shape of the network.
        lesson: what is learned from.
        recipe: how.
        chips: size and strength of the cuts.
        folder: where the run keeps ``last.pt`` and ``history.jsonl``; a run found there with the same settings goes on.
        start: weights to begin with (fine-tuning), else random ones of the chips' seed.
        tell: called with steps done and steps in all.
    """
    torch.manual_seed(chips.seed)
    net = UNet(spec).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weight = _class_weights(lesson)
    if start is not None:
        net.load_state_dict(_reweighted(start, weight), strict=False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    averaged = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    best, best_score, first = averaged, -math.inf, 0
    settings = _fingerprint(net, lesson, recipe, chips)
    state = checkpoint.recall(folder / CHECKPOINT, _STATE)
    if state is not None:
        if state["settings"] != settings:
            raise UsageError(f"{folder / CHECKPOINT}: is of other settings or images; give the same ones, or --restart")
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        averaged, best, best_score, first = (state[name] for name in ("averaged", "best", "best_score", "step"))
        log.info("%s: going on after step %d", folder, first)

    shares = _chances(lesson.images, recipe.demo_share)
    to_index = _index_of(lesson.legend)
    running = 0.0
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(cut_batch, lesson.images, shares, chips, first)
        for step in range(first, recipe.steps):
            pixels, labels = coming.result()
            coming = ahead.submit(cut_batch, lesson.images, shares, chips, step + 1)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _pace(step, recipe)
            net.train()
            target = torch.from_numpy(to_index[labels])
            with torch.autocast("cpu", torch.bfloat16):
                scores = net(_normalized(pixels, lesson))
            loss = ce_iou(scores.float(), target, weight)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
            if not math.isfinite(running):
                raise InputError(f"{folder}: the loss became {running} at step {step}; lower --learning-rate")
            _move_average(averaged, net.state_dict(), min(recipe.average, (step + 1) / (step + 10)))
            tell(step + 1, recipe.steps)
            if (step + 1) % recipe.check_every and step + 1 < recipe.steps:
                continue
            record = {"step": step + 1, "loss": round(running, 4)}
            score = _score(spec, _reweighted(averaged, 1 / weight), lesson, record, folder)
            if not lesson.held_out or score > best_score:
                best, best_score = {name: t.clone() for name, t in averaged.items()}, score
            kept = (settings, step + 1, net.state_dict(), optimizer.state_dict(), averaged, best, best_score)
            checkpoint.store(folder / CHECKPOINT, dict(zip(_STATE, kept, strict=True)))
    return _reweighted(best, 1 / weight)


def score_images(
    spec: NetworkSpec, weights: dict[str, Tensor], lesson: Lesson, images: list[LabelledImage]
) -> Confusion:
    """Score weights on whole images, each in one forward pass."""
    net = UNet(spec).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.load_state_dict(weights)
    net.eval()
    values = np.array([entry.value for entry in lesson.legend], np.uint8)
    confusion = Confusion.empty(lesson.legend)
    for image in images:
        height, width = image.labels.shape
        short = ((0, 0), (0, -height % spec.stride), (0, -width % spec.stride))
        padded = np.pad(image.pixels, short, mode="symmetric")[None].astype(np.float32)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            decided = net(_normalized(padded, lesson)).argmax(1)[0, :height, :width]
        confusion = confusion.add(values[decided.numpy()], image.labels)
    return confusion


def _score(
    spec: NetworkSpec, weights: dict[str, Tensor], lesson: Lesson, record: dict[str, Any], folder: Path
) -> float:
    """Note how the run stands and return its mean IoU on held-out images; 0 where nothing is held out."""
    score = 0.0
    if lesson.held_out:
        confusion = score_images(spec, weights, lesson, lesson.held_out)
        score = confusion.mean_iou
        record |= {
            "pixel_accuracy": confusion.pixel_accuracy,
            "mean_iou": score,
            "iou": confusion.iou.round(4).tolist(),
        }
    with (folder / HISTORY).open("a", encoding="utf-8") as history:
        history.write(json.dumps(record) + "\n")
    log.info("%s", ", ".join(f"{key} {value}" for key, value in record.items()))
    return score


def _fingerprint(net: UNet, lesson: Lesson, recipe: Recipe, chips: ChipPlan) -> str:
    """Return a digest of everything that makes a run what it is: a run goes on only where all of it is the same."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((net.spec, recipe, chips, lesson.legend, lesson.mean, lesson.std)).encode())
    for image in (*lesson.images, *lesson.held_out):
        digest.update(image.name.encode())
        digest.update(image.pixels.tobytes())
        digest.update(image.labels.tobytes())
    for tensor in net.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _normalized(pixels: NDArray[np.float32], lesson: Lesson) -> Tensor:
    mean = torch.tensor(lesson.mean).view(1, -1, 1, 1)
    std = torch.tensor(lesson.std).view(1, -1, 1, 1)
    return ((torch.from_numpy(pixels) - mean) / std).to(memory_format=torch.channels_last)


def _chances(images: list[LabelledImage], demo_share: float) -> NDArray[np.float64]:
    """Chance of each image: by area, a little flattened, and ``demo_share`` in all for made-up scenes."""
    chances = np.array([image.labels.size**0.8 for image in images], np.float64)
    demo = np.array([image.group == "demo" for image in images])
    for part, share in ((demo, demo_share), (~demo, 1 - demo_share)):
        if part.any():
            chances[part] *= (share if demo.any() and not demo.all() else 1) / chances[part].sum()
    return np.asarray(chances / chances.sum())


def _class_weights(lesson: Lesson) -> Tensor:
    """α of each class: the inverse square root of its share, at most five times the smallest; mean 1."""
    shares = np.maximum(class_shares(lesson.images, lesson.legend), 1e-4)
    weight = 1 / np.sqrt(shares)
    weight = np.minimum(weight, 5 * weight.min())
    return torch.tensor(weight / weight.mean(), dtype=torch.float32)


def _reweighted(weights: dict[str, Tensor], weight: Tensor) -> dict[str, Tensor]:
    """Return weights whose class odds are multiplied by ``weight``.

    A loss weighted by α teaches odds that are α times too high for every class. Adding −log α to the last bias takes
    that back, so that probabilities mean what they say (Menon et al., https://arxiv.org/abs/2007.07314); a run that
    begins with such weights adds log α again.
    """
    return weights | {"head.bias": weights["head.bias"] + weight.log()}


def _index_of(legend: Legend) -> NDArray[np.int64]:
    """Class index of each pixel value; nodata and unknown values are ignored."""
    table = np.full(256, IGNORED, np.int64)
    for i, entry in enumerate(legend):
        table[entry.value] = i
    table[NODATA] = IGNORED
    return table


def _pace(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a step."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _move_average(averaged: dict[str, Tensor], current: dict[str, Tensor], decay: float) -> None:
    for name, tensor in current.items():
        if tensor.dtype.is_floating_point:
            averaged[name].lerp_(tensor, 1 - decay)
        else:
            averaged[name].copy_(tensor)
