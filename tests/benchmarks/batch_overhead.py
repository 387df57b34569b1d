"""What a batch costs per tile beyond segmenting it: ``python -m tests.benchmarks.batch_overhead [--tiles N]``.

Tiles of 64 x 64 pixels and a network of random weights with few channels, so that little but bookkeeping is left. The
same tiles are done in turn by a loop over ``segment`` in a process that is warm, and by ``batch``; printed are medians
per tile in wall and processor time, and the difference. Then one batch of all tiles, of which one in a hundred is
damaged: what is done, and the memory of the process at a tenth of the way and at the end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geoseg.batch.request import BatchRequest, How, Wanted
from geoseg.batch.run import Watch, batch
from geoseg.batch.sources.inputs import gather_inputs
from geoseg.model.file import save_model
from geoseg.model.network import NetworkSpec
from geoseg.pipeline.segment import segment
from geoseg.pipeline.warm import Warm
from tests.conftest import a_card, random_weights

SIZE = 64
PAGE_MB = 4096 / 1e6
BLOCK = 100


def resident_mb() -> float:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def now() -> tuple[float, float]:
    """Return wall and processor time in seconds."""
    return time.perf_counter(), time.process_time()


def per_tile(began: tuple[float, float], ended: tuple[float, float]) -> tuple[float, float]:
    """Return milliseconds of a tile."""
    return 1e3 * (ended[0] - began[0]) / BLOCK, 1e3 * (ended[1] - began[1]) / BLOCK


def write_tiles(folder: Path, count: int) -> None:
    """Write tiles, a thousand in a folder."""
    random = np.random.default_rng(0)
    profile = {"driver": "GTiff", "count": 3, "height": SIZE, "width": SIZE, "dtype": "uint8", "crs": "EPSG:32640"}
    for number in range(count):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        transform = Affine(1, 0, 330_000 + SIZE * (number % 1000), 0, -1, 2_780_000 - SIZE * (number // 1000))
        with rasterio.open(path, "w", **profile, transform=transform) as file:
            file.write(random.integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8))


def main() -> None:
    """Write tiles, time both ways in turn, then one batch of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--to", default="gpkg", choices=["gpkg", "fgb", "none"])
    given = parser.parse_args()
    layers = None if given.to == "none" else f".{given.to}"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        spec = NetworkSpec(3, 5, (4, 8, 8, 8, 8))
        save_model(root / "tiny.safetensors", a_card(spec, radius=94), random_weights(spec, 1, 2.0))
        how = How(str(root / "tiny.safetensors"))
        wanted = Wanted(layers, raster=layers is None)
        write_tiles(root / "tiles", given.tiles)

        some = gather_inputs([str(root / "tiles" / "000")])[:BLOCK]
        warm = Warm()
        alone: list[tuple[float, float]] = []
        batched: list[tuple[float, float]] = []
        for number in range(given.rounds + 1):
            began = now()
            (root / f"alone{number}").mkdir()
            for one in some:
                segment(how.of(one.source, wanted.beside(root / f"alone{number}" / one.name)), warm=warm)
            middle = now()
            batch(BatchRequest(tuple(some), root / f"batch{number}", wanted=wanted, how=how))
            if number:  # the first round warms up
                alone.append(per_tile(began, middle))
                batched.append(per_tile(middle, now()))
        for kind, which in (("wall", 0), ("processor", 1)):
            one, other = (statistics.median(pair[which] for pair in pairs) for pairs in (alone, batched))
            print(f"--to {given.to}, {kind}: segment {one:.1f} ms, batch {other:.1f} ms a tile, ", end="")
            print(f"difference {other - one:+.1f} ms (its network, compiled once for {BLOCK} tiles, included)")

        inputs = gather_inputs([str(root / "tiles")])
        for one in inputs[50::100]:
            Path(one.source).write_bytes(b"no image")
        memory: list[float] = []
        request = BatchRequest(tuple(inputs), root / "all", wanted=replace(wanted, overwrite=True), how=how)

        def watched(state: object) -> None:
            if state.done in (len(inputs) // 10, len(inputs)) and len(memory) < 2:
                memory.append(resident_mb())

        began = time.perf_counter()
        report = batch(request, Watch(watched))
        seconds = time.perf_counter() - began
        counts = report.counts()
        print(f"{len(inputs)} tiles: {counts['done']} done, {counts['failed']} failed, ", end="")
        print(
            f"{1e3 * seconds / len(inputs):.1f} ms a tile; "
            f"memory {memory[0]:.0f} MB at a tenth, {memory[-1]:.0f} MB at the end"
        )
        began = time.perf_counter()
        report = batch(request)
        print(
            f"again: {report.counts()['kept']} kept, {1e3 * (time.perf_counter() - began) / len(inputs):.2f} ms a tile"
        )


if __name__ == "__main__":
    main()
