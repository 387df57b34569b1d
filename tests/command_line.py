"""The command line in this process and in others, for tests."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import types

import click
import pytest

from geoseg.cli.main import VERBS, main
from geoseg.cli.options import talk_options

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def command_of(verb: str) -> click.Command:
    return importlib.import_module(f"geoseg.cli.{verb}").command


@pytest.fixture
def ran(quiet_log, capsys):
    """Return a function that runs the command line here and returns exit code, output and complaints."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def verb(monkeypatch):
    """Return a function that adds a verb ``probe`` whose body is a function of its options."""

    def add(body, *options):
        command = click.command("probe")(body)
        for option in (*options, talk_options):
            command = option(command)
        module = types.ModuleType("geoseg.cli.probe")
        module.command = command
        monkeypatch.setitem(VERBS, "probe", "A verb of the tests.")
        monkeypatch.setitem(sys.modules, "geoseg.cli.probe", module)

    return add


def raising(error):
    def body(**_options):
        raise error

    return body


def child(*arguments, environment=None, cwd=None, module="geoseg"):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
