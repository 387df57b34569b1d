"""Weights of our own architecture from a plain checkpoint: shapes tell the network, wrappers' prefixes go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.network import NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOOKKEEPING = "num_batches_tracked"
_FIRST = "down.0.0.conv.weight"


def without_prefixes(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict without torch's own counts, and without what wrappers put before the names of our network.

    Wrappers are those of parallel training, Lightning and compilation. What lies beside the network, such as a loss
    with weights, is left out; two networks are left as they are.
    """
    found = {name: tensor for name, tensor in state.items() if not name.endswith(_BOOKKEEPING)}
    prefixes = [name.removesuffix(_FIRST) for name in found if name == _FIRST or name.endswith(f".{_FIRST}")]
    if len(prefixes) != 1 or not prefixes[0]:
        return found
    return {name.removeprefix(prefixes[0]): tensor for name, tensor in found.items() if name.startswith(prefixes[0])}


def is_ours(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Return whether tensors have the names of our network."""
    return _FIRST in shapes and "head.weight" in shapes


def spec_of(shapes: Mapping[str, tuple[int, ...]], bands: int, classes: int) -> NetworkSpec:
    """Return the network that tensors of such shapes belong to.

    Args:
        shapes: by the names of our tensors.
        bands: how many it is told to take.
        classes: how many it is told to answer.

    Raises:
        ModelError: the shapes are those of no network of ours with these bands and classes.
    """
    firsts = [f"down.{level}.0.conv.weight" for level in range(9)]
    widths = tuple(shapes[name][0] for name in firsts if name in shapes)
    convolutions = sum(f"down.0.{i}.conv.weight" in shapes for i in range(9))
    joined = shapes.get("merge.0.0.conv.weight", (0, 2 * widths[0]))[1]
    kind = "unet" if joined == 2 * widths[0] else "fcn"
    entering, leaving = shapes["down.0.0.conv.weight"][1], shapes["head.weight"][0]
    patch = next((p for p in (1, 2, 4) if (bands * p * p, classes * p * p) == (entering, leaving)), None)
    if patch is None:
        raise ModelError(
            f"the network takes {entering} bands and answers {leaving} classes, not the {bands} and {classes} that are "
            "named; give --bands and --classes"
        )
    spec = NetworkSpec(bands, classes, widths, convolutions, kind, patch)
    expected = spec.tensor_shapes()
    wrong = [name for name in expected if shapes.get(name) != expected[name]] or sorted(set(shapes) - set(expected))
    if wrong:
        there, wanted = (found.get(wrong[0], "missing") for found in (shapes, expected))
        raise ModelError(f"tensor {wrong[0]} is {there}, expected {wanted} for widths {widths}")
    return spec
