"""Two maps of any kind and CRS, opened and laid on one grid."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.class_names import Synonyms
from geoseg.errors import InputError, UsageError
from geoseg.maps.common_ground import grid_over, way_to_swap
from geoseg.maps.named_polygons import VECTOR_ENDINGS, check_kind, read_named_polygons
from geoseg.maps.polygon_map import PolygonMap, burned
from geoseg.maps.raster_map import NOTHING, RasterMap
from geoseg.scene.open import MAX_PIXELS, open_raster
from geoseg.scores.same_classes import MapNames
from geoseg.vocabulary import Grid, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = Callable[[Window], NDArray[np.uint16]]
    Tell = Callable[[int, int, int], None]

CODES = NOTHING + 1
"""Codes that maps have, the last one for blank pixels included."""

STRIP_PIXELS = 2**21
"""Pixels read at a time, roughly."""

_METRES = 1.0
_WORTH_SAYING = 0.95  # of the reference's extent; less is not a matter of pixel borders any more


@dataclass(frozen=True, slots=True)
class MapsRequest:
    """Two maps, each a class raster or a vector file, of any CRS, and how they are understood."""

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
class TwoMaps:
    """Two maps on one grid, and the ground that both speak of."""

    predicted: RasterMap | PolygonMap
    reference: RasterMap | PolygonMap
    synonyms: Synonyms
    grid: Grid
    ground: shapely.Geometry
    """What is compared, in column and row coordinates of the grid: pixels whose centre lies inside."""
    predicted_codes: Rows
    reference_codes: Rows

    @property
    def window(self) -> Window:
        """The part of the grid that is compared."""
        return _window_of(self.ground, self.grid)

    @property
    def names(self) -> tuple[MapNames, MapNames]:
        """What the predicted map and the reference say about the meaning of their codes."""
        return _names(self.predicted, self.synonyms), _names(self.reference, self.synonyms)

    def strips(self, tell: Tell, strip_pixels: int = STRIP_PIXELS) -> Iterator[CodeRows]:
        """Yield the codes of both maps, strip by strip.

        Args:
            tell: called with strips done, strips in all, and pixels done.
            strip_pixels: pixels read at a time, roughly.
        """
        window = self.window
        height = max(1, strip_pixels // max(1, window.width))
        starts = range(window.row, window.bottom, height)
        for done, row in enumerate(starts, 1):
            strip = Window(row, window.col, min(height, window.bottom - row), window.width)
            yield self.part(strip)
            tell(done, len(starts), (strip.bottom - window.row) * window.width)

    def part(self, window: Window) -> CodeRows:
        """Return the codes in a window of the grid; those of the reference are blank beyond the shared ground."""
        reference = self.reference_codes(window)
        tree, mark = shapely.STRtree([self.ground]), np.ones(1, np.uint8)
        centres = shapely.box(window.col + 0.5, window.row + 0.5, window.right - 0.5, window.bottom - 0.5)
        if not self.ground.covers(centres):
            inside = burned(np.array([self.ground]), mark, tree, window) > 0
            reference = np.where(inside, reference, np.uint16(NOTHING))
        return CodeRows(window, self.predicted_codes(window), reference)


@dataclass(frozen=True, slots=True)
class CodeRows:
    """A window of two maps, in each map's own codes."""

    window: Window
    predicted: NDArray[np.uint16]
    """Shape (height, width), ``NOTHING`` where blank."""
    reference: NDArray[np.uint16]
    """Shape (height, width), ``NOTHING`` where blank, and nothing counts there."""


@contextmanager
def two_maps(request: MapsRequest, notes: list[str]) -> Iterator[TwoMaps]:
    """Open two maps and lay them on one grid.

    The grid is the reference's if it is a raster, else the predicted raster's, else one over the ground of both.

    Args:
        request: which maps.
        notes: gets the sentences worth telling.

    Raises:
        UsageError: the grid would be too large.
        InputError: a map cannot be used, or the two share no ground.
    """
    with ExitStack() as stack:
        rasters = _open_rasters(request, stack)
        synonyms = Synonyms.of(entry for raster in rasters.values() for entry in raster.classes.values())
        predicted = rasters.get(request.predicted) or _read_polygons(request.predicted, request, synonyms, notes)
        reference = rasters.get(request.reference) or _read_polygons(request.reference, request, synonyms, notes)
        grid = _common_grid(predicted, reference, request.resolution_m, notes)
        ground = _shared_ground(predicted, reference, grid, notes)
        codes = stack.enter_context(predicted.onto(grid)), stack.enter_context(reference.onto(grid))
        yield TwoMaps(predicted, reference, synonyms, grid, ground, *codes)


def count_pairs(
    maps: TwoMaps, tell: Tell = lambda _done, _total, _pixels: None, strip_pixels: int = STRIP_PIXELS
) -> NDArray[np.int64]:
    """Count pixels by reference code and predicted code, strip by strip.

    Args:
        maps: both maps; blank pixels of the reference do not count.
        tell: as for `TwoMaps.strips`.
        strip_pixels: pixels read at a time, roughly.

    Returns:
        Shape (257, 257); the last code is ``NOTHING``.

    Raises:
        InputError: nothing counts.
    """
    counts = np.zeros(CODES * CODES, np.int64)
    for strip in maps.strips(tell, strip_pixels):
        counted = strip.reference != NOTHING
        pairs = strip.reference[counted].astype(np.uint32) * CODES + strip.predicted[counted]
        counts += np.bincount(pairs, minlength=len(counts))
    if not counts.any():
        raise InputError(
            f"{maps.reference.name}: has no labelled pixel where {maps.predicted.name} lies, expected some; "
            "compare maps of the same ground"
        )
    return counts.reshape(CODES, CODES)


def _open_rasters(request: MapsRequest, stack: ExitStack) -> dict[Path, RasterMap]:
    """Open what is no vector file; their legends tell which layers of a vector file are classes."""
    for path in (request.predicted, request.reference):
        check_kind(path)
    return {
        path: RasterMap(str(path), stack.enter_context(open_raster(path)))
        for path in (request.predicted, request.reference)
        if path.suffix.lower() not in VECTOR_ENDINGS
    }


def _read_polygons(path: Path, request: MapsRequest, synonyms: Synonyms, notes: list[str]) -> PolygonMap:
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
    assert isinstance(reference, PolygonMap)  # noqa: S101 - so is the prediction: rasters have gone
    assert isinstance(predicted, PolygonMap)  # noqa: S101
    outline = reference.one_piece
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
    outline, ours = reference.outline_for(grid), predicted.outline_for(grid)
    whole = outline.on(grid) if outline is not None else shapely.Polygon()
    shared = whole if ours is None else whole.intersection(ours.on(grid))
    shared = shapely.MultiPolygon([part for part in shapely.get_parts(shared) if part.geom_type == "Polygon"])
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
    places = [
        f"{one.name} lies at {one.outline.place if one.outline else 'no place'}" for one in (predicted, reference)
    ]
    one, other = predicted.outline, reference.outline
    swap = (way_to_swap(one, other) or way_to_swap(other, one)) if one and other else None
    return InputError(
        f"{predicted.name}: shares no ground with the reference ({'; '.join(places)}), expected maps of "
        f"one place; {swap or 'check their CRSs with: geoseg info'}"
    )
