"""One map out of many windows, held against one forward pass over the whole scene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geoseg.inference import decide as decide_module
from geoseg.inference.blend import ScoreRows, class_values, decided_rows, scored_rows
from geoseg.inference.decide import decide, network_window, onto_grid
from geoseg.inference.eightfold import EightfoldNetwork
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import Sight, WindowRequest, plan_windows
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.vocabulary import DEFAULT_LEGEND, SceneRows, Window

FP32 = RunsOn("cpu", "fp32", 1)
VALUES = class_values(DEFAULT_LEGEND)

ROUNDING = 2e-5
"""Single precision differs from double precision by less than this, in torch as in OpenVINO."""


def noise(shape, seed=0):
    """Return blobs rather than white noise, so that a network decides on more than one class."""
    random = np.random.default_rng(seed)
    _, height, width = shape
    coarse = random.integers(0, 256, (shape[0], -(-height // 7), -(-width // 7)))
    fine = random.integers(-20, 21, shape)
    return np.clip(coarse.repeat(7, 1).repeat(7, 2)[:, :height, :width] + fine, 0, 255).astype(np.uint8)


def reflection(start, stop, size):
    """Return the pixel that each position shows, by numpy's own pad."""
    before, after = max(0, -start), max(0, stop - size)
    shown = np.pad(np.arange(size), (before, after), mode="reflect")
    return shown[start + before : stop + before]


def read(pixels, valid, plan):
    """Yield what a reader yields, out of an array: the oracle of ``scene``."""
    cols = reflection(*plan.col_span, valid.shape[1])
    inside_cols = (np.arange(*plan.col_span) >= 0) & (np.arange(*plan.col_span) < valid.shape[1])
    for start, stop in plan.row_spans:
        rows = reflection(start, stop, valid.shape[0])
        inside_rows = (np.arange(start, stop) >= 0) & (np.arange(start, stop) < valid.shape[0])
        known = valid[np.ix_(rows, cols)] & inside_rows[:, None] & inside_cols
        yield SceneRows(start, pixels[:, rows[:, None], cols], known)


def one_pass(model, pixels, halo):
    """Return the probabilities of one forward pass over the reflected scene, in double precision."""
    spec = model.card.network
    _, height, width = pixels.shape
    frame = [(halo, halo + -(size + 2 * halo) % spec.stride) for size in (height, width)]
    padded = np.pad(pixels, [(0, 0), *frame], mode="reflect").astype(np.float64)
    net = UNet(spec)
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    mean, std = (np.array(v)[:, None, None] for v in (model.card.mean, model.card.std))
    with torch.inference_mode():
        scores = net.double().eval()(torch.from_numpy((padded - mean) / std)[None]).softmax(1)[0].numpy()
    return scores[:, halo : halo + height, halo : halo + width]


def planned(model, shape, area=None, **wanted):
    card = model.card
    area = area or Window(0, 0, *shape)
    return plan_windows(shape, area, WindowRequest(**wanted), Sight(card.receptive_radius, card.network.stride))


def built(model, plan):
    return build_network(model, WindowShape(*plan.window, plan.halo - plan.reach), FP32)


def joined(strips, area):
    """Put strips together and check that they follow each other and cover the area's rows."""
    row, parts = area.row, []
    for strip in strips:
        first, *_ = fields = [
            getattr(strip, name) for name in ("classes", "confidence", "scores", "valid") if hasattr(strip, name)
        ]
        assert strip.row == row
        assert all(field.shape[-2:] == first.shape[-2:] for field in fields)
        assert first.shape[-2] > 0, "an empty strip"
        assert first.shape[-1] == area.width
        row += first.shape[-2]
        parts.append(fields)
    assert row == area.bottom
    return [np.concatenate(fields, axis=-2) for fields in zip(*parts, strict=True)]


