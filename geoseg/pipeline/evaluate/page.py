"""The HTML page of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import geoseg
from geoseg.errors import first_of
from geoseg.layers.publish import published
from geoseg.report.page import Beside, Bullets, Figure, Numbers, Section, Swatches, Table, Text, page
from geoseg.report.pictures import class_picture, error_picture, picture_key, side_by_side
from geoseg.report.plots import reliability
from geoseg.scores.figures import ratios, shown

if TYPE_CHECKING:
    from geoseg.pipeline.evaluate.report import EvaluateReport, Place
    from geoseg.scores.f1 import Found
    from geoseg.vocabulary import Legend

_PANEL_PX = 256


def write_page(report: EvaluateReport, path: Path) -> None:
    """Write the page of a report; raises OutputError where that is not possible."""
    with published(path, overwrite=report.wanted.overwrite) as temporary:
        temporary.write_text(evaluation_page(report), encoding="utf-8")


def evaluation_page(report: EvaluateReport) -> str:
    """Return a report as one self-contained HTML page."""
    source = report.source
    if "model" in source:
        scenes = source["scenes"]
        pictures = scenes or [source["dataset"]]
        title = f"{source['model']['name']} on {first_of([Path(one).resolve().name for one in pictures], 3)}"
        count = "1 image" if len(report.images) == 1 else f"{len(report.images)} images"
        whose = f", labelled by {source['dataset']}" if scenes else ""
        lead = (
            f"Model {source['model']['name']}, weights {source['model']['sha256'][:12]}, on {count} of "
            f"{first_of(pictures, 3)}{whose}, as geoseg segment answers: whole images, compared on "
            f"their own pixels, {report.also['blend']} windows, {report.also['precision']} on {report.also['device']}."
        )
    else:
        title = "Evaluation of a map"
        lead = f"{source['predicted']} compared with {source['reference']}, pixel by pixel where both lie."
    sections = [
        Section("", [_numbers(report)]),
        Section("Classes", _classes(report)),
        Section("Confusion", [_confusion(report)]),
    ]
    if report.warnings:
        sections.insert(1, Section("Notes", [Bullets(report.warnings)]))
    if report.calibration is not None and report.calibration.pixels.any():
        sections.append(_calibration(report))
    if report.wanted.places:
        sections.append(_places(report))
    if report.images:
        sections.append(_images(report))
    return page(title, sections, lead=lead, footer=f"Written by geoseg {geoseg.__version__}.")


def _numbers(report: EvaluateReport) -> Numbers:
    confusion, sure = report.confusion, report.intervals
    spans = ["", ""] if sure is None else [_span(sure.pixel_accuracy), _span(sure.mean_iou)]
    numbers = [
        (
            "pixel accuracy",
            shown(confusion.pixel_accuracy),
            spans[0] or f"of {confusion.counts.sum():,} labelled pixels",
        ),
        ("mean IoU", shown(confusion.mean_iou), spans[1] or f"of {len(confusion.scored)} classes"),
    ]
    if report.boundary is not None:
        numbers.append(
            ("boundary F1", shown(report.boundary.mean_f1), f"borders within {report.wanted.tolerance_text}")
        )
    if report.objects is not None:
        numbers.append(("object F1", shown(report.objects.mean_f1), "matched at IoU 0.5"))
    if report.calibration is not None:
        numbers.append(("calibration error", shown(report.calibration.ece), "confidence against accuracy"))
    return Numbers(numbers)


def _span(ends: tuple[float, float]) -> str:
    return f"95 %: {ends[0]:.3f} to {ends[1]:.3f}"


def _classes(report: EvaluateReport) -> list[Table]:
    heads = ["class", "IoU", "F1", "precision", "recall", "labelled pixels"]
    rows = [
        [name, *(shown(one[score]) for score in ("iou", "f1", "precision", "recall")), f"{one['support']:,}"]
        for name, one in report.confusion.to_json()["classes"].items()
    ]
    tables = [Table(heads, rows)]
    if report.boundary is not None:
        rule = (
            "Borders: a border pixel is right where the other map has one of the same class within "
            f"{report.wanted.tolerance_text} (Csurka et al. 2013)."
        )
        tables.append(_found(report.boundary, "border pixels", rule))
    if report.objects is not None:
        rule = (
            "Objects: polygons, or in rasters the regions that polygons would be made of; the same object where "
            "intersection over union is at least one half."
        )
        tables.append(_found(report.objects, "objects", rule))
    return tables


def _found(found: Found, what: str, rule: str) -> Table:
    rows = []
    for name, one in found.to_json().items():
        counts = f"{one['predicted']:,}", f"{one['reference']:,}"
        rows.append([name, shown(one["f1"]), shown(one["precision"]), shown(one["recall"]), *counts])
    return Table(["class", "F1", "precision", "recall", f"{what} predicted", "in the reference"], rows, rule)


def _confusion(report: EvaluateReport) -> Table:
    counts = report.confusion.counts
    shares = np.nan_to_num(ratios(counts, np.broadcast_to(counts.sum(1, keepdims=True), counts.shape)))
    order = [entry.name for entry in report.confusion.legend]
    rows = [
        [name, *(f"{share:.1%}" for share in of_class), f"{total:,}"]
        for name, of_class, total in zip(order, shares, counts.sum(1), strict=True)
    ]
    return Table(
        ["reference \\ predicted", *order, "nodata", "pixels"],
        rows,
        "Where the labelled pixels of each class went; rows sum to 100 %.",
        [[*of_class, 0.0] for of_class in shares.tolist()],
    )


def _calibration(report: EvaluateReport) -> Section:
    assert report.calibration is not None  # noqa: S101 - the caller looked
    bins = report.calibration.bins()
    total = sum(one.pixels for one in bins)
    diagram = reliability(
        [one.confidence for one in bins], [one.accuracy for one in bins], [one.pixels / total for one in bins]
    )
    rows = [
        [
            f"{one.low:.2f} to {one.high:.2f}",
            shown(one.confidence),
            shown(one.accuracy),
            f"{one.pixels:,}",
        ]
        for one in bins
        if one.pixels
    ]
    caption = "Bars below the dashed line: more confident than right; above it: more right than confident."
    table = Table(["confidence", "mean confidence", "accuracy", "pixels"], rows)
    ece = f"Expected calibration error {report.calibration.ece:.4f} over {len(bins)} bins (Guo et al. 2017)."
    return Section("Confidence", [Text(ece), Beside([Figure(diagram, caption, 460), table])])


def _places(report: EvaluateReport) -> Section:
    legend = report.confusion.legend
    if not report.places:
        return Section("Worst places", [Text("No labelled pixel is wrong.")])
    figures = [Figure(_picture(place, legend), _sentence(place)) for place in report.places]
    return Section(
        "Worst places",
        [Text("The windows with the most wrong pixels, the worst first."), Swatches(picture_key(legend)), *figures],
    )


def _picture(place: Place, legend: Legend) -> bytes:
    panels = {} if place.pixels is None else {"imagery": np.ascontiguousarray(place.pixels.transpose(1, 2, 0))}
    panels["reference"] = class_picture(place.reference, legend)
    panels["prediction"] = class_picture(place.predicted, legend)
    panels["errors"] = error_picture(place.predicted, place.reference)
    return side_by_side(panels, height_px=_PANEL_PX)


def _sentence(place: Place) -> str:
    found = place.found
    return f"{place.name}: {found.wrong:,} of {found.labelled:,} labelled pixels are wrong ({found.share:.0%})."


def _images(report: EvaluateReport) -> Section:
    rows = []
    for image in sorted(report.images, key=lambda image: image.confusion.mean_iou):
        found = image.confusion.to_json()
        scores = found["pixel_accuracy"], found["mean_iou"], *(one["iou"] for one in found["classes"].values())
        rows.append([image.name, *map(shown, scores), f"{image.confusion.counts.sum():,}"])
    names = [f"{entry.name} IoU" for entry in report.confusion.scored]
    heads = ["image", "accuracy", "mean IoU", *names, "labelled pixels"]
    return Section("Images", [Table(heads, rows, "The lowest mean IoU first.")])
