"""The door of the command line: finds the verb, runs it, turns errors into one sentence and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import sys
import traceback
import warnings
from typing import Any, NoReturn

import click

import geoseg as package
from geoseg.cli import stopping
from geoseg.errors import GeosegError, Interrupted

# In the order data travels. A verb's module is imported when the verb is used; help needs only these lines.
VERBS = {
    "info": "Say what a scene, a model or a vector file is.",
    "segment": "Turn a scene into polygons of buildings, roads and water.",
    "batch": "Segment many scenes: one result of each, or one map of all.",
    "vectorize": "Turn a class raster into polygons.",
    "merge": "Join vector layers of neighbouring ground into one map.",
    "train": "Train the U-Net on labelled images, or fine-tune a model.",
    "evaluate": "Compare a predicted map with a reference.",
    "compare": "Train U-Net and a plain CNN under three losses, as a 2022 paper did.",
    "model": "List and describe models, and exchange them with other programs.",
    "qgis": "Work with QGIS: the plugin for its Processing toolbox, and styles as files.",
    "demo": "Render a made-up aerial scene with its true map.",
}


class LazyVerbs(click.Group):
    """A group whose verbs live in ``geoseg.cli.<verb>`` as ``command`` and are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs in the order data travels."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"geoseg.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs with their short help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; under ``rio geoseg`` this is where errors become messages and exit codes."""
        try:
            return super().invoke(ctx)
        except (GeosegError, Interrupted) as error:
            ended = stopping.reason() or error
            _show(ended)
            ctx.exit(ended.exit_code)
        except BrokenPipeError:  # the reader has seen enough (`| head`); click would call it a failure
            _silence_stdout()
            ctx.exit(0)
        except OSError as error:
            if error.errno != errno.ENOSPC or not _is_of_stdout(error):
                raise
            _silence_stdout()
            _show(error, "standard output: no room left, so the results could not be listed; they are in place")
            ctx.exit(4)


# The name is explicit because `rio` lists a plug-in under its click command's own name.
@click.group("geoseg", cls=LazyVerbs, context_settings={"auto_envvar_prefix": "GEOSEG", "max_content_width": 110})
@click.version_option(package.__version__, prog_name="geoseg")
def geoseg() -> None:
    """Turn georeferenced aerial and satellite images into map layers.

    \b
    $ geoseg segment scene.tif --out classes.gpkg
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its line breaks


def _show(error: BaseException, sentence: str | None = None) -> None:
    """Write one sentence to standard error; the traceback too when ``-vv`` was given."""
    click.echo("geoseg: " + " ".join((sentence or str(error)).split()), err=True)
    if logging.getLogger("geoseg").isEnabledFor(logging.DEBUG):
        click.echo("".join(traceback.format_exception(error)), err=True)


def _is_of_stdout(error: OSError) -> bool:
    """Return whether an error came from writing to standard output, which click's ``echo`` alone does."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _silence_stdout() -> None:
    """Send what is still to be written to standard output nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(code: int) -> NoReturn:
    """End without letting a closed pipe (``| head``) turn into a second complaint."""
    try:
        sys.stdout.flush()
    except OSError:
        _silence_stdout()
    stopping.leave(code)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of ``errors``: 0, 1–6, or 130/143 by signal."""
    if not sys.warnoptions:  # libraries warn their programmers; users are told in our own words
        warnings.simplefilter("ignore")
    stopping.listen()
    try:
        _leave(_run(arguments))
    except Interrupted as stopped:  # at the last moment
        stopping.leave(stopped.exit_code)


def _run(arguments: list[str] | None) -> int:
    """Run the command line and return its exit code; no error is alive any more, nor what its traceback holds."""
    try:
        # Outside standalone mode click returns the code of ``ctx.exit`` instead of raising it.
        code = geoseg.main(args=arguments, prog_name="geoseg", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except click.ClickException as wrong:
        wrong.show()
        code = wrong.exit_code
    except GeosegError as error:
        _show(error)
        code = error.exit_code
    except (Interrupted, BrokenPipeError) as ended:
        _silence_stdout()
        code = getattr(ended, "exit_code", 0)
    except Exception as error:  # noqa: BLE001 - the last door: a defect is reported as one, with exit code 1
        stopped, code = stopping.reason(), 1
        if stopped is not None:
            _show(stopped)
            code = stopped.exit_code
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _show(error, f"{error.filename or 'a file of this run'}: the disk is full; make room and run it again")
            code = 4
        else:
            said = f"{type(error).__name__}: {error}"
            _show(error, f"internal error, please report it with the output of -vv: {said}")
    return code if isinstance(code, int) else 0
