"""``geoseg info``: parse, call, print."""

from __future__ import annotations

import json

import click

from geoseg.cli.options import json_option, talk_options


@click.command("info")
@click.argument("path")
@click.option("--allow-network", is_flag=True, help="Let PATH be an https, s3 or gs address.")
@json_option
@talk_options
def command(path: str, allow_network: bool, as_json: bool, **_talk: str) -> None:
    """Say what PATH is: a scene, a model (.safetensors, .onnx, a STAC item, 'default' or 'dubai') or vector layers.

    For a scene, also what segment would make of it: bands, missing pixels, stretch, and why not.

    \b
    $ geoseg info scene.tif
    $ geoseg info classes.gpkg --json
    $ geoseg info default
    """  # noqa: D301
    from geoseg.pipeline.info import as_text, describe

    found = describe(path, allow_network=allow_network)
    click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False) if as_json else as_text(found))
