"""Scoring weights on whole images, while a run goes on and at its end: what one forward pass would answer."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from geoseg.labels.labelled import class_values
from geoseg.learn.device import half_precision
from geoseg.learn.radius import measure_radius
from geoseg.model.torch_unet import UNet
from geoseg.scores.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.labels.labelled import LabelledImage
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec


_CORE = 2048  # pixels; a multiple of every stride


def score_images(
    spec: NetworkSpec,
    weights: dict[str, Tensor],
    lesson: Lesson,
    images: Sequence[LabelledImage],
    device: str = "cpu",
    *,
    margin: int = 0,
) -> Confusion:
    """Score weights on whole images: pixels of which something is known; arguments are those of `iter_scores`."""
    values, allowed = class_values(lesson.legend), lesson.key.allowed()
    confusion = Confusion.empty(lesson.legend)
    for image, scores in iter_scores(spec, weights, lesson, images, device, margin=margin):
        found = values[scores.argmax(0).cpu().numpy()]
        confusion = confusion.add_partly_known(found, image.labels, allowed)
    return confusion


def iter_scores(
    spec: NetworkSpec,
    weights: dict[str, Tensor],
    lesson: Lesson,
    images: Sequence[LabelledImage],
    device: str = "cpu",
    *,
    margin: int = 0,
) -> Iterator[tuple[LabelledImage, Tensor]]:
    """Yield each image and its class scores before the softmax, float32, (classes, height, width), on the device.

    Args:
        spec: shape of the network.
        weights: of it.
        lesson: knows the mean and deviation of pixels.
        images: to score on.
        device: where to compute.
        margin: pixels of mirrored ground beyond all sides, a multiple of the network's stride: as far as it sees, the
            scores are those of ``segment``. Without a margin networks see zeros there, as at the borders of chips,
            which is several times faster where they see far.
    """
    net = answering(spec, weights, device)
    halo = halo_of(spec)
    for image in images:
        height, width = image.labels.shape
        beyond = [(margin, margin + -size % spec.stride) for size in (height, width)]
        padded = np.pad(image.pixels, ((0, 0), *beyond), mode="reflect" if margin else "symmetric")[None]
        scores = torch.empty((spec.classes, *padded.shape[2:]), device=device)
        for rows, cols in itertools.product(_parts(padded.shape[2], halo), _parts(padded.shape[3], halo)):
            part = padded[:, :, rows.seen, cols.seen].astype(np.float32)
            half = half_precision(device)
            with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
                found = net(normalized(part, lesson, device))[0].float()
            scores[:, rows.core, cols.core] = found[:, rows.answered, cols.answered]
        yield image, scores[:, margin : margin + height, margin : margin + width]


def halo_of(spec: NetworkSpec) -> int:
    """Return how far a network sees, in pixels, up to the next multiple of its stride."""
    return -(-measure_radius(spec) // spec.stride) * spec.stride


def answering(spec: NetworkSpec, weights: dict[str, Tensor], device: str) -> UNet:
    """Return a network that answers and does not learn, on a device."""
    net = UNet(spec)
    net.load_state_dict(weights, strict=False)
    return net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class _Part(NamedTuple):
    """A stretch of an axis."""

    core: slice
    seen: slice
    """With the halo, as far as the image goes."""
    answered: slice
    """The core within what is seen."""


def _parts(size: int, halo: int) -> list[_Part]:
    """Return stretches that together answer for an axis as one would, and bound the memory of a pass."""
    parts = []
    for start in range(0, size, _CORE):
        stop = min(size, start + _CORE)
        first, last = max(0, start - halo), min(size, stop + halo)
        parts.append(_Part(slice(start, stop), slice(first, last), slice(start - first, stop - first)))
    return parts


def normalized(pixels: NDArray[np.float32], lesson: Lesson, device: str = "cpu") -> Tensor:
    """Return pixels (n, bands, h, w) as the network wants them, on its device."""
    mean = torch.tensor(lesson.mean, device=device).view(1, -1, 1, 1)
    std = torch.tensor(lesson.std, device=device).view(1, -1, 1, 1)
    sent = torch.from_numpy(pixels).to(device, non_blocking=True)
    return ((sent - mean) / std).contiguous(memory_format=torch.channels_last)
