"""One network, built twice: torch and OpenVINO agree, and neither does anything it was not asked for."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError, UsageError
from geoseg.inference import on_openvino, on_torch
from geoseg.inference.margins import decoder_margins
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.on_openvino import OpenVINONetwork
from geoseg.inference.on_torch import TorchNetwork
from geoseg.inference.runtime import build_network
from geoseg.learn.radius import measure_radius
from geoseg.model.file import folded
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet

FP32 = RunsOn("cpu", "fp32", 1)

ROUNDING = 2e-5
"""Probabilities in single precision differ from double precision by less than this."""

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


def named(spec):
    shape = f"{spec.levels} levels, {spec.convolutions} convolutions, {spec.bands} bands"
    return f"{spec.kind}, {shape}, patch {spec.patch}"


NAMES = [named(spec) for spec, _ in SPECS]


def pixels_for(model, height, width, seed=0):
    low, high = model.card.value_range
    values = np.random.default_rng(seed).uniform(low, high, (model.card.network.bands, height, width))
    return np.rint(values).astype(np.uint8) if model.card.takes_uint8 else values.astype(np.float32)


def full_forward(model, pixels, halo, kind=torch.float64):
    """Return the probabilities of a plain forward pass over a window, its core cut out at the very end."""
    net = UNet(model.card.network)
    net.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in model.weights.items()}, strict=False)
    mean, std = (np.array(v)[:, None, None] for v in (model.card.mean, model.card.std))
    with torch.inference_mode():
        scores = net.to(kind).eval()(torch.from_numpy((pixels - mean) / std)[None].to(kind)).softmax(1)[0].numpy()
    cut = slice(halo, -halo or None)
    return scores[:, cut, cut]


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


# ---- devices and precisions


def test_fp32_is_honoured_even_where_bf16_is_faster(tiny_model):
    shape = WindowShape(96, 96, 16)
    pixels = pixels_for(tiny_model, 96, 96)
    network = build_network(tiny_model, shape, FP32)
    assert (network.device, network.precision) == ("cpu", "fp32")
    assert np.abs(network.scores(pixels) - full_forward(tiny_model, pixels, 16)).max() < ROUNDING


def test_the_precision_that_is_told_is_the_one_that_ran(tiny_model):
    shape = WindowShape(96, 96, 16)
    pixels = pixels_for(tiny_model, 96, 96)
    oracle = full_forward(tiny_model, pixels, 16)
    network = build_network(tiny_model, shape, RunsOn("cpu", None, 1))
    assert network.precision in ("fp32", "bf16")
    difference = np.abs(network.scores(pixels) - oracle).max()
    assert difference < (ROUNDING if network.precision == "fp32" else 0.2)


def test_bf16_runs_or_is_refused(tiny_model):
    shape = WindowShape(96, 96, 16)
    pixels = pixels_for(tiny_model, 96, 96)
    native = "BF16" in on_openvino.ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if not native:
        with pytest.raises(UsageError, match="--precision bf16"):
            build_network(tiny_model, shape, RunsOn("cpu", "bf16", 1))
        return
    network = build_network(tiny_model, shape, RunsOn("cpu", "bf16", 1))
    assert network.precision == "bf16"
    difference = np.abs(network.scores(pixels) - full_forward(tiny_model, pixels, 16))
    assert difference.max() > ROUNDING, "this was not half precision"
    assert difference.mean() < 0.01


def test_int8_needs_ranges(tiny_model):
    with pytest.raises(ModelError, match=r"--precision int8.*fp32"):
        build_network(tiny_model, WindowShape(64, 64, 16), RunsOn("cpu", "int8"))


@pytest.mark.parametrize(
    "device",
    [
        "tpu",
        "",
        "CPU",
        "gpu",
        "cudax",
        "cuda:x",
        "cuda:-1",
        "cuda:99",
        "cpu:0",
        pytest.param("cuda:999"),
    ],
)
def test_unknown_devices_are_usage_errors(tiny_model, device):
    with pytest.raises(UsageError, match="--device") as refused:
        build_network(tiny_model, WindowShape(64, 64, 16), RunsOn(device))
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_is_not_there_is_a_usage_error(tiny_model):
    with pytest.raises(UsageError, match=r"--device cuda.*use auto or cpu"):
        build_network(tiny_model, WindowShape(64, 64, 16), RunsOn("cuda"))
    assert build_network(tiny_model, WindowShape(64, 64, 16), RunsOn("auto")).device in ("cpu", "mps")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has Metal")
def test_metal_that_is_not_there_is_a_usage_error(tiny_model):
    with pytest.raises(UsageError, match="--device mps"):
        build_network(tiny_model, WindowShape(64, 64, 16), RunsOn("mps"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_agrees_with_the_processor(tiny_model):
    shape = WindowShape(96, 112, 16)
    pixels = pixels_for(tiny_model, 96, 112)
    network = build_network(tiny_model, shape, RunsOn("cuda", "fp32"))
    assert (network.device, network.precision) == ("cuda", "fp32")
    np.testing.assert_allclose(network.scores(pixels), full_forward(tiny_model, pixels, 16), rtol=0, atol=5e-3)


# ---- what happens on import: child processes with an empty home and no network

PRELUDE = """
import json, os, pathlib, sys
touched = []
def guard(event, arguments):
    if event.startswith(("socket.", "http.", "urllib.")):
        touched.append(event)
        raise OSError("no network in this test")
