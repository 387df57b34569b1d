"""What an ONNX file says about itself, read from its bytes alone: no library is trusted with it before this is known.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from geoseg.model.foreign import wire
from geoseg.model.foreign.onnx_arity import check_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FLOAT = 1
KINDS = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
}
_METADATA = 14
_EXTERNAL = 1
_DEEPEST = 32
_MOST_ELEMENTS = 1 << 31


class ExternalDataError(wire.WireError):
    """Raised when weights lie in another file."""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of a graph."""

    name: str
    kind: str
    """Type of its elements, such as ``float32``."""
    shape: tuple[int | None, ...] | None
    """None for what varies; None altogether where the file does not say."""

    def __str__(self) -> str:
        sides = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.kind} ({sides})"


@dataclass(slots=True)
class OnnxFile:
    """An ONNX file."""

    inputs: list[Value] = field(default_factory=list)
    """Without those that have a value in the file."""
    outputs: list[Value] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    last: str = ""
    """Operation that makes the first output."""
    tensors: dict[str, memoryview] = field(default_factory=dict)
    """Encoded initializers by name."""

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the float32 initializers by name; raises WireError."""
        found = ((name, _array(message)) for name, message in self.tensors.items())
        return {name: tensor for name, tensor in found if tensor is not None}


def read_proto(content: bytes) -> OnnxFile:
    """Return what an ONNX file says.

    Raises:
        WireError: it is no ONNX file, or damaged.
        ExternalDataError: its weights lie in another file.
    """
    found = OnnxFile()
    graphs = 0
    for number, value, _ in wire.fields(memoryview(content)):
        if number == 7:
            graphs += 1
            _read_graph(_message(value), found)
        elif number == _METADATA:
            key, text = _pair(_message(value))
            found.metadata[key] = text
        elif number == 25:  # a function: operations under a name
            _check_nodes(_message(value), 7, _DEEPEST)
    if graphs != 1:
        raise wire.WireError(f"{graphs} graphs are in it")
    return found


def without_metadata(content: bytes, key: str) -> bytes:
    """Return a file's bytes without the metadata of one name: what it was before these were added at its end."""
    kept = [
        encoded
        for number, value, encoded in wire.fields(memoryview(content))
        if number != _METADATA or _pair(_message(value))[0] != key
    ]
    return b"".join(kept)


def with_metadata(content: bytes, key: str, text: str) -> bytes:
    """Return a file's bytes with one more entry of metadata at the end."""
    entry = wire.field(1, key.encode()) + wire.field(2, text.encode())
    return without_metadata(content, key) + wire.field(_METADATA, entry)


def _read_graph(graph: memoryview, found: OnnxFile) -> None:
    makers: dict[str, str] = {}
    inputs = []
    for number, value, _ in wire.fields(graph):
        if number == 1:
            operation, outputs = _node(_message(value), _DEEPEST)
            makers |= dict.fromkeys(outputs, operation)
        elif number == 5:
            tensor = _message(value)
            found.tensors[_check_tensor(tensor)] = tensor
        elif number == 11:
            inputs.append(_value(_message(value)))
        elif number == 12:
            found.outputs.append(_value(_message(value)))
        elif number == 15:
            _check_sparse(_message(value))
    found.inputs = [value for value in inputs if value.name not in found.tensors]
    if found.outputs:
        found.last = makers.get(found.outputs[0].name, "")


def _check_nodes(message: memoryview, which: int, depth: int) -> None:
    """Look into all operations of a graph or function."""
    if depth == 0:
        raise wire.WireError(f"graphs within graphs, over {_DEEPEST} deep")
    for number, value, _ in wire.fields(message):
        if number == which:
            _node(_message(value), depth)
        elif which == 1 and number == 5:
            _check_tensor(_message(value))
        elif which == 1 and number == 15:
            _check_sparse(_message(value))


def _node(node: memoryview, depth: int) -> tuple[str, list[str]]:
    """Return an operation's name and outputs; looks into its inputs and attributes."""
    operation, domain, inputs, outputs = "", "", list[str](), list[str]()
    for number, value, _ in wire.fields(node):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operation = _text(value)
        elif number == 5:
            _check_attribute(_message(value), depth)
        elif number == 7:
            domain = _text(value)
    check_inputs(operation, domain, inputs)
    return operation, outputs


def _check_attribute(attribute: memoryview, depth: int) -> None:
    for number, content, _ in wire.fields(attribute):
        if number in (5, 10):
            _check_tensor(_message(content))
        elif number in (6, 11):
            _check_nodes(_message(content), 1, depth - 1)
        elif number in (22, 23):
            _check_sparse(_message(content))


def _check_sparse(tensor: memoryview) -> None:
    for number, value, _ in wire.fields(tensor):
        if number in (1, 2):
            _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> str:
    """Return a tensor's name.

    Raises:
        ExternalDataError: its values lie in another file.
        WireError: it has more values than its bytes can hold.
    """
    name, dims, size = "", list[int](), 0
    for number, value, _ in wire.fields(tensor):
        if number == 1:
            dims += wire.numbers(value)
        elif number == 8:
            name = _text(value)
        elif number == 13 or (number == 14 and value == _EXTERNAL):
            raise ExternalDataError("external data")
        elif number in (4, 5, 6, 7, 9, 10, 11):
            size += len(value) if isinstance(value, memoryview) else 1
    elements = math.prod(dims)
    if any(side < 0 for side in dims) or elements > min(_MOST_ELEMENTS, 8 * size):
        raise wire.WireError(f"tensor {name!r} claims {dims} values and holds {size} bytes")
    return name


def _array(tensor: memoryview) -> NDArray[np.float32] | None:
    """Return the values of a float32 tensor, None of others."""
    dims: list[int] = []
    kind, parts = 0, []
    for number, value, _ in wire.fields(tensor):
        if number == 1:
            dims += wire.numbers(value)
        elif number == 2:
            kind = value if isinstance(value, int) else 0
        elif number in (4, 9):
            parts.append(bytes(_message(value)))
    content = b"".join(parts)
    if kind != FLOAT or len(content) != 4 * math.prod(dims):
        return None
    return np.frombuffer(content, "<f4").astype(np.float32).reshape(dims)


def _value(info: memoryview) -> Value:
    name, kind, shape = "", "nothing", None
    for number, value, _ in wire.fields(info):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for form, described, _ in wire.fields(_message(value)):
                if form != 1:  # a sequence, a map, ...
                    kind = "no tensor"
                    continue
                for part, content, _ in wire.fields(_message(described)):
                    if part == 1 and isinstance(content, int):
                        kind = KINDS.get(content, f"type {content}")
                    elif part == 2:
                        shape = tuple(_sides(_message(content)))
    return Value(name, kind, shape)


def _sides(shape: memoryview) -> Iterator[int | None]:
    for number, value, _ in wire.fields(shape):
        if number == 1:
            side = None
            for part, content, _ in wire.fields(_message(value)):
                if part == 1 and isinstance(content, int) and wire.signed(content) > 0:
                    side = content
            yield side


def _pair(entry: memoryview) -> tuple[str, str]:
    found = {number: _text(value) for number, value, _ in wire.fields(entry) if number in (1, 2)}
    return found.get(1, ""), found.get(2, "")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise wire.WireError("a number where a message belongs")
    return value


def _text(value: int | memoryview) -> str:
    try:
        return bytes(_message(value)).decode()
    except UnicodeDecodeError:
        raise wire.WireError("a text that is not UTF-8") from None
