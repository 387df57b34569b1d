"""Scene → class raster against the network's own non-overlapping forward rate, interleaved in one run.

    python -m tests.benchmarks.segment_speed [--size 4096] [--rounds 3] [--threads 2]

Prints medians over rounds of megapixels per second of wall time and of processor time, and the two ratios.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.inference.windows import CORE
from geoseg.model.file import Model, load_model, save_model
from geoseg.model.network import NetworkSpec
from geoseg.model.torch_unet import UNet
from geoseg.pipeline.request import OutputRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from tests.benchmarks.scenes import write_scene


def reference_model(folder: Path, like: Model) -> Path:
    """Write a width-16 four-level U-Net with random weights."""
    from dataclasses import replace

    torch.manual_seed(0)
    spec = NetworkSpec(3, len(like.card.legend), (16, 32, 64, 128, 256))
    state = UNet(spec).state_dict()
    path = folder / "reference.safetensors"
    card = replace(like.card, name="reference", network=spec, receptive_radius=94)
    save_model(path, card, {name: state[name].numpy() for name in spec.tensor_shapes()})
    return path


class PureForward:
    """Non-overlapping windows of the default core, already in memory."""

    def __init__(self, model: str, threads: int, windows: int = 6) -> None:
        self.network = build_network(load_model(model), WindowShape(CORE, CORE, 0), RunsOn("cpu", None, threads))
        self.pixels = np.random.default_rng(0).integers(0, 256, (3, CORE, CORE), np.uint8)
        self.windows = windows
        self.network.decide(self.pixels)

    def __call__(self) -> float:
        for _ in range(self.windows):
            self.network.decide(self.pixels)
        return self.windows * CORE * CORE / 1e6


def end_to_end(scene: Path, model: str, threads: int, folder: Path) -> float:
    """Run ``segment --raster`` and return megapixels done."""
    output = OutputRequest(raster=folder / "classes.tif", overwrite=True)
    report = segment(SegmentRequest(scene, output, model=model, runs_on=RunsOn("cpu", None, threads)))
    return report.pixels / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_scene(folder / "scene.tif", given.size, given.size)
        models = {"bundled": given.model, "reference": str(reference_model(folder, load_model(given.model)))}
        jobs = {}
        for label, model in models.items():
            jobs[f"{label} pure"] = PureForward(model, given.threads)
            jobs[f"{label} scene"] = lambda model=model: end_to_end(scene, model, given.threads, folder)
        rates: dict[str, list[tuple[float, float]]] = {job: [] for job in jobs}
        for _ in range(given.rounds):
            for job, run in jobs.items():
                wall, cpu = time.perf_counter(), time.process_time()
                megapixels = run()
                rates[job].append((megapixels / (time.perf_counter() - wall), megapixels / (time.process_time() - cpu)))
    median = {job: [statistics.median(column) for column in zip(*runs, strict=True)] for job, runs in rates.items()}
    for job, (wall, cpu) in median.items():
        print(f"{job:16} {wall:6.2f} Mpx/s wall   {cpu:6.2f} Mpx/s processor")
    for label in models:
        for i, kind in enumerate(("wall", "processor")):
            print(f"{label}: scene / pure = {median[f'{label} scene'][i] / median[f'{label} pure'][i]:.2f} ({kind})")
    for i, kind in enumerate(("wall", "processor")):
        print(f"bundled pure / reference pure = {median['bundled pure'][i] / median['reference pure'][i]:.2f} ({kind})")


if __name__ == "__main__":
    main()
