"""``evaluate --model M DATA``: the answers that users get, scored on labelled images."""

from __future__ import annotations

import heapq
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import UsageError
from geoseg.labels.folders import read_folder
from geoseg.labels.mask_key import DUBAI, MaskKey
from geoseg.layers.publish import check_target
from geoseg.model.file import load_model, model_path
from geoseg.model.learned import Scored, learned_from
from geoseg.pipeline.answers import Answer, ModelRun, answer
from geoseg.pipeline.evaluation import EvaluateReport, Gathering, ImageScore, Place, WantedScores
from geoseg.scores.calibration import Calibration
from geoseg.scores.compared import ComparedRows
from geoseg.scores.confusion import Confusion
from geoseg.scores.f1 import Found
from geoseg.scores.intervals import bootstrap
from geoseg.scores.objects import match_objects
from geoseg.scores.same_classes import MapNames, SharedClasses, Synonyms, match_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geoseg.labels.labelled import LabelledImage
    from geoseg.model.file import Model
    from geoseg.scores.worst import WrongWindow
    from geoseg.vocabulary import Legend

_CODES = 257  # pixel values, and one for blank pixels that images do not have


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One run of ``evaluate`` on a model."""

    run: ModelRun
    dataset: Path
    """Folder of labelled images."""
    only: tuple[str, ...] = ()
    """Names of images and groups to score; all of them if none is named."""
    classes: str | None = None
    """Comma list of classes to score, ``all`` for those of model or labels; None for those of both."""
    wanted: WantedScores = field(default_factory=WantedScores)
    legend_file: Path | None = None
    """Names and colours of the dataset's masks; None for those of the Dubai data set."""


def evaluate_model(
    request: ModelRequest, tell: Callable[[int, int, int], None] = lambda _done, _total, _pixels: None
) -> EvaluateReport:
    """Score a model on labelled images as ``segment`` answers them: blended, whole, at native resolution.

    Args:
        request: what to score.
        tell: called with images done, images in all, and pixels done.

    Raises:
        UsageError: no image has a name that was asked for.
        InputError: the folder is no data set, or has other bands or classes than the model.
        ModelError: the model cannot be used.
    """
    wanted = request.wanted
    if wanted.report is not None:
        check_target(wanted.report, overwrite=wanted.overwrite, inputs=[model_path(request.run.model)])
    notes: list[str] = []
    model = load_model(request.run.model)
    masks = DUBAI if request.legend_file is None else MaskKey.read(request.legend_file)
    images = read_folder(request.dataset, masks, notes.append)
    images = chosen(images, request.only, request.dataset)
    shared = _shared_classes(request, model, masks.legend, notes)
    source = frozenset({request.dataset.resolve().name})
    if learned := learned_from(model.card, [Scored(image.name, image.group, source) for image in images]):
        notes.append(learned)
    tally = _Tally(shared, wanted)
    pixels = 0
    with tempfile.TemporaryDirectory() as folder:
        for done, image in enumerate(images, 1):
            answered = answer(image.pixels, image.name, request.run, model, Path(folder))
            tally.add(image, answered, model.card.resolution_m)
            pixels += image.labels.size
            tell(done, len(images), pixels)
    ran = {"device": answered.device, "precision": answered.precision, "blend": answered.blend}
    scored = {
        "model": {"name": model.card.name, "sha256": model.card.tensors_sha256},
        "dataset": str(request.dataset),
    }
    report = EvaluateReport(scored, tally.confusion, wanted, warnings=tuple(notes), also=ran)
    return tally.into(report)


def chosen(images: Sequence[LabelledImage], only: tuple[str, ...], folder: Path) -> list[LabelledImage]:
    """Return the images that are named, themselves or by their group; all of them for no names.

    Raises:
        UsageError: a name is nobody's.
    """
    known = {image.name for image in images} | {image.group for image in images}
    unknown = [name for name in only if name not in known]
    if unknown:
        some = ", ".join(sorted({image.group for image in images})[:12])
        raise UsageError(
            f"--only: {folder} has no image or tile {', '.join(map(repr, unknown))}; it has {some}, and in them images "
            f"such as {images[0].name!r}"
        )
    return [image for image in images if not only or image.name in only or image.group in only]


