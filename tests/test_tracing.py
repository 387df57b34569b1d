"""The parts of the tracer, each by itself."""

import importlib
import itertools
import json
import pkgutil
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg import vector
from geoseg.vector import compiled, warm
from geoseg.vector import sieve as sieve_module
from geoseg.vector.arcs import LOOP, follow
from geoseg.vector.belts import Belt, belts
from geoseg.vector.cracks import OUTSIDE, find_cracks
from geoseg.vector.merging import numbered, unite_all
from geoseg.vector.runs import Runs, joined
from geoseg.vector.threads import in_threads
from geoseg.vector.trace import trace
from tests.oracles import classes_of, regions_of

sides = st.integers(1, 12)
rasters = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 3)))


def whole(classes):
    runs = Runs.of(classes)
    cracks = find_cracks(runs, 0, above=False, below=False)
    return cracks, follow(cracks, runs.width)


# --- runs and belts


@settings(max_examples=60, deadline=None)
@given(rasters, st.integers(0, 5))
def test_runs_are_the_raster(classes, cell):
    confidence = (classes * 30).astype(np.uint8)
    confidence[classes == 0] = 255
    runs = Runs.of(classes, confidence, cell)
    np.testing.assert_array_equal(classes_of(runs), classes)
    lengths = runs.stops() - runs.starts
    assert (lengths > 0).all()
    np.testing.assert_array_equal(runs.percents, np.where(runs.values > 0, lengths * (runs.values * 30), 0))
    np.testing.assert_array_equal(runs.counted, np.where(runs.values > 0, lengths, 0))
    if cell:
        assert ((runs.starts // cell) == ((runs.stops() - 1) // cell)).all()
    parts = [runs.rows(row, min(row + 2, len(classes))) for row in range(0, len(classes), 2)]
    np.testing.assert_array_equal(joined(parts).starts, runs.starts)
    np.testing.assert_array_equal(joined(parts).first, runs.first)


def test_other_values_join_runs_and_lose_the_confidence_of_what_changed():
    runs = Runs.of(np.array([[1, 2, 1, 3]], np.uint8), np.array([[10, 20, 30, 40]], np.uint8))
    other = runs.with_values(np.array([1, 1, 1, 3], np.uint8))
    assert other.starts.tolist() == [0, 3]
    assert (other.percents.tolist(), other.counted.tolist()) == ([40, 40], [2, 1])


@settings(max_examples=60, deadline=None)
@given(rasters, st.integers(1, 6), st.integers(1, 6))
def test_belts_are_the_rows_with_one_more_on_either_side(classes, strip, height):
    strips = [Runs.of(classes[row : row + strip]) for row in range(0, len(classes), strip)]
    found = list(belts(strips, height))
    assert [belt.top for belt in found] == list(range(0, len(classes), height))
    for belt in found:
        rows = slice(belt.top - belt.above, belt.bottom + belt.below)
        np.testing.assert_array_equal(classes_of(belt.runs), classes[rows])
        assert belt.above == (belt.top > 0)
        assert belt.below == (belt.bottom < len(classes))


# --- cracks and arcs


@settings(max_examples=100, deadline=None)
@given(rasters)
def test_every_crack_lies_on_one_arc_between_the_faces_it_parts(classes):
    cracks, arcs = whole(classes)
    padded = np.pad(classes.astype(int), 1, constant_values=-1)
    count = (np.diff(padded, axis=0)[:, 1:-1] != 0).sum() + (np.diff(padded, axis=1)[1:-1] != 0).sum()
    steps = np.abs(np.diff(arcs.xy // 2, axis=0)).sum(1)
    steps[arcs.first[1:-1] - 1] = 0  # from one arc to the next
    assert steps.sum() == count
    regions, number = regions_of(classes)
    assert cracks.faces == number
    seen = set()
    for arc in range(len(arcs.left)):
        corners = arcs.xy[arcs.first[arc] : arcs.first[arc + 1]] // 2
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            for step in range(max(abs(x1 - x0), abs(y1 - y0))):
                x, y = x0 + step * np.sign(x1 - x0), y0 + step * np.sign(y1 - y0)
                seen.add((x, y, np.sign(x1 - x0), np.sign(y1 - y0)))
                at = {
                    (1, 0): ((y - 1, x), (y, x)),
                    (-1, 0): ((y, x - 1), (y - 1, x - 1)),
                    (0, 1): ((y, x), (y, x - 1)),
                    (0, -1): ((y - 1, x - 1), (y - 1, x)),
                }[(np.sign(x1 - x0), np.sign(y1 - y0))]
                inside = [0 <= r < classes.shape[0] and 0 <= c < classes.shape[1] for r, c in at]
                beside = [regions[place] if there else OUTSIDE for place, there in zip(at, inside, strict=True)]
                assert beside == [arcs.left[arc], arcs.right[arc]]
    assert len(seen) == count


@settings(max_examples=60, deadline=None)
@given(rasters)
def test_arcs_end_where_three_or_four_cracks_meet(classes):
    cracks, arcs = whole(classes)
    degree = (cracks.ways >= 0).sum(1)
    np.testing.assert_array_equal(cracks.is_node, degree > 2)
    ends = np.concatenate((arcs.start, arcs.end))
    assert len(ends[ends != LOOP]) == degree[degree > 2].sum()


def test_places_beyond_two_thousand_million_pixels_keep_apart():
    classes = np.tile(np.array([[1, 2], [2, 1]], np.uint8), (1, 30_000))
    belt = Belt(Runs.of(np.tile(classes, (2, 1))), 59_999, 60_003, above=False, below=False)
    arcs = trace(belt, 0.75).arcs
    assert arcs.start.min() > 2**31
    assert len(np.unique(arcs.start)) > 100_000


# --- sets and threads


def test_sets_are_numbered_by_their_smallest_members():
    parent = np.arange(6)
    unite_all(parent, np.array([5, 3, 4]), np.array([1, 4, 5]))
    number, count = numbered(parent)
    assert (number.tolist(), count) == ([0, 1, 2, 1, 1, 1], 3)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_keep_the_order_and_pass_errors_on(threads):
    assert list(in_threads(lambda x: x * x, iter(range(20)), threads)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda x: 1 / x, iter([2, 1, 0, 3]), threads))


def test_threads_work_at_the_same_time():
    """Each waits for the other: one after the other would never end."""
    both = threading.Barrier(2)
    assert sorted(in_threads(lambda _: both.wait(60), range(4), 2)) == [0, 0, 1, 1]


def dispatchers():
    """Return every compiled function of the tracer by its name."""
    modules = [
        importlib.import_module(f"geoseg.vector.{found.name}") for found in pkgutil.iter_modules(vector.__path__)
    ]
    named = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, numba.core.dispatcher.Dispatcher)
    }
    assert len(named) > 15
    return named


def test_compiled_functions_let_other_threads_work_and_start_none():
    for name, function in dispatchers().items():
        assert function.targetoptions["nogil"], name
        assert not function.targetoptions.get("parallel"), name


def test_belts_are_traced_at_once_and_alike():
    """Two belts meet in the middle of being traced, each in a thread of its own."""
    classes = np.random.default_rng(0).integers(1, 4, (40, 30)).astype(np.uint8)
    cut = list(belts([Runs.of(classes)], 20))
    both, seen = threading.Barrier(2), set()

    def traced(belt):
        both.wait(60)
        seen.add(threading.get_ident())
        return trace(belt, 0.75)

    together = list(in_threads(traced, cut, 2))
    assert len(seen) == 2
    for one, other in zip(together, (trace(belt, 0.75) for belt in cut), strict=True):
        np.testing.assert_array_equal(one.arcs.xy, other.arcs.xy)
        np.testing.assert_array_equal(one.values, other.values)


def test_the_tracer_warms_up_without_a_word():
    warm._trace_something(square=False)
    warm.warm_up().join()


def test_without_a_folder_to_keep_it_in_code_is_compiled_all_the_same(monkeypatch):
    real = numba.njit

    def refusing(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(compiled.numba, "njit", refusing)
    assert compiled.compiled(lambda x: x + 1)(2) == 3


def test_a_disk_without_room_for_compiled_code_is_no_fault(monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert compiled.compiled(lambda x: x + 1)(2) == 3


def test_where_the_folder_belongs_to_somebody_else_code_is_kept_in_the_users(monkeypatch):
    name = compiled._folder().name
    monkeypatch.setattr(compiled.os, "access", lambda path, _mode: "__pycache__" not in str(path))
    assert compiled._folder().name == name
    assert "__pycache__" not in compiled._folder().parts


READ_ONLY = """
import json, sys
import numpy as np
from geoseg.vector import polygonize
from geoseg.vector.merging import numbered, unite_all
from geoseg.vector.runs import Runs
parent = np.arange(4)
unite_all(parent, np.array([3]), np.array([1]))
number, count = numbered(parent)
starts = Runs.of(np.array([[1, 1, 2]], np.uint8)).starts
print(json.dumps([polygonize.__file__, number.tolist(), starts.tolist()]))
"""


@pytest.mark.parametrize("kept", ["nowhere", "with the user", "nowhere, not where the user says either"])
def test_a_package_in_a_folder_that_cannot_be_written_traces_all_the_same(tmp_path, bare_environment, kept):
    """No folder can be made where a file is, whoever asks."""
    source, copy = Path(compiled.__file__).parents[1], tmp_path / "site" / "geoseg"
    shutil.copytree(source / "vector", copy / "vector", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__", "errors", "gdal_guard", "vocabulary"):
        shutil.copy(source / f"{name}.py", copy)
    (copy / "vector" / "__pycache__").write_text("a file")
    home = Path(bare_environment["HOME"])
    environment = bare_environment | {"PYTHONPATH": str(copy.parent), "XDG_CACHE_HOME": str(home / "cache")}
    if kept != "with the user":
        (home / "cache").write_text("a file")
    if kept.endswith("either"):
        environment["NUMBA_CACHE_DIR"] = str(home / "cache" / "below")
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [str(copy / "vector" / "polygonize.py"), [0, 1, 2, 1], [0, 2]]
    assert bool(list(tmp_path.rglob("*.nbc"))) == (kept == "with the user")


def test_compiled_code_is_kept_apart_for_other_sources(tmp_path, monkeypatch):
    before = compiled._folder()
    (tmp_path / "one.py").write_text("")
    monkeypatch.setattr(compiled, "_HERE", tmp_path)
    assert compiled._folder().name != before.name
    assert compiled._folder().parent == tmp_path / "__pycache__"


@pytest.mark.parametrize("height", [1, 50])
def test_regions_that_wait_for_the_end_do_not_cost_every_strip_anew(height):
    random = np.random.default_rng(0)
    held, calls = [], []
    real = sieve_module._settle

    def counted(first, *rest):
        calls.append(len(first) - 1)
        return real(first, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieve_module, "_settle", counted)
        strips = (Runs.of(random.integers(1, 4, (height, 30)).astype(np.uint8)) for _ in range(400 // height))
        held = list(sieve_module.sieve(strips, dict.fromkeys((1, 2, 3), 40)))
    assert sum(rows.height for rows in held) == 400
    assert sum(calls) < 5 * 400
