"""How a run stands, while it runs: curves and sample predictions as PNG, and one HTML page that holds them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.labels.labelled import class_values
from geoseg.learn.journal import read_records, write_whole
from geoseg.learn.run_folder import CURVES, HISTORY, LOSS, PAGE, SAMPLES
from geoseg.learn.scoring import iter_scores
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.labels.labelled import LabelledImage
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec

_SHOWN = 4
_SIZE = 256  # pixels
_NAMES = {"pixel_accuracy": "pixel accuracy", "mean_iou": "mean IoU"}


@dataclass(frozen=True, slots=True)
class RunPage:
    """Writes the page of a run."""

    folder: Path
    title: str
    spec: NetworkSpec
    lesson: Lesson
    device: str

    def update(self, step: int, weights: dict[str, Tensor]) -> None:
        """Draw everything anew.

        Args:
            step: steps done.
            weights: as they would be used now.
        """
        from geoseg.report.page import Beside, Figure, Section, Swatches, Table, page
        from geoseg.report.pictures import picture_key

        history = read_records(self.folder / HISTORY, "step")
        curves, pictures = _curves(history), self._samples(weights)
        loss = _curves(history, ("loss",))
        write_whole(self.folder / CURVES, curves)
        write_whole(self.folder / LOSS, loss)
        write_whole(self.folder / SAMPLES, pictures)
        scored = _scored(self.lesson.held_out)
        keys = [key for key in ("step", "loss", *_NAMES) if key in history[-1]]
        rows = [[_told(record.get(key)) for key in keys] for record in history[::-1]]
        caption = "image, labels, prediction and errors; white where there is no image"
        sections = [
            Section("Curves", [Beside([Figure(loss, "loss, running mean", 520), Figure(curves, scored, 520)])]),
            Section("Samples", [Swatches(picture_key(self.lesson.legend)), Figure(pictures, caption)]),
            Section("Figures", [Table([_NAMES.get(key, key) for key in keys], rows)]),
        ]
        text = page(self.title, sections, lead=f"After {step} steps; {scored}.")
        write_whole(self.folder / PAGE, text.encode())

    def _samples(self, weights: dict[str, Tensor]) -> bytes:
        from geoseg.report.pictures import class_picture, error_picture, side_by_side, stacked

        values = class_values(self.lesson.legend)
        known = np.array([0, *values])
        crops = samples(self.lesson.held_out or self.lesson.images)
        columns: dict[str, list[NDArray[np.uint8]]] = {"image": [], "labels": [], "prediction": [], "errors": []}
        for image, scores in iter_scores(self.spec, weights, self.lesson, crops, self.device):
            found = values[scores.argmax(0).cpu().numpy()]
            if image.missing is not None:
                found[image.missing] = NODATA
            labels = np.where(np.isin(image.labels, known), image.labels, np.uint8(NODATA))
            columns["image"].append(as_picture(image))
            columns["labels"].append(class_picture(labels, self.lesson.legend))
            columns["prediction"].append(class_picture(found, self.lesson.legend))
            columns["errors"].append(error_picture(found, labels))
        panels = {title: stacked(pictures) for title, pictures in columns.items()}
        return side_by_side(panels, height_px=len(panels["image"]))


def _scored(held_out: Sequence[LabelledImage]) -> str:
    """Return what is scored, in words: pieces where they lie on the ground, as one may be of many files."""
    if not held_out:
        return "nothing is held out, so nothing is scored"
    several = "s" * (len(held_out) > 1)
    what = f"image{several}" if held_out[0].grid is None else f"piece{several} of ground"
    return f"scores on {len(held_out)} {what} held out"


def samples(images: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Return a few parts of images, always the same: well labelled ones, as far from one another as can be.

    They hold nothing but what is there: those of a narrow image are narrow.
    """
    parts = [(number, *at) for number, image in enumerate(images) for at in _places(image)]
    known = np.array([np.count_nonzero(_at(images[number], row, col).labels) for number, row, col in parts])
    usable = [part for part, count in zip(parts, known, strict=True) if 2 * count >= known.max()]
    chosen = [parts[int(known.argmax())]]
    while len(chosen) < min(_SHOWN, len(usable)):
        chosen.append(max((part for part in usable if part not in chosen), key=lambda part: _apart(part, chosen)))
    return [_at(images[number], row, col) for number, row, col in sorted(chosen)]


def _apart(part: tuple[int, int, int], chosen: Sequence[tuple[int, int, int]]) -> float:
    """Return how far a part lies from the nearest one chosen, in pixels; other images are farther than any pixel."""
    return min(math.inf if part[0] != other[0] else math.dist(part[1:], other[1:]) for other in chosen)


def _places(image: LabelledImage) -> Iterator[tuple[int, int]]:
    """Yield the upper left pixels of parts that cover an image roughly."""
    starts = []
    for size in image.labels.shape:
        count, room = max(1, round(size / _SIZE)), max(0, size - _SIZE)
        starts.append([room // 2] if count == 1 else [i * room // (count - 1) for i in range(count)])
    yield from itertools.product(*starts)


def middle(image: LabelledImage) -> LabelledImage:
    """Return the middle of an image; all of it where it is small."""
    height, width = image.labels.shape
    return _at(image, max(0, (height - _SIZE) // 2), max(0, (width - _SIZE) // 2))


def _at(image: LabelledImage, row: int, col: int) -> LabelledImage:
    """Return the square of an image whose upper left pixel is given, as far as the image goes."""
    return image.part(slice(row, row + _SIZE), slice(col, col + _SIZE), f"{row},{col}")


def as_picture(image: LabelledImage) -> NDArray[np.uint8]:
    """Return the first three bands, or the first one as grey, shape (height, width, 3); missing pixels are white.

    Values lie between the darkest and the brightest one, unless they are those of bytes.
    """
    shown = image.pixels[[0, 1, 2] if len(image.pixels) >= 3 else [0, 0, 0]].transpose(1, 2, 0).astype(np.float32)
    low, high = (0.0, 255.0) if 1 < shown.max() <= 255 and shown.min() >= 0 else (shown.min(), shown.max())
    picture = np.asarray(np.clip((shown - low) / max(high - low, 1e-9), 0, 1) * 255, np.uint8)
    if image.missing is not None:
        picture[image.missing] = 255
    return picture


def _curves(history: list[dict[str, Any]], wanted: Iterable[str] = _NAMES) -> bytes:
    from geoseg.report.plots import lines

    steps = [record["step"] for record in history]
    known = [key for key in wanted if key in history[-1]]
    heights = {key: [record.get(key) for record in history] for key in known}
    curves = {
        _NAMES.get(key, key): (steps, [np.nan if height is None else float(height) for height in heights[key]])
        for key in known
    }
    return lines(curves, x="step", y="", size=(5.5, 3.4))


def _told(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value}"
