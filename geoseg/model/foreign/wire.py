"""Protocol buffers as far as ONNX needs them: fields of a message, walked without copying.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Raised when bytes are no message."""


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """Yield number, value and the whole encoding of every field.

    The value is an integer of a variable-length field, else the bytes.

    Raises:
        WireError: the message ends within a field, or has a field of no known kind.
    """
    at, end = 0, len(message)
    while at < end:
        start = at
        tag, at = _varint(message, at)
        kind = tag & 7
        value: int | memoryview
        if kind == VARINT:
            value, at = _varint(message, at)
        else:
            if kind == BYTES:
                size, at = _varint(message, at)
            elif kind in (FIXED64, FIXED32):
                size = 8 if kind == FIXED64 else 4
            else:
                raise WireError(f"a field of kind {kind}")
            if size > end - at:
                raise WireError(f"it ends {size - (end - at)} bytes early")
            value, at = message[at : at + size], at + size
        if tag >> 3 == 0:
            raise WireError("a field without a number")
        yield tag >> 3, value, message[start:at]


def field(number: int, value: int | bytes | memoryview) -> bytes:
    """Return the encoding of one field: of variable length for an integer, else with its length in front."""
    if isinstance(value, int):
        return _encoded(number << 3 | VARINT) + _encoded(value)
    return _encoded(number << 3 | BYTES) + _encoded(len(value)) + bytes(value)


def numbers(value: int | memoryview) -> list[int]:
    """Return the integers of a repeated field, one alone or packed."""
    if isinstance(value, int):
        return [signed(value)]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(signed(number))
    return found


def signed(value: int) -> int:
    """Return an int64 of its variable-length encoding."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise WireError("it ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise WireError("a number that does not end")


def _encoded(value: int) -> bytes:
    coded = bytearray()
    while value > 127:
        coded.append(value & 127 | 128)
        value >>= 7
    coded.append(value)
    return bytes(coded)
