"""``geoseg evaluate``: parse, call, print."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.labelled_scenes import OF_READING, labels_option, pairs_of, reading_of, reading_options
from geoseg.cli.options import FiniteRange, json_option, overwrite_option, talk_options, was_said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.pipeline.evaluate.report import EvaluateReport, WantedScores

_FILE = click.Path(path_type=Path)

_ABOUT_MAPS = ("resolution", "confidence")
_OF_SCENES = ("class_name", *OF_READING)
_ABOUT_MODELS = ("labels", *_OF_SCENES, "only", "legend", "device", "precision", "threads", "tta")


@click.command("evaluate")
@click.argument("paths", type=_FILE, nargs=-1, metavar="PREDICTED REFERENCE | --model MODEL [DATA]")
@click.option(
    "--model",
    metavar="FILE|default|dubai",
    help="Score this model on DATA, a folder of labelled images, or on --scene.",
)
@click.option(
    "--classes",
    metavar="all|LIST",
    help="Classes to score.  [default: those that prediction and reference have]",
)
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
@click.option("--boundary", is_flag=True, help="Score borders, too: boundary F1 of each class.")
@click.option(
    "--tolerance-px",
    type=FiniteRange(0, 256),
    help="How far borders may lie apart in pixels; asks for --boundary.  [default: 2]",
)
@click.option("--tolerance-m", type=FiniteRange(0), help="The same in metres.")
@click.option("--objects", is_flag=True, help="Match objects, too: polygons or regions of an IoU of at least 0.5.")
@click.option(
    "--confidence",
    type=_FILE,
    help="Confidences of PREDICTED in percent, as segment writes them: scores their calibration.",
)
@click.option("--report", type=_FILE, metavar="FILE", help="HTML page to write, with all scores and the worst places.")
@click.option("--worst", type=click.IntRange(0, 200), default=8, show_default=True, help="Places shown in the report.")
@click.option(
    "--scene",
    "scenes",
    type=_FILE,
    multiple=True,
    help="Image of the same ground, for the pictures of the report. With --model: an image, or a folder of them, to "
    "score it on; repeat.",
)
@labels_option
@click.option("--class-name", metavar="NAME", help="Class of all polygons of --labels.")
@reading_options
@click.option(
    "--only",
    "--hold-out",
    "only",
    metavar="NAME",
    multiple=True,
    help="Tile of DATA, image such as 'Tile 1/image_part_003', or scene, to score; repeat for more.  [default: all]",
)
@click.option("--legend", type=_FILE, help="Names of DATA's masks, as for geoseg train.")
@click.option("--tta", is_flag=True, help="Average over windows laid in all eight ways, as segment --tta does.")
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|mps|cuda[:N]",
    help="Where to run the model.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "int8"]),
    default="auto",
    show_default=True,
    help="Arithmetic of the model; auto takes bf16 where the hardware has it.",
)
@click.option("--threads", type=click.IntRange(1, 1024), help="Threads of arithmetic on the CPU.  [default: all cores]")
@overwrite_option
@json_option
@talk_options
def command(paths: tuple[Path, ...], progress: str, as_json: bool, **given: Any) -> None:
    """Compare the map PREDICTED with REFERENCE, or score a model on labelled images.

    A map is a class raster or a vector file (.gpkg, .geojson, .json, .fgb, .parquet), of any CRS. Classes that
    only one of them has, and ground without a polygon, count as the class 'other', which has no score. A model is
    scored as users meet it: whole images, blended windows, compared on the images' own pixels. DATA is laid out as
    for geoseg train, and so are --scene and --labels: ground that labels leave within their extent is 'background'.

    \b
    $ geoseg evaluate classes.gpkg reference.gpkg
    $ geoseg evaluate classes.tif reference.tif --confidence conf.tif --scene scene.tif --report page.html
    $ geoseg evaluate classes.gpkg osm.gpkg --class-field kind --classes buildings,roads --objects
    $ geoseg evaluate --model mine.safetensors dubai --only "Tile 2" --report page.html
    $ geoseg evaluate --model mine.safetensors --scene tiles --labels osm.gpkg --class-name building
    """  # noqa: D301
    _check(paths, given)
    from geoseg.cli.progress import message, progress_on
    from geoseg.cli.results import print_json

    wanted = _wanted(given)
    with progress_on(progress, "evaluate", "strip" if given["model"] is None else "image") as meter:
        if given["model"] is None:
            report = _of_maps(paths[0], paths[1], given, wanted, meter.at)
        else:
            report = _of_model(paths, given, wanted, meter.at)
    for warning in report.warnings:
        message(progress, warning)
    if wanted.report is not None:
        from geoseg.pipeline.evaluate.page import write_page

        write_page(report, wanted.report)
        message(progress, f"{wanted.report}: written", "result")
    if as_json:
        print_json(report.to_json())
    else:
        click.echo(report.to_text())


def _check(paths: tuple[Path, ...], given: Mapping[str, Any]) -> None:
    """Refuse what does not go together; raises click.UsageError."""
    model, scenes = given["model"], given["scenes"]
    named = f"; {len(paths)} were given" if paths else ""
    if model is None and len(paths) != 2:
        raise click.UsageError(f"give two maps to compare, PREDICTED and REFERENCE, or --model MODEL and DATA{named}")
    if model is None and len(scenes) > 1:
        raise click.UsageError("--scene: one image for the pictures of two maps; more go with --model")
    if model is not None and len(paths) != (0 if scenes else 1):
        raise click.UsageError(f"--model is scored on one folder of labelled images, DATA, or on --scene{named}")
    if model is not None:
        _check_data(scenes)
    foreign = _ABOUT_MODELS if model is None else _ABOUT_MAPS
    for name in foreign:
        if was_said(name):
            flag = "--" + name.replace("_", "-")
            other = "a model; give it with --model" if model is None else "two maps; leave it out beside --model"
            raise click.UsageError(f"{flag} is about {other}")


def _check_data(scenes: tuple[Path, ...]) -> None:
    """Refuse flags about scenes beside a folder, and the other way round; raises click.UsageError."""
    if scenes and was_said("legend"):
        raise click.UsageError("--legend names the masks of DATA; --labels of scenes name their classes themselves")
    said = [name for name in ("class_field", *_OF_SCENES) if was_said(name)]
    if said and not scenes:
        raise click.UsageError(f"--{said[0].replace('_', '-')} is about --scene, not DATA")


def _wanted(given: Mapping[str, Any]) -> WantedScores:
    """Return the scores that the flags ask for; a report shows all of them."""
    from geoseg.pipeline.evaluate.report import WantedScores

    shows, pixels, metres = given["report"] is not None, given["tolerance_px"], given["tolerance_m"]
    if pixels is not None and metres is not None:
        raise click.UsageError("--tolerance-px and --tolerance-m say the same; give one of them")
    wanted = WantedScores(
        boundary=shows or given["boundary"] or pixels is not None or metres is not None,
        objects=shows or given["objects"],
        tolerance_m=metres,
        places=given["worst"] if shows else 0,
        report=given["report"],
        overwrite=given["overwrite"],
    )
    return wanted if pixels is None else replace(wanted, tolerance_px=pixels)


def _of_maps(
    predicted: Path, reference: Path, given: Mapping[str, Any], wanted: WantedScores, tell: Any
) -> EvaluateReport:
    from geoseg.pipeline.evaluate.maps import EvaluateRequest, evaluate
    from geoseg.pipeline.evaluate.two_maps import MapsRequest

    maps = MapsRequest(predicted, reference, given["classes"], given["class_field"], given["resolution"])
    return evaluate(EvaluateRequest(maps, given["confidence"], next(iter(given["scenes"]), None), wanted), tell)


def _of_model(paths: tuple[Path, ...], given: Mapping[str, Any], wanted: WantedScores, tell: Any) -> EvaluateReport:
    from geoseg.inference.network import RunsOn
    from geoseg.labels.scene_labels import ClassField
    from geoseg.pipeline.evaluate.answers import ModelRun
    from geoseg.pipeline.evaluate.model import ModelRequest, evaluate_model
    from geoseg.pipeline.evaluate.scored_data import ScoredData

    precision = None if given["precision"] == "auto" else given["precision"]
    run = ModelRun(given["model"], RunsOn(given["device"], precision, given["threads"]), given["tta"])
    data = ScoredData(
        next(iter(paths), None),
        legend_file=given["legend"],
        scenes=pairs_of(given),
        class_field=ClassField(given["class_field"], given["class_name"]),
        scene_options=reading_of(given),
    )
    request = ModelRequest(run, data, given["only"], given["classes"], wanted)
    return evaluate_model(request, tell)
