"""``evaluate``: a predicted map and a reference through one grid to scores."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import InputError, UsageError
from geoseg.scene.open import MAX_PIXELS, open_raster
from geoseg.scores.common_ground import Outline, grid_over
from geoseg.scores.mapped import NOTHING, PolygonMap, RasterMap, burned
from geoseg.scores.named_polygons import VECTOR_ENDINGS, read_named_polygons
from geoseg.scores.same_classes import MapNames, Synonyms, match_classes
from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.scores.confusion import Confusion

_STRIP_PIXELS = 2**21
_CODES = NOTHING + 1
_METRES = 1.0
_WORTH_SAYING = 0.95  # of the reference's extent; less is not a matter of pixel borders any more


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """One run of ``evaluate``: two maps, each a class raster or a vector file, of any CRS."""

    predicted: Path
    reference: Path
    classes: str | None = None
    """Comma list of class or layer names, or ``all`` for those of either map; None for those of both."""
    class_field: str = "class"
    """Field of the vector files that names the class."""
    resolution_m: float | None = None
    """Ground pixel in metres where both are vector files; None for 1."""

    def __post_init__(self) -> None:
        metres = self.resolution_m
        if metres is not None and not 0 < metres < math.inf:
            raise UsageError(f"--resolution: {metres} metres is not a pixel size")


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """The scores of a map, and what was noticed on the way."""

    predicted: str
    reference: str
    confusion: Confusion
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of ``--json``, schema 1; the matrix has a row per reference class."""
        order = [entry.name for entry in self.confusion.legend]
        return {
            "schema": 1,
            "predicted": self.predicted,
            "reference": self.reference,
            **self.confusion.to_json(),
            "confusion_rows": order,
            "confusion_columns": [*order, "nodata"],
            "warnings": list(self.warnings),
        }


def evaluate(
    request: EvaluateRequest, tell: Callable[[int, int, int], None] = lambda _done, _total, _pixels: None
) -> EvaluateReport:
    """Compare two maps pixel by pixel, in strips, where both have something to say.

    The grid is the reference's if it is a raster, else the predicted raster's, else one over the ground of
    both. Nodata of a reference raster does not count; nodata of a predicted raster counts as wrong. Ground
    without a polygon, and classes that are not scored, are one class ``other``.

    Args:
        request: what to compare.
        tell: called with strips done, strips in all, and pixels done.

    Raises:
        UsageError: a class that was asked for is in neither map.
        InputError: a map cannot be used, or the two share no ground or no class.
    """
    notes: list[str] = []
    with ExitStack() as stack:
        rasters = _open_rasters(request, stack)
        synonyms = Synonyms.of(entry for raster in rasters.values() for entry in raster.classes.values())
        predicted = rasters.get(request.predicted) or _read_polygons(request.predicted, request, synonyms, notes)
        reference = rasters.get(request.reference) or _read_polygons(request.reference, request, synonyms, notes)
        grid = _common_grid(predicted, reference, request.resolution_m, notes)
        shared = _shared_ground(predicted, reference, grid, notes)
        maps = stack.enter_context(predicted.onto(grid)), stack.enter_context(reference.onto(grid))
        pairs = count_pairs(*maps, shared, grid, tell)
    if not pairs.any():
        raise InputError(
            f"{reference.name}: has no labelled pixel where {predicted.name} lies, expected some; "
            "compare maps of the same ground"
        )
    names = _names(predicted, synonyms), _names(reference, synonyms)
    confusion = match_classes(names, pairs, request.classes, synonyms.canonical, notes.append)
    return EvaluateReport(str(request.predicted), str(request.reference), confusion, tuple(notes))


