"""``evaluate PREDICTED REFERENCE``: two maps through one grid to scores."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoseg.errors import InputError, UsageError
from geoseg.layers.publish import check_target
from geoseg.maps.common_ground import Outline
from geoseg.maps.polygon_map import PolygonMap
from geoseg.maps.raster_map import NOTHING, RasterMap
from geoseg.pipeline.evaluate.report import EvaluateReport, Gathering, Place, WantedScores
from geoseg.pipeline.evaluate.two_maps import MapsRequest, TwoMaps, count_pairs, two_maps
from geoseg.scene.georeference import ground_pixel_m
from geoseg.scene.glimpse import glimpses, ground_of
from geoseg.scene.open import open_raster
from geoseg.scores.compared import ComparedRows
from geoseg.scores.objects import Objects, match_objects
from geoseg.scores.same_classes import match_classes
from geoseg.vocabulary import NO_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.pipeline.evaluate.two_maps import CodeRows, Tell
    from geoseg.scores.confusion import Confusion
    from geoseg.scores.f1 import Found
    from geoseg.scores.same_classes import SharedClasses
    from geoseg.scores.worst import WrongWindow
    from geoseg.vocabulary import Grid, Window


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """One run of ``evaluate`` on two maps."""

    maps: MapsRequest
    confidence: Path | None = None
    """Raster of the predicted classes' probabilities in whole percents."""
    scene: Path | None = None
    """Image of the same ground, for pictures."""
    wanted: WantedScores = field(default_factory=WantedScores)

    def __post_init__(self) -> None:
        if self.scene is not None and self.wanted.report is None:
            raise UsageError("--scene is for the pictures of a report; give it with --report page.html")

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        files = self.maps.predicted, self.maps.reference, self.confidence, self.scene
        return [path for path in files if path is not None]


def evaluate(request: EvaluateRequest, tell: Tell = lambda _done, _total, _pixels: None) -> EvaluateReport:
    """Compare two maps pixel by pixel, in strips, where both have something to say.

    Nodata of a reference raster does not count; nodata of a predicted raster counts as wrong. Ground without a
    polygon, and classes that are not scored, are one class ``other``. The maps are read once for the confusion
    matrix, which decides which classes are compared, once more for borders, confidences and the worst places, and
    twice for objects, unless both are vector files.

    Args:
        request: what to compare.
        tell: called with strips done, strips in all, and pixels done.

    Raises:
        UsageError: a class that was asked for is in neither map.
        InputError: a map or the scene cannot be used, or they share no ground or no class.
    """
    notes: list[str] = []
    wanted = request.wanted
    if wanted.report is not None:
        check_target(wanted.report, overwrite=wanted.overwrite, inputs=request.inputs)
    with ExitStack() as stack:
        maps = stack.enter_context(two_maps(request.maps, notes))
        picture = stack.enter_context(_pictures(request.scene, maps))
        passes = _Passes(request, maps, tell)
        pairs = count_pairs(maps, passes.next())
        shared = match_classes(maps.names, pairs, request.maps.classes, maps.synonyms, notes.append)
        compared = _Compared(maps, shared, stack.enter_context(_percents(request.confidence, maps.grid)))
        confusion = shared.confusion(pairs)
        gathered = Gathering(confusion.scored, wanted, maps.window.shape, ground_pixel_m(maps.grid))
        if passes.gathers:
            for rows in compared.rows(passes.next()):
                gathered.add(rows)
        objects = _objects(compared, confusion, passes) if wanted.objects else None
        places = tuple(_place(compared, worst, picture) for worst in gathered.worst())
    return EvaluateReport(
        {"predicted": str(request.maps.predicted), "reference": str(request.maps.reference)},
        confusion,
        wanted,
        boundary=gathered.boundary(),
        objects=objects,
        calibration=gathered.calibration if request.confidence else None,
        places=places,
        warnings=tuple(notes),
    )


