"""Windows tile every scene exactly once, on one grid, and impossible requests are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import ModelError, UsageError
from geoseg.inference.windows import CORE, Sight, WindowRequest, choose_blend, plan_windows, sight_of
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import Window

STRIDES = st.sampled_from([1, 2, 4, 16, 32])
SIZES = st.integers(1, 5000)


@st.composite
def requests(draw, stride: int, radius: int) -> WindowRequest:
    """Return any request that is possible for the radius and stride."""
    blend = draw(st.sampled_from([None, "crop", "taper", *(["exact"] if radius else [])]))
    least = -(-radius // stride) if blend == "exact" else 0
    overlap = draw(st.none() | st.integers(least, least + 4).map(lambda n: 2 * stride * n))
    smallest = stride + (overlap or 0)
    if overlap is None and blend == "exact":
        smallest = stride + 2 * stride * least
    return WindowRequest(blend, draw(st.none() | st.integers(smallest, smallest + 1500)), overlap)


@st.composite
def plannings(draw):
    """Return shape, request, radius and stride that go together; no axis has thousands of windows."""
    stride = draw(STRIDES)
    radius = draw(st.sampled_from([0, 1, 8, 94]))
    shape = draw(SIZES), draw(SIZES)
    return shape, draw(requests(stride, radius)), radius, stride


@st.composite
def areas(draw, shape: tuple[int, int]) -> Window:
    row, col = (draw(st.integers(0, size - 1)) for size in shape)
    return Window(row, col, draw(st.integers(1, shape[0] - row)), draw(st.integers(1, shape[1] - col)))


def whole(shape):
    return Window(0, 0, *shape)


def times_covered(starts, core, size):
    count = np.zeros(starts[-1] + core, int)
    for start in starts:
        count[start : start + core] += 1
    return count[:size]


@given(plannings())
def test_cores_tile_the_scene_once_on_multiples_of_the_stride(planning):
    shape, wanted, radius, stride = planning
    plan = plan_windows(shape, whole(shape), wanted, Sight(radius, stride))
    for starts, core, size in zip((plan.rows, plan.cols), plan.core, shape, strict=True):
        assert (times_covered(starts, core, size) == 1).all()
        assert len(times_covered(starts, core, size)) == size, "the last core ends before the scene does"
        assert starts[-1] < size, "a window without a pixel of the scene"
        assert all(start % stride == 0 for start in starts)
        assert core % stride == 0
        assert core > 0
    assert plan.halo % stride == 0
    assert plan.window == (plan.core[0] + 2 * plan.halo, plan.core[1] + 2 * plan.halo)
    assert plan.count == len(plan.rows) * len(plan.cols)
    assert plan.row_spans == [(row - plan.halo, row + plan.core[0] + plan.halo) for row in plan.rows]
    assert plan.col_span == (-plan.halo, plan.cols[-1] + plan.core[1] + plan.halo)
    assert 0 <= plan.reach <= plan.halo
    if plan.blend != "taper":
        assert plan.reach == 0


@given(plannings())
def test_window_and_overlap_are_what_was_asked_for(planning):
    shape, wanted, radius, stride = planning
    plan = plan_windows(shape, whole(shape), wanted, Sight(radius, stride))
    if wanted.window is not None:
        assert max(plan.window) <= wanted.window
    else:
        assert max(plan.core) <= max(CORE, stride)
    if wanted.overlap is not None:
        assert 2 * plan.halo == wanted.overlap
    if wanted.blend is not None:
        assert plan.blend == wanted.blend
    if plan.blend == "exact":
        assert plan.halo >= radius > 0
        if wanted.overlap is None:
            assert plan.halo - stride < radius, "a halo larger than needed costs time"


@given(plannings())
def test_cores_are_balanced(planning):
    shape, wanted, radius, stride = planning
    plan = plan_windows(shape, whole(shape), wanted, Sight(radius, stride))
    largest = (CORE if wanted.window is None else wanted.window - 2 * plan.halo) // stride * stride
    for starts, core, size in zip((plan.rows, plan.cols), plan.core, shape, strict=True):
        parts = -(-size // largest)
        assert len(starts) == parts, "more windows than the core's size needs"
        assert core == stride or -(-size // (core - stride)) > parts, "a smaller core would do with as many windows"
        if core >= 2 * parts * stride:
            assert size - starts[-1] > core / 2, "the last core is mostly padding"


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 1100, 2049, 3000, 4097, 5000])
def test_default_cores_are_never_mostly_padding(size):
    plan = plan_windows((size, 2000), Window(0, 0, size, 2000), WindowRequest(), Sight(94, 16))
    padded = plan.rows[-1] + plan.core[0] - size
    assert padded < 16 * len(plan.rows)
    assert padded < plan.core[0] / 2 or size < 16


@pytest.mark.parametrize(("patch", "core"), [(1, 1024), (2, 2048), (4, 2048)])
def test_coarser_networks_have_larger_cores(make_model, patch, core):
    sees = sight_of(make_model(NetworkSpec(3, 2, (2, 4), patch=patch), radius=8).card)
    plan = plan_windows((8 * core, 8 * core), Window(0, 0, 8 * core, 8 * core), WindowRequest(), sees)
    assert plan.core == (core, core)


@given(st.data())
def test_an_area_uses_the_windows_of_the_whole_scene_that_meet_it(data):
    shape, wanted, radius, stride = data.draw(plannings())
    area = data.draw(areas(shape))
    full = plan_windows(shape, whole(shape), wanted, Sight(radius, stride))
    part = plan_windows(shape, area, wanted, Sight(radius, stride))
    assert (part.blend, part.core, part.halo) == (full.blend, full.core, full.halo)
    assert part.area == area
    sides = ((area.row, area.bottom), (area.col, area.right))
    for some, every, core, (first, stop) in zip(
        (part.rows, part.cols), (full.rows, full.cols), part.core, sides, strict=True
    ):
        answering = [s for s in every if s - part.reach < stop and s + core + part.reach > first]
        assert list(some) == answering, "exactly the windows that answer for a pixel of the area"


@given(st.integers(1, 400), st.integers(1, 400), STRIDES, st.integers(1, 200))
def test_the_advice_of_a_refusal_can_be_followed(window, halves, stride, radius):
    asked = WindowRequest("exact", window, 2 * stride * (halves // 20))
    try:
        blend, halo = choose_blend(asked, Sight(radius, stride))
    except UsageError as refusal:
        overlap, size = (int(n) for n in re.findall(r"at least (\d+)", str(refusal)))
        assert choose_blend(WindowRequest("exact", size, overlap), Sight(radius, stride)) == (
            "exact",
            overlap // 2,
        )
        assert asked.window < size or asked.overlap < overlap or asked.window < asked.overlap + stride
    else:
        assert blend == "exact"
        assert halo >= radius


def test_auto_is_exact_where_the_radius_is_known_and_fits_else_taper():
    for wanted, radius, expected in [
        (WindowRequest(), 94, ("exact", 96)),
        (WindowRequest(), 96, ("exact", 96)),
        (WindowRequest(), 97, ("exact", 112)),
        (WindowRequest(overlap=256), 94, ("exact", 128)),
        (WindowRequest(overlap=192, window=208), 94, ("exact", 96)),
        (WindowRequest(overlap=160), 94, ("taper", 80)),
        (WindowRequest(overlap=0), 94, ("taper", 0)),
        (WindowRequest(), 0, ("taper", 64)),
        (WindowRequest(window=207), 94, ("taper", 64)),
        (WindowRequest(window=64), 94, ("taper", 16)),
        (WindowRequest(window=16), 94, ("taper", 0)),
        (WindowRequest("crop"), 94, ("crop", 64)),
    ]:
        assert choose_blend(wanted, Sight(radius, 16)) == expected, wanted


@pytest.mark.parametrize(
    ("wanted", "radius", "error", "words"),
    [
        (WindowRequest(overlap=-32), 94, UsageError, "--overlap: -32"),
        (WindowRequest(overlap=16), 94, UsageError, "multiple of 32"),
        (WindowRequest(overlap=33), 94, UsageError, "--overlap: 33"),
        (WindowRequest("exact", overlap=160), 94, UsageError, "--overlap of at least 192"),
        (WindowRequest("exact", window=207), 94, UsageError, "--window of at least 208"),
        (WindowRequest("exact"), 0, ModelError, "receptive radius is not known"),
        (WindowRequest("exact", overlap=512), 0, ModelError, "receptive radius is not known"),
        (WindowRequest(window=15), 94, UsageError, "--window: 15"),
        (WindowRequest(window=0), 94, UsageError, "--window: 0"),
        (WindowRequest("taper", window=64, overlap=64), 94, UsageError, "--window: 64"),
        (WindowRequest("crop", window=100, overlap=96), 94, UsageError, "--window: 100"),
    ],
)
def test_impossible_requests_are_refused_in_one_sentence(wanted, radius, error, words):
    with pytest.raises(error, match=re.escape(words)) as refused:
        plan_windows((500, 500), Window(0, 0, 500, 500), wanted, Sight(radius, 16))
    assert type(refused.value) is error
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("area", [Window(5, 5, 0, 10), Window(5, 5, 10, 0)])
def test_an_empty_area_is_refused(area):
    with pytest.raises(UsageError, match="does not meet the scene"):
        plan_windows((100, 100), area, WindowRequest(), Sight(94, 16))