sys.addaudithook(guard)
def report(**more):
    home = pathlib.Path.home()
    print(json.dumps({"touched": touched, "home": [str(p) for p in home.rglob("*")], **more}))
"""

BUILD = """
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.model.file import load_model
import numpy as np
model = load_model(sys.argv[1])
network = build_network(model, WindowShape(64, 64, 16), RunsOn("cpu", "fp32", 1))
pixels = (np.arange(3 * 64 * 64) * 7 % 256).astype(np.uint8).reshape(3, 64, 64)
scores = network.scores(pixels)
"""


def child(code, environment, *arguments):
    """Run code in a guarded child and return what it reports."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_guard_notices(bare_environment):
    """A child that does both things is caught at both, or the next test proves nothing."""
    found = child(
        """
        import socket
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except OSError:
            pass
        (pathlib.Path.home() / "intel").mkdir()
        report()
        """,
        bare_environment,
    )
    assert found["touched"]
    assert len(found["home"]) == 1


def test_openvino_comes_without_converter_torch_network_or_traces(bare_environment, tiny_model_path):
    found = child(
        BUILD
        + """
import threading, time
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(2)
loaded = [name for name in sys.modules if sys.modules[name] is not None]
heavy = [name for name in ("torch", "openvino.tools.ovc", "geopandas", "rasterio") if name in loaded]
report(kind=type(network).__name__, heavy=heavy, telemetry=[n for n in loaded if "telemetry" in n.lower()])
""",
        bare_environment,
        tiny_model_path,
    )
    assert found == {"touched": [], "home": [], "kind": "OpenVINONetwork", "heavy": [], "telemetry": []}


def test_a_converter_that_is_already_loaded_stays(bare_environment):
    found = child(
        """
        import types
        mine = sys.modules["openvino.tools.ovc"] = types.ModuleType("openvino.tools.ovc")
        import geoseg.inference.on_openvino
        report(same=sys.modules["openvino.tools.ovc"] is mine)
        """,
        bare_environment,
    )
    assert found["same"]


def test_torch_stands_in_where_openvino_cannot_be_imported(bare_environment, tiny_model_path, tiny_model):
    found = child(
        "sys.modules['openvino'] = None\n"
        + BUILD
        + """
kind, device, precision = type(network).__name__, network.device, network.precision
report(kind=kind, device=device, precision=precision, scores=scores.tolist())
""",
        bare_environment,
        tiny_model_path,
    )
    assert (found["kind"], found["device"], found["precision"]) == ("TorchNetwork", "cpu", "fp32")
    assert found["touched"] == found["home"] == []
    pixels = (np.arange(3 * 64 * 64) * 7 % 256).astype(np.uint8).reshape(3, 64, 64)
    here = OpenVINONetwork(tiny_model, WindowShape(64, 64, 16), FP32).scores(pixels)
    np.testing.assert_allclose(np.array(found["scores"]), here, rtol=0, atol=ROUNDING)


