"""The nouns every room shares: frozen values, checked when they are made.

Pixels are integers in ``row, column`` order, the ground is in floats. Class 0 is nodata everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from affine import Affine

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

NODATA = 0
"""Class value of a pixel that was never seen; no legend may use it."""

NO_CONFIDENCE = 255
"""Confidence of a nodata pixel; real confidences are whole percents, 0 to 100."""

Blend = Literal["exact", "crop", "taper"]
"""How overlapping windows become one map: see ``inference/windows.py``."""

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_LAYER = re.compile(r"(?!gpkg|sqlite_|rtree_)[A-Za-z_][A-Za-z0-9_ -]{0,62}")


@dataclass(frozen=True, slots=True)
class MapClass:
    """One class of a legend."""

    value: int
    """Pixel value, 1 to 254."""
    name: str
    """Singular name, such as ``building``."""
    layer: str | None
    """Name of its vector layer, such as ``buildings``; None for a class that is never written (background)."""
    color: str
    """Identity in class rasters, ``#RRGGBB`` (the training masks' colour)."""
    style: str
    """Fill on the map, ``#RRGGBB``, chosen to be readable."""
    min_area_m2: float = 0.0
    """Smallest region worth keeping, in square metres."""

    def __post_init__(self) -> None:
        if not 0 < self.value < NO_CONFIDENCE:
            raise UsageError(f"class {self.name!r}: value {self.value} is not between 1 and 254")
        if not self.name.strip() or any(c in self.name for c in ",=\0\n"):
            raise UsageError(f"class name {self.name!r} is empty or holds a comma, equals sign or line break")
        if self.layer is not None and not _LAYER.fullmatch(self.layer):
            raise UsageError(f"layer name {self.layer!r} of class {self.name!r} is not a plain name")
        for color in (self.color, self.style):
            if not _COLOR.fullmatch(color):
                raise UsageError(f"class {self.name!r}: colour {color!r} is not of the form #RRGGBB")
        if self.min_area_m2 < 0:
            raise UsageError(f"class {self.name!r}: minimum area {self.min_area_m2} is negative")


