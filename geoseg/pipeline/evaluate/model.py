"""``evaluate --model M DATA``: the answers that users get, scored on labelled images."""

from __future__ import annotations

import heapq
import re
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.class_names import Synonyms
from geoseg.errors import InputError
from geoseg.layers.publish import check_target
from geoseg.model.file import load_model, model_path
from geoseg.model.learned import ImageNames, learned_from, read_otherwise
from geoseg.pipeline.evaluate.answers import Answer, ModelRun, answer, answer_scene
from geoseg.pipeline.evaluate.report import EvaluateReport, Gathering, ImageScore, Place, WantedScores
from geoseg.pipeline.evaluate.scored_data import ScoredData, ScoredImage, chosen, read_scored
from geoseg.scene.georeference import ground_pixel_m
from geoseg.scene.read_request import flags_of
from geoseg.scores.calibration import Calibration
from geoseg.scores.compared import ComparedRows
from geoseg.scores.confusion import Confusion
from geoseg.scores.f1 import Found
from geoseg.scores.intervals import bootstrap
from geoseg.scores.objects import match_objects
from geoseg.scores.same_classes import MapNames, SharedClasses, match_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from geoseg.labels.labelled import LabelledImage
    from geoseg.model.file import Model
    from geoseg.scores.worst import WrongWindow
    from geoseg.vocabulary import Legend

