"""``geoseg segment``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    FiniteRange,
    creation_option,
    json_option,
    out_option,
    overwrite_option,
    talk_options,
)
from geoseg.cli.vector_options import vector_options

_FILE = click.Path(path_type=Path)


class _Resolution(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, not before
    """``auto``, ``native`` or metres."""

    name = "auto|native|METRES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("auto", "native") or isinstance(value, float):
            return value
        try:
            metres = float(value)
        except ValueError:
            self.fail(f"{value!r} is not auto, native or a number of metres", param, ctx)
        if not 0 < metres < float("inf"):
            self.fail(f"{value!r} metres is not a pixel size", param, ctx)
        return metres


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
@click.option("--model", default="default", show_default=True, metavar="FILE|default", help="Model to use.")
@click.option("--classes", metavar="all|LIST", help="Classes or layers to write.  [default: buildings,roads,water]")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|mps|cuda[:N]",
    help="Where to run the network.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "int8"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the network; auto takes bf16 where the hardware has it.",
)
@click.option(
    "--window",
    type=click.IntRange(16, 16384),
    help="Pixels read per window, overlap included.  [default: about 1200]",
)
@click.option(
    "--overlap",
    type=click.IntRange(0, 8192),
    help="Pixels shared by neighbouring windows.  [default: what the model needs]",
)
@click.option(
    "--blend",
    type=click.Choice(["auto", "exact", "crop", "taper"]),
    default="auto",
    show_default=True,
    help="exact: as one pass over the whole scene; crop: cut at the middle of the overlap; taper: average.",
)
@click.option("--bands", metavar="N,N,N", help="Bands to use as red, green, blue.  [default: by colour interpretation]")
@click.option(
    "--nodata",
    metavar="VALUE|none",
    help="Value of missing pixels, or none to believe no value.  [default: the file's]",
)
@click.option("--src-crs", metavar="CRS", help="The scene's CRS, where the file has none or a wrong one.")
@click.option(
    "--stretch",
    default="auto",
    show_default=True,
    metavar="auto|none|LOW,HIGH|LOW%,HIGH%",
    help="Values that become the model's range.",
)
@click.option(
    "--bounds",
    nargs=4,
    type=float,
    metavar="LEFT BOTTOM RIGHT TOP",
    help="Only this box, in the scene's CRS.",
)
@click.option("--aoi", type=_FILE, help="Only inside the polygons of this vector file.")
@click.option(
    "--resolution",
    type=_Resolution(),
    metavar="auto|native|METRES",
    default="auto",
    show_default=True,
    help="Ground pixel the network sees; auto resamples when the scene's differs by more than a quarter.",
)
@vector_options("building 10, road 50, water 50, others 25")
@click.option("--tta", is_flag=True, help="Average over windows laid in all eight ways: truer, eight times slower.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads of arithmetic on the CPU.  [default: all cores]")
@click.option("--max-pixels", type=FiniteRange(1), default=1e11, show_default=True, help="Refuse larger scenes.")
@click.option(
    "--on-read-error",
    type=click.Choice(["fail", "nodata"]),
    default="fail",
    show_default=True,
    help="What to do with damaged parts of a scene.",
)
@click.option("--allow-network", is_flag=True, help="Open remote files.")
@click.option("--rfc7946", is_flag=True, help="Write GeoJSON in WGS 84 longitude and latitude.")
@creation_option
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
    from geoseg.cli.progress import message, progress_on
    from geoseg.cli.results import print_json, tell_layers
    from geoseg.cli.segment_request import request_from
    from geoseg.cli.steady_memory import steady_memory
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
