"""Tiles joined into one map: looked at, laid on the grids they have in common, cut into parts, and joined again.

Tiles that continue one another's pixels are one scene, whatever files they lie in. Tiles of another grid in the same
CRS go to the same layers; where grids share ground, the one named first counts. Each CRS has a file of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geoseg.batch.identity import combined, key_of, mark_of
from geoseg.batch.task import Outcome, Task
from geoseg.errors import GeosegError, OutputError, OutsideAreaError, UsageError
from geoseg.pipeline.parts import parts_of
from geoseg.scene.georeference import short_name
from geoseg.scene.mosaic import look_at, mosaics
from geoseg.scene.read_request import ReadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from geoseg.batch.request import BatchRequest
    from geoseg.batch.sources.inputs import Input
    from geoseg.model.card import ModelCard
    from geoseg.pipeline.request import SceneRequest, SegmentRequest
    from geoseg.scene.mosaic import Mosaic, Tile

_LOOKING = 8  # files at once; opening them is waiting, mostly


@dataclass(frozen=True, slots=True)
class MapPlan:
    """One map to make: the tiles of one CRS."""

    out: Path
    """Its layers."""
    scenes: tuple[SegmentRequest, ...]
    """One for each grid, in order of their first tiles."""
    parts: tuple[tuple[Task, ...], ...]
    """The parts of each."""
    key: str
    """Digest of everything the map depends on."""

    @property
    def tiles(self) -> list[str]:
        """The tiles it is made of."""
        return [tile.path for scene in self.scenes for tile in scene.scene.tiles]  # type: ignore[union-attr]

    @property
    def tasks(self) -> list[Task]:
        """All parts."""
        return [task for parts in self.parts for task in parts]

    @property
    def joining(self) -> Task:
        """Putting the finished parts together, as a task."""
        first = self.scenes[0]
        return Task(self.out.name, str(self.out), self.key, first, self.out, files=tuple(self.outputs))

    @property
    def outputs(self) -> list[Path]:
        """All files of the map."""
        paths = [self.out] if self.scenes[0].output.layers is not None else []
        for scene in self.scenes:
            paths += [path for path in scene.output.paths if path != self.out]
        return paths

    def of_tiles(self, parts: Mapping[str, Outcome]) -> list[Outcome]:
        """Return what became of each tile, by the outcomes of the parts that see it.

        Args:
            parts: outcomes by the names of their tasks; a shard has some of them.
        """
        seeing: dict[str, list[Task]] = {}
        for task in self.tasks:
            for tile in task.request.scene.tiles:  # type: ignore[union-attr]
                seeing.setdefault(tile.path, []).append(task)
        return [_of_tile(path, [parts.get(task.name) for task in seeing.get(path, ())]) for path in self.tiles]


def _of_tile(path: str, parts: list[Outcome | None]) -> Outcome:
    """Return what became of a tile: it failed where something of it could not be read."""
    if any(part is not None and path in part.damaged for part in parts):
        why = f"{path}: parts of it cannot be read, and are nodata in the map; copy or download it again"
        return Outcome(path, path, "failed", why)
    if any(part is None or part.status in ("failed", "left") for part in parts):
        return Outcome(path, path, "left", "a part of the map that it belongs to is not done")
    return Outcome(path, path, "kept" if all(part is not None and part.status == "kept" for part in parts) else "done")


def make_map_folder(request: BatchRequest) -> None:
    """Make the folder of a map's parts and report; raises OutputError, and UsageError where there is no name for it."""
    assert request.mosaic is not None  # noqa: S101 - the caller has seen to it
    if request.mosaic.suffix.lower() != request.wanted.layers and request.wanted.layers is not None:
        raise UsageError(f"--mosaic: {request.mosaic} ends in another way than --to {request.wanted.layers}")
    if not request.mosaic.parent.is_dir():
        raise OutputError(f"{request.mosaic}: the folder {request.mosaic.parent} does not exist; create it first")
    try:
        request.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{request.folder}: cannot be made ({error.strerror})") from error