_BY_VALUE = re.compile(r"class_\d+")  # name of a class that has none
_CODES = 257  # pixel values, and one for blank pixels that images do not have


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One run of ``evaluate`` on a model."""

    run: ModelRun
    data: ScoredData
    only: tuple[str, ...] = ()
    """Names of images and groups to score; all of them if none is named."""
    classes: str | None = None
    """Comma list of classes to score, ``all`` for those of model or labels; None for those of both."""
    wanted: WantedScores = field(default_factory=WantedScores)


def evaluate_model(
    request: ModelRequest, tell: Callable[[int, int, int], None] = lambda _done, _total, _pixels: None
) -> EvaluateReport:
    """Score a model on labelled images as ``segment`` answers them: blended, whole, compared on their own pixels.

    Images of a folder are taken to have the model's pixels. Scenes are resampled to these where theirs differ, and
    scored on their own.

    Args:
        request: what to score.
        tell: called with images done, images in all, and pixels done.

    Raises:
        UsageError: no image has a name that was asked for.
        InputError: labels or images cannot be read, or have other bands or classes than the model.
        ModelError: the model cannot be used.
    """
    wanted = request.wanted
    if wanted.report is not None:
        check_target(wanted.report, overwrite=wanted.overwrite, inputs=[model_path(request.run.model)])
    notes: list[str] = []
    model = load_model(request.run.model)
    legend, found = read_scored(request.data, model.card, notes.append)
    found = chosen(found, request.only, request.data.text)
    shared = _shared_classes(request, model, legend, notes)
    scored = [ImageNames(image.name, image.names, image.files) for image, _ in found]
    if learned := learned_from(model.card, scored):
        notes.append(learned)
    if request.data.scenes and (unlike := read_otherwise(model.card, flags_of(request.data.scene_options))):
        notes.append(unlike)
    _check_labels(found, shared, request.data)
    tally = _Tally(shared, wanted)
    pixels = 0
    with tempfile.TemporaryDirectory() as folder:
        for done, (image, scene) in enumerate(found, 1):
            answered = (
                answer(image, request.run, model, Path(folder))
                if scene is None
                else answer_scene(scene, request.data.scene_options, request.run, model)
            )
            tally.add(image, answered)
            pixels += image.labels.size
            tell(done, len(found), pixels)
    source = {
        "model": {"name": model.card.name, "sha256": model.card.tensors_sha256},
        "dataset": request.data.text,
        "scenes": [str(scene) for pair in request.data.scenes for scene in pair.scenes],
    }
    return tally.report(source, notes)


def _check_labels(found: list[ScoredImage], shared: SharedClasses, data: ScoredData) -> None:
    """Refuse data without a pixel that could be scored."""
    if any(shared.reference[image.labels].any() for image, _ in found):
        return
    way = "look whether they lie on the scenes" if data.scenes else "name what the masks hold with --legend"
    raise InputError(f"{data.text}: not one pixel is labelled, so there is nothing to score; {way}")


def _shared_classes(request: ModelRequest, model: Model, legend: Legend, notes: list[str]) -> SharedClasses:
    """Match the classes of a model and of labels by their names, or by their values where the labels have none."""
    synonyms = Synonyms.of((*model.card.legend, *legend))
    ours = {entry.value: synonyms.canonical(entry.name) for entry in model.card.legend}
    theirs = {entry.value: synonyms.canonical(entry.name) for entry in legend}
    meant = {f"class_{value}": name for value, name in ours.items()}
    nameless = sorted(name for name in theirs.values() if _BY_VALUE.fullmatch(name) and name not in ours.values())
    if nameless and meant.keys() >= set(nameless):  # else they are somebody else's numbers
        meaning = ", ".join(f"{name.removeprefix('class_')} = {meant[name]}" for name in nameless)
        notes.append(f"{request.data.text}: its values are taken for those of the model, {meaning}")
        theirs = {value: meant[name] if name in nameless else name for value, name in theirs.items()}
    sides = [
        MapNames(name, names, frozenset(names.values()), numbered=True)
        for name, names in ((request.run.model, ours), (request.data.text, theirs))
    ]
    nothing = np.zeros((_CODES, _CODES), np.int64)
    shared = match_classes((sides[0], sides[1]), nothing, request.classes, synonyms, notes.append)
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
        self._ran: dict[str, str] = {}

    def add(self, image: LabelledImage, answered: Answer) -> None:
        """Add the answer to an image."""
        self._ran = {"device": answered.device, "precision": answered.precision, "blend": answered.blend}
        rows = ComparedRows(
            0,
            self._shared.predicted[answered.rows.classes],
            self._shared.reference[image.labels],
            answered.rows.confidence,
        )
        of_image = Confusion.empty(self.confusion.legend, self.confusion.bucket).add(rows.predicted, rows.reference)
        self.confusion = replace(self.confusion, counts=self.confusion.counts + of_image.counts)
        self._images.append(ImageScore(image.name, image.group, of_image))
        gathered = Gathering(self.confusion.scored, self._wanted, image.labels.shape, ground_pixel_m(answered.grid))
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
        from geoseg.pipeline.evaluate.objects import predicted_objects, reference_objects

        legend = self.confusion.legend
        predicted = predicted_objects([rows], answered.grid, legend)
        return match_objects(predicted, reference_objects([rows], answered.grid, legend), self.confusion.scored)

    def report(self, source: dict[str, Any], notes: Iterable[str]) -> EvaluateReport:
        """Return the report of all images.

        Args:
            source: what was scored.
            notes: what the user should know.
        """
        return EvaluateReport(
            source,
            self.confusion,
            self._wanted,
            boundary=self._boundary if self._wanted.boundary else None,
            objects=self._objects if self._wanted.objects else None,
            calibration=self._calibration,
            images=tuple(self._images),
            intervals=bootstrap([image.confusion for image in self._images]),
            places=tuple(self._places),
            warnings=tuple(notes),
            also=self._ran,
        )


def _place(image: LabelledImage, rows: ComparedRows, worst: WrongWindow) -> Place:
    """Cut a place out of an image; copies, so that the image can go."""
    here = worst.window.slices()
    name = f"{image.name} (row {worst.window.row}, column {worst.window.col})"
    picture = image.pixels[[*range(len(image.pixels)), 0, 0][:3]]
    return Place(name, worst, rows.predicted[here].copy(), rows.reference[here].copy(), picture[:, *here])
