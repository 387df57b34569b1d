"""What a foreign graph is, measured: opened by OpenVINO, never before its bytes were looked through."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.foreign.onnx_proto import ExternalDataError, OnnxFile, Value, read_proto
from geoseg.model.foreign.wire import WireError
from geoseg.model.graph import MAX_BYTES
from geoseg.openvino_guard import import_openvino

if TYPE_CHECKING:
    from pathlib import Path

_STRIDES = (32, 16, 64, 8, 128)
_FLOATS = ("float32", "float16")
_BANDS_LAST = range(1, 16)
_MOST_ELEMENTS = 1 << 31  # of anything a graph computes for one small window


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """Shape of a graph's input and output."""

    bands: int
    channels: int
    tile: tuple[int, int] | None
    """Height and width it is bound to; None where they may vary."""
    stride: int
    """Sizes that are multiples of it are answered pixel by pixel."""


def read_content(path: Path) -> tuple[bytes, OnnxFile]:
    """Return the bytes of an ONNX file and what they say, its weights all inside.

    Raises:
        ModelError: it cannot be read, is damaged, too large, or keeps its weights in other files.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: is larger than the 2 GB that an ONNX file can have")
        content = path.read_bytes()
    except OSError as wrong:
        raise ModelError(f"{path}: cannot be read ({wrong.strerror})") from wrong
    try:
        return content, read_proto(content)
    except ExternalDataError as wrong:
        raise ModelError(
            f"{path}: keeps weights in another file; write one file with "
            f"onnx.save(onnx.load({path.name!r}), 'one.onnx'), or export with external_data=False"
        ) from wrong
    except WireError as wrong:
        raise ModelError(f"{path}: is damaged or not an ONNX file ({wrong})") from wrong


def facts_of(path: Path, content: bytes, proto: OnnxFile, *, bands: int | None, stride: int | None) -> GraphFacts:
    """Return the shape of a graph that segments.

    Args:
        path: of the file; begins every message.
        content: its bytes.
        proto: what they say.
        bands: how many it is told to take, where the file does not say.
        stride: what it is told to be.

    Raises:
        ModelError: the graph is of another kind, or OpenVINO cannot run it.
    """
    sides = _sides(path, proto)
    count = sides[1] or bands
    if count is None:
        raise ModelError(f"{path}: does not say how many bands it takes; name them: geoseg model import --bands ...")
    if sides[1] and bands and sides[1] != bands:
        raise ModelError(f"{path}: takes {sides[1]} bands, not the {bands} that are named")
    if stride is not None and not 1 <= stride <= 1024:
        raise ModelError(f"{path}: a stride of {stride} pixels is out of range (1–1024)")
    network = open_graph(path, content)
    if sides[2] or sides[3]:
        tile = (sides[2] or sides[3] or 0, sides[3] or sides[2] or 0)
        found = answered(network, count, tile)
        if found is None or found[1] != tile:
            raise _other_size(path, tile, found)
        return GraphFacts(count, found[0], tile, stride or math.gcd(32, *tile))
    tries = (stride,) if stride else _STRIDES
    for step in tries:
        size = 3 * step, 5 * step  # odd multiples: what only fits twice the stride fails here
        found = answered(network, count, size)
        if found is not None and found[1] == size:
            return GraphFacts(count, found[0], None, step)
    raise _other_size(path, size, found)


def _sides(path: Path, proto: OnnxFile) -> tuple[int | None, ...]:
    """Return the sides of the one input, None for what varies; refuse what is no graph from images to scores."""
    given = _one(path, "input", proto)
    for value in (given, _one(path, "output", proto)):
        if value.kind not in _FLOATS or (value.shape is not None and len(value.shape) != 4):
            raise ModelError(
                f"{path}: has {value}, expected float32 of (n, bands or classes, height, width); export it with "
                "pixels as float32, and with the scores from before an argmax"
            )
    sides = given.shape or (None, None, None, None)
    if sides[3] in _BANDS_LAST and sides[1] not in _BANDS_LAST:
        raise ModelError(
            f"{path}: has {given}, whose bands seem to come last, expected (n, bands, height, width); export "
            "it so, with tf2onnx by --inputs-as-nchw and --outputs-as-nchw"
        )
    if sides[0] not in (None, 1):
        raise ModelError(
            f"{path}: is bound to {sides[0]} images at a time; export it with one, or with a dynamic batch"
        )
    return sides


def open_graph(path: Path | str, content: bytes) -> Any:
    """Return the OpenVINO model of an ONNX file's bytes, which were looked through before.

    Raises:
        ModelError: OpenVINO is not there or does not know what the graph does.
    """
    try:
        openvino, _ = import_openvino()
    except ImportError as wrong:
        raise ModelError(
            f"{path}: ONNX graphs run on OpenVINO, which is not installed: pip install openvino"
        ) from wrong
    try:
        return openvino.Core().read_model(content)
    except Exception as wrong:
        raise ModelError(f"{path}: OpenVINO cannot read this graph ({shortly(wrong)})") from wrong


def answered(network: Any, bands: int, size: tuple[int, int]) -> tuple[int, tuple[int, int]] | None:
    """Return channels and size of the answer to one window; None where the graph cannot take that size."""
    try:
        network.reshape([1, bands, *size])
        shape = network.outputs[0].get_partial_shape()
        for operation in network.get_ops():
            for output in operation.outputs():
                computed = output.get_partial_shape()
                if computed.is_static and math.prod(computed.to_shape()) > _MOST_ELEMENTS:
                    return None
        if shape.is_dynamic or len(shape.to_shape()) != 4 or shape.to_shape()[0] != 1:
            return None
        _, channels, height, width = shape.to_shape()
    except Exception:  # noqa: BLE001 - bindings raise what they like for a damaged graph
        return None
    return channels, (height, width)


def shortly(wrong: BaseException) -> str:
    """Return the last telling line of one of OpenVINO's long messages."""
    lines = [line.strip() for line in str(wrong).splitlines() if line.strip()]
    return (lines[-1] if lines else type(wrong).__name__)[:200]


def _one(path: Path, noun: str, proto: OnnxFile) -> Value:
    found = proto.inputs if noun == "input" else proto.outputs
    if len(found) != 1:
        listed = "; ".join(map(str, found[:4])) or "none"
        raise ModelError(f"{path}: has {len(found)} {noun}s ({listed}), expected one; export the segmentation alone")
    return found[0]


def _other_size(path: Path, size: tuple[int, int], found: tuple[int, tuple[int, int]] | None) -> ModelError:
    what = "nothing that fits" if found is None else "{1[0]} x {1[1]} with {0} channels".format(*found)
    return ModelError(
        f"{path}: answers {size[0]} x {size[1]} pixels with {what}, expected a score per class for each pixel; "
        "add what enlarges the scores to the graph, or give its --stride"
    )
