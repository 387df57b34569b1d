"""``--centerlines``: what it needs, and the layer of one run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from geoseg.errors import UsageError
from geoseg.layers.centerlines import LAYER, append_lines, line_records
from geoseg.layers.vector import driver_of
from geoseg.pipeline.roles import class_called, class_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from geoseg.roads.traced import Traced
    from geoseg.vector.runs import Runs
    from geoseg.vocabulary import Grid, Legend, Lines, MapClass, Polygons


def check_centerlines(out: Path | None) -> None:
    """Refuse before any work what ``--centerlines`` cannot do without.

    Raises:
        UsageError: the result is no GeoPackage, or a package is missing.
    """
    if out is None or driver_of(out) != "GPKG":
        found = "no --out is given" if out is None else f"{out} has no layers"
        raise UsageError(f"--centerlines adds a layer to a GeoPackage, and {found}; give an --out that ends in .gpkg")
    if find_spec("scipy") is None:
        raise UsageError("--centerlines needs scipy; type: pip install 'geoseg[roads]'")


def road_class(legend: Legend) -> MapClass:
    """Return the class that roads are.

    Raises:
        UsageError: there is none, or a class has the name of the layer of centrelines.
    """
    if any((entry.layer or "").casefold() == LAYER for entry in legend):
        raise UsageError(f"--centerlines: a class of the legend has the layer {LAYER} already; name it otherwise")
    return class_called(legend, "road", "--centerlines")


class CenterlineLayer:
    """The centrelines of one run: traced while rows pass by on their way to polygons, written at the end."""

    def __init__(self, grid: Grid, legend: Legend, border: Any | None = None) -> None:
        """Begin; raises UsageError where the legend knows no roads.

        Args:
            grid: where the pixels lie.
            legend: the classes there may be.
            border: what lines are cut along, a shapely geometry in the grid's CRS; None cuts nothing.
        """
        from geoseg.roads.trace import Centerlines

        self.road = road_class(legend)
        """The class that roads are."""
        self._grid = grid
        self._border = border
        building = class_known(legend, "building")
        self._tracing = Centerlines(grid, self.road.value, building.value if building else None)
        self._lines: list[Traced] = []

    def see(self, runs: Runs) -> None:
        """Take the next sieved rows."""
        self._lines += self._tracing.add(runs)

    def after(self, polygons: Iterable[Polygons]) -> Iterator[Polygons]:
        """Pass polygons on; when there are no more, no more rows will come."""
        yield from polygons
        self._lines += self._tracing.finish()

    def lines(self) -> Lines:
        """Return what was traced, cut to the border."""
        from geoseg.roads.clip import clipped_lines
        from geoseg.roads.traced import Traced
        from geoseg.roads.yards import without_yards

        lines = without_yards(Traced.of(self._lines), self._grid)
        if self._border is not None:
            lines = clipped_lines(lines, self._border, self._grid)
        return lines


def write_centerlines(path: Path, layers: Sequence[CenterlineLayer], crs: str) -> dict[str, Any]:
    """Add the layer to a GeoPackage and return what a report says of it; raises OutputError.

    Args:
        path: the GeoPackage.
        layers: of all scenes whose lines it holds.
        crs: WKT of their common CRS.
    """
    found = [layer.lines() for layer in layers]
    append_lines(path, [line_records(lines) for lines in found], crs)
    return {
        "name": LAYER,
        "class": layers[0].road.name,
        "features": sum(len(lines.geometry) for lines in found),
        "length_m": round(sum(float(lines.length_m.sum()) for lines in found), 2),
    }
