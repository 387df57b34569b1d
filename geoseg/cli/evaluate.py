"""``geoseg evaluate``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geoseg.cli.options import FiniteRange, json_option, talk_options

_FILE = click.Path(path_type=Path)


@click.command("evaluate")
@click.argument("predicted", type=_FILE)
@click.argument("reference", type=_FILE)
@click.option("--classes", metavar="all|LIST", help="Classes to score.  [default: those that both maps have]")
@click.option(
    "--class-field",
    metavar="NAME",
    default="class",
    show_default=True,
    help="Field of vector files that names the class; layers without it go by their own name.",
)
@click.option(
    "--resolution",
    type=FiniteRange(0, min_open=True),
    metavar="METRES",
    help="Ground pixel on which two vector files are compared.  [default: 1]",
)
@json_option
@talk_options
def command(
    predicted: Path,
    reference: Path,
    classes: str | None,
    class_field: str,
    resolution: float | None,
    as_json: bool,
    progress: str,
) -> None:
    """Compare the map PREDICTED with REFERENCE, pixel by pixel.

    Each is a class raster or a vector file (.gpkg, .geojson, .fgb, .parquet), of any CRS. Classes that only
    one of them has, and ground without a polygon, count as the class 'other', which has no score.

    \b
    $ geoseg evaluate classes.gpkg reference.gpkg
    $ geoseg evaluate classes.tif reference.tif --json
    $ geoseg evaluate classes.gpkg osm.gpkg --class-field kind --classes buildings,roads
    """  # noqa: D301
    from geoseg.cli.progress import message, progress_on
    from geoseg.pipeline.evaluate import EvaluateRequest, evaluate

    request = EvaluateRequest(predicted, reference, classes, class_field, resolution)
    with progress_on(progress, "evaluate", "strip") as meter:
        report = evaluate(request, meter.at)
    for warning in report.warnings:
        message(progress, warning)
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False, allow_nan=False))
    else:
        click.echo(report.confusion.to_text())