# ---- the receptive radius

NARROW = [
    NetworkSpec(1, 2, (1,), 1),
    NetworkSpec(1, 2, (1,), 3),
    NetworkSpec(1, 2, (1, 1), 1),
    NetworkSpec(1, 2, (1, 1), 2),
    NetworkSpec(1, 2, (1, 1), 3),
    NetworkSpec(1, 2, (1, 1, 1), 1),
    NetworkSpec(1, 2, (1, 1, 1), 2),
    NetworkSpec(1, 2, (1, 1, 1), 2, kind="fcn"),
    NetworkSpec(1, 2, (1,), 1, patch=2),
    NetworkSpec(1, 2, (1, 1), 2, patch=2),
    NetworkSpec(1, 2, (1, 1), 1, patch=4),
]


def test_the_default_network_looks_94_pixels_far():
    assert measure_radius(NetworkSpec(3, 5)) == 94


def positive(spec):
    net = UNet(spec).double().eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.fill_(1 / 9 if name.endswith("conv.weight") else 1)
    return net


@pytest.mark.parametrize("spec", NARROW, ids=named)
def test_the_radius_by_brute_force(spec):
    """Change lines of pixels ever farther from a block: the last distance that matters is the radius."""
    stride, radius = spec.stride, measure_radius(spec)
    reach = (radius // stride + 3) * stride
    side = 2 * (reach + 2 * stride) + stride
    start = reach + 2 * stride
    block = slice(start, start + stride)
    net, flat = positive(spec), torch.zeros(1, 1, side, side, dtype=torch.double)
    with torch.inference_mode():
        still = net(flat)[0, :, block, block]
        farthest = 0
        for distance in range(1, reach + 1):
            for axis, line in (
                (2, start - distance),
                (2, start + stride - 1 + distance),
                (3, start - distance),
                (3, start + stride - 1 + distance),
            ):
                moved = flat.clone()
                moved.select(axis, line).fill_(1e6)
                if not torch.equal(net(moved)[0, :, block, block], still):
                    farthest = max(farthest, distance)
    assert farthest == radius


@pytest.mark.parametrize(
    "spec", [NetworkSpec(2, 3, (4, 6), 2), NetworkSpec(3, 4, (4, 5, 6), 1), NetworkSpec(3, 2, (4, 6), patch=2)]
)
def test_nothing_beyond_the_radius_matters_whatever_the_weights(spec):
    stride, radius = spec.stride, measure_radius(spec)
    halo = -(-radius // stride) * stride
    side = 2 * halo + 6 * stride
    torch.manual_seed(3)
    net = UNet(spec).double().eval()
    one, other = (torch.randn(1, spec.bands, side, side, dtype=torch.double) for _ in range(2))
    start, stop = halo + 2 * stride, halo + 4 * stride  # a block of two strides, aligned to them
    near = slice(start - radius, stop + radius)
    for kept, same in ((near, True), (slice(near.start + 1, near.stop - 1), False)):
        mixed = other.clone()
        mixed[:, :, kept, kept] = one[:, :, kept, kept]
        with torch.inference_mode():
            difference = (net(mixed) - net(one))[:, :, start:stop, start:stop].abs().max()
        assert bool(difference <= 1e-12) is same


def test_a_network_without_skips_has_fewer_weights_and_an_unknown_kind_is_refused():
    from geoseg.errors import ModelError

    with_skips, without = (NetworkSpec(3, 5, (4, 8, 16), kind=kind) for kind in ("unet", "fcn"))
    assert set(with_skips.tensor_shapes()) == set(without.tensor_shapes())
    assert without.tensor_shapes()["merge.0.0.conv.weight"] == (4, 4, 3, 3)
    assert with_skips.tensor_shapes()["merge.0.0.conv.weight"] == (4, 8, 3, 3)
    with pytest.raises(ModelError, match="builds: unet, fcn"):
        NetworkSpec(3, 5, kind="segnet")


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
