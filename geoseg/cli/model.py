"""``geoseg model``: what there is, what a model is, and models out and in."""

from __future__ import annotations

import click

from geoseg.cli import model_export, model_import
from geoseg.cli.options import json_option, talk_options
from geoseg.cli.results import print_json


@click.group("model")
def command() -> None:
    """List and describe models, and exchange them with other programs.

    \b
    $ geoseg model list
    $ geoseg model info default
    $ geoseg model export default --to onnx --out default.onnx
    """  # noqa: D301


@command.command("list")
@json_option
@talk_options
def list_command(as_json: bool, **_talk: str) -> None:
    """List the models that come with geoseg."""
    from geoseg.pipeline.models import bundled_models, models_as_text

    found = bundled_models()
    if as_json:
        print_json({"schema": 1, "models": found})
    else:
        click.echo(models_as_text(found))


@command.command("info")
@click.argument("model")
@json_option
@talk_options
def info_command(model: str, as_json: bool, **_talk: str) -> None:
    """Say what MODEL is.

    MODEL is a file, or the name of one that geoseg model list shows.

    \b
    $ geoseg model info default --json
    """  # noqa: D301
    from geoseg.pipeline.info import as_text, describe_model

    found = describe_model(model)
    if as_json:
        print_json(found)
    else:
        click.echo(as_text(found))


command.add_command(model_export.command)
command.add_command(model_import.command)
