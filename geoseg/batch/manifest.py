"""Manifests: a small JSON file beside a result that says what it was made from. It is written last.

A task is done where its manifest has its key, and its files are there with the sizes that the manifest tells.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.batch.task import Task

SCHEMA = 1


def why_not_done(task: Task) -> str:
    """Return why a task has to be done, in a few words; '' where it is done."""
    told = read(task.manifest)
    if told is None:
        return "new"
    if told.get("state") != "done":
        return "failed before" if told.get("state") == "failed" else "was interrupted"
    if told.get("key") != task.key:
        return _difference(told, task)
    sizes = told.get("outputs")
    if not isinstance(sizes, dict) or set(sizes) != {path.name for path in task.outputs}:
        return "other outputs are wanted"
    for path in task.outputs:
        if _size(path) != sizes[path.name]:
            return f"{path.name} is missing" if _size(path) is None else f"{path.name} has changed"
    return ""


def check_free(task: Task) -> None:
    """Refuse where a file lies that no batch has made, unless it may be replaced.

    Raises:
        OutputError: which.
    """
    if task.request.output.overwrite or task.rows is not None or read(task.manifest) is not None:
        return
    for path in task.outputs:
        if os.path.lexists(path):
            raise OutputError(f"{path}: exists and was not made by a batch; add --overwrite to replace it")


def begin(task: Task) -> None:
    """Say that a task is being done: what lies there afterwards is ours."""
    _write(task.manifest, {"schema": SCHEMA, "state": "begun", "key": task.key, "source": task.source})


def give_up(task: Task) -> None:
    """Say that a task failed, if it was begun; what was there before it stays, and is ours."""
    if read(task.manifest) is not None:
        _write(task.manifest, {"schema": SCHEMA, "state": "failed", "key": task.key, "source": task.source})


def finish(task: Task, report: dict[str, Any]) -> None:
    """Say that a task is done.

    Args:
        task: whose outputs are all in place.
        report: what to say of the run, JSON values.
    """
    said = {
        "schema": SCHEMA,
        "state": "done",
        "key": task.key,
        "source": task.source,
        "version": geoseg.__version__,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "outputs": {path.name: _size(path) for path in task.outputs},
        "report": report,
    }
    _write(task.manifest, said)


def read(path: Path) -> dict[str, Any] | None:
    """Return what a manifest says; None where there is none that can be read."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("schema") == SCHEMA else None


def _write(path: Path, said: dict[str, Any]) -> None:
    """Replace a manifest at once.

    The results that it speaks of are on the disk already. Should it be lost itself, the task is done again.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(said, ensure_ascii=False), "utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _difference(told: dict[str, Any], task: Task) -> str:
    if told.get("version") != geoseg.__version__:
        return f"was made by geoseg {told.get('version')}"
    if told.get("source") != task.source:
        return "is of another source"
    return "input, model or options have changed"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
