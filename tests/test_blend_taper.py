"""Windows whose answers are averaged towards their rims, and the eight ways of looking at each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.blend import ScoreRows, decided_rows, scored_rows
from geoseg.inference.decide import decide
from geoseg.inference.eightfold import EightfoldNetwork
from geoseg.inference.windows import Sight, WindowRequest, plan_windows
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import DEFAULT_LEGEND, Window
from tests.blending import ROUNDING, VALUES, joined, noise, one_pass, planned, read, scored

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
