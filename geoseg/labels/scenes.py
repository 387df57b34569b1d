"""Labelled scenes: georeferenced images with somebody's polygons, or class rasters, of the same ground."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.errors import InputError, UsageError
from geoseg.labels.labelled import LabelledImage
from geoseg.labels.mosaic import clusters
from geoseg.labels.scene_labels import ClassField, SceneLabels, opened_labels
from geoseg.maps.common_ground import Outline, covered, way_to_swap
from geoseg.scene.georeference import grid_of, ground_pixel_m
from geoseg.scene.many_files import open_mosaic
from geoseg.scene.mosaic import Mosaic, look_at, mosaics
from geoseg.scene.open import open_raster
from geoseg.scene.own_rasters import is_own_raster
from geoseg.scene.read_request import MOST_FINER, alike
from geoseg.scene.reader import open_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geoseg.scene.read_request import ReadRequest
    from geoseg.vocabulary import Grid

_MOST_PIXELS = 1_000_000_000  # of all scenes; they are kept in memory, at four to five bytes a pixel of three bands
_NEARLY = 1.01  # a metre of UTM is hardly ever one of the ground
_ENDS = 4  # parts of a path that may tell files of one name apart
_SCENE_ENDINGS = {".tif", ".tiff", ".jp2", ".vrt", ".img", ".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True)
class ScenePair:
    """Scenes, or folders of scenes, and their labels."""

    scenes: tuple[Path, ...]
    labels: Path
    """Polygons in any CRS, or a class raster."""


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """The labelled image of a scene; its labels are codes of ``names`` until a legend is chosen."""

    path: Path
    """Its file."""
    image: LabelledImage
    """Its grid is that of the scene."""
    names: Mapping[int, str]
    """Class name by label code; code 0, unless it is named, is ground within the labels' extent without a class."""
    known: NDArray[np.bool_]
    """Shape (height, width): valid pixels within the extent of the labels."""


class _SceneHeader(NamedTuple):
    """A scene that labels lie on, by its header."""

    path: Path
    ground: Grid
    labels: SceneLabels
    is_bytes: bool

    @property
    def name(self) -> str:
        """Its path, for messages."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class FoundScenes:
    """Scenes that labels lie on, none of them read yet."""

    scenes: list[_SceneHeader]
    note: Callable[[str], None]

    @property
    def finest_pixel_m(self) -> float:
        """The smallest ground pixel of all, in metres."""
        return min(_pixel_m(one.ground) for one in self.scenes)

    def read(self, how: ReadRequest) -> list[PlacedImage]:
        """Read them with their labels burned onto their pixels.

        Args:
            how: bands, values and ground pixel that the network wants.

        Raises:
            InputError: a file cannot be used, or there are more pixels, or more detail, than is good.
        """
        _check_sizes(self.scenes, how.resolution_m)
        names_of = _distinct_names([one.path for one in self.scenes])
        placed, empty = [], {id(one.labels): one.labels for one in self.scenes}
        shared = self._shared_stretches(how)
        for path, grid, labels, _ in self.scenes:
            # As segment reads it: what has nearly the pixels that are wanted is not resampled.
            own = replace(how, resolution_m=None) if alike(_pixel_m(grid), how.resolution_m or math.nan) else how
            with open_mosaic(shared[path], own) if path in shared else open_scene(path, own) as scene:
                codes, names, known = labels.onto(scene.grid)
                (rows,) = scene.iter_rows([(0, scene.grid.height)], (0, scene.grid.width))
                if not (known & rows.valid).any():
                    self.note(f"{path}: no label lies on pixels that it has, so it is left out")
                    continue
                called = names_of[path.resolve()]
                image = LabelledImage(
                    called,
                    called,
                    np.ascontiguousarray(rows.pixels),
                    codes,
                    also=_path_endings(path),
                    files=_file_names(path),
                    grid=scene.grid,
                    missing=None if rows.valid.all() else ~rows.valid,
                )
                placed.append(PlacedImage(path, image, names, known & rows.valid))
                empty.pop(id(labels), None)
                for sentence in scene.notes:
                    self.note(f"{path}: {sentence}")
        for labels in empty.values():
            raise InputError(f"{labels.outline.name}: lies on no pixel of a scene, expected labels to learn from")
        return placed

    def _shared_stretches(self, how: ReadRequest) -> dict[Path, Mosaic]:
        """Return tiles that touch, where a stretch depends on values, each with that of the mosaic of all of them.

        Else the same ground would have other colours on both sides of a border between files.
        """
        shared: dict[Path, Mosaic] = {}
        for cluster in clusters([one for one in self.scenes if _is_stretched_by_values(one, how)]):
            if len(cluster) == 1:
                continue
            self.note(
                f"{cluster[0].path} and {len(cluster) - 1} more touch and get one stretch, as of geoseg batch --mosaic"
            )
            for whole in mosaics([look_at(one.name, how) for one in cluster], how, cluster[0].name):
                shared |= {
                    Path(tile.path): Mosaic(tile.path, tile.grid, (tile,), (tile.grid.whole,), whole.stretch)
                    for tile in whole.tiles
                }
        return shared


@contextmanager
def found_scenes(
    pairs: Sequence[ScenePair], src_crs: str | None, field: ClassField, note: Callable[[str], None]
) -> Iterator[FoundScenes]:
    """Find the scenes that labels lie on, by their headers alone; they can be read as long as the context lasts.

    Args:
        pairs: where to look. A folder stands for every raster in it, but for labels, hidden files and geoseg's results.
        src_crs: CRS of the scenes, in place of the files' own.
        field: how polygons tell their class.
        note: called with sentences on what was repaired or left out.

    Raises:
        InputError: a file cannot be used, or labels and scenes share no ground.
    """
    every = {pair.labels.resolve() for pair in pairs}
    with ExitStack() as stack:
        found: list[_SceneHeader] = []
        for pair in pairs:
            labels = stack.enter_context(opened_labels(pair.labels, field, note))
            lies = [
                (one, covered(labels.outline, one.ground).area > 0) for one in _headers(pair, every, labels, src_crs)
            ]
            if not any(on_it for _, on_it in lies):
                raise _apart(labels.outline, lies[0][0])
            for one, on_it in lies:
                if not on_it:
                    note(f"{one.path}: no label lies on it, so it is left out")
            found += [one for one, on_it in lies if on_it]
        yield FoundScenes(found, note)


def read_scenes(
    pairs: Sequence[ScenePair], read: ReadRequest, field: ClassField, note: Callable[[str], None]
) -> list[PlacedImage]:
    """Find scenes and read them: see :func:`found_scenes` and :meth:`FoundScenes.read`."""
    with found_scenes(pairs, read.src_crs, field, note) as found:
        return found.read(read)


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


def _headers(pair: ScenePair, every: set[Path], labels: SceneLabels, src_crs: str | None) -> Iterator[_SceneHeader]:
    """Yield every scene and its own grid, once each."""
    paths = {path.resolve(): path for given in pair.scenes for path in _files(given, every)}
    for path in paths.values():
        with open_raster(path) as dataset:
            yield _SceneHeader(path, grid_of(dataset, src_crs=src_crs), labels, set(dataset.dtypes) == {"uint8"})


def _files(path: Path, labels: set[Path]) -> Iterator[Path]:
    """Yield a scene, or those of a folder: not hidden ones, labels, or rasters that geoseg made of scenes."""
    if not path.is_dir():
        yield path
        return
    files = (file for file in sorted(path.iterdir()) if not file.name.startswith(".") and file.resolve() not in labels)
    rasters = [file for file in files if file.suffix.lower() in _SCENE_ENDINGS]
    scenes = [file for file in rasters if not is_own_raster(file)]
    if rasters and not scenes:
        raise InputError(f"{path}: has no rasters but those that geoseg made of scenes, expected the scenes themselves")
    if not scenes:
        below = (file for file in sorted(path.rglob("*")) if file.parent != path)
        deeper = next((file for file in below if file.suffix.lower() in _SCENE_ENDINGS), None)
        way = f"; folders within it are not looked into, so name them, as in {deeper.parent}" if deeper else ""
        raise InputError(f"{path}: has no rasters, expected scenes such as .tif files{way}")
    yield from scenes


def _distinct_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what each file is called: its stem, or as much of its path as tells it from others of that stem."""
    of_stem: dict[str, set[Path]] = {}
    for path in paths:
        of_stem.setdefault(path.stem, set()).add(path.resolve())
    names: dict[Path, str] = {}
    for stem, same in of_stem.items():
        tails, parts = dict.fromkeys(same, stem), 0
        while len(set(tails.values())) < len(same):
            parts += 1
            tails = {path: "/".join(path.parts[-parts:]) for path in same}
        names |= tails
    return names