def scored(model, pixels, plan, valid=None):
    valid = np.ones(pixels.shape[1:], bool) if valid is None else valid
    return joined(scored_rows(read(pixels, valid, plan), plan, built(model, plan), 5), plan.area)


def decided(model, pixels, plan, valid=None):
    valid = np.ones(pixels.shape[1:], bool) if valid is None else valid
    return joined(decided_rows(read(pixels, valid, plan), plan, built(model, plan), DEFAULT_LEGEND), plan.area)


def assert_decides(classes, confidence, oracle):
    """Classes and percents are those of the oracle's probabilities, but for a tie or a rounding edge."""
    ranked = np.sort(oracle, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-4
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(classes[clear], VALUES[oracle.argmax(0)][clear])
    assert np.abs(confidence - oracle.max(0) * 100).max() <= 0.5 + 1e-2


SCENES = [
    ((1, 1), None),
    ((2, 3), None),
    ((1, 40), 208),
    ((20, 30), 208),
    ((20, 30), 256),
    ((97, 33), 224),
    ((160, 111), 256),
    ((160, 111), 320),
    ((160, 111), None),
    ((129, 208), 273),
]


@pytest.mark.parametrize(("shape", "window"), SCENES)
def test_exact_is_one_pass_over_the_whole_scene(tiny_model, shape, window):
    pixels = noise((3, *shape), seed=shape[0])
    plan = planned(tiny_model, shape, blend="exact", window=window)
    oracle = one_pass(tiny_model, pixels, plan.halo)
    scores, valid = scored(tiny_model, pixels, plan)
    assert valid.all()
    np.testing.assert_allclose(scores, oracle, rtol=0, atol=ROUNDING)
    assert_decides(*decided(tiny_model, pixels, plan), oracle)


def test_the_oracle_can_tell_windows_from_one_pass(tiny_model):
    """A halo below the radius must show, or the tests above prove nothing."""
    pixels = noise((3, 200, 90))
    oracle = one_pass(tiny_model, pixels, 96)
    assert len(np.unique(oracle.argmax(0))) >= 3
    exact, _ = scored(tiny_model, pixels, planned(tiny_model, (200, 90), blend="crop", window=240, overlap=192))
    short, _ = scored(tiny_model, pixels, planned(tiny_model, (200, 90), blend="crop", window=80, overlap=32))
    assert np.abs(exact - oracle).max() < ROUNDING
    assert np.abs(short - oracle).max() > 1e-2


@pytest.mark.parametrize("blend", ["exact", "crop", "taper"])
@pytest.mark.parametrize(
    "area", [Window(37, 50, 61, 1), Window(0, 0, 150, 120), Window(149, 119, 1, 1), Window(3, 20, 80, 95)]
)
def test_an_area_is_the_crop_of_the_whole(tiny_model, blend, area):
    shape = 150, 120
    pixels = noise((3, *shape), seed=4)
    valid = np.ones(shape, bool)
    valid[60:70, :25] = False
    wanted = (
        {"blend": blend, "window": 240, "overlap": 192}
        if blend == "exact"
        else {"blend": blend, "window": 96, "overlap": 64}
    )
    full, part = planned(tiny_model, shape, **wanted), planned(tiny_model, shape, area, **wanted)
    here = area.slices()
    for cut, every in zip(
        scored(tiny_model, pixels, part, valid), scored(tiny_model, pixels, full, valid), strict=True
    ):
        np.testing.assert_array_equal(
            cut[valid[here]] if cut.ndim == 2 else cut[:, valid[here]],
            every[here][valid[here]] if every.ndim == 2 else every[:, *here][:, valid[here]],
        )
    if blend != "taper":
        for cut, every in zip(
            decided(tiny_model, pixels, part, valid), decided(tiny_model, pixels, full, valid), strict=True
        ):
            np.testing.assert_array_equal(cut, every[here])


def test_nodata_inside_does_not_change_what_lies_around_it_but_is_left_out(tiny_model):
    shape = 150, 120
    pixels = noise((3, *shape), seed=5)
    valid = np.random.default_rng(0).random(shape) > 0.2
    valid[:64, :64] = False  # some windows of 48 pixels' core have nothing to answer for
    plan = planned(tiny_model, shape, blend="exact", window=240)
    oracle = one_pass(tiny_model, pixels, plan.halo)
    classes, confidence = decided(tiny_model, pixels, plan, valid)
    assert (classes[~valid] == 0).all()
    assert (confidence[~valid] == 255).all()
    assert (classes[valid] != 0).all()
    assert np.abs(confidence - oracle.max(0) * 100)[valid].max() <= 0.5 + 1e-2
    scores, known = scored(tiny_model, pixels, plan, valid)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_allclose(scores[:, valid], oracle[:, valid], rtol=0, atol=ROUNDING)


def test_tell_counts_every_window_once(tiny_model):
    pixels = noise((3, 100, 90))
    valid = np.zeros((100, 90), bool)
    for blend, rows in (("crop", decided_rows), ("taper", scored_rows)):
        plan = planned(tiny_model, (100, 90), blend=blend, window=64, overlap=32)
        told = []
        legend = DEFAULT_LEGEND if blend == "crop" else 5
        list(rows(read(pixels, valid, plan), plan, built(tiny_model, plan), legend, told.append))
        assert sum(told) == plan.count > 4


# ---- taper

SMALL = NetworkSpec(3, 5, (4, 8))  # stride 2, radius 8


@pytest.fixture(scope="module")
def short_sighted(make_model):
    return make_model(SMALL, radius=8)


@pytest.mark.parametrize("shape", [(1, 1), (70, 45), (33, 64)])
def test_a_rim_beyond_the_radius_makes_taper_exact(short_sighted, shape):
    """Half of the halo is dropped; where that is the radius, nothing spoilt by padding is averaged in."""
    pixels = noise((3, *shape), seed=1)
    plan = planned(short_sighted, shape, blend="taper", window=48, overlap=32)
    assert (plan.halo, plan.reach) == (16, 8)
    scores, _ = scored(short_sighted, pixels, plan)
    np.testing.assert_allclose(scores, one_pass(short_sighted, pixels, 16), rtol=0, atol=ROUNDING)


def test_a_rim_within_the_radius_shows(short_sighted):
    pixels = noise((3, 70, 45), seed=1)
    plan = planned(short_sighted, (70, 45), blend="taper", window=16, overlap=8)
    scores, _ = scored(short_sighted, pixels, plan)
    assert np.abs(scores - one_pass(short_sighted, pixels, 16)).max() > 1e-3
    np.testing.assert_allclose(scores.sum(0), 1, atol=1e-5)


@dataclass
class Pointwise:
    """A network whose answer to a pixel depends on that pixel, and is garbage within ``rim`` of an edge."""

    window: tuple[int, int]
    halo: int
    rim: int
    calls: int = 0
    device: str = "cpu"
    precision: str = "fp32"

    @staticmethod
    def truth(pixels):
        table = np.random.default_rng(3).dirichlet(np.ones(5), 256).astype(np.float32)
        return table[pixels[0]].transpose(2, 0, 1)

    def scores(self, pixels):
        assert pixels.shape[1:] == self.window
        self.calls += 1
        answer = self.truth(pixels)
        spoilt = np.ones(self.window, bool)
        spoilt[self.rim : self.window[0] - self.rim, self.rim : self.window[1] - self.rim] = False
        answer[:, spoilt] = 1e6
        cut = slice(self.halo, -self.halo or None)
        return answer[:, cut, cut]

    def decide(self, pixels):
        scores = self.scores(pixels)
        return scores.argmax(0).astype(np.uint8), np.rint(scores.max(0) * 100).astype(np.uint8)


@st.composite
def scenes(draw):
    """Return shape, area, request and stride of a small scene in many windows, and where it is valid."""
    shape = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    row, col = (draw(st.integers(0, size - 1)) for size in shape)
    area = Window(row, col, draw(st.integers(1, shape[0] - row)), draw(st.integers(1, shape[1] - col)))
    stride = draw(st.sampled_from([1, 2, 4]))
    overlap = 2 * stride * draw(st.integers(0, 6))
    window = overlap + stride * draw(st.integers(1, 10))
    holes = draw(st.sampled_from([0.0, 0.3, 1.0]))
    valid = np.random.default_rng(draw(st.integers(0, 9))).random(shape) >= holes
    if draw(st.booleans()):
        valid[: shape[0] // 2, : shape[1] // 2] = False
    return (
        shape,
        area,
        WindowRequest(draw(st.sampled_from(["taper", "crop"])), window, overlap),
        stride,
        valid,
    )


@settings(max_examples=150)
@given(scenes())
def test_what_depends_on_the_pixel_alone_comes_back_unchanged(drawn):
    shape, area, wanted, stride, valid = drawn
    pixels = np.random.default_rng(1).integers(0, 256, (1, *shape)).astype(np.uint8)
    plan = plan_windows(shape, area, wanted, Sight(0, stride))
    network = Pointwise(plan.window, plan.halo - plan.reach, rim=plan.halo - plan.reach)
    truth = Pointwise.truth(pixels)[:, *area.slices()]
    here = valid[area.slices()]

    scores, known = joined(scored_rows(read(pixels, valid, plan), plan, network, 5), area)
    np.testing.assert_array_equal(known, here)
    np.testing.assert_allclose(scores[:, here], truth[:, here], atol=2e-6)

    outcomes = [
        decide([ScoreRows(area.row, truth, here)], DEFAULT_LEGEND),
        decide([ScoreRows(area.row, scores, known)], DEFAULT_LEGEND),
    ]
    if plan.blend == "crop":
        outcomes.append(decided_rows(read(pixels, valid, plan), plan, network, DEFAULT_LEGEND))
    for outcome in outcomes:
        classes, confidence = joined(outcome, area)
        np.testing.assert_array_equal(classes, np.where(here, VALUES[truth.argmax(0)], 0))
        assert (confidence[~here] == 255).all()
        assert np.abs(confidence[here] - truth.max(0)[here] * 100).max(initial=0) <= 0.5 + 1e-3


def test_the_rim_is_dropped_before_averaging():
    """Garbage one pixel wider than the dropped rim spoils the map: so the rim is what is dropped."""
    shape = 50, 40
    pixels = np.random.default_rng(1).integers(0, 256, (1, *shape)).astype(np.uint8)
    plan = plan_windows(shape, Window(0, 0, *shape), WindowRequest("taper", 32, 16), Sight(0, 4))
    assert 0 < plan.reach < plan.halo
    rim = plan.halo - plan.reach
    for wider, spoilt in ((0, False), (1, True)):
        network = Pointwise(plan.window, rim, rim=rim + wider)
        scores, _ = joined(scored_rows(read(pixels, np.ones(shape, bool), plan), plan, network, 5), plan.area)
        assert (np.abs(scores - Pointwise.truth(pixels)).max() > 1) == spoilt


def test_windows_without_a_valid_pixel_are_not_asked():
    shape = 64, 64
    pixels, valid = np.zeros((1, *shape), np.uint8), np.zeros(shape, bool)
    valid[60, 60] = True
    for blend in ("crop", "taper"):
        plan = plan_windows(shape, Window(0, 0, *shape), WindowRequest(blend, 16, 8), Sight(0, 4))
        network = Pointwise(plan.window, plan.halo - plan.reach, rim=0)
        joined(scored_rows(read(pixels, valid, plan), plan, network, 5), plan.area)
        assert 0 < network.calls < plan.count / 10


class Leaning(Pointwise):
    """Adds the share of width and of height, weighed differently, to the first class: laying evens both out."""

    def scores(self, pixels):
        scores = super().scores(pixels)
        scores[0] += np.linspace(0, 1, scores.shape[2], dtype=np.float32)
        scores[0] += 3 * np.linspace(0, 1, scores.shape[1], dtype=np.float32)[:, None]
        return scores


def test_all_eight_ways_are_undone_before_they_are_averaged():
    pixels = np.random.default_rng(1).integers(0, 256, (1, 12, 16)).astype(np.uint8)
    truth = Pointwise.truth(pixels)[:, 2:-2, 2:-2]

    def eightfold(kind):
        return EightfoldNetwork(kind((12, 16), 2, 0), kind((16, 12), 2, 0))

    network = eightfold(Pointwise)
    np.testing.assert_allclose(network.scores(pixels), truth, atol=1e-6)
    assert (network._upright.calls, network._turned.calls) == (4, 4)
    classes, percent = eightfold(Pointwise).decide(pixels)
    np.testing.assert_array_equal(classes, truth.argmax(0))
    np.testing.assert_array_equal(percent, np.rint(truth.max(0) * 100))
    leaning = eightfold(Leaning).scores(pixels) - truth
    np.testing.assert_allclose(leaning[0], 2, atol=1e-5)
    np.testing.assert_allclose(leaning[1:], 0, atol=1e-6)


# ---- onto another grid


def smooth_scores(shape, classes=5, seed=0):
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.normal(0, 3, (1, classes, 2 + shape[0] // 6, 2 + shape[1] // 6)))
    grown = torch.nn.functional.interpolate(coarse, shape, mode="bicubic")
    return grown.softmax(1)[0].numpy().astype(np.float32)


def strips(scores, valid, heights, row=0):
    """Cut scores into strips of the heights, the last one taking what is left."""
    top = 0
    for height in heights:
        if top + height < scores.shape[1]:
            yield ScoreRows(row + top, scores[:, top : top + height], valid[top : top + height])
            top += height
    yield ScoreRows(row + top, scores[:, top:], valid[top:])


def onto(scores, target, *, valid=None, heights=(), wanted=None, seen=None, grid=None):
    grid = grid or scores.shape[1:]
    seen = seen or Window(0, 0, *grid)
    wanted = wanted or Window(0, 0, *target)
    valid = np.ones(scores.shape[1:], bool) if valid is None else valid
    ended = []

    def rows():
        yield from strips(scores, valid, heights, seen.row)
        ended.append(True)

    result = joined(onto_grid(rows(), grid, target, seen, wanted), wanted)
    assert ended, "the reader must come to its end, where it looks whether the scene has changed"
    return result


def test_the_same_grid_changes_nothing():
    scores = smooth_scores((31, 20))
    valid = np.random.default_rng(0).random((31, 20)) > 0.3
    same, known = onto(scores, (31, 20), valid=valid, heights=(7, 7))
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(same[:, valid], scores[:, valid])


@pytest.mark.parametrize("target", [(62, 40), (15, 10), (45, 29), (93, 61), (31, 40), (1, 1)])
def test_interpolation_is_that_of_the_whole_image(target):
    scores = smooth_scores((31, 20))
    moved, valid = onto(scores, target, heights=(3, 9, 1))
    oracle = torch.nn.functional.interpolate(
        torch.from_numpy(scores)[None], target, mode="bilinear", align_corners=False, antialias=True
    )[0].numpy()
    assert valid.all()
    np.testing.assert_allclose(moved, oracle, atol=1e-5)
    ((classes, confidence),) = [joined(decide([ScoreRows(0, moved, valid)], DEFAULT_LEGEND), Window(0, 0, *target))]
    assert_decides(classes, confidence, oracle)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.data(),
)
def test_the_map_does_not_depend_on_how_rows_come(grid, target, data):
    scores = smooth_scores(grid)
    valid = np.random.default_rng(2).random(grid) > 0.2
    heights = data.draw(st.lists(st.integers(1, 12), max_size=6))
    at_once = data.draw(st.sampled_from([1, 17, 200, 10**6]))
    whole, known = onto(scores, target, valid=valid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide_module, "_PIXELS_AT_ONCE", at_once)
        cut, also_known = onto(scores, target, valid=valid, heights=heights)
    np.testing.assert_array_equal(known, also_known)
    np.testing.assert_array_equal(whole[:, known], cut[:, known])


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.data(),
)
def test_a_part_of_another_grid_is_the_crop_of_the_whole(grid, target, data):
    scores = smooth_scores(grid)
    valid = np.random.default_rng(2).random(grid) > 0.2
    row, col = (data.draw(st.integers(0, size - 1)) for size in target)
    wanted = Window(row, col, data.draw(st.integers(1, target[0] - row)), data.draw(st.integers(1, target[1] - col)))
    seen = network_window(grid, target, wanted)
    assert seen.intersection(Window(0, 0, *grid)) == seen
    here = seen.slices()
    part, part_known = onto(
        scores[:, *here], target, valid=valid[here], wanted=wanted, seen=seen, grid=grid, heights=(5, 2)
    )
    whole, known = onto(scores, target, valid=valid)
    np.testing.assert_array_equal(part_known, known[wanted.slices()])
    np.testing.assert_array_equal(part[:, part_known], whole[:, *wanted.slices()][:, part_known])


@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), st.tuples(st.integers(1, 60), st.integers(1, 60)))
@example((2, 22), (57, 51))  # where an invalid pixel has a weight of a ten-thousandth
def test_constant_scores_stay_constant_and_nodata_contributes_nothing(grid, target):
    scores = np.broadcast_to(np.float32([0.1, 0.2, 0.3, 0.25, 0.15])[:, None, None], (5, *grid)).copy()
    valid = np.random.default_rng(2).random(grid) > 0.3
    scores[:, ~valid] = 1e9
    moved, known = onto(scores, target, valid=valid)
    expected = np.broadcast_to(np.float32([0.1, 0.2, 0.3, 0.25, 0.15])[:, None], (5, int(known.sum())))
    np.testing.assert_allclose(moved[:, known], expected, atol=1e-5)


