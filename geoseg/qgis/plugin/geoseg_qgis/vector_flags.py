"""Parameters about polygons, as segment, batch and vectorize have them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingParameterString

from .flags import Flag, number, text, ticked

REGULARIZE = ticked(
    "REGULARIZE",
    "Square buildings",
    "--regularize",
    "Give buildings straight walls at right angles where these cover what was seen; what borders on them follows.",
)
CENTERLINES = ticked(
    "CENTERLINES",
    "Add road centrelines",
    "--centerlines",
    "Add the layer road_centerlines: a network of lines along the roads, with widths and lengths.",
)


def _areas() -> Flag:
    name = "MIN_AREA_M2"

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        given = algorithm.parameterAsString(parameters, name, context).replace(",", " ").split()
        return [f"--min-area-m2={area}" for area in given]

    def make() -> Any:
        return QgsProcessingParameterString(name, "Smallest areas in square metres", None, optional=True)

    told = (
        "Smaller regions go to a neighbour. One number for all classes, or name=number, with commas between, such as "
        "building=20, road=50. Empty: building 10, road 50, water 50, others 25 (of a class raster with other "
        "classes: 0)."
    )
    return Flag(name, make, write, told, advanced=True)


DETAILS = (
    _areas(),
    number(
        "SIMPLIFY_PX",
        "Simplify by pixels",
        "--simplify-px",
        "How far outlines may stray from the pixels' borders, in pixels; 0 follows them exactly.",
        lowest=0,
        highest=100,
        default=0.75,
    ),
    ticked(
        "SMOOTH",
        "Round outlines",
        "--smooth",
        "Round outlines by cutting their corners; neighbours stay neighbours.",
        advanced=True,
    ),
    number(
        "SPLIT_GRID",
        "Cut polygons along a grid of pixels",
        "--split-grid",
        "Cut polygons along a grid of so many pixels: friendlier layers of large scenes, and less memory.",
        lowest=16,
        highest=2**30,
        whole=True,
    ),
    text(
        "ATTRIBUTES",
        "Further fields",
        "--attributes",
        "Further fields of polygons, with commas between: elongation (length by width), holes (their number).",
    ),
)
"""Those that are folded away until asked for."""
