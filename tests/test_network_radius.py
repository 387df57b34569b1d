"""How far networks look."""

from __future__ import annotations

import pytest
import torch

from geoseg.errors import ModelError
from geoseg.learn.radius import measure_radius
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from tests.networks import named

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

    with_skips, without = (NetworkSpec(3, 5, (4, 8, 16), kind=kind) for kind in ("unet", "fcn"))
    assert set(with_skips.tensor_shapes()) == set(without.tensor_shapes())
    assert without.tensor_shapes()["merge.0.0.conv.weight"] == (4, 4, 3, 3)
    assert with_skips.tensor_shapes()["merge.0.0.conv.weight"] == (4, 8, 3, 3)
    with pytest.raises(ModelError, match="builds: unet, fcn"):
        NetworkSpec(3, 5, kind="segnet")
