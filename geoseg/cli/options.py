"""Flags that several verbs share, so that one name means one thing everywhere.

out_option(...)   segment, vectorize, merge, train, compare, demo, model export
overwrite_option  segment, vectorize, merge, train, evaluate, compare, demo, model export
talk_options      every verb: -q/-v, --progress
json_option       segment, vectorize, merge, info, evaluate, model
creation_option   segment
qgis_project_option   segment, vectorize, merge
was_said          train, evaluate
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

RESULT = logging.INFO + 5
"""Level of the lines that sum a run up: shown by default, silent with -q."""


class FiniteRange(click.FloatRange):
    """A range of numbers that NaN and infinity are not in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse one value; raises click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class FlagNamed(click.Option):
    """An option whose environment variable is named after its flag, whatever its parameter is called."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of GEOSEG_VERB_FLAG."""
        if self.envvar is None and ctx.auto_envvar_prefix is not None:
            self.envvar = f"{ctx.auto_envvar_prefix}_{self.opts[-1].lstrip('-').replace('-', '_').upper()}"
        return super().resolve_envvar_value(ctx)


def out_option(help_text: str, *, required: bool = True) -> Callable[[Any], Any]:
    """Return ``-o/--out``, with the verb's own words on what is written."""
    return click.option("-o", "--out", metavar="FILE", required=required, help=help_text)


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing results (refused otherwise).")

json_option = click.option(
    "--json", "as_json", cls=FlagNamed, is_flag=True, help="Print one JSON object on standard output."
)


qgis_project_option = click.option(
    "--qgis-project",
    type=click.Path(path_type=Path),
    metavar="FILE.qgz",
    help="QGIS project to write, too: the results as a map, over the image they were made of.",
)


def _creation_options(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return ``NAME=VALUE`` pairs as a mapping; refuse anything else as a usage error."""
    options = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE, such as COMPRESS=ZSTD")
        options[name.upper()] = value
    return options


creation_option = click.option(
    "--co",
    "creation",
    cls=FlagNamed,
    metavar="NAME=VALUE",
    multiple=True,
    callback=_creation_options,
    help="GDAL creation option of the rasters; repeat for more.",
)


class _StandardError(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        click.echo(f"geoseg: {record.getMessage()}", err=True)


def _talk(_ctx: click.Context, param: click.Parameter, count: int) -> int:
    """Set the level of the package's log: results and warnings by default, each -v or -q moves it by one."""
    log = logging.getLogger("geoseg")
    if not log.handlers:
        log.addHandler(_StandardError())
        log.setLevel(RESULT)
        log.propagate = False
    step = 10 if param.name == "quiet" else -10
    log.setLevel(max(logging.DEBUG, log.level + step * count))
    return count


def talk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-q``, ``-v`` and ``--progress``; the first two act by themselves, the third is passed on."""
    for option in (
        click.option(
            "--progress",
            type=click.Choice(["auto", "bar", "json", "none"]),
            default="auto",
            show_default=True,
            help="How to tell progress on standard error; auto draws a bar on a terminal.",
        ),
        click.option(
            "-v",
            "--verbose",
            count=True,
            expose_value=False,
            callback=_talk,
            help="Tell more; twice for tracebacks.",
        ),
        click.option("-q", "--quiet", count=True, expose_value=False, callback=_talk, help="Tell less."),
    ):
        command = option(command)
    return command


def was_said(name: str) -> bool:
    """Return whether the running command was typed with a parameter; defaults and the environment do not count."""
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
