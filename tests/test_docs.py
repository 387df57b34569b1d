"""The pages say what the program does: every verb and flag, every command, every link."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from geoseg.cli.main import VERBS, geoseg

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md")), TOP / "sample_data" / "README.md"]


def verb(name: str) -> click.Command:
    command = geoseg.get_command(click.Context(geoseg), name)
    assert command is not None
    return command


def below(name: str) -> dict[str, click.Command]:
    """Return a verb and, where it is a group, those of its own, by what is typed."""
    command = verb(name)
    own = command.commands if isinstance(command, click.Group) else {}
    return {name: command, **{f"{name} {word}": other for word, other in own.items()}}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_and_flag_is_on_the_page_of_commands(name):
    page = (TOP / "docs" / "commands.md").read_text(encoding="utf-8")
    for typed, command in below(name).items():
        section = page.split(f"## geoseg {typed}\n", 1)[1].split("\n## ", 1)[0]
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(flag in section for flag in option.opts), option.opts
                assert option.help, f"{typed}: {option.opts} has no help"
                told = option.help.replace("\n", " ").split("  [")[0]
                assert "".join(told.split()) in "".join(section.split()), f"write docs/commands.md again: {option.opts}"


def commands() -> list[tuple[str, str]]:
    """Return page and command for every ``geoseg …`` that a page shows in code."""
    found = []
    for page in PAGES:
        if page.name == "commands.md":
            continue
        text = page.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"^    (geoseg .*)$", text, re.MULTILINE) + re.findall(r"`(geoseg [a-z]+ [^`]*)`", text)
        for line in lines:
            found += [(page.name, part.strip()) for part in line.split("&&") if re.search(r"\bgeoseg [a-z]", part)]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_on_a_page_is_one(page, line):
    words = shlex.split(line)
    name, *rest = words[[w.rsplit("/", 1)[-1] for w in words].index("geoseg") + 1 :]
    assert name in VERBS, f"{page}: {line}"
    if rest == ["--help"]:
        return
    known = below(name)
    if len(known) > 1:
        name, rest = f"{name} {rest[0]}", rest[1:]
        assert name in known, f"{page}: {line}"
    known[name].make_context(name, list(rest))  # raises where a flag or a value is wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_there_are_commands_to_check():
    assert len(commands()) >= 5


def test_the_readme_has_its_two_commands():
    blocks = re.findall(r"```sh\n(.*?)```", (TOP / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    one_line = [block.strip() for block in blocks if block.count("\n") == 1]
    assert sum("pip install" in line and "segment sample_data/scene.tif" in line for line in one_line) == 1
    assert sum("pip install" in line and "pytest" in line for line in one_line) == 1
