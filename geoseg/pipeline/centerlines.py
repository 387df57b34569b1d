"""``--centerlines``: what it needs, and the layer of one run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from geoseg.errors import UsageError
from geoseg.layers.centerlines import LAYER, append_lines, line_records
from geoseg.layers.vector import driver_of
from geoseg.pipeline.roles import class_called

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

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
    if find_spec("skimage") is None or find_spec("scipy") is None:
        raise UsageError("--centerlines needs scikit-image; type: pip install 'geoseg[roads]'")


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

        self._class = road_class(legend)
        self._grid = grid
        self._border = border
        self._tracing = Centerlines(grid, self._class.value)
        self._records: list[pa.RecordBatch] = []
        self._features = 0
        self._length_m = 0.0

    def see(self, runs: Runs) -> None:
        """Take the next sieved rows."""
        self._keep(self._tracing.add(runs))

    def after(self, polygons: Iterable[Polygons]) -> Iterator[Polygons]:
        """Pass polygons on; when there are no more, no more rows will come."""
        yield from polygons
        self._keep(self._tracing.finish())

    def write(self, path: Path) -> dict[str, Any]:
        """Add the layer to a GeoPackage and return what a report says of it; raises OutputError."""
        append_lines(path, self._records, self._grid.crs)
        return {
            "name": LAYER,
            "class": self._class.name,
            "features": self._features,
            "length_m": round(self._length_m, 2),
        }

    def _keep(self, found: Iterable[Lines]) -> None:
        for lines in found:
            kept = lines
            if self._border is not None:
                from geoseg.roads.clip import clipped_lines

                kept = clipped_lines(lines, self._border, self._grid)
            if len(kept.geometry):
                self._records.append(line_records(kept))
                self._features += len(kept.geometry)
                self._length_m += float(kept.length_m.sum())
