"""Write the README's picture: ``python docs/write_picture.py``. A made-up scene and the layers geoseg makes of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
from affine import Affine
from rasterio.features import rasterize

from geoseg.demo.write import write_demo
from geoseg.pipeline.request import OutputRequest, SegmentRequest, VectorRequest
from geoseg.pipeline.segment import segment
from geoseg.vocabulary import DEFAULT_LEGEND

OUT = Path(__file__).with_name("images") / "demo.jpg"
SIZE, SEED, FINER, GAP = 560, 3, 4, 12


def drawn(layers: Path, transform: Affine) -> np.ndarray:
    """Return the styled map (3, SIZE, SIZE), its borders smoothed by drawing it finer."""
    fine = np.full((SIZE * FINER, SIZE * FINER), 0, np.uint8)
    for entry in DEFAULT_LEGEND:
        shapes = [(shape, entry.value) for shape in pyogrio.read_dataframe(layers, layer=entry.layer).geometry]
        if shapes:
            rasterize(shapes, out=fine, transform=transform @ Affine.scale(1 / FINER))
    colors = np.full((256, 3), 255, np.float64)
    for entry in DEFAULT_LEGEND:
        colors[entry.value] = tuple(bytes.fromhex(entry.style[1:]))
    picture = colors[fine].reshape(SIZE, FINER, SIZE, FINER, 3).mean((1, 3))
    return picture.transpose(2, 0, 1).astype(np.uint8)


def main() -> None:
    """Render, segment, draw."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_demo(folder, size=SIZE, seed=SEED).scene
        layers = folder / "all.gpkg"
        segment(SegmentRequest(scene, OutputRequest(layers), vectors=VectorRequest("all")))
        with rasterio.open(scene) as opened:
            pixels, transform = opened.read(), opened.transform
        gap = np.full((3, SIZE, GAP), 255, np.uint8)
        picture = np.concatenate([pixels, gap, drawn(layers, transform)], axis=2)
    OUT.parent.mkdir(exist_ok=True)
    profile = {"driver": "JPEG", "count": 3, "dtype": "uint8", "quality": 88}
    with rasterio.open(OUT, "w", height=picture.shape[1], width=picture.shape[2], **profile) as out:
        out.write(picture)
    OUT.with_name(OUT.name + ".aux.xml").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