def count_pairs(
    predicted: Callable[[Window], NDArray[np.uint16]],
    reference: Callable[[Window], NDArray[np.uint16]],
    shared: shapely.Geometry,
    grid: Grid,
    tell: Callable[[int, int, int], None],
    strip_pixels: int = _STRIP_PIXELS,
) -> NDArray[np.int64]:
    """Count pixels by reference code and predicted code, strip by strip.

    Args:
        predicted: returns the codes in a window.
        reference: the same; its blank pixels do not count.
        shared: what is compared, in column and row coordinates: pixels whose centre lies inside.
        grid: the grid of both.
        tell: called with strips done, strips in all, and pixels done.
        strip_pixels: pixels read at a time, roughly.

    Returns:
        Shape (257, 257); the last code is ``NOTHING``.
    """
    counts = np.zeros(_CODES * _CODES, np.int64)
    window = _window_of(shared, grid)
    tree, mark = shapely.STRtree([shared]), np.ones(1, np.uint8)
    centres = shapely.box(window.col + 0.5, window.row + 0.5, window.right - 0.5, window.bottom - 0.5)
    everything = shared.covers(centres)
    height = max(1, strip_pixels // max(1, window.width))
    starts = range(window.row, window.bottom, height)
    for done, row in enumerate(starts, 1):
        strip = Window(row, window.col, min(height, window.bottom - row), window.width)
        codes = reference(strip)
        counted = codes != NOTHING
        if not everything:
            counted &= burned(np.array([shared]), mark, tree, strip) > 0
        pairs = codes[counted].astype(np.uint32) * _CODES + predicted(strip)[counted]
        counts += np.bincount(pairs, minlength=len(counts))
        tell(done, len(starts), strip.bottom * window.width - window.row * window.width)
    return counts.reshape(_CODES, _CODES)


def _open_rasters(request: EvaluateRequest, stack: ExitStack) -> dict[Path, RasterMap]:
    """Open what is no vector file; their legends tell which layers of a vector file are classes."""
    return {
        path: RasterMap(str(path), stack.enter_context(open_raster(path)))
        for path in (request.predicted, request.reference)
        if path.suffix.lower() not in VECTOR_ENDINGS
    }


def _read_polygons(path: Path, request: EvaluateRequest, synonyms: Synonyms, notes: list[str]) -> PolygonMap:
    polygons = read_named_polygons(path, request.class_field, synonyms.is_class)
    notes.extend(note for note in polygons.notes if note not in notes)
    if path == request.reference and not len(polygons.geometry):
        raise InputError(f"{path}: has no polygons, expected a reference to compare with; choose another file")
    return PolygonMap(str(path), polygons, synonyms.canonical)


def _names(one: RasterMap | PolygonMap, synonyms: Synonyms) -> MapNames:
    if isinstance(one, PolygonMap):
        return MapNames(one.name, one.names, one.declared, numbered=False)
    names = {value: synonyms.canonical(entry.name) for value, entry in one.classes.items()}
    return MapNames(one.name, names, frozenset(names.values()), numbered=True)


def _common_grid(
    predicted: RasterMap | PolygonMap,
    reference: RasterMap | PolygonMap,
    metres: float | None,
    notes: list[str],
) -> Grid:
    """Return the grid to compare on: the reference's, else the prediction's, else one of square metres."""
    for one in (reference, predicted):
        if isinstance(one, RasterMap):
            if metres is not None:
                notes.append(f"{one.name}: its own pixels are compared; --resolution is for two vector files")
            return one.grid
    outline = reference.outline
    assert outline is not None  # noqa: S101 - a reference without polygons was refused
    grid = grid_over(outline, predicted.outline, _METRES if metres is None else metres)
    if grid is None:
        raise _apart(predicted, reference)
    if grid.height * grid.width > MAX_PIXELS:
        raise UsageError(
            f"--resolution: {grid.width} x {grid.height} pixels would be compared, at most {MAX_PIXELS:g}; "
            "give larger pixels"
        )
    return grid


def _shared_ground(
    predicted: RasterMap | PolygonMap, reference: RasterMap | PolygonMap, grid: Grid, notes: list[str]
) -> shapely.Geometry:
    """Return where both maps have something to say, in the column and row coordinates of the grid.

    A prediction without any polygon says that there is nothing, everywhere.
    """
    outline = reference.outline
    whole = outline.on(grid) if outline is not None else shapely.Polygon()
    shared = whole if predicted.outline is None else whole.intersection(predicted.outline.on(grid))
    shared = shapely.multipolygons([part for part in shapely.get_parts(shared) if part.geom_type == "Polygon"])
    window = _window_of(shared, grid)
    if shared.area == 0 or window.height == 0 or window.width == 0:
        raise _apart(predicted, reference)
    share = shared.area / whole.area
    if outline is not None and outline.near(grid) is not None:
        notes.append(f"{predicted.name}: covers a small part of {reference.name}; only that is scored")
    elif share < _WORTH_SAYING:
        notes.append(f"{predicted.name}: covers {share:.0%} of the extent of {reference.name}; only that is scored")
    return shared


def _window_of(shared: shapely.Geometry, grid: Grid) -> Window:
    """Return the window of the pixels whose centres may lie in a geometry."""
    if shared.is_empty:
        return Window(0, 0, 0, 0)
    left, top, right, bottom = shared.bounds
    row, col = math.ceil(top - 0.5), math.ceil(left - 0.5)
    box = Window(row, col, max(0, math.floor(bottom + 0.5) - row), max(0, math.floor(right + 0.5) - col))
    return box.intersection(grid.whole)


def _apart(predicted: RasterMap | PolygonMap, reference: RasterMap | PolygonMap) -> InputError:
    places = [f"{one.name} lies at {_place(one.outline)}" for one in (predicted, reference)]
    return InputError(
        f"{predicted.name}: shares no ground with the reference ({'; '.join(places)}), expected maps of "
        "one place; check their CRSs with: geoseg info"
    )


def _place(outline: Outline | None) -> str:
    """Return the bounds of a map in its own CRS, as left, bottom, right, top."""
    if outline is None:
        return "no place"
    bounds = (*outline.corners.min(0), *outline.corners.max(0))
    code = outline.crs.to_authority()
    return f"{', '.join(f'{v:.10g}' for v in bounds)} in {':'.join(code) if code else outline.crs.name}"
