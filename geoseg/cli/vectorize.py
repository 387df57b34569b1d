"""``geoseg vectorize``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    json_option,
    out_option,
    overwrite_option,
    qgis_project_option,
    talk_options,
)
from geoseg.cli.vector_options import vector_options, vectors_from

_FILE = click.Path(path_type=Path)


@click.command("vectorize")
@click.argument("classes_tif", metavar="CLASSES", type=_FILE)
@out_option("Vector layers to write: .gpkg, .geojson, .fgb or .parquet.")
@click.option(
    "--classes",
    metavar="all|LIST",
    help="Classes or layers to write.  [default: buildings,roads,water; of other maps all but unlabelled ground]",
)
@click.option("--confidence", type=_FILE, help="Raster of confidences in percent, on the same pixels.")
@vector_options("as segment; others 0")
@click.option("--legend", type=_FILE, help="What the values mean: lines of value,name[,#RRGGBB], or JSON.")
@click.option("--threads", type=click.IntRange(1), help="Threads that trace.  [default: all processors]")
@click.option("--src-crs", metavar="CRS", help="The raster's CRS, where the file has none or a wrong one.")
@click.option("--rfc7946", is_flag=True, help="Write GeoJSON in WGS 84 longitude and latitude.")
@qgis_project_option
@overwrite_option
@json_option
@talk_options
def command(classes_tif: Path, progress: str, as_json: bool, **given: Any) -> None:
    """Turn the regions of a class raster into polygons that share their borders.

    CLASSES is one band of uint8, from segment --raster or any other program; class names and colours are
    taken from the file where it has them.

    \b
    $ geoseg vectorize classes.tif --out classes.gpkg
    $ geoseg vectorize landcover.tif --out trees.geojson --classes tree --min-area-m2 20 --simplify-px 0
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks
    from geoseg.cli.memory import steady_memory
    from geoseg.cli.progress import progress_on
    from geoseg.cli.results import print_json, tell_layers
    from geoseg.pipeline.vectorize import VectorizeRequest, vectorize

    steady_memory()
    request = VectorizeRequest(
        raster=classes_tif,
        out=Path(given["out"]),
        confidence=given["confidence"],
        vectors=vectors_from(given),
        legend=given["legend"],
        threads=given["threads"],
        src_crs=given["src_crs"],
        rfc7946=given["rfc7946"],
        project=given["qgis_project"],
        overwrite=given["overwrite"],
    )
    with progress_on(progress, "vectorize", "row") as meter:
        report = vectorize(request, meter.at)
    tell_layers(report, progress)
    if as_json:
        print_json(report.to_json())
        return
    click.echo(report.out)
    if request.project is not None:
        click.echo(request.project)
