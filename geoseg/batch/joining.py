"""The last step of a map: its parts put together, and its layers written."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoseg.batch import manifest
from geoseg.batch.lock import alone_with
from geoseg.batch.perform import failed
from geoseg.batch.task import Outcome
from geoseg.errors import GeosegError
from geoseg.pipeline.parts import Finished, join_parts
from geoseg.pipeline.request import SegmentReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.batch.mosaic import MapPlan
    from geoseg.batch.task import Task


def join(plan: MapPlan, parts: Mapping[str, Outcome]) -> tuple[dict[str, Any], Outcome | None]:
    """Make a map of its finished parts, unless it is there already.

    Args:
        plan: the map.
        parts: what came of its parts, by name.

    Returns:
        What a report says of the map, and a failure where it could not be made.
    """
    said: dict[str, Any] = {
        "out": str(plan.out),
        "outputs": [str(path) for path in plan.outputs],
        "tiles": len(plan.tiles),
        "grids": len(plan.scenes),
        "parts": len(plan.tasks),
        "status": "left",
        "layers": [],
        "warnings": _warnings(plan.tasks, parts),
    }
    unfinished = [task for task in plan.tasks if not _is_there(task, parts)]
    if unfinished:
        sentence = f"{plan.out}: {len(unfinished)} of {len(plan.tasks)} parts are not done, so it was not made"
        return said, Outcome(str(plan.out), str(plan.out), "failed", f"{sentence}; give the same command again")
    task = plan.joining
    try:
        with alone_with(task.lock):
            if not manifest.why_not_done(task) and all(parts[part.name].status == "kept" for part in plan.tasks):
                told = (manifest.read(task.manifest) or {}).get("report", {})
                return said | {"status": "kept", "layers": told.get("layers", [])}, None
            manifest.check_free(task)
            manifest.begin(task)
            report = join_parts(_finished(plan), _made(parts[plan.tasks[0].name]))
            manifest.finish(task, {"layers": report.layers, "pixels": report.pixels, "tiles": len(plan.tiles)})
    except GeosegError as error:
        return said, failed(task, str(error))
    except Exception as error:  # noqa: BLE001 - the parts are kept, and the report is written
        sentence = f"{plan.out}: internal error, please report it with its log: {type(error).__name__}: {error}"
        return said, failed(task, sentence, trace=traceback.format_exc())
    said["warnings"] += [text for text in report.warnings if text not in said["warnings"]]
    return said | {"status": "done", "layers": report.layers, "seconds": report.seconds}, None


def _is_there(task: Task, parts: Mapping[str, Outcome]) -> bool:
    """Return whether a part is done, and still the one that was asked for."""
    told = manifest.read(task.manifest) or {}
    return parts[task.name].status in ("done", "kept") and told.get("key") == task.key


def _finished(plan: MapPlan) -> list[Finished]:
    """Return the scenes of a map with the files of their parts; what lies at the target may be replaced."""
    found = []
    for scene, tasks in zip(plan.scenes, plan.parts, strict=True):
        request = replace(scene, output=replace(scene.output, overwrite=True))
        found.append(Finished(request, tuple(path for task in tasks for path in task.outputs)))
    return found


def _made(part: Outcome) -> SegmentReport:
    """Return what a part says of the machine it was made on."""
    return SegmentReport(
        "", "", 0, device=str(part.report.get("device", "")), precision=str(part.report.get("precision", ""))
    )


def _warnings(tasks: list[Task], parts: Mapping[str, Outcome]) -> list[str]:
    """Return the warnings of all parts, each once."""
    found = (text for task in tasks for text in parts[task.name].report.get("warnings", ()))
    return list(dict.fromkeys(found))
