"""Score a model far from Dubai: ``python docs/score_elsewhere.py DATA MODEL [PICTURE]``.

Ground that ``docs/train_default.py`` keeps aside: the last five tiles of Banepa against OpenStreetMap's footprints, and
eleven chips of NAIP of cities kept aside, whose buildings were marked by eye for this (``naip_marks.json``; three of
them as boxes, without places that the eye could not tell).
Scores are those of ``geoseg segment --raster``, which resamples scenes to the model's metre. PICTURE gets the chips
beside their maps.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from naip_marks import SCORED, drawn, marks

from geoseg.labels.mosaic import clusters, in_line
from geoseg.labels.scene_labels import ClassField
from geoseg.labels.scenes import ScenePair, read_scenes
from geoseg.pipeline.request import OutputRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from geoseg.report.pictures import class_picture, side_by_side
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import DEFAULT_LEGEND

ASIDE = 5
BUILDING = 1


def main() -> None:
    """Print the scores."""
    data, model = Path(sys.argv[1]), sys.argv[2]
    panels: dict[str, list[np.ndarray]] = {"image": [], "marked": [], "found": []}
    total = np.zeros(3, np.int64)
    for name, outlines in marks().items():
        if not name.startswith(SCORED):
            continue
        marked = drawn(outlines["buildings"])
        sure = ~drawn(outlines["unsure"]) | marked
        path = data / "naip" / f"{name}.tif"
        found = np.where(sure, classes_of(path, model), 0)
        total += told(name, found, marked)
        with rasterio.open(path) as chip:
            panels["image"].append(chip.read((1, 2, 3)).transpose(1, 2, 0))
        panels["marked"].append(class_picture(np.where(marked, BUILDING, 0).astype(np.uint8), DEFAULT_LEGEND))
        panels["found"].append(class_picture(found.astype(np.uint8), DEFAULT_LEGEND))
    print(f"NAIP, eleven chips: building IoU {total[0] / total[1]:.3f}")
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_bytes(side_by_side({k: np.concatenate(v) for k, v in panels.items()}, height_px=1100))
    pair = ScenePair((data / "banepa/tiles",), data / "banepa/buildings.geojson")
    placed = read_scenes([pair], ReadRequest(), ClassField(one_class="building"), lambda _: None)
    (cluster,) = clusters([one.image for one in placed])
    known = {one.image.name: one.known for one in placed}
    total = np.zeros(3, np.int64)
    for tile in in_line(cluster)[-ASIDE:]:
        found = classes_of(data / "banepa/tiles" / f"{tile.name}.tif", model)
        here = known[tile.name]
        total += told(tile.name, np.where(here, found, 0), here & (tile.labels > 0))
    print(f"Banepa, five tiles: building IoU {total[0] / total[1]:.3f}")


def classes_of(scene: Path, model: str) -> np.ndarray:
    """Return what segment decides, (h, w)."""
    with tempfile.TemporaryDirectory() as folder:
        raster = Path(folder) / "classes.tif"
        segment(SegmentRequest(scene, OutputRequest(raster=raster), model))
        with rasterio.open(raster) as classes:
            return classes.read(1)


def told(name: str, found: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Print the building IoU and what else was found; returns overlap, union and pixels."""
    both, either = ((found == BUILDING) & marked).sum(), ((found == BUILDING) | marked).sum()
    shares = {entry.name: round(float((found == entry.value).mean()), 2) for entry in DEFAULT_LEGEND}
    print(f"{name}: building IoU {both / either:.3f}, shares {shares}")
    return np.array([both, either, found.size])


if __name__ == "__main__":
    main()
