"""Somebody's labels of scenes, polygons of any CRS or a class raster, burned onto a scene's pixels."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from geoseg.class_names import Synonyms
from geoseg.errors import InputError, UsageError
from geoseg.maps.common_ground import Outline, covered, inside
from geoseg.maps.named_polygons import VECTOR_ENDINGS, NamedPolygons, check_kind, read_named_polygons
from geoseg.maps.polygon_map import PolygonMap
from geoseg.maps.raster_map import NOTHING, RasterMap
from geoseg.scene.open import open_raster
from geoseg.vocabulary import NODATA, Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassField:
    """How polygons tell their class."""

    name: str = "class"
    """Text field that names it; layers without that field go by their own name."""
    one_class: str | None = None
    """The class of all polygons, whatever they and their layers are called."""


class Burned(NamedTuple):
    """Labels on a grid."""

    codes: NDArray[np.uint8]
    """Shape (height, width)."""
    names: Mapping[int, str]
    """Class name by code; code 0, unless it is named, is ground within the labels' extent without a class."""
    known: NDArray[np.bool_]
    """Shape (height, width): pixels within the extent of the labels, but for those that these call unlabelled."""


class SceneLabels(Protocol):
    """Labels that can be asked for any grid."""

    @property
    def outline(self) -> Outline:
        """The box of ground that they cover."""
        ...

    def onto(self, grid: Grid) -> Burned:
        """Burn them onto a grid."""
        ...


@contextmanager
def opened_labels(path: Path, field: ClassField, note: Callable[[str], None]) -> Iterator[SceneLabels]:
    """Open labels.

    Args:
        path: polygons or a class raster.
        field: how polygons tell their class.
        note: called with sentences on what was repaired.

    Raises:
        InputError: the file cannot be used, or holds no polygons.
        UsageError: a class raster cannot be of one class.
    """
    check_kind(path)
    if path.suffix.lower() not in VECTOR_ENDINGS:
        if field.one_class is not None:
            raise UsageError(f"--class-name {field.one_class}: is about polygons, and {path} is a class raster")
        with open_raster(path) as dataset:
            labels = _RasterLabels(RasterMap(str(path), dataset))
            if not labels.raster.classes:
                note(
                    f"{path}: has no class names, so its classes are called by their values, as in class_1; name them "
                    f"with: geoseg vectorize {path} --legend NAMES.csv --simplify-px 0 --min-area-m2 0 "
                    "--out labels.gpkg"
                )
            yield labels
        return
    polygons = _named(path, field)
    for sentence in polygons.notes:
        note(sentence)
    burning = PolygonMap(str(path), polygons, Synonyms.of(()).canonical)
    if burning.outline is None:
        raise InputError(f"{path}: has no polygons, expected labels to learn from; choose another file")
    yield _PolygonLabels(burning, burning.outline)


@dataclass(frozen=True, slots=True)
class _PolygonLabels:
    polygons: PolygonMap
    outline: Outline

    def onto(self, grid: Grid) -> Burned:
        with self.polygons.onto(grid) as rows:
            codes = rows(grid.whole)
        known = inside(covered(self.polygons.outline_for(grid) or self.outline, grid), grid) & (codes != NOTHING)
        return Burned(np.where(known, codes, NODATA).astype(np.uint8), self.polygons.names, known)


@dataclass(frozen=True, slots=True)
class _RasterLabels:
    raster: RasterMap

    @property
    def outline(self) -> Outline:
        return self.raster.outline

    def onto(self, grid: Grid) -> Burned:
        with self.raster.onto(grid) as rows:
            codes = rows(grid.whole)
        known, classes = codes != NOTHING, self.raster.classes
        canonical = Synonyms.of(classes.values()).canonical
        names = {
            int(value): canonical(classes[int(value)].name) if int(value) in classes else f"class_{value}"
            for value in np.unique(codes[known])
            if value != NODATA or NODATA in classes
        }
        return Burned(np.where(known, codes, NODATA).astype(np.uint8), names, known)


def _named(labels: Path, field: ClassField) -> NamedPolygons:
    """Read the polygons of a file, all of one class where the user says so."""
    if field.one_class is None:
        return read_named_polygons(labels, field.name, Synonyms.of(()).is_class)
    polygons = read_named_polygons(labels, "", lambda _layer: True)
    names = np.full(len(polygons.names), field.one_class, object)
    return replace(polygons, names=names, declared=frozenset({field.one_class}))
