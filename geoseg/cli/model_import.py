"""``geoseg model import``: parse, call, tell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import click

from geoseg.cli.options import FiniteRange, json_option, out_option, overwrite_option, talk_options
from geoseg.model.graph import Answers


def _names(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    """Return the names of a comma list."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _numbers(_ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """Return the numbers of a comma list; two of a range."""
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers") from None
    if not all(map(math.isfinite, found)):
        raise click.BadParameter(f"{text!r} is not a list of finite numbers")
    if (param.name or "").endswith("_range") and len(found) != 2:
        raise click.BadParameter(f"{text!r} is not two numbers, such as 0,255")
    return found


@click.command("import")
@click.argument("path")
@out_option("The model file to write (.safetensors).")
@click.option(
    "--classes",
    metavar="NAME,NAME",
    callback=_names,
    help="Classes of the output channels, in their order; - for one to leave out. 'background' gets no layer.",
)
@click.option(
    "--bands", metavar="NAME,NAME", callback=_names, help="Bands in the network's order.  [default: red,green,blue]"
)
@click.option(
    "--resolution-m", type=FiniteRange(0, min_open=True), metavar="METRES", help="Ground pixel it learned at."
)
@click.option("--value-range", metavar="LOW,HIGH", callback=_numbers, help="Pixel values of scenes, such as 0,255.")
@click.option(
    "--input-range",
    metavar="LOW,HIGH",
    callback=_numbers,
    help="What these are scaled to before mean and std: 0,1 where values are divided by 255.",
)
@click.option("--mean", metavar="N,N,N", callback=_numbers, help="Subtracted after that, per band or one for all.")
@click.option("--std", metavar="N,N,N", callback=_numbers, help="Divided by after that, per band or one for all.")
@click.option(
    "--answers",
    type=click.Choice(get_args(Answers)),
    help="What the output is: scores of exclusive classes, scores of independent ones, or probabilities."
    "  [default: as the graph ends]",
)
@click.option(
    "--stride", type=click.IntRange(1, 1024), help="Sizes of windows are multiples of it.  [default: found by trying]"
)
@click.option("--no-radius", is_flag=True, help="Do not measure how far the network sees; windows are then averaged.")
@click.option("--name", help="Name of the model.  [default: that of the file]")
@click.option("--license", "license_", metavar="TEXT", help="Licence of the weights.")
@overwrite_option
@json_option
@talk_options
def command(path: str, out: str, progress: str, as_json: bool, **flags: Any) -> None:
    """Make a model file of somebody else's model, with all that segment must know about it.

    PATH is an ONNX file, a STAC MLM item with its model beside it, a folder of segmentation_models_pytorch, a
    checkpoint of torchgeo, or a state dict (.pt, .pth, .ckpt, .safetensors) of geoseg's own networks. Flags count
    more than what the file, or NAME.onnx.json beside it, says. Nothing in PATH is executed.

    \b
    $ geoseg model import roads.onnx --classes background,road --resolution-m 0.3 \\
          --value-range 0,255 --input-range 0,1 --out roads.safetensors
    $ geoseg segment scene.tif --model roads.safetensors --out roads.gpkg
    """  # noqa: D301
    import json

    from geoseg.cli.progress import message
    from geoseg.model.card import card_to_json
    from geoseg.model.foreign.description import Description
    from geoseg.pipeline.model_import import ImportRequest, import_model

    names = (
        "name",
        "classes",
        "bands",
        "resolution_m",
        "value_range",
        "input_range",
        "mean",
        "std",
        "answers",
        "stride",
    )
    told = Description(**{name: flags[name] for name in names}, license=flags["license_"])
    request = ImportRequest(path, Path(out), told, measure=not flags["no_radius"], overwrite=flags["overwrite"])
    card = import_model(request, lambda sentence: message(progress, sentence))
    if as_json:
        found = {"schema": 1, "out": out, "card": card_to_json(card)}
        click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(out)
