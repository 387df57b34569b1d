"""The report of a comparison: the paper's tables beside ours, curves, and the same places seen by every network."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from geoseg.learn.paper import KINDS, LEGEND, TABLES, UNLABELED
from geoseg.learn.small_regions import SMALL_PIXELS

if TYPE_CHECKING:
    from geoseg.learn.compare import Comparison, Contestant

LAST = 5
"""Epochs at the end that our rows are the mean of; the paper's tables have five rows."""

_LOSS_NAMES = {"ce": "cross-entropy", "focal": "focal", "iou": "IoU"}
_PARTS = ("train", "validation")

Rows = list[list[str]]


def to_text(comparison: Comparison) -> str:
    """Return all tables as lines of aligned text."""
    blocks = []
    for title, heads, rows in tables(comparison):
        wide = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
        lines = [
            "  ".join([row[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(row[1:], wide[1:], strict=True))])
            for row in (heads, *rows)
        ]
        blocks.append("\n".join([title, *lines]))
    return "\n\n".join([*blocks, *remarks(comparison)])


def tables(comparison: Comparison) -> list[tuple[str, list[str], Rows]]:
    """Return title, heads and rows of each table."""
    return [
        *(_papers(comparison, kind) for kind in KINDS),
        _per_class(comparison),
        _small(comparison),
        _differences(comparison),
    ]


def remarks(comparison: Comparison) -> list[str]:
    """Return what a reader of the tables must know."""
    held = ", ".join(image.name for image in comparison.held_out)
    ran = (
        f"Images learned from: {len(comparison.learned)}; scored on, whole: {len(comparison.held_out)} ({held}). "
        f"Width {comparison.protocol.width}, epochs {comparison.protocol.epochs}, on {comparison.device}."
    )
    meant = (
        "Accuracy: share of pixels whose most likely class is right. Per-channel accuracy: every class of a pixel is a "
        "yes-or-no answer of its own, so that most answers are an easy no."
    )
    shared = {image.group for image in comparison.learned} & {image.group for image in comparison.held_out}
    leaky = shared and (
        "As in the paper, whole images are held out, but parts of one tile are neighbours: what was learned from lies "
        "next to what is scored. Whole tiles as --hold-out are the honest test."
    )
    return [one for one in (ran, meant, leaky, comparison.changed()) if one]


def to_html(comparison: Comparison) -> str:
    """Return the report as one page."""
    from geoseg.report.page import Bullets, Figure, Section, Swatches, Table, page

    shown = [(entry.name, entry.style) for entry in LEGEND]
    pictures = [Figure(_beside(comparison), "image and labels, then every network on the same places")]
    curves = [Figure(_curves(comparison, key), caption, 760) for key, caption in _CURVES.items()]
    sections = [
        Section("", [Bullets(remarks(comparison))]),
        *(Section(title, [Table(heads, rows)]) for title, heads, rows in tables(comparison)),
        Section("Curves", curves),
        Section("Side by side", [Swatches(shown), *pictures]),
    ]
    return page("U-Net and CNN under three losses", sections, lead="The experiment of a 2022 paper, run again.")


_CURVES = {
    "accuracy": "accuracy on patches of held-out images, by epoch",
    "channel_accuracy": "per-channel accuracy on the same patches",
}
_AXES = {"accuracy": "accuracy", "channel_accuracy": "per-channel accuracy"}


def _papers(comparison: Comparison, kind: str) -> tuple[str, list[str], Rows]:
    """Return one of the paper's tables with our networks below."""
    number = "I" if kind == "unet" else "II"
    heads = [
        f"Table {number}, {KINDS[kind]}",
        "loss",
        "accuracy",
        "validation loss",
        "validation accuracy",
        "per-channel accuracy",
        "validation per-channel",
    ]
    rows = [[f"paper, line {i}", *(f"{value:g}" for value in line), "-", "-"] for i, line in enumerate(TABLES[kind], 1)]
    for one in comparison.contestants:
        if one.kind == kind:
            order = [(part, key) for part in _PARTS for key in ("loss", "accuracy")]
            order += [(part, "channel_accuracy") for part in _PARTS]
            cells = [f"{_last(one, part, key):.4f}" for part, key in order]
            rows.append([f"ours, {_LOSS_NAMES.get(one.loss, one.loss)}", *cells])
    last = min(LAST, comparison.protocol.epochs)
    when = f"mean of the last {last} epochs" if last > 1 else "its only epoch"
    return f"{heads[0]}: {when}, on patches", heads, rows


def _last(one: Contestant, part: str, key: str) -> float:
    return float(mean(record[part][key] for record in one.epochs[-LAST:]))


def _per_class(comparison: Comparison) -> tuple[str, list[str], Rows]:
    names = [entry.name for entry in LEGEND]
    heads = ["whole held-out images", "accuracy", "mIoU, six", "mIoU, five", *names, "572 × 572"]
    rows = []
    for one in comparison.contestants:
        found = one.confusion
        five = [iou for name, iou in zip(names, found.iou, strict=True) if name != UNLABELED]
        scores = [found.pixel_accuracy, found.mean_iou, float(np.nanmean(five)), *found.iou]
        rows.append([one.name, *(_shown(score) for score in scores), f"{one.seconds_572:.3f} s"])
    return "Accuracy and IoU per class", heads, rows


def _small(comparison: Comparison) -> tuple[str, list[str], Rows]:
    names = [entry.name for entry in LEGEND]
    rows = []
    for one in comparison.contestants:
        counts = one.small.counts
        recall = [counts[i, i] / counts[i].sum() if counts[i].sum() else float("nan") for i in range(len(names))]
        mean_recall = float(np.nanmean(recall)) if np.isfinite(recall).any() else float("nan")
        rows.append([one.name, *(_shown(score) for score in (one.small.pixel_accuracy, mean_recall, *recall))])
    title = f"Share of pixels found in regions of fewer than {SMALL_PIXELS} pixels"
    return title, ["small regions", "all", "mean of classes", *names], rows


def _differences(comparison: Comparison) -> tuple[str, list[str], Rows]:
    heads = ["U-Net minus CNN", "accuracy", "95 %", "mIoU, six", "95 %", "mIoU, five", "95 %"]
    rows = []
    for loss, found in comparison.differences().items():
        cells = []
        for one in found.values():
            interval = "-" if one["interval"] is None else "{:+.4f} to {:+.4f}".format(*one["interval"])
            cells += [f"{one['difference']:+.4f}", interval]
        rows.append([_LOSS_NAMES.get(loss, loss), *cells])
    return "Differences on the same images, with intervals of a bootstrap over images", heads, rows


def _curves(comparison: Comparison, key: str) -> bytes:
    from geoseg.report.plots import lines

    curves = {
        one.name: (
            [float(record["epoch"]) for record in one.epochs],
            [float(record["validation"][key]) for record in one.epochs],
        )
        for one in comparison.contestants
    }
    return lines(curves, x="epoch", y=_AXES[key])


def _beside(comparison: Comparison) -> bytes:
    from geoseg.learn.run_page import as_picture, middle
    from geoseg.report.pictures import class_picture, side_by_side, stacked

    crops = [middle(image) for image in comparison.held_out]
    panels = {
        "image": stacked([as_picture(crop) for crop in crops]),
        "labels": stacked([class_picture(crop.labels, LEGEND) for crop in crops]),
    }
    for one in comparison.contestants:
        panels[one.name] = stacked([class_picture(classes, LEGEND) for classes in one.middles])
    return side_by_side(panels, height_px=round(0.6 * len(panels["image"])))


def _shown(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else "-"
