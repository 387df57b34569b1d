"""The training loop, top to bottom.

AdamW (Loshchilov and Hutter, https://arxiv.org/abs/1711.05101) with warm-up and cosine decay, an exponential moving
average of the weights, and the average that scores best on held-out images is kept.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geoseg.errors import InputError, UsageError
from geoseg.labels.labelled import class_shares
from geoseg.learn import checkpoint, journal
from geoseg.learn.ahead import batches
from geoseg.learn.device import half_precision
from geoseg.learn.losses import loss_named
from geoseg.learn.run_folder import CHECKPOINT, HISTORY
from geoseg.learn.sampling import Sampler
from geoseg.learn.scoring import normalized, score_images
from geoseg.model.torch_unet import UNet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geoseg.labels.labelled import LabelledImage
    from geoseg.learn.chips import ChipPlan
    from geoseg.learn.lesson import Lesson, Recipe
    from geoseg.model.network import NetworkSpec

log = logging.getLogger(__name__)

_KEEP_SECONDS = 60.0
"""Longest time between two checkpoints, but for a step that takes longer: what any stop may cost."""
_OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
_STATE = ("settings", "step", "net", "optimizer", "averaged", "best", "best_score", "running")


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run happens, and what it begins with."""

    folder: Path
    """Keeps ``last.pt`` and ``history.jsonl``."""
    start: dict[str, Tensor] | None = None
    """Weights to begin with (fine-tuning); None for random ones of the chips' seed."""
    device: str = "cpu"
    """``cpu`` or ``cuda[:n]``."""
    watched: tuple[LabelledImage, ...] = ()
    """Images that the caller measures on, and that nothing is chosen by; a run with other ones does not go on."""


