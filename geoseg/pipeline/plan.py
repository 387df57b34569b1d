"""Everything ``segment`` decides before the first pixel is read."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoseg.errors import UsageError
from geoseg.inference.decide import network_window
from geoseg.inference.windows import plan_windows, sight_of
from geoseg.pipeline.request import resolution_for
from geoseg.scene.area import read_aoi, whole_or_box
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.many_files import open_mosaic
from geoseg.scene.mosaic import Mosaic
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import ReadRequest
from geoseg.scene.reader import open_scene
from geoseg.vocabulary import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from geoseg.inference.windows import WindowPlan
    from geoseg.model.card import ModelCard
    from geoseg.pipeline.request import SceneRequest, SegmentRequest
    from geoseg.scene.area import Area
    from geoseg.scene.reader import Scene
    from geoseg.vocabulary import Grid, Legend

_MARGIN_PX = 4.0  # simplifying moves outlines by as much as it is told to; none of that may show inside the area


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a grid that results are made on."""

    whole: Grid
    window: Window
    margin_px: float = 0.0
    """Pixels around the area's polygons that are classified, too, because polygons are cut out of them later."""

    @property
    def grid(self) -> Grid:
        """The grid of the part."""
        return self.whole.crop(self.window)

    @property
    def margin(self) -> float:
        """The margin in units of the CRS."""
        return self.margin_px * math.sqrt(self.whole.pixel_area)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the windows lie and on which grids classes are decided and polygons traced."""

    area: Area
    windows: WindowPlan
    scene: Place
    """The asked-for part on the scene's own grid: class rasters."""
    network: Place
    """The part the network answers for, on its grid: whole pixels, so it may reach beyond what was asked for."""
    trace: Place
    """The coarser of the two: polygons; where that is the network's they are cut along ``border``."""

    @property
    def resampled(self) -> bool:
        """Whether the network sees other pixels than the scene has."""
        return self.scene.whole.shape != self.network.whole.shape

    @property
    def border(self) -> Any | None:
        """What polygons are cut along, a shapely geometry in the scene's CRS; None where tracing ends there anyway."""
        if self.trace is self.scene or self.area.bounds is None:
            return None
        return self.area.outline(self.scene.grid)


@contextmanager
def opened(scene: Path | str | Mosaic, reading: SceneRequest, card: ModelCard) -> Iterator[Scene]:
    """Open what is to be segmented, a file or tiles that are read as one scene.

    Raises:
        InputError: the scene cannot be opened or placed, or is too coarse for the model.
        UsageError: bands or CRS in the request mean nothing for it.
    """
    if isinstance(scene, Mosaic):
        with open_mosaic(scene, reading_on(scene.grid, reading, card, scene.name)) as many:
            yield many
    else:
        with open_scene(scene, read_request(scene, reading, card)) as one:
            yield one


def read_request(path: object, reading: SceneRequest, card: ModelCard) -> ReadRequest:
    """Return what the reader is asked for of a file.

    Raises:
        InputError: the scene cannot be opened or placed, or is too coarse for the model.
    """
    opening = {key: reading.options[key] for key in ("allow_network", "max_pixels") if key in reading.options}
    with open_raster(str(path), **opening) as dataset:
        grid = grid_of(dataset, src_crs=reading.options.get("src_crs"))
    return reading_on(grid, reading, card, str(path))


def reading_on(grid: Grid, reading: SceneRequest, card: ModelCard, name: str) -> ReadRequest:
    """Return what the reader is asked for: the model's bands and values, at the model's resolution if need be.

    Raises:
        InputError: the grid is too coarse for the model.
    """
    pixel = ground_pixel_m(grid)
    resolution = resolution_for(reading.resolution, math.sqrt(pixel[0] * pixel[1]), card, name)
    return ReadRequest(
        model_bands=card.bands,
        value_range=(card.value_range[0], card.value_range[1]),
        fill=card.mean,
        resolution_m=resolution,
        **reading.options,
    )


def make_plan(request: SegmentRequest, scene: Scene, card: ModelCard, rows: tuple[int, int] | None = None) -> Plan:
    """Return the plan of a run.

    Args:
        request: what to do.
        scene: the opened scene.
        card: the model's card.
        rows: first row, and row after the last, of the network's grid to make; None for all. What is made is that part
            of the whole.

    Raises:
        UsageError: window, overlap and blend do not fit together, or the box is no box.
        InputError: the area asked for does not meet the scene.
        ModelError: ``exact`` was asked for and the model's radius is not known.
    """
    reading = request.reading
    if reading.bounds is not None and reading.aoi is not None:
        raise UsageError("--bounds and --aoi both name the area; give one of them")
    if reading.aoi is not None:
        area = read_aoi(reading.aoi, scene.native, scene.name)
    else:
        area = whole_or_box(reading.bounds, scene.native, scene.name)
    wanted = area.window(scene.native)
    seen = wanted
    resampled = scene.grid.shape != scene.native.shape
    finer = scene.native.height * scene.native.width > scene.grid.height * scene.grid.width
    if resampled:
        seen = network_window(scene.grid.shape, scene.native.shape, wanted)
    if rows is not None:
        seen = seen.intersection(Window(rows[0], 0, rows[1] - rows[0], scene.grid.width))
        part = seen if not resampled else _native_part(rows, scene.grid, scene.native)
        wanted = wanted.intersection(part)
        if resampled and wanted.height and (request.output.has_rasters or not finer):  # made on the scene's grid
            seen = network_window(scene.grid.shape, scene.native.shape, wanted)
    windows = plan_windows(scene.grid.shape, seen, request.windows, sight_of(card))
    on_scene, on_network = (
        Place(scene.native, wanted),
        Place(scene.grid, seen, _MARGIN_PX + request.vectors.simplify_px),
    )
    return Plan(area, windows, on_scene, on_network, on_network if finer else on_scene)


def _native_part(rows: tuple[int, int], grid: Grid, native: Grid) -> Window:
    """Return the native rows that rows of the network's grid answer for: every one belongs to one part of a scene."""
    first, stop = (math.ceil(row * native.height / grid.height) for row in rows)
    return Window(first, 0, stop - first, native.width)


def least_areas(wanted: Mapping[str, float], legend: Legend) -> dict[int, float]:
    """Return the smallest region worth keeping of each class, in square metres by pixel value.

    Raises:
        UsageError: a name is neither a class nor a layer of the legend.
    """
    least = {entry.value: wanted.get("*", entry.min_area_m2) for entry in legend}
    for name, area in wanted.items():
        if name == "*":
            continue
        values = [entry.value for entry in legend if name in (entry.name, entry.layer)]
        if not values:
            raise UsageError(f"--min-area-m2: {name!r} is not in the legend: {', '.join(c.name for c in legend)}")
        least[values[0]] = area
    return least
