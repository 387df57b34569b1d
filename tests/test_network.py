"""Both builds of a network answer as a full forward pass does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.inference import on_openvino, on_torch
from geoseg.inference.margins import decoder_margins
from geoseg.inference.network import WindowShape
from geoseg.inference.on_openvino import OpenVINONetwork
from geoseg.inference.on_torch import TorchNetwork
from geoseg.model.file import folded
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from tests.networks import FP32, ROUNDING, full_forward, named, pixels_for

SPECS = [
    (NetworkSpec(3, 2, (6,)), (0, 255)),
    (NetworkSpec(1, 2, (4, 6), 1), (0, 255)),
    (NetworkSpec(3, 5, (4, 8, 8)), (0, 255)),
    (NetworkSpec(4, 3, (3, 5, 7, 9), 1), (0.0, 1.0)),
    (NetworkSpec(1, 4, (4, 4, 6, 6, 4), 3), (-1.0, 1.0)),
    (NetworkSpec(4, 6, (4, 4, 6, 6, 8, 8)), (0, 10_000)),
    (NetworkSpec(3, 5, (4, 8, 8), kind="fcn"), (0, 255)),
    (NetworkSpec(2, 3, (4, 6, 6, 4), 1, kind="fcn"), (0.0, 1.0)),
    (NetworkSpec(3, 5, (6, 8, 8), patch=2), (0, 255)),
    (NetworkSpec(4, 3, (5, 7), 1, patch=4), (0.0, 1.0)),
    (NetworkSpec(2, 3, (4, 6, 6, 4), kind="fcn", patch=2), (0, 10_000)),
]
NAMES = [named(spec) for spec, _ in SPECS]


@pytest.mark.parametrize(("spec", "value_range"), SPECS, ids=NAMES)
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_both_builds_are_a_full_forward_pass_cut_to_the_core(make_model, spec, value_range, steps):
    model = make_model(spec, value_range=value_range, radius=0)
    stride = spec.stride
    halo = steps * max(stride, 4) if stride < 32 else min(steps, 3) * stride
    shape = WindowShape(2 * halo + 2 * stride, 2 * halo + 3 * stride, halo)
    pixels = pixels_for(model, shape.height, shape.width)
    assert model.card.takes_uint8 == (pixels.dtype == np.uint8)
    oracle = full_forward(model, pixels, halo)
    # What single precision itself costs depends on depth and processor: a plain forward pass shows it.
    single = np.abs(full_forward(model, pixels, halo, torch.float32) - oracle).max()
    on_cpu, on_graph = TorchNetwork(model, shape, FP32), OpenVINONetwork(model, shape, FP32)
    for network in (on_cpu, on_graph):
        scores = network.scores(pixels).copy()
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, oracle, rtol=0, atol=max(ROUNDING, 2 * single))
        classes, percent = (answer.copy() for answer in network.decide(pixels))
        assert classes.dtype == percent.dtype == np.uint8
        assert classes.shape == percent.shape == oracle.shape[1:]
        clear = np.diff(np.sort(oracle, axis=0)[-2:], axis=0)[0] > 1e-4
        np.testing.assert_array_equal(classes[clear], oracle.argmax(0)[clear])
        assert clear.mean() > 0.98
        assert np.abs(percent - 100 * oracle.max(0)).max() <= 0.5 + 1e-2
    assert len(np.unique(oracle.argmax(0))) > 1, "a network of one answer proves nothing"


def test_answers_are_not_overwritten_by_the_next_window(tiny_model):
    """What ``decide`` returns may be a view; whoever keeps it must be able to rely on its documentation."""
    shape = WindowShape(64, 64, 0)
    network = OpenVINONetwork(tiny_model, shape, FP32)
    first, second = (pixels_for(tiny_model, 64, 64, seed) for seed in (0, 1))
    kept = [answer.copy() for answer in network.decide(first)]
    network.decide(second)
    for again, before in zip(network.decide(first), kept, strict=True):
        np.testing.assert_array_equal(again, before)


def test_margins_leave_something_out_and_never_too_much(make_model, monkeypatch):
    spec = NetworkSpec(3, 4, (4, 6, 6, 8))
    model = make_model(spec, radius=0)
    halo = 48
    shape = WindowShape(2 * halo + 16, 2 * halo + 16, halo)
    margins = decoder_margins(spec, halo)
    assert all(kept < halo >> level for level, kept in enumerate(margins)), "nothing would be left out"
    pixels = pixels_for(model, shape.height, shape.width)
    oracle = full_forward(model, pixels, halo)
    for level in range(spec.levels):
        less = [kept - 2 * (at == level) for at, kept in enumerate(margins)]
        if min(less) < 0:
            continue
        for module, build in ((on_openvino, OpenVINONetwork), (on_torch, TorchNetwork)):
            monkeypatch.setattr(module, "decoder_margins", lambda *_, less=less: less)
            try:
                difference = np.abs(build(model, shape, FP32).scores(pixels) - oracle).max()
            except RuntimeError:  # sizes that do not fit together fail loudly, which is as good
                continue
            assert difference > 1e-4, f"level {level} keeps two pixels more than its convolutions reach"


@pytest.mark.parametrize("convolutions", [1, 2, 3])
@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_margins_never_exceed_the_halo_and_fit_together(levels, convolutions):
    spec = NetworkSpec(1, 2, (1,) * levels, convolutions)
    for halo in range(0, 12 * spec.stride, spec.stride):
        margins = decoder_margins(spec, halo)
        assert len(margins) == levels
        for level, kept in enumerate(margins):
            assert 0 <= kept <= halo >> level
            if level + 1 < levels:
                assert 2 * margins[level + 1] >= kept, "a level cannot keep more than the coarser one gives it"


def test_folding_is_batch_normalization(make_model):
    spec = NetworkSpec(3, 4, (4, 6, 8))
    model = make_model(spec, radius=0)
    tensors = folded(spec, model.weights)
    net = UNet(spec).double().eval()
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    assert not [name for name in tensors if ".norm." in name]
    blocks = [name.removesuffix(".conv.weight") for name in tensors if name.endswith(".conv.weight")]
    assert len(blocks) == 2 * (spec.levels + spec.levels - 1)
    for prefix in blocks:
        module = net.get_submodule(prefix)
        weight, bias = (torch.from_numpy(tensors[f"{prefix}.conv.{part}"]).double() for part in ("weight", "bias"))
        x = torch.randn(2, weight.shape[1], 9, 8, dtype=torch.double, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = module(x)
            result = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_the_weights_of_a_model_are_left_alone(tiny_model):
    before = {name: tensor.copy() for name, tensor in tiny_model.weights.items()}
    shape = WindowShape(64, 64, 16)
    for build in (TorchNetwork, OpenVINONetwork):
        build(tiny_model, shape, FP32).scores(pixels_for(tiny_model, 64, 64))
    for name, tensor in tiny_model.weights.items():
        np.testing.assert_array_equal(tensor, before[name])


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_temperature_divides_the_scores_on_both_builds(tiny_model, temperature):
    """Classes stay; probabilities are those of the softmax of scores divided by it."""
    from dataclasses import replace

    warm = replace(tiny_model, card=replace(tiny_model.card, temperature=temperature))
    pixels = pixels_for(tiny_model, 64, 64)
    shape = WindowShape(64, 64, 0)
    plain = OpenVINONetwork(tiny_model, shape, FP32).scores(pixels).astype(np.float64)
    expected = plain ** (1 / temperature)
    expected /= expected.sum(0)
    for build in (OpenVINONetwork, TorchNetwork):
        np.testing.assert_allclose(build(warm, shape, FP32).scores(pixels), expected, atol=1e-4)
        np.testing.assert_array_equal(build(warm, shape, FP32).decide(pixels)[0], plain.argmax(0))
