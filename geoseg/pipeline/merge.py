"""``merge``: vector layers of neighbouring ground, made one map."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine

import geoseg
from geoseg.errors import InputError
from geoseg.layers.centerlines import LAYER, append_lines, line_records
from geoseg.layers.features import WantedLayers
from geoseg.layers.publish import Publication, check_target
from geoseg.layers.qgis_project.content import Project
from geoseg.layers.target import same_file
from geoseg.layers.vector import check_layers, driver_of, write_layers
from geoseg.pipeline.accounts import tallied
from geoseg.pipeline.merge_inputs import InputMap, classes_of, read_map, same_crs
from geoseg.pipeline.qgis_project import check_project, publish_project, vector_layers
from geoseg.roads.joining import join_lines
from geoseg.scene.georeference import ground_pixel_m, short_name
from geoseg.vector.attributes import KNOWN, chosen_attributes
from geoseg.vector.joining import Joined, join_polygons
from geoseg.vector.measure import Ruler
from geoseg.vector.rings import Rings
from geoseg.vocabulary import Grid, Lines, Polygons

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.vocabulary import Attribute, MapClass

_SHORT = 5  # percent of edges are shorter than what stands for a pixel
_TOLERANCE = 0.05  # of that; tiles of one scene differ by hundredths of a pixel
_MOST_M = 0.2  # where all edges are long


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """One run of ``merge``."""

    inputs: tuple[Path, ...]
    """Vector files; where two give the same ground to different classes, the one named first wins."""
    out: Path
    tolerance_m: float | None = None
    """How wide gaps and overlaps at common borders may be; None for a twentieth of a short edge, 0.2 at most."""
    rfc7946: bool = False
    overwrite: bool = False
    project: Path | None = None
    """A QGIS project that shows the layers."""


@dataclass(slots=True)
class MergeReport:
    """What a run did; ``to_json`` is the object of ``--json``, schema 1."""

    inputs: list[str]
    out: str
    crs: str = ""
    tolerance_m: float = 0.0
    polygons: int = 0
    """Polygons in all inputs."""
    joined: int = 0
    """Polygons that several of them have become."""
    cut: int = 0
    """Polygons that lost ground to other classes of inputs named before."""
    layers: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"schema": 1} | {name: getattr(self, name) for name in self.__slots__}


def merge(request: MergeRequest, tell: Callable[[int, int], None] = lambda _done, _total: None) -> MergeReport:
    """Join polygons and centrelines that were cut at the borders of inputs.

    Args:
        request: what to do.
        tell: called with steps done and steps in all: one for each input, one for joining, one for writing.

    Raises:
        UsageError: the request contradicts itself.
        InputError: an input is not of geoseg's, or lies in another CRS than the first.
        OutputError: the layers cannot be written.
    """
    started = time.perf_counter()
    out = request.out
    _check_request(request)
    report = MergeReport([str(path) for path in request.inputs], str(out))
    steps = len(request.inputs) + 2
    maps: list[InputMap] = []
    for number, path in enumerate(_distinct(request.inputs, report.warnings), 1):
        maps.append(read_map(path))
        _check_crs(maps)
        report.warnings += maps[-1].notes
        tell(number, steps)
    geometry = np.concatenate([one.geometry for one in maps])
    source = np.repeat(np.arange(len(maps)), [len(one.geometry) for one in maps])
    grid = _grid(maps[0].crs.to_wkt(), geometry)
    check_layers(out, grid, rfc7946=request.rfc7946)
    unit_m = max(ground_pixel_m(grid)) / float(np.sqrt(grid.pixel_area))
    tolerance_m = request.tolerance_m
    if tolerance_m is None:
        tolerance_m = min(_MOST_M, _TOLERANCE * float(np.sqrt(grid.pixel_area)) * unit_m)
    classes = classes_of(maps)
    values = np.array([classes[name].value for one in maps for name in one.names], np.uint8)
    report.seconds["read"] = time.perf_counter() - started
    joined = join_polygons(geometry, values, source, tolerance_m / unit_m)
    polygons = _measured(joined, geometry, np.concatenate([one.measures for one in maps]), Ruler.of(grid))
    lines = _lines(maps, tolerance_m, unit_m, Ruler.of(grid))
    report.seconds["join"] = time.perf_counter() - started - sum(report.seconds.values())
    tell(steps - 1, steps)
    report.crs, report.tolerance_m = short_name(grid.crs), round(tolerance_m, 6)
    report.polygons, report.cut = len(geometry), joined.cut
    report.joined = int((np.bincount(joined.whole, minlength=len(joined.values)) > 1).sum())
    chosen = sorted(classes.values(), key=lambda entry: entry.value)
    wanted = WantedLayers(chosen, _attributes(maps, grid, report.warnings), request.rfc7946)
    with Publication(overwrite=request.overwrite) as publication:
        path = publication.add(out)
        written = write_layers(path, wanted, [polygons], grid, _provenance(maps, tolerance_m))
        report.layers = tallied(chosen, written)
        if lines is not None and driver_of(out) == "GPKG":
            append_lines(path, [line_records(lines)], grid.crs)
            total = round(float(lines.length_m.sum()), 2)
            report.layers.append({"name": LAYER, "class": "road", "features": len(lines.geometry), "length_m": total})
        elif lines is not None:
            report.warnings.append(f"{out}: has room for polygons only, so {LAYER} is left out; write .gpkg to keep it")
        if request.project is not None:
            shown = _project(request, chosen, polygons, grid.crs, lines=lines is not None)
            publish_project(publication, request.project, shown)
    report.warnings += written.notes
    report.seconds["write"] = time.perf_counter() - started - sum(report.seconds.values())
    report.seconds["total"] = time.perf_counter() - started
    report.seconds = {name: round(value, 3) for name, value in report.seconds.items()}
    tell(steps, steps)
    return report


def _check_request(request: MergeRequest) -> None:
    """Refuse before any work what could not be written in the end; raises UsageError and OutputError."""
    driver_of(request.out)
    check_target(request.out, overwrite=request.overwrite, inputs=request.inputs)
    if request.project is not None:
        check_project(request.project, [request.out])
        check_target(request.project, overwrite=request.overwrite, inputs=request.inputs)


def _distinct(inputs: Sequence[Path], notes: list[str]) -> list[Path]:
    """Return every file once, and note those named again."""
    kept: list[Path] = []
    for path in inputs:
        if any(same_file(path, other) for other in kept):
            notes.append(f"{path}: is named more than once; it is read once")
        else:
            kept.append(path)
    return kept


def _check_crs(maps: Sequence[InputMap]) -> None:
    """Raise InputError where the last map is in another CRS than the first."""
    first, last = maps[0], maps[-1]
    if not same_crs(first.crs, last.crs):
        wanted, found = (short_name(one.crs.to_wkt()) for one in (first, last))
        code = wanted if len(wanted) < 40 else "EPSG:n"
        raise InputError(
            f"{last.path}: is in {found}, expected {wanted} as {first.path}; "
            f"reproject it with: ogr2ogr -t_srs {code} out.gpkg {last.path}"
        )


def _grid(crs: str, geometry: NDArray[np.object_]) -> Grid:
    """Return a grid over all polygons, its pixels as long as their short edges."""
    if not len(geometry):
        return Grid(crs, Affine.identity(), 1, 1)
    rings = Rings.of(geometry)
    edges = np.linalg.norm(rings.xy[rings.following] - rings.xy, axis=1)
    side = float(np.percentile(edges[edges > 0], _SHORT))
    left, bottom, right, top = shapely.total_bounds(geometry)
    height, width = (max(1, int(np.ceil(size / side))) for size in (top - bottom, right - left))
    return Grid(crs, Affine(side, 0, left, 0, -side, top), height, width)


def _measured(joined: Joined, given: NDArray[np.object_], measures: NDArray[np.float64], ruler: Ruler) -> Polygons:
    """Return joined polygons with their fields; those that are as they were keep what their file says."""
    unknown = np.isnan(measures[:, :2]).any(axis=1)
    measures[unknown, :2] = np.column_stack(ruler.measure(shapely.orient_polygons(given[unknown])))
    area, perimeter, confidence = np.full((3, len(joined.values)), np.nan)
    same = ~joined.anew[joined.whole]
    area[joined.whole[same]], perimeter[joined.whole[same]], confidence[joined.whole[same]] = measures[
        joined.part[same]
    ].T
    anew = joined.anew
    area[anew], perimeter[anew] = ruler.measure(joined.geometry[anew])
    weight = measures[joined.part, 0] * joined.share
    total, known = (
        np.bincount(joined.whole, weights, len(area)) for weights in (weight * measures[joined.part, 2], weight)
    )
    confidence[anew] = total[anew] / known[anew]
    return Polygons(joined.values, joined.geometry, area, perimeter, confidence)


def _lines(maps: Sequence[InputMap], tolerance_m: float, unit_m: float, ruler: Ruler) -> Lines | None:
    """Return the joined centrelines; None where no map has a layer of them."""
    found = [(number, one.lines, one.width_m) for number, one in enumerate(maps) if one.lines is not None]
    if not found:
        return None
    geometry = np.concatenate([lines for _, lines, _ in found])
    width = np.concatenate([widths for _, _, widths in found])
    source = np.concatenate([np.full(len(lines), number) for number, lines, _ in found])
    reach = np.minimum(np.maximum(tolerance_m, width / 2) / unit_m, shapely.length(geometry) / 3)
    return join_lines(Lines(geometry, width, ruler.lengths(geometry)), source, reach, ruler)


def _attributes(maps: Sequence[InputMap], grid: Grid, notes: list[str]) -> tuple[Attribute, ...]:
    """Return the further fields that all maps with polygons have, and note those that only some have."""
    has = [one.attributes for one in maps if len(one.geometry)] or [one.attributes for one in maps]
    common = frozenset.intersection(*has)
    some = [name for name in KNOWN if name in frozenset.union(*has) - common]
    if some:
        notes.append(f"left out {', '.join(some)}: not all inputs have the field; see --attributes of geoseg vectorize")
    return chosen_attributes(",".join(sorted(common)), grid) if common else ()


def _provenance(maps: Sequence[InputMap], tolerance_m: float) -> dict[str, Any]:
    """Return what the inputs say of themselves alike, and how they were merged."""
    first, *others = [one.provenance for one in maps]
    alike = {name: said for name, said in first.items() if all(other.get(name) == said for other in others)}
    merged = {"GEOSEG_MERGED": [one.path.name for one in maps], "tolerance_m": round(tolerance_m, 6)}
    return alike | {"GEOSEG_VERSION": geoseg.__version__} | merged


def _project(
    request: MergeRequest, chosen: Sequence[MapClass], polygons: Polygons, crs: str, *, lines: bool
) -> Project:
    """Return the map of one run: its layers.

    Args:
        request: the run.
        chosen: the classes that are written as layers.
        polygons: what they hold.
        crs: of the map.
        lines: whether there are centrelines.
    """
    layers = vector_layers(request.out, chosen, crs, lines=lines, rfc7946=request.rfc7946)
    left, bottom, right, top = shapely.total_bounds(polygons.geometry) if len(polygons.geometry) else (0, 0, 1, 1)
    return Project(request.out.stem, crs, (left, bottom, right, top), tuple(layers), ())
