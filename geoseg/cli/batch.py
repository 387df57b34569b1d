"""``geoseg batch``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import json_option, overwrite_option, talk_options
from geoseg.cli.scene_options import scene_options

if TYPE_CHECKING:
    from geoseg.batch.report import BatchReport

_FILE = click.Path(path_type=Path)


class _Shard(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, not before
    """``I/N``."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        number, slash, count = value.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            self.fail(f"{value!r} is not I/N, such as 3/16", param, ctx)
        return int(number), int(count)


@click.command("batch")
@click.argument("scenes", nargs=-1)
@click.option("-o", "--out-dir", type=_FILE, metavar="DIR", help="Folder of one result for each scene.")
@click.option(
    "--mosaic", type=_FILE, metavar="FILE", help="Layers of one map of all scenes, read across their borders."
)
@click.option("--files-from", metavar="LIST|-", help="File, or - for standard input, that names one scene a line.")
@click.option("-0", "--null", is_flag=True, help="Names of --files-from end with NUL instead.")
@click.option(
    "--to",
    type=click.Choice(["gpkg", "geojson", "fgb", "parquet", "none"]),
    default="gpkg",
    show_default=True,
    help="Format of the vector layers of each scene; fgb is the fastest for very many small ones.",
)
@click.option("--raster", is_flag=True, help="Write class rasters, too: NAME.classes.tif.")
@click.option("--raster-final", is_flag=True, help="Write class rasters of the finished polygons: NAME.final.tif.")
@click.option("--confidence", is_flag=True, help="Write confidences, too: NAME.confidence.tif.")
@scene_options
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    help="Processes on this machine; accelerators are given out among them.",
)
@click.option("--shard", type=_Shard(), help="Do the I-th of N shares of the work, as tasks of a job array do.")
@click.option("--collect", is_flag=True, help="Do nothing but gather what shards have done, and join the map.")
@click.option("--scheduler", metavar="ADDRESS", help="Do the work on a Dask cluster: tcp://host:8786.")
@click.option("--scheduler-file", metavar="FILE", help="The same, by the file that the scheduler was started with.")
@click.option("--max-failures", type=click.IntRange(0), help="End the run after more failures.  [default: go on]")
@click.option("--dry-run", is_flag=True, help="Say what would be done and why, and do nothing.")
@overwrite_option
@json_option
@talk_options
def command(scenes: tuple[str, ...], progress: str, as_json: bool, dry_run: bool, **given: Any) -> None:
    """Segment many SCENES: files, folders, patterns, or STAC items and collections.

    A scene that cannot be done does not end the run; the report in DIR (or FILE.run) names it, and the exit code is 6.
    The same command again does what is missing or has changed.

    With --mosaic, tiles that continue one another are one scene: no object is cut at their borders.

    \b
    $ geoseg batch tiles --out-dir maps
    $ geoseg batch tiles/*.tif --mosaic town.gpkg --jobs 2
    $ geoseg batch --files-from list.txt --out-dir maps --shard 3/16
    $ geoseg batch tiles --out-dir maps --scheduler tcp://10.0.0.1:8786
    """  # noqa: D301
    from geoseg import gdal_guard

    if given["allow_network"]:
        gdal_guard.allow_network()
    from geoseg.batch.plan import planned
    from geoseg.batch.run import Watch, batch
    from geoseg.cli.batch_request import batch_request_from
    from geoseg.cli.memory import steady_memory
    from geoseg.cli.progress import message, progress_on
    from geoseg.errors import BatchError

    steady_memory()
    request = batch_request_from(scenes, given, lambda sentence: message(progress, sentence))
    if dry_run:
        _tell_plan(planned(request), as_json=as_json)
        return
    with progress_on(progress, "segment", "tile") as meter:
        watch = Watch(
            lambda state: meter.stage(state.stage, state.unit).at(state.done, state.total, state.pixels, state.failed),
            lambda sentence: message(progress, sentence, "result"),
            lambda outcome: message(progress, outcome.why),
        )
        report = batch(request, watch)
    _tell(report, progress, as_json=as_json)
    counts = report.counts()
    if counts["failed"] or (counts["left"] and not given["shard"]):
        left = f" and {counts['left']} were not done" if counts["left"] else ""
        raise BatchError(f"{counts['failed']} of {len(report.outcomes)} scenes failed{left}: see {report.table}")


def _tell(report: BatchReport, progress: str, *, as_json: bool) -> None:
    from geoseg.cli.progress import message
    from geoseg.cli.results import print_json

    for sentence in report.warnings:
        message(progress, sentence)
    for made in report.maps:
        for sentence in made["warnings"]:
            message(progress, sentence)
        for layer in made["layers"]:
            message(progress, f"{made['out']}, {layer['name']}: {layer['features']} features", "result")
    said = ", ".join(f"{number} {status}" for status, number in report.counts().items() if number)
    size, seconds = report.pixels / 1e6, report.seconds
    message(progress, f"{said or 'nothing to do'}; {size:.1f} megapixels in {seconds:.1f} s", "result")
    if as_json:
        print_json(report.to_json())
        return
    for made in report.maps:
        if made["status"] in ("done", "kept"):
            for path in made["outputs"]:
                click.echo(path)
    click.echo(report.table)


def _tell_plan(plan: list[tuple[str, str]], *, as_json: bool) -> None:
    from geoseg.cli.results import print_json

    todo = [(source, why) for source, why in plan if why]
    if as_json:
        listed = [{"source": source, "why": why} for source, why in plan]
        print_json({"schema": 1, "inputs": len(plan), "to_do": len(todo), "scenes": listed})
        return
    for source, why in todo:
        click.echo(f"{source}: {why}")
    click.echo(f"{len(todo)} to do, {len(plan) - len(todo)} done already", err=True)
