"""Peak memory and time of ``geoseg vectorize`` on very large class rasters made of real masks.

python -m tests.benchmarks.vector_memory DUBAI [--width 20000] [--heights 20000 40000] [--split-grid 4096]

Where the tracer has to be compiled, LLVM holds about 100 MB to the end of that run. So before each run that is
measured a small one sees that compiled code is kept.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from tests.benchmarks.class_maps import noisy, real_masks

_BLOCK = 4096


def main() -> None:
    """Measure each height, whole and split, in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dubai", type=Path, help="folder of the data set, for its masks")
    parser.add_argument("--width", type=int, default=20_000)
    parser.add_argument("--heights", type=int, nargs="+", default=[20_000, 40_000])
    parser.add_argument("--split-grid", type=int, default=4096)
    given = parser.parse_args()
    block = noisy(real_masks(given.dubai, _BLOCK))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = write(folder / "small.tif", block[:600, :600], 600, 600)
        for height in given.heights:
            raster = write(folder / "classes.tif", block, height, given.width)
            for split in ([], ["--split-grid", str(given.split_grid)]):
                ending = ["--out", str(folder / "map.gpkg"), *split]
                peak_mb(["vectorize", str(small), *ending])
                began = time.perf_counter()
                peak = peak_mb(["vectorize", str(raster), *ending])
                took = time.perf_counter() - began
                print(
                    f"{height} x {given.width} {' '.join(split) or 'whole'}: peak {peak:.0f} MB, {took:.0f} s",
                    flush=True,
                )


def peak_mb(arguments: list[str]) -> float:
    """Run geoseg and return the largest memory it held, in MB."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'geoseg', *sys.argv[1:]], check=True, stdout=sys.stderr);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, *arguments, "--classes", "all", "--overwrite", "--progress", "none"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(run.stdout) / 1024


def write(path: Path, block: np.ndarray, height: int, width: int) -> Path:
    """Write a raster of mirrored copies of a block."""
    copies = -(-width // _BLOCK)
    wide = np.concatenate([block[:, :: 1 if k % 2 == 0 else -1] for k in range(copies)], axis=1)[:, :width]
    profile = {"height": height, "width": width, "count": 1, "dtype": "uint8", "nodata": 0, "crs": "EPSG:32640"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    place = Affine(0.5, 0, 300_000, 0, -0.5, 2_800_000)
    with rasterio.open(path, "w", driver="GTiff", transform=place, **profile, **tiles) as raster:
        for row in range(0, height, _BLOCK):
            rows = wide[:: 1 if row // _BLOCK % 2 == 0 else -1][: min(_BLOCK, height - row)]
            raster.write(rows, 1, window=((row, row + len(rows)), (0, width)))
    return path


if __name__ == "__main__":
    main()
