"""Devices and precisions are those that were asked for, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError, UsageError
from geoseg.inference import on_openvino
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from tests.networks import FP32, ROUNDING, full_forward, pixels_for


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
