"""``geoseg segment``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import json_option, out_option, overwrite_option, qgis_project_option, talk_options
from geoseg.cli.scene_options import scene_options

_FILE = click.Path(path_type=Path)


@click.command("segment")
@click.argument("scene")
@out_option("Vector layers to write: .gpkg, .geojson, .fgb or .parquet.", required=False)
@click.option(
    "--raster",
    type=_FILE,
    help="Class raster to write: what the network decided, before small regions are merged.",
)
@click.option("--raster-final", type=_FILE, help="Class raster of the finished polygons.")
@click.option("--confidence", type=_FILE, help="Raster of the decided class's probability in percent, nodata 255.")
@qgis_project_option
@scene_options
@overwrite_option
@json_option
@talk_options
def command(scene: str, progress: str, as_json: bool, **given: Any) -> None:
    """Turn SCENE into polygons of buildings, roads and water in its own CRS.

    \b
    $ geoseg segment scene.tif --out classes.gpkg
    $ geoseg segment scene.tif --raster classes.tif --confidence confidence.tif
    $ geoseg segment scene.tif --out all.gpkg --classes all --min-area-m2 building=20
    """  # noqa: D301
    from geoseg import gdal_guard

    if given["allow_network"]:
        gdal_guard.allow_network()
    from geoseg.cli.memory import steady_memory
    from geoseg.cli.progress import message, progress_on
    from geoseg.cli.results import print_json, tell_layers
    from geoseg.cli.segment_request import request_from
    from geoseg.pipeline.segment import segment

    steady_memory()
    request = request_from(scene, given)
    with progress_on(progress, "segment", "window") as meter:
        report = segment(request, meter.at)
    tell_layers(report, progress)
    if as_json:
        print_json(report.to_json())
        return
    size, rate, seconds = report.pixels / 1e6, report.megapixels_per_second, report.seconds["total"]
    message(progress, f"{size:.2f} megapixels in {seconds:.1f} s ({rate:.2f} Mpx/s)", "result")
    for path in request.output.paths:
        click.echo(path)
