"""What it costs to write a small GeoPackage safely: three layers of twenty polygons, as for each of many tiny tiles.

python -m tests.benchmarks.small_geopackage [--rounds 40] [--crowd 10000] [--folder FOLDER]

Each figure is a median of interleaved rounds in one process, in milliseconds on the wall and of the processor. GDAL
alone writes the same three layers with its own settings: no styles, no provenance, nothing checked. With --crowd
the folder holds that many other files already.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyogrio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.layers.features import WantedLayers, feature_stream
from geoseg.layers.publish import published
from geoseg.layers.vector import write_layers
from geoseg.vocabulary import DEFAULT_LEGEND, Grid, MapClass, Polygons

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = Grid(CRS.from_epsg(32640).to_wkt(version="WKT2_2019"), Affine(0.5, 0, 325_000, 0, -0.5, 2_785_000), 256, 256)
CLASSES = DEFAULT_LEGEND.classes[:3]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--crowd", type=int, default=0, help="files that lie in the folder before")
    parser.add_argument("--folder", type=Path, help="where to write; a disk, if syncing is to cost what it costs")
    given = parser.parse_args()
    layers = [some_polygons(entry, 20) for entry in CLASSES]
    jobs: dict[str, Callable[[Path], None]] = {
        "GDAL alone, three layers": lambda path: gdal_alone(path, layers),
        "write_layers": lambda path: write(path, layers),
        "write_layers and Publication": lambda path: publish(path, layers),
    }
    wall: dict[str, list[float]] = {job: [] for job in jobs}
    processor: dict[str, list[float]] = {job: [] for job in jobs}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for number in range(given.crowd):
            Path(name, f"other_{number}.gpkg").touch()
        for number in range(given.rounds + 1):
            for place, (job, run) in enumerate(jobs.items()):
                path = Path(name, f"{place}_{number}.gpkg")
                began, worked = time.perf_counter(), time.process_time()
                run(path)
                if number:  # the first round loads libraries
                    wall[job].append(time.perf_counter() - began)
                    processor[job].append(time.process_time() - worked)
    for job in jobs:
        on_wall, worked = statistics.median(wall[job]), statistics.median(processor[job])
        least = min(wall[job])
        print(f"{job:30} {on_wall * 1e3:6.1f} ms wall (least {least * 1e3:.1f}), {worked * 1e3:6.1f} ms processor")


def some_polygons(entry: MapClass, count: int) -> Polygons:
    """Return squares in a row."""
    x = 325_000 + np.arange(count) * 6.0
    squares = shapely.box(x, 2_784_900, x + 5, 2_784_905)
    known = (np.full(count, value) for value in (25.0, 20.0, 0.75))
    return Polygons(np.full(count, entry.value, np.uint8), squares, *known)


def gdal_alone(path: Path, layers: list[Polygons]) -> None:
    """Write the layers and do nothing else."""
    for entry, polygons in zip(CLASSES, layers, strict=True):
        pyogrio.write_arrow(
            feature_stream([(entry, polygons)]),
            path,
            driver="GPKG",
            layer=entry.layer,
            geometry_name="geom",
            geometry_type="Polygon",
            crs=GRID.crs,
            append=path.exists(),
            VERSION="1.3",
        )


def write(path: Path, layers: list[Polygons]) -> None:
    """Write all that a GeoPackage of ours holds, unpublished."""
    write_layers(path, WantedLayers(CLASSES), layers, GRID, {"model": "tiny", "scene": "tile.tif"})


def publish(path: Path, layers: list[Polygons]) -> None:
    """Do what a run does: write beside the target, verify, sync, rename."""
    with published(path, overwrite=False) as temporary:
        write(temporary, layers)


if __name__ == "__main__":
    main()
