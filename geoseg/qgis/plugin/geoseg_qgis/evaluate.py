"""geoseg:evaluate: two maps in, scores and a page of them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
)

from .algorithm import GeosegAlgorithm
from .compat import RASTERS, VECTORS
from .flags import add, add_flags, number, text, ticked, words_of
from .inputs import map_file, raster_file

_FLAGS = (
    text(
        "CLASSES",
        "Classes",
        "--classes",
        "Classes to score: all, or their names with commas between. Empty: those that both maps have.",
        advanced=False,
    ),
    text(
        "CLASS_FIELD",
        "Field that names the class",
        "--class-field",
        "Field of vector files that names the class. Empty: class. Layers without it go by their own name.",
        advanced=False,
    ),
    ticked(
        "BOUNDARY",
        "Score borders, too",
        "--boundary",
        "How well borders are met: boundary F1 of each class, within 2 pixels.",
    ),
    ticked(
        "OBJECTS",
        "Match objects, too",
        "--objects",
        "How many objects are found: polygons or regions of an IoU of at least 0.5.",
    ),
    number(
        "RESOLUTION",
        "Ground pixel in metres",
        "--resolution",
        "Ground pixel on which two vector files are compared, in metres. Not set: 1.",
        lowest=0.001,
        highest=100000,
    ),
    number(
        "TOLERANCE_M",
        "How far borders may lie apart, in metres",
        "--tolerance-m",
        "How far borders may lie apart in metres; asks for scores of borders. Not set: 2 pixels.",
        lowest=0,
        highest=100000,
    ),
    number(
        "WORST",
        "Places in the report",
        "--worst",
        "How many of the worst places the report shows.",
        lowest=0,
        highest=200,
        default=8,
        whole=True,
    ),
)
_RASTERS = (
    ("CONFIDENCE", "Confidence raster", "--confidence", "Confidences of the map in percent: scores how far they hold."),
    ("SCENE", "Image", "--scene", "Image of the same ground, for the pictures of the report."),
)


class EvaluateAlgorithm(GeosegAlgorithm):
    """Compare a map with a reference."""

    VERB = "evaluate"
    TITLE = "Compare a map with a reference"
    TAGS = ("accuracy", "assessment", "iou", "f1", "confusion matrix", "validation")
    SHARES = {"evaluate": (0, 95)}  # noqa: RUF012
    ABOUT = (
        "Compares a map with a reference: pixel accuracy, and IoU, F1, precision and recall of each class; where "
        "ticked, borders and single objects, too.\n\n"
        "A map is a class raster or a vector file, of any coordinate system. Of a vector file all layers count, "
        "whichever of them is chosen. The scores are in the log, and, where asked for, on a page with pictures of the "
        "worst places."
    )

    def initAlgorithm(self, config: Any = None) -> None:  # noqa: ARG002, N802
        """Declare parameters and outputs."""
        for name, label, told in (
            (
                "PREDICTED",
                "Map",
                "The map to score: a class raster, or any layer of a vector file, which counts whole.",
            ),
            (
                "REFERENCE",
                "Reference",
                "The map that is held to be true: a class raster, or any layer of a vector file.",
            ),
        ):
            add(self, QgsProcessingParameterMapLayer(name, label, None, False, [RASTERS, VECTORS]), told)
        for name, label, _, told in _RASTERS:
            add(self, QgsProcessingParameterRasterLayer(name, label, None, optional=True), told)
        add_flags(self, _FLAGS)
        add(
            self,
            QgsProcessingParameterFileDestination("REPORT", "Report", "HTML (*.html)", None, True, False),
            "A page with all scores and pictures of the worst places.",
        )
        add(
            self,
            QgsProcessingParameterFileDestination("SCORES", "Scores", "JSON (*.json)", None, True, False),
            "All scores as JSON.",
        )
        self.addOutput(QgsProcessingOutputNumber("PIXEL_ACCURACY", "Pixel accuracy"))
        self.addOutput(QgsProcessingOutputNumber("MEAN_IOU", "Mean IoU"))

    def prepareAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> bool:  # noqa: ARG002, N802
        """Read what belongs to layers, in the thread that they live in."""
        self.files = [
            map_file(self.parameterAsLayer(parameters, name, context), parameters.get(name), label)
            for name, label in (("PREDICTED", "Map"), ("REFERENCE", "Reference"))
        ]
        for name, label, flag, _ in _RASTERS:
            if parameters.get(name) not in (None, ""):
                path = raster_file(self.parameterAsRasterLayer(parameters, name, context), parameters[name], label)
                self.files.append(f"{flag}={path}")
        return True

    def processAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> dict[str, Any]:  # noqa: N802
        """Run geoseg, tell the scores and return the two that sum them up."""
        page = self.parameterAsFileOutput(parameters, "REPORT", context)
        scores = self.parameterAsFileOutput(parameters, "SCORES", context)
        if scores and not Path(scores).parent.is_dir():
            raise QgsProcessingException(f"Scores: the folder of {scores} does not exist; create it first")
        words = [*self.files, *words_of(_FLAGS, self, parameters, context)]
        words += [f"--report={page}", "--overwrite"] if page else []
        report = self.run_geoseg(words, [page] if page else [], feedback)
        if report is None:
            return {}
        for line in _lines(report):
            feedback.pushInfo(line)
        if scores:
            _write(scores, report)
        made = {name: path for name, path in (("REPORT", page), ("SCORES", scores)) if path}
        return {**made, "PIXEL_ACCURACY": report["pixel_accuracy"], "MEAN_IOU": report["mean_iou"]}


def _write(path: str, report: dict[str, Any]) -> None:
    """Write the scores as JSON; raises QgsProcessingException where that fails."""
    try:
        Path(path).write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise QgsProcessingException(f"Scores: {path} cannot be written ({error.strerror})") from None


def _lines(report: dict[str, Any]) -> list[str]:
    """Return the scores as lines of the log."""
    found = [f"pixel accuracy {_share(report['pixel_accuracy'])}, mean IoU {_share(report['mean_iou'])}"]
    for name, score in report["classes"].items():
        told = (f"{what} {_share(score[key])}" for what, key in (("IoU", "iou"), ("F1", "f1")))
        found.append(f"{name}: {', '.join(told)}")
    return found


def _share(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "unknown"
