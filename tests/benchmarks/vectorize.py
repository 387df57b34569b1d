"""The vector engine against GDAL, on real masks and on what the network makes of real images.

Tracing alone, everything up to a GeoPackage of five layers, and what the default simplification does to the map.

python -m tests.benchmarks.vectorize DUBAI [--size 8192] [--rounds 3]

Each figure is a median of interleaved rounds in one process, in processor seconds (all threads) and on the wall.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import rasterio.features
import shapely
from affine import Affine

from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize
from geoseg.vector.burn import final_rows
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows, Grid, Legend, MapClass
from tests.benchmarks.class_maps import network_output, noisy, real_masks, speckled
from tests.benchmarks.gdal_polygonize import load_gdal, polygonize_with_gdal

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TRANSFORM = Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dubai", type=Path, help="folder of the data set, for its masks")
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    clean = real_masks(given.dubai, given.size)
    maps = {
        "clean": clean,
        "noisy": noisy(clean),
        "speckled": speckled(clean),
        "network": network_output(given.dubai, given.size),
    }
    gdal = load_gdal()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, classes in maps.items():
            raster = write(folder / f"{kind}.tif", classes)
            print(f"{kind}, {classes.shape[0]} x {classes.shape[1]}")
            alone = compare(
                {"geoseg": lambda classes=classes: ours(classes), "shapes": lambda classes=classes: shapes(classes)},
                given.rounds,
            )
            print(f"  raw polygons in memory: shapes / geoseg = {alone['shapes'] / alone['geoseg']:.1f}")
            runs: dict[str, Callable[[], object]] = {
                f"geoseg, {n} threads": lambda raster=raster, n=n: layers(raster, folder / "ours.gpkg", n)
                for n in (1, 2)
            }
            runs["GDALPolygonize"] = lambda raster=raster: gdal_alone(gdal, raster, folder / "gdal.gpkg")
            whole = compare(runs, given.rounds, wall=True)
            for n in (1, 2):
                ratio = whole["GDALPolygonize"] / whole[f"geoseg, {n} threads"]
                print(f"  to five layers, {n} threads: GDALPolygonize alone / geoseg = {ratio:.1f}")
            print("  " + quality(classes))


def compare(runs: dict[str, Callable[[], object]], rounds: int, *, wall: bool = False) -> dict[str, float]:
    """Return the median seconds of each run, after one that is not counted."""
    clock = time.perf_counter if wall else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = clock()
            run()
            if number:
                seconds[name].append(clock() - began)
    medians = {name: statistics.median(some) for name, some in seconds.items()}
    print("  " + ", ".join(f"{name} {value:.2f} s" for name, value in medians.items()))
    return medians


def write(path: Path, classes: NDArray[np.uint8]) -> Path:
    """Write a class raster."""
    height, width = classes.shape
    profile = {"height": height, "width": width, "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32640"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", transform=TRANSFORM, **profile, **tiles) as raster:
        raster.write(classes, 1)
        palette = {c.value: (*bytes.fromhex(c.color[1:]), 255) for c in DEFAULT_LEGEND}
        raster.write_colormap(1, palette)
        raster.update_tags(GEOSEG_LEGEND="")
    return path


def ours(classes: NDArray[np.uint8]) -> int:
    """Trace everything to shapely polygons, exact to the pixel."""
    grid = Grid(rasterio.crs.CRS.from_epsg(32640).to_wkt(), TRANSFORM, *classes.shape)
    rows = [ClassRows(0, classes)]
    return sum(len(some.values) for some in polygonize(rows, grid, DEFAULT_LEGEND, Tracing({}, 0)))


def shapes(classes: NDArray[np.uint8]) -> int:
    """Do the same with rasterio."""
    found = rasterio.features.shapes(classes, mask=classes != 0, connectivity=4, transform=TRANSFORM)
    return len(np.array([shapely.geometry.shape(shape) for shape, _ in found]))


def layers(raster: Path, out: Path, threads: int) -> object:
    """Turn a class raster into a GeoPackage of all classes, sieved and simplified."""
    return vectorize(VectorizeRequest(raster, out, vectors=VectorRequest("all"), threads=threads, overwrite=True))


def quality(classes: NDArray[np.uint8], tolerance_px: float = 0.75) -> str:
    """Say what simplification does to a sieved map, nodata traced too, as a class of its own."""
    grid = Grid(rasterio.crs.CRS.from_epsg(32640).to_wkt(), TRANSFORM, *classes.shape)
    shown = np.where(classes == 0, np.uint8(6), classes)
    legend = Legend((*DEFAULT_LEGEND, MapClass(6, "none", "none", "#000000", "#000000")))
    least = dict.fromkeys(range(1, 6), 25.0)
    maps = [
        list(polygonize([ClassRows(0, shown)], grid, legend, Tracing(least, tolerance)))
        for tolerance in (0, tolerance_px)
    ]
    exact, simple = (np.concatenate([batch.geometry for batch in batches]) for batches in maps)
    values = np.concatenate([batch.values for batch in maps[0]])
    before, after = (np.bincount(values, shapely.area(shapes)) for shapes in (exact, simple))
    drift = np.abs(after - before)[1:6] / before[1:6]
    burnt = [np.concatenate([rows.classes for rows in final_rows(batches, grid)]) for batches in maps]
    fewer = 1 - shapely.get_num_coordinates(simple).sum() / shapely.get_num_coordinates(exact).sum()
    gaps = classes.size * grid.pixel_area - shapely.area(simple).sum()
    return (
        f"{len(simple)} polygons at {tolerance_px} px: {np.sum(~shapely.is_valid(simple))} invalid, coverage "
        f"{'valid' if shapely.coverage_is_valid(simple) else 'TORN'}, {gaps:.6f} m² of gaps; vertices {-fewer:.1%}, "
        f"{(burnt[0] == burnt[1]).mean():.3%} of pixels agree, class areas drift by at most {drift.max():.4%}"
    )


def gdal_alone(gdal: object, raster: Path, out: Path) -> None:
    """Polygonize with GDAL and do nothing else."""
    out.unlink(missing_ok=True)
    polygonize_with_gdal(gdal, raster, out)


if __name__ == "__main__":
    main()