def test_decide_takes_the_first_class_on_a_tie_and_rounds_percents():
    scores = np.zeros((5, 1, 4), np.float32)
    scores[:, 0, 0] = [0.4, 0.4, 0.2, 0, 0]
    scores[:, 0, 1] = [0, 0, 0.004, 0, 0.996]
    scores[:, 0, 2] = [0, 1.0000001, 0, 0, 0]
    scores[:, 0, 3] = [0, 1, 0, 0, 0]
    (rows,) = decide([ScoreRows(7, scores, np.array([[True, True, True, False]]))], DEFAULT_LEGEND)
    assert rows.row == 7
    assert rows.classes.tolist() == [[1, 5, 2, 0]]
    assert rows.confidence.tolist() == [[40, 100, 100, 255]]
    assert rows.classes.dtype == rows.confidence.dtype == np.uint8


def test_classes_are_the_legends_values_and_not_positions(tiny_model):
    """A legend whose values are not 1 to n still comes out by its values."""
    entries = tuple(replace(entry, value=10 * entry.value) for entry in DEFAULT_LEGEND)
    legend = type(DEFAULT_LEGEND)(entries)
    pixels = noise((3, 60, 40))
    plan = planned(tiny_model, (60, 40), blend="crop", window=96, overlap=32)
    rows = list(read(pixels, np.ones((60, 40), bool), plan))
    tens, _ = joined(decided_rows(rows, plan, built(tiny_model, plan), legend), plan.area)
    ones, _ = joined(decided_rows(rows, plan, built(tiny_model, plan), DEFAULT_LEGEND), plan.area)
    np.testing.assert_array_equal(tens, 10 * ones)
    assert len(np.unique(ones)) > 1
