"""``geoseg demo``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import click

from geoseg.cli.options import overwrite_option, talk_options
from geoseg.demo.climate import ClimateName


@click.command("demo")
@click.option(
    "-o",
    "--out",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for scene.tif, reference.tif and reference.gpkg; created where it is missing.",
)
@click.option(
    "--size",
    type=click.IntRange(64, 100_000),
    default=1024,
    show_default=True,
    help="Rows and columns; a pixel is one metre.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Which city. Bundled models have learned from seeds from 1000000 on and have seen none below.",
)
@click.option(
    "--climate",
    type=click.Choice(get_args(ClimateName)),
    default="dry",
    show_default=True,
    help="What part of the world the city looks like.",
)
@click.option(
    "--compress",
    type=click.Choice(["deflate", "jpeg"]),
    default="deflate",
    show_default=True,
    help="How scene.tif is compressed: deflate keeps every value, jpeg (quality 90) is much smaller.",
)
@overwrite_option
@talk_options
def command(
    out: Path,
    size: int,
    seed: int,
    climate: ClimateName,
    compress: Literal["deflate", "jpeg"],
    overwrite: bool,
    progress: str,
) -> None:
    """Render a made-up aerial scene with its true map.

    The picture looks like a satellite image of a city by the Gulf, or in another climate, and shows no real
    place. Beside it come its true classes, as a raster and as polygons, and the building footprints and road
    centrelines it was painted from. Any size works in little memory; a larger scene of the same seed begins
    with the same pixels.

    \b
    $ geoseg demo --out demo
    $ geoseg segment demo/scene.tif --out classes.gpkg
    $ geoseg evaluate classes.gpkg demo/reference.tif
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks
    from geoseg.cli.progress import progress_on
    from geoseg.demo.write import write_demo

    with progress_on(progress, "demo", "square") as meter:
        paths = write_demo(out, size, seed, overwrite, compress, climate, tell=meter.at)
    for path in paths:
        click.echo(path)