class _Passes:
    """Progress over all readings of the maps."""

    def __init__(self, request: EvaluateRequest, maps: TwoMaps, tell: Tell) -> None:
        wanted = request.wanted
        self.gathers = wanted.boundary or wanted.places > 0 or request.confidence is not None
        """Whether the maps are read once more for what is gathered from rows."""
        self.traces = wanted.objects and not (
            isinstance(maps.predicted, PolygonMap) and isinstance(maps.reference, PolygonMap)
        )
        """Whether objects are regions of pixels."""
        self._all = 1 + self.gathers + 2 * self.traces
        self._begun = -1
        self._tell = tell

    def next(self) -> Tell:
        """Return what is told about the next reading."""
        self._begun += 1
        before = self._begun

        def tell(done: int, total: int, pixels: int) -> None:
            whole = pixels * total // done
            self._tell(before * total + done, self._all * total, (before * whole + pixels) // self._all)

        return tell


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two maps in one legend."""

    maps: TwoMaps
    shared: SharedClasses
    percents: Callable[[Window], NDArray[np.uint8]] | None

    @property
    def grid(self) -> Grid:
        """The grid of the rows."""
        return self.maps.grid.crop(self.maps.window)

    def rows(self, tell: Tell) -> Iterator[ComparedRows]:
        """Yield all rows; the first is row 0."""
        for codes in self.maps.strips(tell):
            yield self._in_one_legend(codes)

    def part(self, window: Window) -> ComparedRows:
        """Return a window of the rows."""
        first = self.maps.window
        return self._in_one_legend(self.maps.part(window.moved(first.row, first.col)))

    def _in_one_legend(self, codes: CodeRows) -> ComparedRows:
        row = codes.window.row - self.maps.window.row
        predicted, reference = self.shared.predicted[codes.predicted], self.shared.reference[codes.reference]
        return ComparedRows(row, predicted, reference, self.percents and self.percents(codes.window))


def _objects(compared: _Compared, confusion: Confusion, passes: _Passes) -> Found:
    """Match polygons as they are drawn where both maps are vector files, else regions of pixels."""
    if passes.traces:
        from geoseg.pipeline.evaluate.objects import predicted_objects, reference_objects

        predicted = predicted_objects(compared.rows(passes.next()), compared.grid, confusion.legend)
        reference = reference_objects(compared.rows(passes.next()), compared.grid, confusion.legend)
    else:
        predicted, reference = (
            _drawn(one, compared.maps, table)
            for one, table in (
                (compared.maps.predicted, compared.shared.predicted),
                (compared.maps.reference, compared.shared.reference),
            )
        )
    return match_objects(predicted, reference, confusion.scored)


def _drawn(one: RasterMap | PolygonMap, maps: TwoMaps, values: NDArray[np.uint8]) -> Objects:
    """Return the polygons of a vector file that have a point inside them on the shared ground."""
    assert isinstance(one, PolygonMap)  # noqa: S101 - nothing is traced where both are
    geometry, codes = one.placed(maps.grid)
    geometry = shapely.make_valid(geometry)  # what another CRS bends may cross itself
    shapely.prepare(maps.ground)
    here = shapely.contains(maps.ground, shapely.point_on_surface(geometry))
    return Objects(geometry[here], values[codes[here]])


@contextmanager
def _percents(path: Path | None, grid: Grid) -> Iterator[Callable[[Window], NDArray[np.uint8]] | None]:
    """Lend a function that returns confidences in a window of a grid; None without a raster of them."""
    if path is None:
        yield None
        return
    with open_raster(path) as dataset:
        if dataset.dtypes[0] != "uint8":
            raise InputError(
                f"{path}: has {dataset.dtypes[0]} pixels, expected confidences in whole percents; "
                "make them with: geoseg segment SCENE --confidence FILE"
            )
        raster = RasterMap(str(path), dataset)
        if raster.classes:
            raise InputError(
                f"{path}: is a class raster, expected confidences in percent; make them with: geoseg segment SCENE "
                "--confidence FILE"
            )
        with raster.onto(grid) as codes:

            def percents(window: Window) -> NDArray[np.uint8]:
                found = codes(window)
                found[found == NOTHING] = NO_CONFIDENCE
                if ((found > 100) & (found != NO_CONFIDENCE)).any():
                    wrong = int(found[(found > 100) & (found != NO_CONFIDENCE)][0])
                    raise InputError(f"{path}: holds the value {wrong}, expected confidences in percent, 0 to 100")
                return found.astype(np.uint8)

            yield percents


@contextmanager
def _pictures(scene: Path | None, maps: TwoMaps) -> Iterator[Callable[[Window], NDArray[np.uint8]] | None]:
    """Lend a function that shows a window of the maps' grid; None without a scene, which must share their ground."""
    if scene is None:
        yield None
        return
    there = Outline.of_grid(str(scene), ground_of(scene))
    if there.on(maps.grid).intersection(maps.ground).area == 0:
        here = Outline.of_grid(maps.reference.name, maps.grid.crop(maps.window))
        raise InputError(
            f"{scene}: shares no ground with the maps (it lies at {there.place}; they lie at {here.place}), expected "
            "an image of the same place for --scene; look where it lies with: geoseg info"
        )
    with glimpses(scene, maps.grid) as picture:
        yield picture


def _place(compared: _Compared, worst: WrongWindow, picture: Callable[[Window], NDArray[np.uint8]] | None) -> Place:
    """Look a place up again."""
    rows = compared.part(worst.window)
    first = compared.maps.window
    there = worst.window.moved(first.row, first.col)
    x, y = compared.maps.grid.transform @ (there.col + there.width / 2, there.row + there.height / 2)
    name = f"around {x:.10g}, {y:.10g} (row {there.row}, column {there.col})"
    return Place(name, worst, rows.predicted, rows.reference, picture and picture(there))
