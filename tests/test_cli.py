"""The command line's door: every verb explains itself, every failure is one sentence and an exit code."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
import types

import click
import geopandas
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import geoseg as package
from geoseg.cli import main as door
from geoseg.cli.main import VERBS, main
from geoseg.cli.options import creation_option, json_option, out_option, overwrite_option, talk_options
from geoseg.cli.progress import message, progress_on
from geoseg.errors import (
    BatchError,
    GeosegError,
    InputError,
    Interrupted,
    ModelError,
    OutputError,
    UsageError,
)

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


# ---- every verb explains itself


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


# ---- failures: one sentence and an exit code

USAGE = [
    ("nosuchverb",),
    ("segment",),
    ("segment", "scene.tif", "--nosuchoption"),
    ("segment", "scene.tif", "--window", "many"),
    ("segment", "scene.tif", "--precision", "fp8"),
    ("segment", "scene.tif", "--resolution", "-1"),
    ("segment", "scene.tif", "--resolution", "nan"),
    ("segment", "scene.tif", "--bounds", "1", "2"),
    ("segment", "scene.tif", "--min-area-m2", "building"),
    ("segment", "scene.tif", "--min-area-m2", "=5"),
    ("segment", "scene.tif", "--min-area-m2", "-5"),
    ("segment", "scene.tif", "--co", "COMPRESS"),
    ("segment", "scene.tif", "--co", "=ZSTD"),
    ("segment", "scene.tif", "--progress", "loud"),
    ("train",),
    ("train", "folder"),
    ("train", "folder", "--out", "m.safetensors", "--steps", "0"),
    ("vectorize", "classes.tif"),
    ("evaluate", "one.tif"),
    ("demo",),
    ("info",),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage_errors_are_code_2_and_one_sentence(ran, arguments):
    code, said, complaint = ran(*arguments)
    assert code == 2
    assert said == ""
    assert "Traceback" not in complaint
    *hints, sentence = complaint.strip().splitlines()
    assert sentence.startswith("Error: ")
    assert all(hint.startswith(("Usage: ", "Try 'geoseg")) or not hint for hint in hints)


def test_no_number_may_be_nan():
    believed = []
    for name in VERBS:
        for param in command_of(name).params:
            if isinstance(param.type, click.FloatRange):
                try:
                    param.type.convert("nan", param, None)
                except click.BadParameter:
                    continue
                believed.append(f"{name} {param.opts[-1]}")
    assert believed == []


ERRORS = [
    (GeosegError, 1),
    (UsageError, 2),
    (InputError, 3),
    (OutputError, 4),
    (ModelError, 5),
    (BatchError, 6),
    (Interrupted, 130),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_is_its_code_and_one_sentence(ran, verb, error, code):
    verb(raising(error("scene.tif: two\nlines  and more")))
    assert ran("probe") == (code, "", "geoseg: scene.tif: two lines and more\n")


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_under_rio_an_error_is_its_code_and_one_sentence(quiet_log, verb, error, code):
    """``rio`` runs the group itself, without ``main``."""
    verb(raising(error("scene.tif: two\nlines")))
    result = CliRunner().invoke(door.geoseg, ["probe"])
    assert result.exit_code == code
    assert result.stderr == "geoseg: scene.tif: two lines\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train", "none", "--out", "m.safetensors"], 3),
        (["info", "none.tif"], 3),
        (["segment", "none.tif", "--out", "c.gpkg"], 3),
        (["segment", "none.tif"], 2),
        (["segment", "none.tif", "--out", "c.gpkg", "--model", "none.safetensors"], 5),
        (["segment", "none.tif", "--out", "nofolder/c.gpkg"], 4),
        (["vectorize", "none.tif", "--out", "c.gpkg"], 3),
        (["evaluate", "none.tif", "none.gpkg"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_real_failures_end_with_their_code(tmp_path, arguments, code):
    done = child(*arguments, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    sentence = done.stderr.strip()
    assert sentence.startswith("geoseg: ")
    assert "\n" not in sentence
    assert list(tmp_path.iterdir()) == []
    assert done.returncode == code


def test_success_is_code_0(ran, verb):
    verb(lambda **_options: click.echo("result"))
    assert ran("probe") == (0, "result\n", "")


@pytest.mark.parametrize(
    ("flags", "told"), [([], False), (["-v"], False), (["-vv"], True), (["-v", "-v"], True), (["-q"], False)]
)
def test_only_vv_shows_a_traceback(ran, verb, flags, told):
    verb(raising(InputError("scene.tif: broken")))
    code, _, complaint = ran("probe", *flags)
    assert complaint.startswith("geoseg: scene.tif: broken\n")
    assert ("Traceback" in complaint) is told
    assert ("in body" in complaint) is told
    assert code == 3


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), KeyError("name"), RuntimeError(), OSError(5, "disk")])
def test_a_defect_is_code_1_and_asks_for_a_report(ran, verb, error):
    verb(raising(error))
    code, said, complaint = ran("probe")
    assert (code, said) == (1, "")
    assert "internal error, please report it with the output of -vv" in complaint
    assert type(error).__name__ in complaint
    assert complaint.count("\n") == 1
    assert "Traceback" not in complaint


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), json.JSONDecodeError("bad", "{", 0)]
)
def test_a_defect_of_a_class_with_many_arguments_is_reported_too(ran, verb, error):
    verb(raising(error))
    code, _, complaint = ran("probe")
    assert code == 1
    assert "internal error" in complaint
    assert complaint.count("\n") == 1


def test_vv_shows_where_a_defect_is(ran, verb):
    verb(raising(ZeroDivisionError("by zero")))
    code, _, complaint = ran("probe", "-vv")
    assert code == 1
    assert "in body" in complaint


# ---- pipes, doors


@posix
def test_a_closed_pipe_is_no_second_complaint(tmp_path):
    for arguments in (["--help"], ["segment", "--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "geoseg", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(writer)
        assert done.stderr == ""


def test_python_m_geoseg_is_the_command():
    done = child("--version")
    assert (done.returncode, done.stdout) == (0, f"geoseg, version {package.__version__}\n")
    assert child("nosuchverb").returncode == 2


def test_rio_geoseg(tmp_path, tiny_model_path, write_scene):
    """rasterio finds the plug-in under the installed entry point, and it does what the command does."""
    code = "from rasterio.rio.main import main_group; main_group()"

    def rio(*arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=90, check=False
        )

    listed, told, failed = rio("--help"), rio("geoseg", "--help"), rio("geoseg", "info", "none.tif")
    assert re.search(r"^ +geoseg ", listed.stdout, re.MULTILINE)
    assert told.returncode == 0
    for name in VERBS:
        assert re.search(rf"^ +{name} ", told.stdout, re.MULTILINE)
    assert failed.returncode == 3
    assert failed.stderr.startswith("geoseg: none.tif: ")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 160), np.uint8)
    scene, flags = write_scene(tmp_path / "scene.tif", pixels), ("--model", str(tiny_model_path), "--device", "cpu")
    rio_made, made = tmp_path / "rio.gpkg", tmp_path / "own.gpkg"
    assert rio("geoseg", "segment", str(scene), "--out", str(rio_made), *flags).returncode == 0
    assert child("segment", str(scene), "--out", str(made), *flags).returncode == 0
    for layer in ("buildings", "roads", "water"):
        ours = geopandas.read_file(made, layer=layer)
        pd.testing.assert_frame_equal(ours, geopandas.read_file(rio_made, layer=layer))


# ---- options that several verbs share


def test_environment_variables_stand_in_for_options_and_give_way_to_them(ran, verb, monkeypatch):
    verb(
        lambda size, **_options: click.echo(size),
        click.option("--size-px", "size", type=int, default=1, help="."),
    )
    assert ran("probe")[1] == "1\n"
    monkeypatch.setenv("GEOSEG_PROBE_SIZE", "7")
    monkeypatch.setenv("GEOSEG_PROBE_SIZE_PX", "7")
    assert ran("probe")[1] == "7\n"
    assert ran("probe", "--size-px", "9")[1] == "9\n"


def test_environment_variables_reach_a_real_verb(ran, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOSEG_SEGMENT_PRECISION", "fp8")
    code, _, complaint = ran("segment", "scene.tif", "--out", "x.gpkg")
    assert code == 2
    assert "'fp8'" in complaint


def test_creation_options_become_a_mapping(ran, verb):
    verb(lambda creation, **_options: click.echo(json.dumps(creation)), creation_option)
    assert json.loads(ran("probe", "--co", "compress=ZSTD", "--co", "PREDICTOR=2", "--co", "A=b=c")[1]) == {
        "COMPRESS": "ZSTD",
        "PREDICTOR": "2",
        "A": "b=c",
    }
    assert json.loads(ran("probe")[1]) == {}


def test_out_overwrite_and_json_are_named_alike(ran, verb):
    def body(out, overwrite, as_json, **_options):
        click.echo(f"{out} {overwrite} {as_json}")

    verb(body, out_option("What is written."), overwrite_option, json_option)
    assert ran("probe", "-o", "a", "--overwrite", "--json")[1] == "a True True\n"
    assert ran("probe", "--out", "a")[1] == "a False False\n"
    assert ran("probe")[0] == 2


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], ["warning", "error"]),
        (["-v"], ["info", "warning", "error"]),
        (["-vv"], ["debug", "info", "warning", "error"]),
        (["-q"], ["error"]),
        (["-qq"], []),
        (["-q", "-v"], ["warning", "error"]),
    ],
)
def test_q_and_v_move_what_is_told(ran, verb, flags, shown):
    def body(**_options):
        log = logging.getLogger("geoseg.somewhere")
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)(level)

    verb(body)
    code, said, told = ran("probe", *flags)
    assert (code, said) == (0, "")
    assert told.splitlines() == [f"geoseg: {level}" for level in shown]


# ---- progress


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def test_progress_as_json_lines(capsys):
    with progress_on("json", "segment", "window") as meter:
        for done in range(1, 1001):
            meter.at(done, 1000, done * 100)
    message("json", 'a "sentence"')
    said = capsys.readouterr()
    assert said.out == ""
    *told, last, sentence = events(said.err)
    assert len(told) < 100, "at most ten a second"
    assert last == {
        "event": "progress",
        "stage": "segment",
        "done": 1000,
        "total": 1000,
        "unit": "window",
        "pixels": 100_000,
    }
    assert sentence == {"event": "message", "level": "warning", "text": 'a "sentence"'}
    assert [event["done"] for event in told] == sorted(event["done"] for event in told)


def test_progress_keeps_telling_while_time_passes(capsys):
    with progress_on("json", "train", "step") as meter:
        for done in range(4):
            meter.at(done, 10)
            time.sleep(0.11)
    assert [event["done"] for event in events(capsys.readouterr().err)] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["auto", "none"])
def test_progress_is_silent_where_nobody_watches(capsys, kind):
    with progress_on(kind, "segment", "window") as meter:
        for done in range(1, 5):
            meter.at(done, 4, done)
    assert capsys.readouterr() == ("", "")


def test_the_bar_stands_on_standard_error_and_leaves_when_done(capsys):
    with progress_on("bar", "segment", "window") as meter:
        meter.at(1, 4, 10_000_000)
        meter.at(4, 4, 40_000_000)
    assert capsys.readouterr().out == ""


def test_a_message_in_plain_words_obeys_q(ran, verb):
    verb(lambda progress, **_options: message(progress, "the scene is blurred"))
    assert ran("probe")[2] == "geoseg: the scene is blurred\n"
    assert ran("probe", "--progress", "json")[2].startswith('{"event": "message"')


def test_a_message_is_silenced_by_q(ran, verb):
    verb(lambda progress, **_options: message(progress, "the scene is blurred"))
    assert ran("probe", "-q")[2] == ""


def test_train_tells_progress_and_prints_the_result(ran, monkeypatch, tmp_path):
    """The verb hands its flags on as they were given; training itself is tested elsewhere."""
    from geoseg.learn import fit as learning

    asked = []

    def fitted(request, tell, note):
        note("held out from training: two tiles")
        asked.append(request)
        tell(1, 2)
        tell(2, 2)
        return types.SimpleNamespace(scores=[{"split": "held-out", "pixel_accuracy": 0.5, "mean_iou": 0.25}])

    monkeypatch.setattr(learning, "fit", fitted)
    out = tmp_path / "m.safetensors"
    given = [
        "--out",
        out,
        "--hold-out",
        "Tile 2",
        "--hold-out",
        "Tile 3",
        "--steps",
        "5",
        "--batch",
        "2",
        "--chip",
        "64",
    ]
    given += ["--learning-rate", "0.5", "--seed", "4", "--color-jitter", "0.5", "--restart", "--overwrite"]
    given += ["--demo-scenes", "3", "--progress", "json"]
    code, said, told = ran("train", "city", *given, "--init", "default")
    assert (code, said) == (0, f"{out}\n")
    code, *_ = ran("train", "city", *given, "--width", "8", "--widest", "40", "--patch", "4")
    assert code == 0
    request, anew = asked
    assert (anew.init, anew.widths, anew.patch) == (None, (8, 16, 32, 40, 40), 4)
    material = request.material
    assert (str(material.dataset), request.out, request.init, material.hold_out) == (
        "city",
        out,
        "default",
        ("Tile 2", "Tile 3"),
    )
    assert "held out from training: two tiles" in told
    assert (material.demo_scenes, request.restart, request.overwrite) == (3, True, True)
    assert (request.recipe.steps, request.recipe.learning_rate) == (5, 0.5)
    assert (request.chips.size, request.chips.batch, request.chips.seed, request.chips.color) == (64, 2, 4, 0.5)
    assert '"stage": "train", "done": 2, "total": 2, "unit": "step"' in told
    assert "accuracy 0.500, mean IoU 0.250" in told


MEMORY = """
import sys
import geoseg.cli.memory as memory

def mapped():
    return int(open("/proc/self/statm").read().split()[0]) * 4096

getattr(memory, sys.argv[1])()
block = bytearray(20_000_000)
before = mapped()
del block
print(before - mapped() > 15_000_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="is about glibc")
@pytest.mark.parametrize(("how", "given_back"), [("steady_memory", "True"), ("kept_memory", "False")])
def test_memory_is_given_back_or_kept(how, given_back):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    ran = subprocess.run([sys.executable, "-c", MEMORY, how], capture_output=True, text=True, check=True, env=env)
    assert ran.stdout.strip() == given_back
