"""Every verb explains itself."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import re

import click
import pytest

import geoseg as package
from geoseg.cli.main import VERBS
from tests.command_line import command_of, ran, verb  # noqa: F401


def test_the_verbs_are_those_that_exist(ran):
    code, said, _ = ran("--help")
    assert code == 0
    for name, purpose in VERBS.items():
        assert re.search(rf"^ +{name} +{re.escape(purpose[:30])}", said, re.MULTILINE), name
    assert "$ geoseg segment" in said


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_an_example_and_tells_of_every_option(name):
    command = command_of(name)
    assert isinstance(command, click.Command)
    assert command.name == name
    text = command.help or ""
    assert re.search(rf"^\s*\$ geoseg {name} ", text, re.MULTILINE), "no example to copy"
    for line in re.findall(r"^\s*\$ (.*)$", text, re.MULTILINE):
        assert line.startswith("geoseg "), line
        assert line.split()[1] in VERBS, line
    first = text.split("\n\n")[0]
    assert first.endswith(".")
    untold = [
        param.opts[-1] for param in command.params if isinstance(param, click.Option) and not (param.help or "").strip()
    ]
    assert untold == []


@pytest.mark.parametrize("name", VERBS)
def test_examples_are_understood_by_the_parser(name):
    """Every option an example uses exists, so that what is printed can be typed."""
    for line in re.findall(r"^\s*\$ geoseg (.*)$", command_of(name).help, re.MULTILINE):
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        command = command_of(words[0])
        command.make_context(words[0], words[1:], resilient_parsing=False)


def leaves(name: str) -> dict[str, click.Command]:
    """Return a verb by what is typed, or those of a group."""
    command = command_of(name)
    if isinstance(command, click.Group):
        return {f"{name} {word}": other for word, other in command.commands.items()}
    return {name: command}


@pytest.mark.parametrize("name", VERBS)
def test_names_of_flags_are_kebab_case_and_shared_ones_are_everywhere(name):
    for typed, command in leaves(name).items():
        flags = {flag for param in command.params if isinstance(param, click.Option) for flag in param.opts}
        assert all(re.fullmatch(r"-[a-z0-9]|--[a-z0-9]+(-[a-z0-9]+)*", flag) for flag in flags), flags
        assert {"-q", "-v", "--progress"} <= flags, typed
        if "--out" in flags:
            assert {"-o", "--overwrite"} <= flags, typed


@pytest.mark.parametrize("name", VERBS)
def test_help_of_a_verb_is_shown(ran, name):
    for typed in leaves(name):
        code, said, _ = ran(*typed.split(), "--help")
        assert code == 0
        assert said.startswith(f"Usage: geoseg {typed} ")
        assert "--progress" in said


def test_version(ran):
    assert ran("--version")[:2] == (0, f"geoseg, version {package.__version__}\n")
