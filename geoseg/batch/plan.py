"""What a batch would do, and what it refuses before it does anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.batch import manifest
from geoseg.batch.mosaic import looked_at, maps_of
from geoseg.batch.scenes import scene_tasks
from geoseg.errors import OutputError, UsageError
from geoseg.inference.windows import choose_blend, sight_of
from geoseg.layers.vector import driver_of
from geoseg.model.file import load_card
from geoseg.pipeline.outputs import check_wishes as check_files
from geoseg.scene.open import check_file

if TYPE_CHECKING:
    from geoseg.batch.request import BatchRequest
    from geoseg.batch.task import Task
    from geoseg.model.card import ModelCard


def check_wishes(request: BatchRequest, card: ModelCard) -> None:
    """Refuse what could be done with no scene at all, before every scene fails of it.

    Raises:
        UsageError: an unknown class, layer or ending, a flag about files that are not written, an overlap that the
            network cannot have.
        InputError: the file of the area is missing.
        ModelError: the model cannot do what was asked for.
    """
    output, vectors = request.wanted.beside(Path("scene")), request.how.vectors
    if request.wanted.layers is not None:
        driver = driver_of(request.mosaic or f"scene{request.wanted.layers}")
        if request.wanted.rfc7946 and driver != "GeoJSON":
            raise UsageError(f"--rfc7946 is about GeoJSON; {driver} keeps the scene's CRS; add --to geojson")
    check_files(output, vectors, card.legend)
    if request.how.reading.aoi is not None:
        check_file(request.how.reading.aoi)
    choose_blend(request.how.windows, sight_of(card))


def planned(request: BatchRequest) -> list[tuple[str, str]]:
    """Return what a run would do: each scene or part with the reason, '' where it is done already.

    Raises:
        UsageError, ModelError, InputError: as for :func:`geoseg.batch.run.batch`.
    """
    card = load_card(request.how.model)
    check_wishes(request, card)
    if request.mosaic is None:
        return [(task.source, _why(task)) for task in scene_tasks(request, card)]
    tiles, lost = looked_at(request.inputs, request, card, lambda _number: None)
    found = [(outcome.source, f"cannot be read: {outcome.why}") for outcome in lost]
    plans, outside = maps_of(tiles, request, card)
    found += [(outcome.source, "") for outcome in outside]
    tasks = [task for plan in plans for task in plan.tasks]
    found += [(task.source, _why(task)) for i, task in enumerate(tasks) if request.where.is_mine(i)]
    if request.where.shard is None:
        found += [(plan.joining.source, _why(plan.joining)) for plan in plans]
    return found


def _why(task: Task) -> str:
    """Return why a task would be done, or why it would be refused."""
    why = manifest.why_not_done(task)
    try:
        if why:
            manifest.check_free(task)
    except OutputError as error:
        return f"cannot be done: {error}"
    return why