def _shared_classes(request: ModelRequest, model: Model, legend: Legend, notes: list[str]) -> SharedClasses:
    """Match the classes of a model and of labels by their names."""
    synonyms = Synonyms.of((*model.card.legend, *legend))
    sides = [
        MapNames(name, names, frozenset(names.values()), numbered=True)
        for name, names in (
            (request.run.model, {entry.value: synonyms.canonical(entry.name) for entry in model.card.legend}),
            (str(request.dataset), {entry.value: synonyms.canonical(entry.name) for entry in legend}),
        )
    ]
    nothing = np.zeros((_CODES, _CODES), np.int64)
    shared = match_classes((sides[0], sides[1]), nothing, request.classes, synonyms.canonical, notes.append)
    for table in (shared.predicted, shared.reference):
        table[0] = 0  # unlabelled, and never seen
    return shared


class _Tally:
    """Sums over images."""

    def __init__(self, shared: SharedClasses, wanted: WantedScores) -> None:
        self._shared, self._wanted = shared, wanted
        self.confusion = Confusion.empty(shared.legend, shared.bucket)
        names = tuple(entry.name for entry in self.confusion.scored)
        self._boundary, self._objects = Found.nothing(names), Found.nothing(names)
        self._calibration = Calibration.empty()
        self._images: list[ImageScore] = []
        self._places: list[Place] = []

    def add(self, image: LabelledImage, answered: Answer, pixel_m: float) -> None:
        """Add the answer to an image."""
        rows = ComparedRows(
            0,
            self._shared.predicted[answered.rows.classes],
            self._shared.reference[image.labels],
            answered.rows.confidence,
        )
        of_image = Confusion.empty(self.confusion.legend, self.confusion.bucket).add(rows.predicted, rows.reference)
        self.confusion = replace(self.confusion, counts=self.confusion.counts + of_image.counts)
        self._images.append(ImageScore(image.name, image.group, of_image))
        gathered = Gathering(self.confusion.scored, self._wanted, image.labels.shape, (pixel_m, pixel_m))
        gathered.add(rows)
        self._calibration += gathered.calibration
        boundary = gathered.boundary()
        if boundary is not None:
            self._boundary += boundary
        if self._wanted.objects:
            self._objects += self._matched(rows, answered)
        places = [_place(image, rows, worst) for worst in gathered.worst()]
        most = [*self._places, *places]
        self._places = heapq.nlargest(self._wanted.places, most, key=lambda place: place.found.wrong)

    def _matched(self, rows: ComparedRows, answered: Answer) -> Found:
        from geoseg.pipeline.objects import predicted_objects, reference_objects

        legend = self.confusion.legend
        predicted = predicted_objects([rows], answered.grid, legend)
        return match_objects(predicted, reference_objects([rows], answered.grid, legend), self.confusion.scored)

    def into(self, report: EvaluateReport) -> EvaluateReport:
        """Return a report with the sums in it."""
        return replace(
            report,
            boundary=self._boundary if self._wanted.boundary else None,
            objects=self._objects if self._wanted.objects else None,
            calibration=self._calibration,
            images=tuple(self._images),
            intervals=bootstrap([image.confusion for image in self._images]),
            places=tuple(self._places),
        )


def _place(image: LabelledImage, rows: ComparedRows, worst: WrongWindow) -> Place:
    """Cut a place out of an image; copies, so that the image can go."""
    here = worst.window.slices()
    name = f"{image.name} (row {worst.window.row}, column {worst.window.col})"
    picture = image.pixels[[*range(len(image.pixels)), 0, 0][:3]]
    return Place(name, worst, rows.predicted[here].copy(), rows.reference[here].copy(), picture[:, *here])
