"""Labelled scenes: georeferenced images with somebody's polygons, or class rasters, of the same ground."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely
from rasterio.features import rasterize

from geoseg.errors import InputError, UsageError
from geoseg.labels.labelled import LabelledImage
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.open import open_raster
from geoseg.scene.read_request import MOST_FINER
from geoseg.scene.reader import open_scene
from geoseg.scores.common_ground import Outline
from geoseg.scores.mapped import NOTHING, PolygonMap, RasterMap
from geoseg.scores.named_polygons import VECTOR_ENDINGS, NamedPolygons, read_named_polygons
from geoseg.scores.same_classes import Synonyms
from geoseg.vocabulary import NODATA, Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.scene.read_request import ReadRequest
    from geoseg.scene.reader import Scene

_CONVERTIBLE = {".shp", ".json", ".kml", ".gml", ".gdb"}
_MOST_PIXELS = 1_000_000_000  # of all scenes; they are kept in memory, at five bytes a pixel of three bands
_SCENE_ENDINGS = {".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True)
class ScenePair:
    """Scenes, or folders of scenes, and their labels."""

    scenes: tuple[Path, ...]
    labels: Path
    """Polygons in any CRS, or a class raster."""


@dataclass(frozen=True, slots=True)
class ClassField:
    """How polygons tell their class."""

    name: str = "class"
    """Text field that names it; layers without that field go by their own name."""
    one_class: str | None = None
    """The class of all polygons, whatever they and their layers are called."""


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A labelled image and where it lies; labels are codes of ``names`` until a legend is chosen."""

    path: Path
    """Its file."""
    image: LabelledImage
    grid: Grid
    names: Mapping[int, str]
    """Class name by label code; code 0, unless it is named, is ground within the labels' extent without a class."""
    known: NDArray[np.bool_]
    """Shape (height, width): valid pixels within the extent of the labels."""

    @property
    def sources(self) -> frozenset[str]:
        """What a card may call it: the names of its file and of the folder that it lies in."""
        file = self.path.resolve()
        return frozenset({file.name, file.parent.name})


def read_scenes(
    pairs: Sequence[ScenePair], read: ReadRequest, field: ClassField, tell: Callable[[str], None]
) -> list[PlacedImage]:
    """Read scenes with their labels burned onto their pixels.

    Args:
        pairs: what to read. A folder stands for every raster in it, but for the labels and hidden files.
        read: bands, values and ground pixel that the network wants.
        field: how polygons tell their class.
        tell: called with sentences on what was repaired or left out.

    Raises:
        InputError: a file cannot be used, or labels and scene share no ground.
    """
    placed: list[PlacedImage] = []
    room = _Room(read)
    for pair in pairs:
        scenes = [scene for path in pair.scenes for scene in _scenes(path, pair.labels)]
        if pair.labels.suffix.lower() in _CONVERTIBLE:
            raise InputError(
                f"{pair.labels}: is no kind of file that labels are read from, expected one of "
                f"{', '.join(VECTOR_ENDINGS)} or a raster; convert it with: ogr2ogr labels.gpkg {pair.labels.name}"
            )
        if pair.labels.suffix.lower() in VECTOR_ENDINGS:
            found = _with_polygons(scenes, pair.labels, room, field, tell)
        else:
            found = _with_raster(scenes, pair.labels, room, tell)
        placed += found
    return placed


def finest_pixel(pairs: Sequence[ScenePair], src_crs: str | None = None) -> float:
    """Return the smallest ground pixel of all scenes, in metres."""
    return float(min(sum(ground_pixel_m(grid)) / 2 for _, grid in _grids(pairs, src_crs)))


@dataclass(slots=True)
class _Room:
    """How scenes are read, and how many pixels of them are in memory then."""

    read: ReadRequest
    pixels: float = 0.0

    def lying_on(self, labels: Outline, scenes: Sequence[Path], tell: Callable[[str], None]) -> list[Path]:
        """Return the scenes that labels lie on, by their headers alone.

        Raises:
            InputError: labels lie on none of them, or reading them would make up detail or take too much memory.
        """
        grids = [(path, _grid(path, self.read.src_crs)) for path in scenes]
        lying = [path for path, grid in grids if shapely.intersection(labels.on(grid), _frame(grid)).area > 0]
        if not lying:
            raise _apart(labels, Outline.of_grid(str(scenes[0]), grids[0][1]))
        for path, grid in grids:
            if path in lying:
                self._take(path, grid)
            else:
                tell(f"{path}: no label lies on it, so it is left out")
        return lying

    def _take(self, path: Path, grid: Grid) -> None:
        high, wide = ground_pixel_m(grid)
        own = (high + wide) / 2
        metres = self.read.resolution_m or own
        if own > MOST_FINER * metres:
            raise InputError(
                f"{path}: its pixels are {own:.3g} m, over {MOST_FINER} times the {metres:.3g} m to learn at, which "
                f"would invent detail; give a --resolution of {own / MOST_FINER:.3g} or more, or leave that scene out"
            )
        self.pixels += grid.height * grid.width * (high * wide / metres**2 if self.read.resolution_m else 1)
        if self.pixels > _MOST_PIXELS:
            raise InputError(
                f"{path}: with the scenes before it, {self.pixels:.3g} pixels at {metres:.3g} m, and at most "
                f"{_MOST_PIXELS:.3g} are learned from; give a coarser --resolution, or fewer scenes"
            )


