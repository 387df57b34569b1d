"""Manifests: a small JSON file beside a result that says what it was made from. It is written last.

A task is done where its manifest has its key, and its files are there with the sizes that the manifest tells.
Files that a manifest names were made by a batch, as long as they have the sizes that it tells; all others are not ours.
Where a manifest says nothing any more that can be understood, what lies beside it counts as made by a batch.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.batch.identity import changed
from geoseg.errors import OutputError
from geoseg.layers.temporary import is_alive, remove_stale, temporary_beside

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.batch.task import Task

SCHEMA = 1

_NOT_DONE = {"begun": "was interrupted", "failed": "failed before", "outside": "was outside the area asked for"}


def why_not_done(task: Task) -> str:
    """Return why a task has to be done, in a few words; '' where it is done, or known to be outside the area."""
    told = read(task.manifest)
    if told is None:
        return "new"
    state, same = told.get("state"), told.get("key") == task.key
    if state == "outside" and same:
        return ""
    if state != "done":
        return _NOT_DONE.get(str(state), "its manifest cannot be read")
    if same and task.part is not None and _report(told).get("unreadable"):
        return "a tile could not be read"  # it may be whole by now
    return _output_amiss(told, task) if same else _difference(told, task)


def _report(told: dict[str, Any]) -> dict[str, Any]:
    report = told.get("report")
    return report if isinstance(report, dict) else {}


def _output_amiss(told: dict[str, Any], task: Task) -> str:
    """Return which output is not as its manifest says; '' where all are."""
    sizes = told.get("outputs")
    if not isinstance(sizes, dict) or set(sizes) != {path.name for path in task.outputs}:
        return "other outputs are wanted"
    for path in task.outputs:
        if _size(path) != sizes[path.name]:
            return f"{path.name} is missing" if _size(path) is None else f"{path.name} has changed"
    return ""


def check_free(task: Task) -> None:
    """Refuse where a file lies that no batch has made, or that was changed since, unless it may be replaced.

    Raises:
        OutputError: which.
    """
    if task.request.output.overwrite or task.rows is not None:
        return
    told = read(task.manifest)
    if told is not None and not isinstance(told.get("outputs"), dict):
        return
    told = told or {}
    making, sizes = told.get("making"), _sizes(told)
    for path in task.outputs:
        if not os.path.lexists(path) or (isinstance(making, list) and path.name in making):
            continue
        if path.name not in sizes:
            raise OutputError(f"{path}: exists and was not made by a batch; add --overwrite to replace it")
        if _size(path) != sizes[path.name]:
            raise OutputError(f"{path}: has changed since it was made; add --overwrite to make it anew")


def begin(task: Task) -> None:
    """Say that a task is being done: what lies there afterwards is ours.

    Raises:
        OutputError: that cannot be written.
    """
    clear_away(task)
    making = [path.name for path in task.outputs]
    _write(task, "begun", host=platform.node(), process=os.getpid(), making=making, outputs=_sizes(read(task.manifest)))


def give_up(task: Task) -> None:
    """Say that a task failed, if it was begun; what was there before it stays, and is ours; raises OutputError."""
    clear_away(task)
    told = read(task.manifest)
    if told is not None:
        _write(task, "failed", making=told.get("making", []), outputs=_sizes(told))


def leave_out(task: Task, sentence: str) -> None:
    """Say that a task is outside the area asked for, and why; raises OutputError."""
    _write(task, "outside", why=sentence, outputs=_sizes(read(task.manifest)))


def killed(task: Task) -> bool:
    """Return whether the process that did the task last died of it, or at least over it, on this host."""
    told = read(task.manifest) or {}
    process = told.get("process")
    is_from_here = told.get("state") == "begun" and told.get("host") == platform.node()
    return is_from_here and isinstance(process, int) and not is_alive(process)


def clear_away(task: Task) -> None:
    """Remove temporary files of a process of this host that died while it did the task."""
    if killed(task):
        for path in (*task.outputs, task.manifest, task.log):
            remove_stale(path, 0)


def finish(task: Task, report: dict[str, Any]) -> None:
    """Say that a task is done.

    Args:
        task: whose outputs are all in place.
        report: what to say of the run, JSON values.
    """
    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = {path.name: _size(path) for path in task.outputs}
    earlier = {name: size for name, size in _sizes(read(task.manifest)).items() if name not in made}
    _write(task, "done", finished=finished, outputs=made, earlier=earlier, report=report)


def read(path: Path) -> dict[str, Any] | None:
    """Return what a manifest says; None where there is none, {} where it says nothing that we understand."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) and told.get("schema") == SCHEMA else {}


def _sizes(told: dict[str, Any] | None) -> dict[str, Any]:
    """Return names and sizes of all files that a manifest calls ours: of its run, and of earlier ones."""
    parts = [told.get(name) for name in ("earlier", "outputs")] if told else []
    return {name: size for part in parts if isinstance(part, dict) for name, size in part.items()}


def replace_text(path: Path, text: str) -> None:
    """Write a text under a name at once, never through a link.

    Manifests need not reach the disk before the power fails: results are there already, and are made again where
    nothing speaks of them.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = temporary_beside(path)
    try:
        temporary.write_text(text, "utf-8", errors="surrogateescape", newline="")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(task: Task, state: str, **more: Any) -> None:
    said = {"schema": SCHEMA, "state": state, "key": task.key, "source": task.source, "version": geoseg.__version__}
    replace_text(task.manifest, json.dumps(said | more, ensure_ascii=False))


def _difference(told: dict[str, Any], task: Task) -> str:
    if told.get("version") != geoseg.__version__:
        return f"was made by geoseg {told.get('version')}"
    if told.get("source") != task.source:
        return "is of another source"
    return changed(str(told.get("key")), task.key)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