def looked_at(
    inputs: Iterable[Input], request: BatchRequest, card: ModelCard, tell: Callable[[int], None]
) -> tuple[list[Tile], list[Outcome]]:
    """Open every tile once; returns those that can be read, and failures for the others.

    Args:
        inputs: the tiles.
        request: how they are to be understood.
        card: the model's card.
        tell: called with the number of tiles looked at.
    """
    wish = _wish(card, request.how.reading)

    def look(one: Input) -> Tile | Outcome:
        try:
            return look_at(one.source, wish)
        except GeosegError as error:
            return Outcome(one.name, one.source, "failed", str(error))

    tiles: list[Tile] = []
    lost: list[Outcome] = []
    with ThreadPoolExecutor(_LOOKING) as threads:
        for number, found in enumerate(threads.map(look, inputs), 1):
            if isinstance(found, Outcome):
                lost.append(found)
            else:
                tiles.append(found)
            tell(number)
    return tiles, lost


def _wish(card: ModelCard, reading: SceneRequest) -> ReadRequest:
    """Return what is asked of a tile before its ground pixel matters."""
    low, high = card.value_range
    return ReadRequest(model_bands=card.bands, value_range=(low, high), fill=card.mean, **reading.options)


def maps_of(tiles: list[Tile], request: BatchRequest, card: ModelCard) -> tuple[list[MapPlan], list[Outcome]]:
    """Return the maps to make of tiles, one for each CRS, in order of their first tiles, and tiles outside the area.

    Raises:
        UsageError: a box was given, and the tiles have several CRSs that it might be meant in.
        InputError, ModelError: as for :func:`geoseg.pipeline.segment.segment`.
    """
    assert request.mosaic is not None  # noqa: S101 - the caller has seen to it
    out = request.mosaic
    by_crs: dict[str, list[Tile]] = {}
    for tile in tiles:
        by_crs.setdefault(tile.grid.crs, []).append(tile)
    if request.how.reading.bounds is not None and len(by_crs) > 1:
        raise UsageError(f"--bounds: the tiles have {len(by_crs)} CRSs, and the box could be meant in any; use --aoi")
    plans: list[MapPlan] = []
    outside: list[Outcome] = []
    for number, (crs, members) in enumerate(by_crs.items(), 1):
        place = out
        if len(by_crs) > 1:
            name = short_name(crs).replace(":", "") if len(short_name(crs)) < 24 else f"crs{number}"
            place = out.with_name(f"{out.stem}-{name}{out.suffix}")
        plan, left_out = _map(place, members, request, card)
        plans += [plan] if plan.scenes else []
        outside += left_out
    return plans, outside


def _map(out: Path, tiles: list[Tile], request: BatchRequest, card: ModelCard) -> tuple[MapPlan, list[Outcome]]:
    """Return the plan of one map, and the tiles of grids that lie outside the area."""
    how = request.how
    # One bad tile never ends a batch: what cannot be read of it is nodata, and it is named.
    reading = replace(how.reading, options={**how.reading.options, "on_read_error": "nodata"})
    wish = _wish(card, reading)
    scenes: list[SegmentRequest] = []
    parts: list[tuple[Task, ...]] = []
    outside: list[Outcome] = []
    found = mosaics(tiles, wish, out.stem)
    for number, mosaic in enumerate(found, 1):
        stem = out.with_name(out.stem if len(found) == 1 else f"{out.stem}-{number}")
        output = request.wanted.beside(stem, out if request.wanted.layers else None)
        scene = replace(how.of(mosaic, output), reading=reading)
        try:
            parts.append(_part_tasks(scene, mosaic, f"{out.stem}-{number}", request.folder, card))
        except OutsideAreaError as error:
            outside += [Outcome(tile.path, tile.path, "outside", str(error)) for tile in mosaic.tiles]
            continue
        scenes.append(scene)
    keys = [task.key for tasks in parts for task in tasks]
    key = combined([*keys, *(key_of(scene, mark_of(card)) for scene in scenes)])
    return MapPlan(out, tuple(scenes), tuple(parts), key), outside


def _part_tasks(scene: SegmentRequest, mosaic: Mosaic, name: str, folder: Path, card: ModelCard) -> tuple[Task, ...]:
    """Return the tasks that classify a mosaic; each knows of no more tiles than it reads."""
    tasks = []
    for part in parts_of(scene, card):
        first, stop = part.rows
        seen = replace(scene, scene=mosaic.seen_from(*part.sees))
        target = folder / f"{name}-{first:09d}"
        key = key_of(seen, mark_of(card), part)
        rows = target.with_name(target.name + ".rows")
        tasks.append(Task(target.name, f"{mosaic.name}, rows {first} to {stop - 1}", key, seen, target, part, rows))
    return tuple(tasks)
