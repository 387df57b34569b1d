"""Score a model far from Dubai: ``python docs/score_elsewhere.py DATA MODEL [PICTURE]``.

Ground that ``docs/train_default.py`` keeps aside: the last five tiles of Banepa against OpenStreetMap's footprints, and
chips of NAIP of cities kept aside, whose buildings were marked by eye for this (to about two pixels of 0.6 m): three
with boxes alone, and the eight of ``naip_marks.json``.
Scores are those of ``geoseg segment --raster``, which resamples scenes to the model's metre. PICTURE gets the chips
beside their maps.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
from naip_marks import SCORED, drawn, marks
from rasterio.features import rasterize
from shapely import Polygon, box

from geoseg.labels.mosaic import clusters, in_line
from geoseg.labels.scenes import ClassField, ScenePair, read_scenes
from geoseg.pipeline.request import OutputRequest, SegmentRequest
from geoseg.pipeline.segment import segment
from geoseg.report.pictures import class_picture, side_by_side
from geoseg.scene.read_request import ReadRequest
from geoseg.vocabulary import DEFAULT_LEGEND

BOXES = {
    "eureka_2020_5": """
        42,0,68,5 24,2,33,17 80,0,110,10 80,15,110,24 65,22,96,38 100,27,107,41 112,9,128,32 142,10,153,36
        157,11,168,42 172,11,183,42 187,9,198,41 203,12,218,42 220,12,236,47 5,38,16,48 34,41,48,68
        51,48,62,56 76,55,100,63 73,70,100,86 104,76,116,83 36,86,66,116 45,78,72,90 66,108,120,121
        98,86,121,121 68,85,80,108 144,122,154,133 0,138,16,158 0,164,15,188 25,158,48,178 25,178,36,187
        51,166,71,193 68,155,77,178 86,164,102,193 113,168,129,189 134,151,146,178 140,174,160,196
        198,155,221,168 196,170,218,192 199,137,213,144 229,161,244,188 28,235,44,256 57,242,75,256
        93,237,111,256 122,236,137,256 144,237,160,256 232,244,256,252 184,247,202,252
    """,
    "eureka_2020_13": """
        178,11,192,31 189,2,202,9 223,13,256,34 225,41,256,57 148,47,167,88 185,46,201,90 212,55,232,66
        233,66,248,79 210,74,228,92 166,125,202,144 175,155,194,183 175,189,197,213 152,213,167,226
        161,223,195,239 240,128,256,143 241,148,256,172 241,175,256,199 240,203,256,226 238,229,253,254
    """,
}
"""Buildings as first column, first row, last column, last row."""

CLAREMONT = [
    Polygon(
        [(8, 134), (112, 134), (104, 238), (4, 238)],
        [[(28, 162), (98, 162), (98, 210), (17, 213), (17, 198), (28, 198)]],
    ),
    Polygon([(178, 5), (234, 16), (232, 40), (180, 26)]),
    Polygon([(178, 56), (232, 47), (230, 70), (178, 78)]),
    Polygon([(174, 87), (230, 97), (228, 122), (174, 108)]),
    Polygon([(170, 186), (225, 200), (223, 215), (170, 203)]),
    Polygon([(167, 237), (224, 226), (222, 248), (167, 254)]),
    Polygon([(248, 0), (256, 0), (256, 256), (238, 256), (246, 40)]),
]
ASIDE = 5
BUILDING = 1


def main() -> None:
    """Print the scores."""
    data, model = Path(sys.argv[1]), sys.argv[2]
    shapes = {name: [box(*map(int, one.split(","))) for one in text.split()] for name, text in BOXES.items()}
    shapes["claremont_2018_65"] = CLAREMONT
    panels = {"image": [], "marked": [], "found": []}
    total = np.zeros(3, np.int64)
    for name, buildings in shapes.items():
        path = data / "naip" / f"{name}.tif"
        marked = rasterize(buildings, (256, 256), dtype="uint8") > 0
        found = classes_of(path, model)
        total += told(name, found, marked)
        with rasterio.open(path) as chip:
            panels["image"].append(chip.read((1, 2, 3)).transpose(1, 2, 0))
        panels["marked"].append(class_picture(np.where(marked, BUILDING, 0).astype(np.uint8), DEFAULT_LEGEND))
        panels["found"].append(class_picture(found, DEFAULT_LEGEND))
    print(f"NAIP, three chips: building IoU {total[0] / total[1]:.3f}")
    eight = np.zeros(3, np.int64)
    for name, outlines in marks().items():
        if name.startswith(SCORED):
            sure = ~drawn(outlines["unsure"]) | drawn(outlines["buildings"])
            found = classes_of(data / "naip" / f"{name}.tif", model)
            eight += told(name, np.where(sure, found, 0), drawn(outlines["buildings"]))
    print(f"NAIP, eight chips: building IoU {eight[0] / eight[1]:.3f}")
    total += eight
    print(f"NAIP, all eleven: building IoU {total[0] / total[1]:.3f}")
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_bytes(side_by_side({k: np.concatenate(v) for k, v in panels.items()}, height_px=1100))
    pair = ScenePair((data / "banepa/tiles",), data / "banepa/buildings.geojson")
    placed = read_scenes([pair], ReadRequest(), ClassField(one_class="building"), lambda _: None)
    (cluster,) = clusters(placed)
    total = np.zeros(3, np.int64)
    for tile in in_line(cluster)[-ASIDE:]:
        known = replace(tile.image, labels=np.where(tile.known, tile.image.labels, 0))
        found = classes_of(data / "banepa/tiles" / f"{tile.image.name}.tif", model)
        total += told(tile.image.name, np.where(tile.known, found, 0), known.labels > 0)
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
