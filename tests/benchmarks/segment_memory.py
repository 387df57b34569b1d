"""Peak memory of a class-raster run at width 10 000, and whether it grows with height.

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
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for height in given.heights:
            scene = write_scene(folder / "scene.tif", height, given.width)
            command = [sys.executable, "-m", "geoseg", "segment", str(scene), "--overwrite", "--json"]
            run = subprocess.run(
                [*command, "--raster", str(folder / "classes.tif")],
                check=True,
                capture_output=True,
                text=True,
            )
            report = json.loads(run.stdout)
            peaks[height] = report["peak_rss_mb"]
            print(f"{given.width} x {height}: peak {peaks[height]:.0f} MB, {report['megapixels_per_second']:.2f} Mpx/s")
    low, high = peaks[given.heights[0]], peaks[given.heights[-1]]
    print(f"{given.heights[-1]} rows / {given.heights[0]} rows = {high / low:.3f}")


if __name__ == "__main__":
    main()
