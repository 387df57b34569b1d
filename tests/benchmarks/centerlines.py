"""Centrelines against the true axes of demo scenes: `--centerlines`, pygeoops on polygons, and bare thinning with skan.

pip install pygeoops==0.6.0 skan==0.13.1
python -m tests.benchmarks.centerlines [--size 2048] [--seeds 0 1 2 3 4 5] [--others]

found: true length within 3 m of a line. apart: the same where no other true road's surface overlaps. false: our length
farther than 3 m from a true axis; on street: of that, inside the true road's surface, where no car park explains it.
width: length-weighted share within 20 % of the nearest axis's, and the median error. Peak memory is of Python's arrays.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import rasterio
import shapely

from geoseg.demo.write import write_demo
from geoseg.pipeline.request import VectorRequest
from geoseg.pipeline.vectorize import VectorizeRequest, vectorize

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_NEAR_M = 3.0
Found = tuple["NDArray[np.object_]", "NDArray[np.float64] | None"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5])
    parser.add_argument("--others", action="store_true", help="measure pygeoops and skan, too")
    given = parser.parse_args()
    methods: dict[str, Callable[[Path], Found]] = {"geoseg": of_geoseg}
    if given.others:
        methods |= {"pygeoops": of_pygeoops, "skeletonize + skan": of_skan}
    print("seed  method              seconds  peak MB  lines     km   found  apart  false  on street  width  median")
    with tempfile.TemporaryDirectory() as name:
        for seed in given.seeds:
            folder = Path(name) / str(seed)
            write_demo(folder, given.size, seed)
            for method, run in methods.items():
                began = time.perf_counter()
                lines, width = run(folder)
                seconds = time.perf_counter() - began
                tracemalloc.start()
                run(folder)
                peak = tracemalloc.get_traced_memory()[1] / 2**20
                tracemalloc.stop()
                true = geopandas.read_file(folder / "reference.gpkg", layer="road_centerlines")
                told = scores(lines, width, true.geometry.to_numpy(), true.width_m.to_numpy())
                size = f"{len(lines):6} {shapely.length(lines).sum() / 1000:6.1f}"
                print(f"{seed:4}  {method:18} {seconds:8.1f} {peak:8.0f} {size}  {told}", flush=True)


def of_geoseg(folder: Path) -> Found:
    """Return the lines of ``geoseg vectorize --centerlines``; polygons are made, too."""
    out = folder / "ours.gpkg"
    vectors = VectorRequest("road", centerlines=True)
    vectorize(VectorizeRequest(folder / "reference.tif", out, vectors=vectors, overwrite=True))
    frame = geopandas.read_file(out, layer="road_centerlines")
    return frame.geometry.to_numpy(), frame.width_m.to_numpy()


def of_pygeoops(folder: Path) -> Found:
    """Return centrelines of the road polygons, pruned by the library's own rule.

    By default it puts points on outlines a mean width of the polygon apart, which loses streets in a large network.
    """
    import pygeoops

    out = folder / "polygons.gpkg"
    vectorize(VectorizeRequest(folder / "reference.tif", out, vectors=VectorRequest("road"), overwrite=True))
    polygons = geopandas.read_file(out, layer="roads").geometry.to_numpy()
    lines = pygeoops.centerline(polygons, densify_distance=2.0)
    parts = shapely.get_parts(np.atleast_1d(lines))
    return parts[shapely.length(parts) > 0], None


def of_skan(folder: Path) -> Found:
    """Return the branches of the skeleton as they are, widths from the distance transform."""
    from scipy import ndimage
    from skan import Skeleton
    from skimage.morphology import skeletonize

    with rasterio.open(folder / "reference.tif") as raster:
        mask, place = raster.read(1) == 2, raster.transform
    far = ndimage.distance_transform_edt(mask)
    skeleton = Skeleton(skeletonize(mask))
    paths = [skeleton.path_coordinates(n) for n in range(skeleton.n_paths)]
    lines = [shapely.LineString(np.column_stack(place @ (p[:, 1] + 0.5, p[:, 0] + 0.5))) for p in paths]
    widths = [2 * far[tuple(p.T.astype(int))].mean() - 1 for p in paths]
    return np.array(lines, object), np.array(widths)


def scores(
    lines: NDArray[np.object_],
    width: NDArray[np.float64] | None,
    true: NDArray[np.object_],
    true_width: NDArray[np.float64],
) -> str:
    """Return the figures that this file's head explains."""
    points, owner = sampled(true)
    axes = shapely.STRtree(true)
    at, axis = axes.query(points, predicate="dwithin", distance=true_width.max())
    other = axis != owner[at]
    half = (true_width[axis] + true_width[owner[at]]) / 2
    apart = np.ones(len(points), bool)
    apart[at[other & (shapely.distance(points[at], true[axis]) < half)]] = False
    found = nearest(shapely.STRtree(lines), points)[1] <= _NEAR_M
    ours, mine = sampled(lines)
    axis, far = nearest(axes, ours)
    false = far > _NEAR_M
    street = false & (far <= true_width[axis] / 2 + 1)
    told = f"{found.mean():6.1%} {found[apart].mean():6.1%} {false.mean():6.1%} {street.mean():10.1%}"
    if width is None:
        return told
    error = np.abs(width[mine] / true_width[axis] - 1)[~false]
    return f"{told} {(error <= 0.2).mean():6.1%} {np.median(error):7.1%}"


def sampled(lines: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Return points a metre apart, and the line of each."""
    counts = np.maximum(1, np.rint(shapely.length(lines))).astype(int)
    owner = np.repeat(np.arange(len(lines)), counts)
    share = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return shapely.line_interpolate_point(lines[owner], share, normalized=True), owner


def nearest(tree: shapely.STRtree, points: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest line of each point and how far it is."""
    (_, line), distance = tree.query_nearest(points, return_distance=True, all_matches=False)
    return line, distance


if __name__ == "__main__":
    main()