def _is_stretched_by_values(scene: _SceneHeader, how: ReadRequest) -> bool:
    """Return whether the values that a scene has decide how they are stretched."""
    if how.stretch.kind == "auto":
        return not scene.is_bytes or how.value_range != (0, 255)
    return how.stretch.kind == "percentiles"


def _file_names(path: Path) -> frozenset[str]:
    """Return the names of a file and its folder, as they were given and as links lead to them."""
    return frozenset(name for at in (path.absolute(), path.resolve()) for name in (at.name, at.parent.name))


def _path_endings(path: Path) -> frozenset[str]:
    """Return what a file may be called where others are: its stem, and the ends of its path."""
    parts = path.resolve().parts[-_ENDS:]
    return frozenset({path.stem, *("/".join(parts[-n:]) for n in range(1, 1 + len(parts)))})


def _check_sizes(scenes: Sequence[_SceneHeader], resolution_m: float | None) -> None:
    """Refuse to make up detail, and to read more than memory may hold."""
    pixels = 0.0
    for path, grid, *_ in scenes:
        own = _pixel_m(grid)
        metres = resolution_m or own
        if own > _NEARLY * MOST_FINER * metres:
            raise InputError(
                f"{path}: its pixels are {own:.3g} m, over {MOST_FINER} times the {metres:.3g} m to learn at, which "
                f"would invent detail; give a --resolution of {own / MOST_FINER:.4g} or more, or leave that scene out"
            )
        pixels += grid.height * grid.width * (own / metres) ** 2
        if pixels > _MOST_PIXELS:
            raise InputError(
                f"{path}: with the scenes before it, {pixels:.3g} pixels at {metres:.3g} m, and at most "
                f"{_MOST_PIXELS:.3g} are learned from; give a coarser --resolution, or fewer scenes"
            )


def _pixel_m(grid: Grid) -> float:
    return sum(ground_pixel_m(grid)) / 2


def _apart(labels: Outline, scene: _SceneHeader) -> InputError:
    ground = Outline.of_grid(scene.name, scene.ground)
    places = "; ".join(f"{one.name} lies at {one.place}" for one in (labels, ground))
    return InputError(
        f"{labels.name}: shares no ground with {scene.path} ({places}), expected labels of the scene; "
        + (way_to_swap(labels, ground) or "check their CRSs with: geoseg info")
    )
