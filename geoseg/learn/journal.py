"""Files of a run that others read while it writes: records a line each, and pages that appear whole."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from geoseg.layers.faults import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Append a record as a line of JSON; what a killed run left of a line gets one of its own.

    Raises:
        OutputError: it cannot be written.
    """
    with writing(path), path.open("a+b") as lines:
        if lines.tell():
            lines.seek(-1, 2)
            if lines.read(1) != b"\n":
                lines.write(b"\n")
        lines.write(json.dumps(record, allow_nan=False).encode() + b"\n")


def read_records(path: Path, key: str) -> list[dict[str, Any]]:
    """Return the records of a file in order of a number in them; of those with the same, the last.

    A run that goes on after a stop takes steps again that it had noted. Lines that are no records are left out.
    """
    records: dict[int, dict[str, Any]] = {}
    if not path.is_file():
        return []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get(key), int):
            records[record[key]] = record
    return [record for _, record in sorted(records.items())]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers find the old content or the new one; raises OutputError."""
    with replaced(path) as half:
        half.write_bytes(content)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Lend a name beside a file that becomes the file where the block ends well, and goes away where it does not.

    Raises:
        OutputError: the file cannot be written; an older one is as it was.
    """
    half = path.with_name(f".{path.name}.tmp")
    try:
        with writing(path):
            yield half
            half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
