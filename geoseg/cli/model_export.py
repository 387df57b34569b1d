"""``geoseg model export``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geoseg.cli.options import json_option, out_option, overwrite_option, talk_options
from geoseg.cli.results import print_json

if TYPE_CHECKING:
    from geoseg.export.write import Format


@click.command("export")
@click.argument("model")
@click.option(
    "--to",
    type=click.Choice(["onnx", "mlm", "openvino"]),
    required=True,
    help="onnx: for QGIS-Deepness and ONNX Runtime; mlm: a STAC item with the weights; openvino: OpenVINO IR.",
)
@out_option("The file to write: .onnx, .mlm.json (its weights go beside it), or .xml (with a .bin beside it).")
@click.option(
    "--tile",
    type=click.IntRange(1),
    metavar="PX",
    help="Height and width of the input, a multiple of the network's stride.  [default: 640; openvino: any]",
)
@overwrite_option
@json_option
@talk_options
def command(model: str, to: Format, out: str, tile: int | None, overwrite: bool, as_json: bool, **_talk: str) -> None:
    """Write MODEL for other programs.

    MODEL is a file, or 'default' or 'dubai' for a bundled one. The ONNX file takes images of 0 to 1
    (a uint8 value / 255) and gives probabilities; everything in between lies in its graph. Its classes begin with one,
    always 0, that Deepness gives to pixels under its threshold. All files hold the model's card whole.

    \b
    $ geoseg model export default --to onnx --out default.onnx
    $ geoseg model export mine.safetensors --to mlm --out mine.mlm.json
    $ geoseg model export default --to openvino --tile 1024 --out default.xml
    """  # noqa: D301
    from geoseg.export.write import ExportRequest, export_model

    files = export_model(ExportRequest(model, to, Path(out), tile, overwrite))
    if as_json:
        told = [{"path": str(file.path), "bytes": file.size, "sha256": file.sha256} for file in files]
        print_json({"schema": 1, "model": model, "to": to, "files": told})
    else:
        click.echo("\n".join(str(file.path) for file in files))
