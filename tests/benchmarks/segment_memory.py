"""Peak memory of a run at width 10 000, and whether it grows with height: of the class raster, then with all layers.

python -m tests.benchmarks.segment_memory [--width 10000] [--heights 2000 8000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.scenes import write_scene


def main() -> None:
    """Measure each height in a process of its own and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=10_000)
    parser.add_argument("--heights", type=int, nargs="+", default=[2000, 8000])
    given = parser.parse_args()
    peaks: dict[tuple[int, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for height in given.heights:
            scene = write_scene(folder / "scene.tif", height, given.width)
            command = [sys.executable, "-m", "geoseg", "segment", str(scene), "--overwrite", "--json"]
            command += ["--raster", str(folder / "classes.tif")]
            for what, layers in (
                ("raster", []),
                ("raster and layers", ["--out", str(folder / "layers.gpkg"), "--classes", "all"]),
            ):
                run = subprocess.run([*command, *layers], check=True, capture_output=True, text=True)
                report = json.loads(run.stdout)
                peaks[height, what] = report["peak_rss_mb"]
                print(
                    f"{given.width} x {height}, {what}: peak {report['peak_rss_mb']:.0f} MB, "
                    f"{report['megapixels_per_second']:.2f} Mpx/s"
                )
    first, last = given.heights[0], given.heights[-1]
    for what in ("raster", "raster and layers"):
        print(f"{what}: {last} rows / {first} rows = {peaks[last, what] / peaks[first, what]:.3f}")


if __name__ == "__main__":
    main()
