"""Start-up: ``geoseg --help`` and a 572 × 572 scene to a GeoPackage, each as a whole process.

python -m tests.benchmarks.startup [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.scenes import write_scene


def main() -> None:
    """Measure and print medians; the first round only warms the disk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_scene(folder / "scene.tif", 572, 572)
        geoseg = [sys.executable, "-m", "geoseg"]
        jobs = {
            "geoseg --help": [*geoseg, "--help"],
            "572 x 572 to GeoPackage": [
                *geoseg,
                "segment",
                str(scene),
                "--out",
                str(folder / "c.gpkg"),
                "--overwrite",
            ],
        }
        seconds: dict[str, list[float]] = {job: [] for job in jobs}
        for _ in range(given.rounds + 1):
            for job, command in jobs.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[job].append(time.perf_counter() - started)
    for job, runs in seconds.items():
        print(f"{job}: median {statistics.median(runs[1:]):.2f} s, first {runs[0]:.2f} s")


if __name__ == "__main__":
    main()
