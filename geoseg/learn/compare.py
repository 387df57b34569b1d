"""U-Net against a CNN under three losses: what ``geoseg compare`` does.

Each of the six runs has a folder of its own and goes on there when the command is given again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import InputError, UsageError
from geoseg.labels.folders import read_folder
from geoseg.labels.labelled import LabelKey, class_values
from geoseg.labels.mask_key import MaskKey
from geoseg.labels.same_ground import unseen
from geoseg.labels.split import split
from geoseg.learn.chips import ChipPlan, cut_batch
from geoseg.learn.device import device_named
from geoseg.learn.journal import append_record, read_records
from geoseg.learn.lesson import Lesson
from geoseg.learn.loop import Run, class_weights, train
from geoseg.learn.losses import loss_named
from geoseg.learn.measures import forward_seconds, measures
from geoseg.learn.paper import HELD_OUT, KINDS, LEGEND, LOSSES, UNLABELED, Protocol
from geoseg.learn.run_folder import EPOCHS, run_folder
from geoseg.learn.run_page import middle
from geoseg.learn.sampling import Sampler
from geoseg.learn.scoring import iter_scores
from geoseg.learn.small_regions import SMALL_PIXELS, small_regions
from geoseg.model.network import NetworkSpec
from geoseg.scores.confusion import Confusion
from geoseg.scores.figures import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.labels.labelled import LabelledImage

_MEASURED = 70  # patches on either side that accuracy and loss are measured on, every epoch the same
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What to compare on."""

    dataset: Path
    out: Path
    """Folder of the runs and the report."""
    protocol: Protocol
    hold_out: tuple[str, ...] = ()
    """Images to score on; none takes seven by the seed."""
    losses: tuple[str, ...] = LOSSES
    device: str = "auto"
    overwrite: bool = False
    """Discard earlier runs instead of going on with them."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One trained network and its scores."""

    kind: str
    loss: str
    epochs: list[dict[str, Any]]
    """Per epoch: ``epoch``, and ``train`` and ``validation`` measures."""
    images: list[Confusion]
    """One per held-out image, whole."""
    small: Confusion
    """Pixels of small regions alone."""
    middles: list[NDArray[np.uint8]]
    """Classes found in the middle of each held-out image."""
    seconds_572: float
    """Median time of one forward pass of a 572 × 572 picture."""

    @property
    def name(self) -> str:
        """Such as ``unet-focal``."""
        return f"{self.kind}-{self.loss}"

    @property
    def confusion(self) -> Confusion:
        """All held-out images together."""
        return replace(self.images[0], counts=np.sum([image.counts for image in self.images], axis=0))

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        return {
            "network": self.kind,
            "loss": self.loss,
            "epochs": self.epochs,
            "held_out": self.confusion.to_json(),
            "small_regions": {"pixels_below": SMALL_PIXELS, **self.small.to_json()},
            "seconds_572": round(self.seconds_572, 4),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All contestants under one protocol."""

    protocol: Protocol
    device: str
    learned: list[LabelledImage]
    held_out: list[LabelledImage]
    contestants: list[Contestant]
    losses: tuple[str, ...] = LOSSES
    """Those asked for; contestants are those that are done."""

    def to_json(self) -> dict[str, Any]:
        """Return the object of ``--json``, schema 1."""
        return {
            "schema": 1,
            "protocol": asdict(self.protocol),
            "changed": self.changed(),
            "device": self.device,
            "learned": len(self.learned),
            "held_out": [image.name for image in self.held_out],
            "contestants": [one.to_json() for one in self.contestants],
            "unet_minus_fcn": self.differences(),
        }

    def changed(self) -> str:
        """Return a sentence on what differs from the paper's experiment; '' for nothing."""
        lacking = [loss for loss in LOSSES if loss not in self.losses]
        more = [loss for loss in self.losses if loss not in LOSSES]
        changed = self.protocol.changed()
        changed += [f"without the losses {', '.join(lacking)}"] if lacking else []
        changed += [f"with the losses {', '.join(more)}"] if more else []
        held = len(self.held_out)
        changed += [f"scored on {held} images instead of {HELD_OUT}"] if held != HELD_OUT else []
        how = "shortened" if self.protocol.is_shorter or lacking else "changed"
        return f"{how}: {', '.join(changed)}" if changed else ""

    def differences(self) -> dict[str, dict[str, Any]]:
        """Return by how much U-Net is better than the CNN for each loss, with 95 % intervals over images."""
        by_name = {one.name: one for one in self.contestants}
        return {
            one.loss: paired_difference(one.images, by_name[f"fcn-{one.loss}"].images)
            for one in self.contestants
            if one.kind == "unet" and f"fcn-{one.loss}" in by_name
        }


def compare(
    request: CompareRequest,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
    show: Callable[[Comparison], None] = lambda _so_far: None,
) -> Comparison:
    """Train and score all contestants; runs that were begun go on.

    Args:
        request: what to compare on.
        tell: called with steps done and steps in all, over all runs.
        show: called whenever a contestant is done, with all of them so far.

    Raises:
        InputError: the data set cannot be read.
        UsageError: a held-out image or a loss does not exist, or a folder holds runs of other settings.
        OutputError: the folder cannot be made.
    """
    for loss in request.losses:
        loss_named(loss)
    device = device_named(request.device)
    lesson, held_out = _lesson(request)
    names = [(kind, loss) for kind in KINDS for loss in dict.fromkeys(request.losses)]
    steps = request.protocol.epochs * request.protocol.steps_per_epoch
    comparison = Comparison(request.protocol, device, lesson.images, held_out, [], request.losses)
    for number, (kind, loss) in enumerate(names):
        before = number * steps

        def told(done: int, _total: int, before: int = before) -> None:
            tell(before + done, len(names) * steps)

        done = _contest(request, lesson, held_out, kind, loss, device, told)
        comparison = replace(comparison, contestants=[*comparison.contestants, done])
        show(comparison)
    return comparison


def _lesson(request: CompareRequest) -> tuple[Lesson, list[LabelledImage]]:
    """Return what is learned from, and what is scored on; that chooses nothing, so the lesson is without it."""
    images = read_folder(request.dataset, MaskKey.of(LEGEND))
    aside = request.hold_out
    if not aside:
        if len(images) <= HELD_OUT:
            raise UsageError(f"{request.dataset}: has {len(images)} images, expected more: {HELD_OUT} are held out")
        chosen = np.random.default_rng(request.protocol.seed).permutation(len(images))[:HELD_OUT]
        aside = tuple(sorted(images[i].name for i in chosen))
    told = split(images, aside, "none", 0)
    told = replace(told, learned=unseen(told.learned, told.held_out))
    for part, what in ((told.learned, "left to learn from"), (told.held_out, "held out")):
        if not any(image.labels.any() for image in part):
            raise InputError(f"{request.dataset}: no labelled pixel is {what}; look at the masks, or hold out others")
    pixels = np.concatenate([_some_pixels(image) for image in told.learned], axis=1)
    mean, std = pixels.mean(1), np.maximum(pixels.std(1), 1.0)
    for image in (*told.learned, *told.held_out):
        image.paint_missing(mean.tolist())
    lesson = Lesson(LabelKey(LEGEND), told.learned, [], tuple(map(float, mean)), tuple(map(float, std)))
    return lesson, told.held_out


def _some_pixels(image: LabelledImage) -> NDArray[Any]:
    """Return a sample of the pixels that are not missing, (bands, n)."""
    seen = slice(None) if image.missing is None else ~image.missing.ravel()[::17]
    return np.asarray(image.pixels.reshape(3, -1)[:, ::17][:, seen])


def _contest(
    request: CompareRequest,
    lesson: Lesson,
    held_out: list[LabelledImage],
    kind: str,
    loss: str,
    device: str,
    tell: Callable[[int, int], None],
) -> Contestant:
    """Train one network and score it."""
    protocol = request.protocol
    spec = NetworkSpec(len(lesson.mean), len(LEGEND), protocol.widths, kind=kind)
    probes = {"train": _patches(lesson.images, protocol, 1), "validation": _patches(held_out, protocol, 2)}
    weight = class_weights(lesson, protocol.recipe(loss).weighting)

    def measure(step: int, weights: dict[str, Tensor], _is_best: bool) -> None:
        record: dict[str, Any] = {"epoch": step // protocol.steps_per_epoch}
        for part, patches in probes.items():
            record[part] = asdict(measures(spec, weights, lesson, patches, (loss, weight), device))
        append_record(folder / EPOCHS, record)

    with run_folder(request.out / f"{kind}-{loss}", restart=request.overwrite) as folder:
        run = Run(folder, None, device, watched=tuple(held_out))
        weights = train(spec, lesson, protocol.recipe(loss), protocol.chips(), run, tell, measure)
        epochs = read_records(folder / EPOCHS, "epoch")
    images, small = _scored(spec, weights, lesson, held_out, device)
    crops = [middle(image) for image in held_out]
    values = class_values(LEGEND)
    middles = [
        values[scores.argmax(0).cpu().numpy()] for _, scores in iter_scores(spec, weights, lesson, crops, device)
    ]
    return Contestant(kind, loss, epochs, images, small, middles, forward_seconds(spec, weights, device))


def _patches(images: Sequence[LabelledImage], protocol: Protocol, stream: int) -> tuple[Any, Any]:
    """Return patches to measure on, the same at every epoch."""
    plan = ChipPlan(protocol.size, _MEASURED, protocol.seed, zoom=0.0, lay=False, color=0.0)
    return cut_batch(Sampler(images, LEGEND, {}, 0.0), plan, 10**6 * stream)


def _scored(
    spec: NetworkSpec, weights: dict[str, Tensor], lesson: Lesson, held_out: list[LabelledImage], device: str
) -> tuple[list[Confusion], Confusion]:
    """Return confusions of whole images, and that of small regions alone."""
    values = class_values(LEGEND)
    images, small = [], Confusion.empty(LEGEND)
    for image, scores in iter_scores(spec, weights, lesson, held_out, device):
        found = values[scores.argmax(0).cpu().numpy()]
        images.append(Confusion.empty(LEGEND).add(found, image.labels))
        small = small.add(found, np.where(small_regions(image.labels), image.labels, np.uint8(0)))
    return images, small


def paired_difference(better: Sequence[Confusion], worse: Sequence[Confusion]) -> dict[str, Any]:
    """Return the difference of scores on the same images, and 95 % intervals of a bootstrap over images.

    A single image has no interval: it is None then. Five-class mean IoU leaves Unlabeled out.
    """
    random = np.random.default_rng(0)
    draws = [np.arange(len(better)), *random.integers(0, len(better), (_RESAMPLES, len(better)))]
    gaps = np.array([np.subtract(_summed(better, draw), _summed(worse, draw)) for draw in draws])
    bounds = np.nanpercentile(gaps[1:], (2.5, 97.5), axis=0).round(5).T.tolist()
    return {
        name: {
            "difference": plain(gaps[0][i]),
            "interval": bounds[i] if len(better) > 1 and np.isfinite(bounds[i]).all() else None,
        }
        for i, name in enumerate(("pixel_accuracy", "mean_iou", "mean_iou_5"))
    }


def _summed(images: Sequence[Confusion], draw: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    total = replace(images[0], counts=np.sum([images[i].counts for i in draw], axis=0))
    five = [iou for iou, entry in zip(total.iou, total.legend, strict=True) if entry.name != UNLABELED]
    return total.pixel_accuracy, total.mean_iou, float(np.nanmean(five))
