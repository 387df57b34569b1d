"""``geoseg merge``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    FiniteRange,
    json_option,
    out_option,
    overwrite_option,
    qgis_project_option,
    talk_options,
)


@click.command("merge")
@click.argument("layers", metavar="LAYERS...", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("Vector layers to write: .gpkg, .geojson, .fgb or .parquet.")
@click.option(
    "--tolerance-m",
    type=FiniteRange(0, 1000),
    help="How wide gaps and overlaps along common borders may be.  [default: about 1/20 pixel, at most 0.2]",
)
@click.option("--rfc7946", is_flag=True, help="Write GeoJSON in WGS 84 longitude and latitude.")
@qgis_project_option
@overwrite_option
@json_option
@talk_options
def command(layers: tuple[Path, ...], progress: str, as_json: bool, **given: Any) -> None:
    """Join vector layers of neighbouring or overlapping ground into one map.

    LAYERS are files that geoseg wrote, all in one CRS. Polygons of one class that share an edge with, or
    overlap, one of another file become one polygon, over any number of files. Where files give the same ground
    to different classes, the file named first wins. Centrelines are joined end to end.

    \b
    $ geoseg merge west.gpkg east.gpkg --out both.gpkg
    $ geoseg merge tiles/*.gpkg --out city.gpkg --tolerance-m 0.05
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks
    from geoseg.cli.memory import steady_memory
    from geoseg.cli.progress import progress_on
    from geoseg.cli.results import print_json, tell_layers
    from geoseg.pipeline.merge import MergeRequest, merge

    steady_memory()
    request = MergeRequest(
        inputs=layers,
        out=Path(given["out"]),
        tolerance_m=given["tolerance_m"],
        rfc7946=given["rfc7946"],
        project=given["qgis_project"],
        overwrite=given["overwrite"],
    )
    with progress_on(progress, "merge", "step") as meter:
        report = merge(request, meter.at)
    tell_layers(report, progress)
    if as_json:
        print_json(report.to_json())
        return
    click.echo(report.out)
    if request.project is not None:
        click.echo(request.project)
