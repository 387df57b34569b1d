"""How results are told: sentences on standard error, one JSON object on standard output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import click

from geoseg.cli.progress import message

if TYPE_CHECKING:
    from collections.abc import Mapping


class LayersReport(Protocol):
    """A report on written layers."""

    layers: list[dict[str, Any]]
    warnings: list[str]


def tell_layers(report: LayersReport, progress: str) -> None:
    """Tell warnings, and how much each layer holds."""
    for warning in report.warnings:
        message(progress, warning)
    for layer in report.layers:
        if "length_m" in layer:
            size = f"{layer['features']} lines, {layer['length_m']:,.0f} m"
        else:
            size = f"{layer['features']} polygons, {layer['area_m2']:,.0f} m²"
        message(progress, f"{layer['name']}: {size}", "result")


def print_json(plain: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(json.dumps(plain, ensure_ascii=False, allow_nan=False))
