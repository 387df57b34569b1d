"""Scoring weights on whole images, each in one forward pass, while a run goes on and at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from geoseg.learn.device import half_precision
from geoseg.model.torch_unet import UNet
from geoseg.scores.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.labels.labelled import LabelledImage
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec


def score_images(
    spec: NetworkSpec,
    weights: dict[str, Tensor],
    lesson: Lesson,
    images: Sequence[LabelledImage],
    device: str = "cpu",
) -> Confusion:
    """Score weights on whole images: pixels whose class is known."""
    values = np.array([entry.value for entry in lesson.legend], np.uint8)
    confusion = Confusion.empty(lesson.legend)
    for image, scores in iter_scores(spec, weights, lesson, images, device):
        confusion = confusion.add(values[scores.argmax(0).cpu().numpy()], image.labels)
    return confusion


def iter_scores(
    spec: NetworkSpec,
    weights: dict[str, Tensor],
    lesson: Lesson,
    images: Sequence[LabelledImage],
    device: str = "cpu",
) -> Iterator[tuple[LabelledImage, Tensor]]:
    """Yield each image and its class scores before the softmax, float32, (classes, height, width), on the device."""
    net = UNet(spec)
    net.load_state_dict(weights, strict=False)
    net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for image in images:
        height, width = image.labels.shape
        short = ((0, 0), (0, -height % spec.stride), (0, -width % spec.stride))
        padded = np.pad(image.pixels, short, mode="symmetric")[None].astype(np.float32)
        half = half_precision(device)
        with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            scores = net(normalized(padded, lesson, device))
        yield image, scores[0, :, :height, :width].float()


def normalized(pixels: NDArray[np.float32], lesson: Lesson, device: str = "cpu") -> Tensor:
    """Return pixels (n, bands, h, w) as the network wants them, on its device."""
    mean = torch.tensor(lesson.mean, device=device).view(1, -1, 1, 1)
    std = torch.tensor(lesson.std, device=device).view(1, -1, 1, 1)
    sent = torch.from_numpy(pixels).to(device, non_blocking=True)
    return ((sent - mean) / std).contiguous(memory_format=torch.channels_last)
