"""Buildings, roads and pools of NAIP chips, marked by eye for this project: outlines in pixels of the chips (0.6 m).

``naip_marks.json`` maps a chip's name to lists of polygons ``[[column, row], ...]``: ``buildings``, ``roads``,
``water``, and ``unsure`` where the eye could not tell. Whatever is not marked is no building. Pools are marked only in
part. Eureka and Claremont are for scoring only; three of their chips (eureka_2020_5, eureka_2020_13,
claremont_2018_65) have boxes of buildings alone.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio.features import rasterize
from shapely import Polygon
from shapely.affinity import scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHIP = 256
"""Pixels of a chip a side."""
SCORED = ("eureka", "claremont")
"""Cities that nothing is learned from."""


@cache
def marks() -> dict[str, dict[str, list[list[list[float]]]]]:
    """Return the outlines of every chip."""
    told: dict[str, dict[str, list[list[list[float]]]]] = json.loads(
        Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    )
    return told


def drawn(outlines: list[list[list[float]]], size: int = CHIP) -> NDArray[np.bool_]:
    """Return the pixels within outlines on a chip that is resampled to ``size`` pixels a side, (size, size)."""
    factor = size / CHIP
    shapes = [scale(Polygon(one).buffer(0), factor, factor, origin=(0, 0)) for one in outlines]
    shapes = [shape for shape in shapes if not shape.is_empty]
    if not shapes:
        return np.zeros((size, size), bool)
    return np.asarray(rasterize(shapes, (size, size), dtype="uint8") > 0)
