"""Squared buildings against true footprints, beside what is drawn without squaring and by buildingregulariser.

python -m tests.benchmarks.regularize [--seeds 0 1 2 3] [--size 1024]

Polygons are those of the bundled model on demo scenes it has not seen. ``truth`` is the mean over true footprints of
the best IoU any polygon has with each, ``matched`` the same over those above 0.5, ``right`` the share of corners, where
an outline turns by more than 10°, that turn by 90° within 5°, and in brackets that of all vertices. Rates are in
processor seconds; ours is of the time that squaring adds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely

from geoseg.demo.write import write_demo
from geoseg.pipeline.request import OutputRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from geoseg.scene.georeference import grid_of
from geoseg.vector.polygonize import Tracing, polygonize
from geoseg.vocabulary import DEFAULT_LEGEND, ClassRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vocabulary import Grid

BUILDING = 1
_CORNER = 10  # degrees
LEAST = {1: 10.0, 2: 50.0, 3: 50.0, 4: 25.0, 5: 25.0}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--size", type=int, default=1024)
    given = parser.parse_args()
    shapes: dict[str, list[Any]] = {name: [] for name in ("as traced", "squared", "buildingregulariser")}
    seconds = dict.fromkeys(shapes, 0.0)
    overlaps = dict.fromkeys(shapes, 0.0)
    best: dict[str, list[NDArray[np.float64]]] = {name: [] for name in shapes}
    with tempfile.TemporaryDirectory() as name:
        for seed in given.seeds:
            folder = Path(name) / str(seed)
            paths = write_demo(folder, given.size, seed)
            segment(SegmentRequest(paths.scene, OutputRequest(raster=folder / "classes.tif")))
            with rasterio.open(folder / "classes.tif") as raster:
                classes, grid = raster.read(1), grid_of(raster)
            truth = gpd.read_file(paths.vectors, layer="building_footprints").geometry.to_numpy()
            traced(classes, grid, BUILDING)  # compiles
            found = {}
            for kind, to_square in (("as traced", None), ("squared", BUILDING)):
                began = time.process_time()
                found[kind] = traced(classes, grid, to_square)
                seconds[kind] += time.process_time() - began
            began = time.process_time()
            found["buildingregulariser"] = by_package(found["as traced"], grid)
            seconds["buildingregulariser"] += time.process_time() - began
            for kind, polygons in found.items():
                shapes[kind] += list(polygons)
                best[kind].append(nearness(polygons, truth))
                overlaps[kind] += overlap(polygons)
    seconds["squared"] -= seconds["as traced"]
    seconds["as traced"] = float("nan")
    for kind, polygons in shapes.items():
        scores, angles = np.concatenate(best[kind]), np.concatenate([turns(polygon) for polygon in polygons])
        right = np.abs(angles - 90) < 5
        rate, vertices = len(polygons) / seconds[kind], len(angles) / len(polygons)
        print(
            f"{kind}: {len(polygons)} polygons, truth {scores.mean():.4f}, "
            f"matched {scores[scores > 0.5].mean():.4f}, "
            f"right {right[angles > _CORNER].mean():.1%} ({right.mean():.1%}), {vertices:.1f} vertices, "
            f"{np.sum(~shapely.is_valid(polygons))} invalid, overlap {overlaps[kind]:.2f} m², {rate:.0f} a second"
        )


def traced(classes: NDArray[np.uint8], grid: Grid, to_square: int | None) -> NDArray[np.object_]:
    """Return the polygons of buildings."""
    batches = polygonize([ClassRows(0, classes)], grid, DEFAULT_LEGEND, Tracing(LEAST, 0.75, to_square=to_square))
    return np.concatenate([batch.of_class(BUILDING).geometry for batch in batches])


def by_package(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Return polygons as buildingregulariser draws them, on one core, with its own settings for the rest."""
    from buildingregulariser import regularize_geodataframe

    frame = gpd.GeoDataFrame(geometry=polygons, crs=grid.crs)
    squared = regularize_geodataframe(frame, num_cores=1).geometry.explode()
    result: NDArray[np.object_] = squared.to_numpy()
    return result


def nearness(polygons: NDArray[np.object_], truth: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the best IoU that any polygon has with each true one."""
    true, found = shapely.STRtree(polygons).query(truth, predicate="intersects")
    common = shapely.area(shapely.intersection(truth[true], polygons[found]))
    both = shapely.area(truth[true]) + shapely.area(polygons[found]) - common
    best = np.zeros(len(truth))
    np.maximum.at(best, true, common / both)
    return best


def turns(polygon: shapely.Polygon) -> NDArray[np.float64]:
    """Return by how much the outline turns at each vertex, in degrees."""
    angles = []
    for ring in (polygon.exterior, *polygon.interiors):
        xy = np.asarray(ring.coords)[:-1]
        before, after = xy - np.roll(xy, 1, axis=0), np.roll(xy, -1, axis=0) - xy
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        angles.append(np.degrees(np.abs(np.arctan2(cross, (before * after).sum(axis=1)))))
    return np.concatenate(angles)


def overlap(polygons: NDArray[np.object_]) -> float:
    """Return the area that polygons have in common with others, in square metres."""
    tree = shapely.STRtree(polygons)
    a, b = tree.query(polygons, predicate="overlaps")
    return float(shapely.area(shapely.intersection(polygons[a], polygons[b])).sum() / 2)


if __name__ == "__main__":
    main()
