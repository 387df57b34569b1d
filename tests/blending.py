"""Scenes scored by windows and by one pass, for tests."""

from __future__ import annotations

import numpy as np
import torch

from geoseg.inference.blend import ScoreRows, class_values, scored_rows
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import Sight, WindowRequest, plan_windows
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


def assert_decides(classes, confidence, oracle):
    """Classes and percents are those of the oracle's probabilities, but for a tie or a rounding edge."""
    ranked = np.sort(oracle, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-4
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(classes[clear], VALUES[oracle.argmax(0)][clear])
    assert np.abs(confidence - oracle.max(0) * 100).max() <= 0.5 + 1e-2


def strips(scores, valid, heights, row=0):
    """Cut scores into strips of the heights, the last one taking what is left."""
    top = 0
    for height in heights:
        if top + height < scores.shape[1]:
            yield ScoreRows(row + top, scores[:, top : top + height], valid[top : top + height])
            top += height
    yield ScoreRows(row + top, scores[:, top:], valid[top:])
