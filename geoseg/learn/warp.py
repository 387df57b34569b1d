"""Cutting a square out of an image at any place, angle and scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.labels.labelled import LabelledImage


@dataclass(frozen=True, slots=True)
class Place:
    """Where a square lies in an image."""

    row: float
    """Of its centre; the image's first pixel reaches from 0 to 1."""
    col: float
    size: int
    """Pixels of the result, both ways."""
    zoom: float = 1.0
    """Pixels of the result per pixel of the image."""
    angle: float = 0.0
    """Radians by which it is turned."""


def cut(image: LabelledImage, place: Place) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the pixels (bands, size, size) and labels (size, size) of a place.

    Beyond the image pixels are mirrored and nothing is labelled. Pixels are interpolated bilinearly, and averaged where
    the result is coarser; labels are those of the nearest pixel. Straight cuts at scale 1 are exact.
    """
    straight = place.zoom == 1 and place.angle == 0
    return _sliced(image, place) if straight else _interpolated(image, place)


def _sliced(image: LabelledImage, place: Place) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rows = np.arange(place.size) + round(place.row - place.size / 2)
    cols = np.arange(place.size) + round(place.col - place.size / 2)
    return _mirrored(image.pixels, rows, cols).astype(np.float32), _labels_at(image.labels, rows[:, None], cols[None])


def _interpolated(image: LabelledImage, place: Place) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    finer = max(1, math.ceil(1 / place.zoom - 0.25))
    row, col = _lattice(place, finer)
    top, left = math.floor(row.min()) - 1, math.floor(col.min()) - 1
    bottom, right = math.ceil(row.max()) + 2, math.ceil(col.max()) + 2
    source = _mirrored(image.pixels, np.arange(top, bottom), np.arange(left, right))
    # grid_sample counts from -1 to 1 between the outer borders of the outer pixels.
    y, x = (row - top) * (2 / (bottom - top)) - 1, (col - left) * (2 / (right - left)) - 1
    grid = torch.from_numpy(np.stack([x, y], axis=-1).astype(np.float32))
    pixels = torch.from_numpy(source.astype(np.float32))
    sampled = functional.grid_sample(pixels[None], grid[None], "bilinear", "border", align_corners=False)
    if finer > 1:
        sampled = functional.avg_pool2d(sampled, finer)
        row, col = _lattice(place, 1)
    labels = _labels_at(image.labels, np.floor(row).astype(np.intp), np.floor(col).astype(np.intp))
    return sampled[0].numpy(), labels


def _lattice(place: Place, finer: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column in the image, (size · finer) squared, of the centres of the result's parts of pixels."""
    from_centre = ((np.arange(place.size * finer) + 0.5) / finer - place.size / 2) / place.zoom
    down, across = from_centre[:, None], from_centre[None]
    sine, cosine = math.sin(place.angle), math.cos(place.angle)
    return place.row + cosine * down - sine * across, place.col + sine * down + cosine * across


def _mirrored(pixels: NDArray[Any], rows: NDArray[np.intp], cols: NDArray[np.intp]) -> NDArray[Any]:
    """Return some rows and columns of (bands, h, w), mirrored beyond the border."""
    return pixels[:, _folded(rows, pixels.shape[1])[:, None], _folded(cols, pixels.shape[2])[None]]


def _folded(at: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Return the pixels that positions show where an axis is mirrored at its ends, the end pixels twice."""
    around = at % (2 * size)
    return np.minimum(around, 2 * size - 1 - around)


def _labels_at(labels: NDArray[np.uint8], row: NDArray[np.intp], col: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the labels of pixels, nothing beyond the border."""
    height, width = labels.shape
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    return np.where(inside, labels[row.clip(0, height - 1), col.clip(0, width - 1)], np.uint8(NODATA))