def _grids(pairs: Sequence[ScenePair], src_crs: str | None) -> Iterator[tuple[Path, Grid]]:
    """Yield every scene and its own grid."""
    for pair in pairs:
        for path in pair.scenes:
            for scene in _scenes(path, pair.labels):
                yield scene, _grid(scene, src_crs)


def _grid(scene: Path, src_crs: str | None) -> Grid:
    with open_raster(scene) as dataset:
        return grid_of(dataset, src_crs=src_crs)


def _scenes(path: Path, labels: Path) -> Iterator[Path]:
    """Yield a scene, or those of a folder."""
    if not path.is_dir():
        yield path
        return
    files = (file for file in sorted(path.iterdir()) if not file.name.startswith(".") and file != labels)
    scenes = [file for file in files if file.suffix.lower() in _SCENE_ENDINGS]
    if not scenes:
        raise InputError(f"{path}: has no rasters, expected scenes such as .tif files")
    yield from scenes


def _with_polygons(
    scenes: list[Path], labels: Path, room: _Room, field: ClassField, tell: Callable[[str], None]
) -> list[PlacedImage]:
    polygons = _named(labels, field)
    for note in polygons.notes:
        tell(note)
    if not len(polygons.geometry):
        raise InputError(f"{labels}: has no polygons, expected labels to learn from; choose another file")
    burning = PolygonMap(str(labels), polygons, Synonyms.of(()).canonical)
    outline = burning.outline
    assert outline is not None  # noqa: S101 - there are polygons
    placed = []
    for path in room.lying_on(outline, scenes, tell):
        with open_scene(path, room.read) as scene:
            with burning.onto(scene.grid) as rows:
                codes = rows(scene.grid.whole).astype(np.uint8)
            covered = shapely.intersection(outline.on(scene.grid), _frame(scene.grid))
            placed.append(_placed(scene, codes, burning.names, _inside(covered, scene.grid)))
            for note in scene.notes:
                tell(f"{path}: {note}")
    return placed


def _with_raster(scenes: list[Path], labels: Path, room: _Room, tell: Callable[[str], None]) -> list[PlacedImage]:
    placed = []
    with open_raster(labels) as dataset:
        classes = RasterMap(str(labels), dataset)
        synonyms = Synonyms.of(classes.classes.values())
        for path in room.lying_on(classes.outline, scenes, tell):
            with open_scene(path, room.read) as scene, classes.onto(scene.grid) as rows:
                codes = rows(scene.grid.whole)
                known = codes != NOTHING
                if not known.any():
                    tell(f"{path}: no label lies on it, so it is left out")
                    continue
                names = {
                    int(value): synonyms.canonical(classes.classes[int(value)].name)
                    if int(value) in classes.classes
                    else f"class_{value}"
                    for value in np.unique(codes[known])
                    if value != NODATA or NODATA in classes.classes
                }
                placed.append(_placed(scene, np.where(known, codes, NODATA).astype(np.uint8), names, known))
                for note in scene.notes:
                    tell(f"{path}: {note}")
    if not placed:
        raise InputError(f"{labels}: is nodata wherever a scene lies, expected labels to learn from")
    return placed


def _named(labels: Path, field: ClassField) -> NamedPolygons:
    """Read the polygons of a file, all of one class where the user says so."""
    if field.one_class is None:
        return read_named_polygons(labels, field.name, Synonyms.of(()).is_class)
    polygons = read_named_polygons(labels, "", lambda _layer: True)
    names = np.full(len(polygons.names), field.one_class, object)
    return replace(polygons, names=names, declared=frozenset({field.one_class}))


def _placed(scene: Scene, codes: NDArray[np.uint8], names: Mapping[int, str], known: NDArray[np.bool_]) -> PlacedImage:
    """Return a scene's pixels with the codes of its labels."""
    height, width = scene.grid.shape
    (rows,) = scene.iter_rows([(0, height)], (0, width))
    name = scene.path.stem
    image = LabelledImage(name, name, np.ascontiguousarray(rows.pixels), codes)
    return PlacedImage(scene.path, image, scene.grid, names, known & rows.valid)


def _frame(grid: Grid) -> shapely.Geometry:
    return shapely.box(0, 0, grid.width, grid.height)


def _inside(area: shapely.Geometry, grid: Grid) -> NDArray[np.bool_]:
    """Return which pixels have their centre in an area of column and row coordinates."""
    if area.covers(shapely.box(0.5, 0.5, grid.width - 0.5, grid.height - 0.5)):
        return np.ones(grid.shape, bool)
    inside: NDArray[np.uint8] = rasterize([(area, 1)], grid.shape, fill=0, dtype="uint8")
    return inside > 0


def _apart(labels: Outline, scene: Outline) -> InputError:
    places = "; ".join(f"{one.name} lies at {one.place}" for one in (labels, scene))
    return InputError(
        f"{labels.name}: shares no ground with {scene.name} ({places}), expected labels of the scene; "
        "check their CRSs with: geoseg info"
    )


def paired(scenes: Sequence[Path], labels: Sequence[Path]) -> list[ScenePair]:
    """Return scenes with their labels: one file of labels for all, or one each.

    Raises:
        UsageError: their numbers do not fit.
    """
    if len(labels) == 1:
        return [ScenePair(tuple(scenes), labels[0])]
    if len(labels) != len(scenes):
        raise UsageError(
            f"--labels: {len(labels)} for {len(scenes)} scenes, expected one for all or one for each --scene"
        )
    return [ScenePair((scene,), own) for scene, own in zip(scenes, labels, strict=True)]
