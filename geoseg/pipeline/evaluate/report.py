"""What ``evaluate`` finds out: the scores that were asked for, gathered while rows pass by, and their report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoseg.errors import UsageError
from geoseg.scores.boundary import TOLERANCE_PX, Borders
from geoseg.scores.calibration import Calibration
from geoseg.scores.figures import aligned, plain, shown
from geoseg.scores.worst import WrongWindow, WrongWindows

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from geoseg.scores.compared import ComparedRows
    from geoseg.scores.confusion import Confusion
    from geoseg.scores.f1 import Found
    from geoseg.scores.intervals import Intervals
    from geoseg.vocabulary import MapClass


_STRETCH = 1.001  # of the metres of map projections such as UTM: three pixels of half a metre are 1.5 m there


@dataclass(frozen=True, slots=True)
class WantedScores:
    """Which scores are wanted beyond those of the confusion matrix."""

    boundary: bool = False
    """Whether borders are scored."""
    objects: bool = False
    """Whether objects are matched."""
    tolerance_px: float = TOLERANCE_PX
    """How far borders may lie apart, in pixels."""
    tolerance_m: float | None = None
    """The same in metres on the ground; wins over pixels."""
    places: int = 0
    """How many of the worst places are shown."""
    report: Path | None = None
    """An HTML page to write."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.report is not None and self.report.suffix.lower() not in {".html", ".htm"}:
            raise UsageError(f"--report: {self.report} is an HTML page; give it a name that ends in .html")

    def tolerance(self, ground_pixel_m: tuple[float, float]) -> tuple[float, float]:
        """Return the tolerance in pixels along a column and along a row of pixels of a size on the ground."""
        if self.tolerance_m is None:
            return self.tolerance_px, self.tolerance_px
        metres = self.tolerance_m * _STRETCH
        return metres / ground_pixel_m[0], metres / ground_pixel_m[1]

    @property
    def tolerance_text(self) -> str:
        """The tolerance with its unit."""
        return f"{self.tolerance_px:g} px" if self.tolerance_m is None else f"{self.tolerance_m:g} m"


@dataclass(frozen=True, slots=True)
class Place:
    """One of the worst places, with all that a picture of it needs."""

    name: str
    """Where it is, in words."""
    found: WrongWindow
    predicted: NDArray[np.uint8]
    """Shape (height, width), legend values."""
    reference: NDArray[np.uint8]
    """Shape (height, width), legend values."""
    pixels: NDArray[np.uint8] | None
    """Shape (3, height, width), red, green and blue; None without imagery."""


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How one image of a data set scored."""

    name: str
    group: str
    confusion: Confusion

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        return {
            "name": self.name,
            "group": self.group,
            "pixel_accuracy": plain(self.confusion.pixel_accuracy),
            "mean_iou": plain(self.confusion.mean_iou),
            "support": int(self.confusion.counts.sum()),
        }


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """The scores, and what was noticed on the way."""

    source: dict[str, Any]
    """What was compared with what, as JSON values."""
    confusion: Confusion
    wanted: WantedScores
    boundary: Found | None = None
    objects: Found | None = None
    calibration: Calibration | None = None
    images: tuple[ImageScore, ...] = ()
    """Scores of single images, where a data set was scored."""
    intervals: Intervals | None = None
    places: tuple[Place, ...] = ()
    warnings: tuple[str, ...] = ()
    also: dict[str, Any] = field(default_factory=dict)
    """More facts about the run, as JSON values."""

    def to_json(self) -> dict[str, Any]:
        """Return the object of ``--json``, schema 1; the matrix has a row per reference class."""
        order = [entry.name for entry in self.confusion.legend]
        found = {"schema": 1, **self.source, **self.confusion.to_json()}
        found |= {"confusion_rows": order, "confusion_columns": [*order, "nodata"]}
        if self.boundary is not None:
            found["boundary_f1"] = plain(self.boundary.mean_f1)
            found["boundary"] = {"tolerance": self.wanted.tolerance_text, "classes": self.boundary.to_json()}
        if self.objects is not None:
            found["objects"] = self.objects.to_json()
        if self.calibration is not None:
            found |= {"ece": plain(self.calibration.ece), "reliability": self.calibration.to_json()}
        if self.images:
            found["images"] = [image.to_json() for image in self.images]
            found["intervals"] = self.intervals and self.intervals.to_json()
        if self.wanted.places:
            found["worst"] = [
                {
                    "place": place.name,
                    "wrong": place.found.wrong,
                    "labelled": place.found.labelled,
                    "share": plain(place.found.share),
                }
                for place in self.places
            ]
        return found | self.also | {"warnings": list(self.warnings)}

    def to_text(self) -> str:
        """Return the scores as paragraphs of aligned text."""
        parts = [self.confusion.to_text()]
        if self.images:
            heads = ["image", "accuracy", "mean IoU", "pixels"]
            rows = [
                [image.name, shown(score["pixel_accuracy"]), shown(score["mean_iou"]), f"{score['support']:,}"]
                for image in self.images
                for score in (image.to_json(),)
            ]
            parts.append("\n".join(aligned([heads, *rows])))
        lines = []
        if self.intervals is not None:
            for name, (low, high) in (
                ("accuracy", self.intervals.pixel_accuracy),
                ("mean IoU", self.intervals.mean_iou),
            ):
                lines.append(f"95 % of resampled sets of images have {name} {low:.4f} to {high:.4f}")
        if lines:
            parts.append("\n".join(lines))
        for title, found in (
            (f"borders ({self.wanted.tolerance_text})", self.boundary),
            ("objects", self.objects),
        ):
            if found is not None:
                parts.append(_table_of(title, found))
        if self.calibration is not None:
            parts.append(f"expected calibration error  {shown(self.calibration.ece)}")
        return "\n\n".join(parts)


def _table_of(title: str, found: Found) -> str:
    rows = [[title, "F1", "precision", "recall", "predicted", "reference"]]
    for name, one in found.to_json().items():
        counts = f"{one['predicted']:,}", f"{one['reference']:,}"
        rows.append([name, shown(one["f1"]), shown(one["precision"]), shown(one["recall"]), *counts])
    return "\n".join([*aligned(rows), f"mean F1  {shown(found.mean_f1)}"])


class Gathering:
    """Scores of one map or image, gathered from strips that begin at row 0."""

    def __init__(
        self,
        classes: tuple[MapClass, ...],
        wanted: WantedScores,
        shape: tuple[int, int],
        ground_pixel_m: tuple[float, float],
    ) -> None:
        """Begin.

        Args:
            classes: those that have scores of their own.
            wanted: which scores.
            shape: height and width of the map in pixels.
            ground_pixel_m: size of a pixel along a column and along a row, in metres.
        """
        self._borders = Borders(classes, wanted.tolerance(ground_pixel_m), shape[1]) if wanted.boundary else None
        self._windows = WrongWindows(*shape) if wanted.places else None
        self._places = wanted.places
        self._values = [entry.value for entry in classes]
        self.calibration = Calibration.empty()

    def add(self, rows: ComparedRows) -> None:
        """Add the next strip."""
        if self._borders is not None:
            self._borders.add(rows)
        if self._windows is not None:
            self._windows.add(rows)
        self.calibration = self.calibration.add(rows, self._values)

    def boundary(self) -> Found | None:
        """Return the counts of border pixels, after the last strip; None where they are not wanted."""
        return None if self._borders is None else self._borders.finish()

    def worst(self) -> list[WrongWindow]:
        """Return the worst windows, most wrong pixels first."""
        return [] if self._windows is None else self._windows.worst(self._places)
