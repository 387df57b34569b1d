"""Write docs/commands.md from the help texts: ``python docs/write_commands.py``."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.main import VERBS, geoseg

OUT = Path(__file__).with_name("commands.md")


def help_of(verb: str | None) -> str:
    """Return the help of the program or of one verb, as a terminal of 100 columns shows it."""
    root = click.Context(geoseg, info_name="geoseg", terminal_width=100, max_content_width=100)
    if verb is None:
        return geoseg.get_help(root)
    command = geoseg.get_command(root, verb)
    assert command is not None
    context = click.Context(command, info_name=verb, parent=root, terminal_width=100, max_content_width=100)
    return command.get_help(context)


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
    for verb in (None, *VERBS):
        parts += [f"## geoseg {verb or ''}".rstrip(), "", "```text", help_of(verb), "```", ""]
    return "\n".join(line.rstrip() for line in "\n".join(parts).split("\n"))


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