@dataclass(frozen=True, slots=True)
class Legend:
    """The classes of a map, in the order of their values."""

    classes: tuple[MapClass, ...]

    def __post_init__(self) -> None:
        for noun in ("value", "name", "layer"):
            named = [getattr(c, noun) for c in self.classes if getattr(c, noun) is not None]
            if len(set(named)) != len(named):
                raise UsageError(f"legend: two classes share one {noun}")

    def __iter__(self) -> Iterator[MapClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def by_value(self, value: int) -> MapClass:
        """Return the class of a pixel value; raises UsageError where there is none."""
        for entry in self.classes:
            if entry.value == value:
                return entry
        raise UsageError(f"legend: no class has the value {value}")

    def select(self, wanted: str) -> tuple[MapClass, ...]:
        """Return the classes named by ``all`` or a comma list of class or layer names, in legend order.

        Raises:
            UsageError: a name is not in the legend, or the list is empty.
        """
        written = [c for c in self.classes if c.layer is not None]
        if wanted.strip() == "all":
            return tuple(written)
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        known = {key: c for c in written for key in (c.name, c.layer)}
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            found = ", ".join(unknown) or "an empty list"
            raise UsageError(f"--classes: {found} is not in the legend; use all, or any of {', '.join(known)}")  # type: ignore[arg-type]
        chosen = {known[name].value for name in names}
        return tuple(c for c in written if c.value in chosen)


DEFAULT_LEGEND = Legend(
    (
        MapClass(1, "building", "buildings", "#3C1098", "#B0413E", 10),
        MapClass(2, "road", "roads", "#6EC1E4", "#5F5F66", 50),
        MapClass(3, "water", "water", "#E2A929", "#2F6FB8", 50),
        MapClass(4, "vegetation", "vegetation", "#FEDD3A", "#7FB24F", 25),
        MapClass(5, "land", "land", "#8429F6", "#EAD9B5", 25),
    )
)
"""The five classes of the default model; identity colours are those of the Dubai masks."""

DEFAULT_CLASSES = "buildings,roads,water"
"""Layers written when ``--classes`` is not given (those of them the legend has)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: ``row, col`` of its upper left pixel, height and width, all in pixels."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise UsageError(f"window {self.height} x {self.width} has a negative size")

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    def intersection(self, other: Window) -> Window:
        """Return the common part, of zero height or width where there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = max(0, min(self.bottom, other.bottom) - row)
        width = max(0, min(self.right, other.right) - col)
        return Window(row, col, height, width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def moved(self, rows: int, cols: int) -> Window:
        """Return the window so many rows further down and columns further right."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def slices(self, row: int = 0, col: int = 0) -> tuple[slice, slice]:
        """Return row and column slices into an array whose first pixel is ``row, col``."""
        return slice(self.row - row, self.bottom - row), slice(self.col - col, self.right - col)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where pixels lie on the ground."""

    crs: str
    """Coordinate reference system as WKT 2."""
    transform: Affine
    """Pixel (column, row) to ground (x, y), in units of the CRS; rotation and south-up rows are allowed."""
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def whole(self) -> Window:
        """The window of all pixels."""
        return Window(0, 0, self.height, self.width)

    @property
    def pixel_area(self) -> float:
        """Area of one pixel in squared units of the CRS."""
        return abs(float(self.transform.determinant))

    def crop(self, window: Window) -> Grid:
        """Return the grid of a window of this grid."""
        shifted = self.transform @ Affine.translation(window.col, window.row)
        return Grid(self.crs, shifted, window.height, window.width)

    def resized(self, height: int, width: int) -> Grid:
        """Return a grid of other pixels over exactly the same ground."""
        scaled = self.transform @ Affine.scale(self.width / width, self.height / height)
        return Grid(self.crs, scaled, height, width)


@dataclass(frozen=True, slots=True)
class SceneRows:
    """Full-width rows of a scene, ready for the network."""

    row: int
    """First row on the grid they were read for; may be negative inside the reflected frame."""
    pixels: NDArray[Any]
    """Shape (bands, height, width), uint8 or float32 in the model's value range."""
    valid: NDArray[np.bool_]
    """Shape (height, width); True where every used band holds a measurement."""


@dataclass(frozen=True, slots=True)
class ClassRows:
    """Full-width rows of decided classes; strips come in order, without gaps or overlaps."""

    row: int
    classes: NDArray[np.uint8]
    """Shape (height, width), legend values, 0 for nodata."""
    confidence: NDArray[np.uint8] | None = None
    """Shape (height, width), probability of the class in whole percents, 255 for nodata; None if not asked for."""


@dataclass(frozen=True, slots=True)
class Polygons:
    """Finished polygons in the coordinates of a CRS, one row each."""

    values: NDArray[np.uint8]
    """Shape (n,), legend values."""
    geometry: NDArray[np.object_]
    """Shape (n,), valid shapely Polygons."""
    area_m2: NDArray[np.float64]
    """Shape (n,), square metres."""
    perimeter_m: NDArray[np.float64]
    """Shape (n,), metres, holes included."""
    confidence: NDArray[np.float64]
    """Shape (n,), 0 to 1, mean probability of the class over the polygon's pixels; NaN where unknown."""

    def of_class(self, value: int) -> Polygons:
        """Return the polygons of one class."""
        here = self.values == value
        return Polygons(
            self.values[here],
            self.geometry[here],
            self.area_m2[here],
            self.perimeter_m[here],
            self.confidence[here],
        )


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field of vector layers that is written only where it is asked for."""

    name: str
    kind: Literal["int32", "float64"]
    of: Callable[[NDArray[np.object_]], NDArray[Any]]
    """From shapely Polygons of shape (n,) to their values of this kind, shape (n,); NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Finished centrelines in the coordinates of a CRS, one row each."""

    geometry: NDArray[np.object_]
    """Shape (n,), shapely LineStrings."""
    width_m: NDArray[np.float64]
    """Shape (n,), metres."""
    length_m: NDArray[np.float64]
    """Shape (n,), metres on the ground."""
