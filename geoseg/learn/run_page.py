"""How a run stands, while it runs: curves and sample predictions as PNG, and one HTML page that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.labels.labelled import class_values
from geoseg.learn.journal import noted, put
from geoseg.learn.sampling import Sampler
from geoseg.learn.scoring import iter_scores
from geoseg.learn.warp import Place, cut

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from geoseg.labels.labelled import LabelledImage
    from geoseg.learn.lesson import Lesson
    from geoseg.model.network import NetworkSpec

PAGE, CURVES, LOSS, SAMPLES = "index.html", "curves.png", "loss.png", "samples.png"
_SHOWN = 4
_SIZE = 256  # pixels


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

        history = noted(self.folder / "history.jsonl", "step")
        curves, samples = _curves(history), self._samples(weights)
        loss = _curves(history, ("loss",))
        put(self.folder / CURVES, curves)
        put(self.folder / LOSS, loss)
        put(self.folder / SAMPLES, samples)
        aside = len(self.lesson.held_out)
        many = "one image" if aside == 1 else f"{aside} images"
        scored = f"scores on {many} held out" if aside else "nothing is held out, so nothing is scored"
        colors = [(entry.name, entry.style) for entry in self.lesson.legend]
        keys = [key for key in ("step", "loss", "pixel_accuracy", "mean_iou") if key in history[-1]]
        rows = [[_told(record.get(key)) for key in keys] for record in history[::-1]]
        sections = [
            Section("Curves", [Beside([Figure(loss, "loss, running mean", 520), Figure(curves, scored, 520)])]),
            Section("Samples", [Swatches(colors), Figure(samples, "image, labels, prediction and errors")]),
            Section("Figures", [Table([key.replace("_", " ") for key in keys], rows)]),
        ]
        text = page(self.title, sections, lead=f"After {step} steps; {scored}.")
        put(self.folder / PAGE, text.encode())

    def _samples(self, weights: dict[str, Tensor]) -> bytes:
        from geoseg.report.pictures import class_picture, error_picture, side_by_side

        values = class_values(self.lesson.legend)
        known = np.array([0, *values])
        panels: dict[str, NDArray[np.uint8]] = {}
        crops = self._shown()
        columns: dict[str, list[NDArray[np.uint8]]] = {"image": [], "labels": [], "prediction": [], "errors": []}
        for image, scores in iter_scores(self.spec, weights, self.lesson, crops, self.device):
            found = values[scores.argmax(0).cpu().numpy()]
            labels = np.where(np.isin(image.labels, known), image.labels, np.uint8(0))
            columns["image"].append(as_picture(image.pixels))
            columns["labels"].append(class_picture(labels, self.lesson.legend))
            columns["prediction"].append(class_picture(found, self.lesson.legend))
            columns["errors"].append(error_picture(found, labels))
        for title, pictures in columns.items():
            panels[title] = np.concatenate(pictures)
        return side_by_side(panels, height_px=_SIZE * len(crops))

    def _shown(self) -> list[LabelledImage]:
        """Return cuts to show, always the same: of images held out, else of those learned from."""
        sampler = Sampler(self.lesson.held_out or self.lesson.images, self.lesson.legend, {}, 0.0)
        spots = [sampler.draw(np.random.default_rng(i)) for i in range(_SHOWN)]
        return [around(spot.image, spot.row, spot.col) for spot in spots]


def middle(image: LabelledImage) -> LabelledImage:
    """Return the middle of an image, mirrored where it is small."""
    height, width = image.labels.shape
    return around(image, height // 2, width // 2)


def around(image: LabelledImage, row: int, col: int) -> LabelledImage:
    """Return a square of an image around a pixel, or near it at a border; mirrored where the image is small."""
    half = _SIZE // 2
    height, width = image.labels.shape
    place = Place(max(half, min(row, height - half)), max(half, min(col, width - half)), _SIZE)
    pixels, labels = cut(image, place)
    return replace(image, pixels=pixels, labels=labels)


def as_picture(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the first three bands, or the first one as grey, between their darkest and brightest values."""
    shown = pixels[[0, 1, 2] if len(pixels) >= 3 else [0, 0, 0]].transpose(1, 2, 0)
    low, high = (0.0, 255.0) if 1 < shown.max() <= 255 and shown.min() >= 0 else (shown.min(), shown.max())
    return np.asarray(np.clip((shown - low) / max(high - low, 1e-9), 0, 1) * 255, np.uint8)


def _curves(history: list[dict[str, Any]], wanted: tuple[str, ...] = ("pixel_accuracy", "mean_iou")) -> bytes:
    from geoseg.report.plots import lines

    steps = [record["step"] for record in history]
    known = [key for key in wanted if key in history[-1]]
    heights = {key: [record.get(key) for record in history] for key in known}
    curves = {
        key.replace("_", " "): (steps, [np.nan if height is None else float(height) for height in heights[key]])
        for key in known
    }
    return lines(curves, x="step", y="", size=(5.5, 3.4))


def _told(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value}"
