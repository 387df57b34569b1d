"""Write docs/commands.md from the help texts: ``python docs/write_commands.py``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geoseg.cli.main import VERBS, geoseg

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path(__file__).with_name("commands.md")


def helps_of(verb: str) -> list[tuple[str, str]]:
    """Return name and help of a verb, and of the verbs of a group, as a terminal of 100 columns shows them."""
    root = click.Context(geoseg, info_name="geoseg", terminal_width=100, max_content_width=100)
    return list(_helps(geoseg.get_command(root, verb), verb, root))


def _helps(command: click.Command | None, name: str, parent: click.Context) -> Iterator[tuple[str, str]]:
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100, max_content_width=100)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _helps(command.get_command(context, below), below, context)


def text() -> str:
    """Return the whole page."""
    parts = ["# Commands", "", "Written by `docs/write_commands.py`; every option can also be set as", ""]
    parts[2] += " `GEOSEG_VERB_OPTION` in the environment."
    parts += [
        "Exit codes: 0 done, 1 internal error, 2 usage, 3 input unusable, 4 output not possible, 5 model unusable,"
    ]
    parts += [
        "130 and 143 stopped by a signal. Results go to standard output, everything else to standard error.",
        "",
    ]
    whole = ("geoseg", geoseg.get_help(click.Context(geoseg, info_name="geoseg", terminal_width=100)))
    for name, told in (whole, *(entry for verb in VERBS for entry in helps_of(verb))):
        parts += [f"## {name}", "", "```text", told, "```", ""]
    return "\n".join(line.rstrip() for line in "\n".join(parts).split("\n"))


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