def train(
    spec: NetworkSpec,
    lesson: Lesson,
    recipe: Recipe,
    chips: ChipPlan,
    run: Run,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
    show: Callable[[int, dict[str, Tensor], bool], None] = lambda _step, _weights, _is_best: None,
) -> dict[str, Tensor]:
    """Train and return the best averaged weights, as tensors on the CPU.

    Args:
        spec: shape of the network.
        lesson: what is learned from.
        recipe: how.
        chips: size and strength of the cuts.
        run: where, and what to begin with; a run found there with the same settings goes on.
        tell: called with steps done and steps in all.
        show: called at every check with the step, the averaged weights as they would be used, and whether they are the
            best so far: the last ones where nothing is held out.

    Raises:
        UsageError: the run found in the folder is another one.
        InputError: the loss runs away.
    """
    folder, start, device = run.folder, run.start, run.device
    torch.manual_seed(chips.seed)
    net, weight = UNet(spec), class_weights(lesson, recipe.weighting)
    odds = weight if recipe.is_weighted and recipe.undo_weights else torch.ones_like(weight)
    if start is not None:
        net.load_state_dict(reweighted(start, odds), strict=False)
    settings = _fingerprint(net, lesson, recipe, chips, run.watched)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _OPTIMIZERS[recipe.optimizer](
        net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    averaged = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    best, best_score, first, running = averaged, -math.inf, 0, math.nan
    state = checkpoint.recall(folder / CHECKPOINT, _STATE, device)
    if state is not None:
        if state["settings"] != settings:
            raise UsageError(
                f"{folder / CHECKPOINT}: is of other settings or images; give the same ones, or begin anew with "
                "--restart (of compare: --overwrite)"
            )
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        averaged, best, best_score, first, running = (
            state[name] for name in ("averaged", "best", "best_score", "step", "running")
        )
        log.info("%s: going on after step %d", folder, first)

    sampler = Sampler(lesson.images, lesson.legend, recipe.shares, recipe.balance)
    allowed = torch.from_numpy(lesson.key.allowed()).to(device)
    loss_of, alpha, odds = loss_named(recipe.loss, recipe.gamma), weight.to(device), odds.to(device)
    half, stored_at = half_precision(device), time.monotonic()
    for step, (pixels, labels) in batches(sampler, chips, range(first, recipe.steps), device):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _share_of_peak(step, recipe)
        net.train()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            scores = net(normalized(pixels, lesson, device))
        choices = _choices(torch.from_numpy(labels).to(device), allowed, recipe.edge_tolerance)
        of_step = _step_down(loss_of(scores.float(), choices, alpha), net, optimizer)
        running = of_step if step == 0 else 0.98 * running + 0.02 * of_step
        if not math.isfinite(running):
            raise InputError(f"{folder}: the loss became {running} at step {step}; lower --learning-rate")
        _move_average(averaged, net.state_dict(), min(recipe.average, (step + 1) / (step + 10)))
        tell(step + 1, recipe.steps)
        is_check = (step + 1) % recipe.check_every == 0 or step + 1 == recipe.steps
        if is_check:
            usable, rate = reweighted(averaged, 1 / odds), recipe.learning_rate * _share_of_peak(step, recipe)
            record = {"step": step + 1, "loss": round(running, 4), "learning_rate": rate}
            score = _score(spec, usable, lesson, record, folder, device)
            if is_best := not score <= best_score:  # the last where nothing has a score
                best, best_score = {name: t.clone() for name, t in averaged.items()}, score
            show(step + 1, usable, is_best)
        if is_check or time.monotonic() - stored_at >= _KEEP_SECONDS:
            state = {
                "settings": settings,
                "step": step + 1,
                "net": net.state_dict(),
                "optimizer": optimizer.state_dict(),
                "averaged": averaged,
                "best": best,
                "best_score": best_score,
                "running": running,
            }
            checkpoint.store(folder / CHECKPOINT, state)
            stored_at = time.monotonic()
    return {name: tensor.cpu() for name, tensor in reweighted(best, 1 / odds).items()}


def _step_down(loss: Tensor, net: UNet, optimizer: torch.optim.Optimizer) -> float:
    """Take one step down a loss and return what it was; NaN, and no step, where its gradient has no end."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    steepness = torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    if not math.isfinite(steepness.item()):
        return math.nan
    optimizer.step()
    return loss.item()


def class_weights(lesson: Lesson, power: float) -> Tensor:
    """Return α of each class, (classes,): its share to the power of −``power``, at most five times the smallest.

    Their mean is 1.
    """
    shares = np.maximum(class_shares(lesson.images, lesson.key), 1e-4)
    weight = shares**-power
    weight = np.minimum(weight, 5 * weight.min())
    return torch.tensor(weight / weight.mean(), dtype=torch.float32)


def reweighted(weights: dict[str, Tensor], weight: Tensor) -> dict[str, Tensor]:
    """Return weights whose class odds are multiplied by ``weight``.

    A loss weighted by α teaches odds that are α times too high for every class. Adding −log α to the last bias takes
    that back, so that probabilities mean what they say (Menon et al., https://arxiv.org/abs/2007.07314); a run that
    begins with such weights adds log α again.
    """
    bias = weights["head.bias"]
    return weights | {"head.bias": bias + weight.log().repeat_interleave(len(bias) // len(weight))}


def _choices(labels: Tensor, allowed: Tensor, tolerance: int) -> Tensor:
    """Return the classes each pixel can be of, bool (n, classes, h, w).

    Args:
        labels: (n, h, w) uint8 label values.
        allowed: (256, classes) what they say.
        tolerance: pixels beside a border that may be of the classes on either side (Zhu et al.,
            https://arxiv.org/abs/1812.01593). Ground without a label is no other side.
    """
    choices = allowed[labels.long()].permute(0, 3, 1, 2)
    if not tolerance:
        return choices
    known = ~choices.all(1, keepdim=True)
    nearby = functional.max_pool2d((choices & known).float(), 2 * tolerance + 1, 1, tolerance) > 0
    return torch.where(known, nearby, choices)


def _score(
    spec: NetworkSpec, weights: dict[str, Tensor], lesson: Lesson, record: dict[str, Any], folder: Path, device: str
) -> float:
    """Note how the run stands and return by how well it does on held-out images; NaN where nothing is held out.

    That is the mean IoU of the classes that occur there: those that do not would make single pixels decide. Where no
    class has an IoU, as labels only say what is not there, pixel accuracy stands in.
    """
    score = math.nan
    if lesson.held_out:
        confusion = score_images(spec, weights, lesson, lesson.held_out, device)
        accuracy, mean_iou = confusion.pixel_accuracy, confusion.mean_iou
        of_present = confusion.iou[confusion.counts.sum(1) > 0]
        score = float(of_present.mean()) if len(of_present) else accuracy
        record |= {
            "pixel_accuracy": accuracy if math.isfinite(accuracy) else None,
            "mean_iou": mean_iou if math.isfinite(mean_iou) else None,
            "iou": [round(float(iou), 4) if math.isfinite(iou) else None for iou in confusion.iou],
        }
    journal.append_record(folder / HISTORY, record)
    log.info("%s", ", ".join(f"{key} {value}" for key, value in record.items()))
    return score


def _fingerprint(net: UNet, lesson: Lesson, recipe: Recipe, chips: ChipPlan, watched: tuple[LabelledImage, ...]) -> str:
    """Return a digest of everything that makes a run what it is: a run goes on only where all of it is the same."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((net.spec, recipe, chips, lesson.key, lesson.mean, lesson.std)).encode())
    for part in (lesson.images, lesson.held_out, *([watched] if watched else [])):
        digest.update(f"{len(part)} images".encode())
        for image in part:
            digest.update(f"{image.name} {image.group} {image.source} {image.labels.shape}".encode())
            digest.update(image.pixels.tobytes())
            digest.update(image.labels.tobytes())
    for tensor in net.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _share_of_peak(step: int, recipe: Recipe) -> float:
    """Return the learning rate at a step as a share of its peak."""
    warmup = min(recipe.warmup, recipe.steps // 4)  # a short run gets to its peak, too
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, recipe.steps - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _move_average(averaged: dict[str, Tensor], current: dict[str, Tensor], decay: float) -> None:
    for name, tensor in current.items():
        if tensor.dtype.is_floating_point:
            averaged[name].lerp_(tensor, 1 - decay)
        else:
            averaged[name].copy_(tensor)
