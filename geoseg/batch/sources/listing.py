"""Read a list of inputs: lines, or entries that end with NUL, where names may hold anything."""

from __future__ import annotations

import codecs
import sys
from pathlib import Path

from geoseg.errors import InputError

_STANDARD_INPUT = "-"


def read_list(place: str, *, nul: bool = False) -> list[str]:
    """Return the entries of a list as they stand there.

    Lines may end with CR LF; blank ones are skipped, but nothing is a comment, because a file may be called so.
    A text is UTF-8, or UTF-16 where it begins with a byte order mark, as PowerShell writes it.

    Args:
        place: a file, or ``-`` for standard input.
        nul: entries end with NUL, as ``find -print0`` writes them.

    Raises:
        InputError: the list cannot be read, or is no text of the kind asked for.
    """
    shown = "standard input" if place == _STANDARD_INPUT else place
    try:
        raw = sys.stdin.buffer.read() if place == _STANDARD_INPUT else Path(place).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: cannot be read ({reason}), expected a list of inputs; check the path") from None
    text = _text(shown, raw)
    if nul:
        if text and "\0" not in text:
            raise InputError(f"{shown}: has no NUL, expected one behind each entry; leave -0 out if it has lines")
        return [entry for entry in text.split("\0") if entry]
    if "\0" in text:
        raise InputError(f"{shown}: holds NUL, expected lines of text; add -0 if each entry ends with NUL")
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def _text(shown: str, raw: bytes) -> str:
    """Decode a list; bytes that are no UTF-8 become what Python calls files with such names."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise InputError(f"{shown}: is damaged UTF-16, expected a list of inputs; save it as UTF-8") from None
    return raw.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
