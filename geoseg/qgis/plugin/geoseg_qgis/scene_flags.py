"""Parameters about scenes and models, as segment and batch have them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingParameterEnum

from .flags import Flag, choice, file, number, text, ticked

LAYERS = ("buildings", "roads", "water", "vegetation", "land")
"""Layers of the bundled model."""
USUAL = LAYERS[:3]

MODEL = file(
    "MODEL",
    "Model (empty: the bundled one)",
    "--model",
    "A model file of your own, as geoseg train writes it, an ONNX file, or a STAC MLM item (.json). Empty: the model "
    "that comes with geoseg, for images of built-up areas with pixels of about 1 m. The word dubai: the other one that "
    "comes along, for images like the Dubai data set's.",
    endings="Models (*.safetensors *.onnx *.json);;All files (*)",
    advanced=False,
)


def _classes() -> Flag:
    name = "CLASSES"

    def make() -> Any:
        return QgsProcessingParameterEnum(name, "Layers", list(LAYERS), True, list(USUAL), False, True)

    def write(algorithm: Any, parameters: dict[str, Any], context: Any) -> list[str]:
        if algorithm.parameterAsString(parameters, OTHER_CLASSES.name, context).strip():
            return []
        wanted = algorithm.parameterAsEnumStrings(parameters, name, context)
        # The usual ones are left unsaid: a model with other classes then gives all that it has.
        return [] if sorted(wanted) == sorted(USUAL) else [f"--classes={','.join(wanted)}"]

    told = "Which layers are made: one for each class that is ticked."
    return Flag(name, make, write, told)


OTHER_CLASSES = text(
    "OTHER_CLASSES",
    "Layers of another model",
    "--classes",
    "For a model with classes of its own: all, or their names with commas between. Stands in for the ticks under "
    "Layers.",
)
CLASSES = _classes()

DETAILS = (
    OTHER_CLASSES,
    ticked(
        "TTA",
        "Look eight times",
        "--tta",
        "Average over the image turned and mirrored in all eight ways: truer, and eight times slower.",
        advanced=True,
    ),
    text(
        "DEVICE",
        "Device",
        "--device",
        "Where the network runs: auto, cpu, mps, cuda or cuda:1. Empty: auto, a graphics card where there is one.",
    ),
    choice(
        "PRECISION",
        "Arithmetic",
        "--precision",
        ("auto", "fp32", "bf16", "int8"),
        "Arithmetic of the network; auto takes bf16 where the hardware has it.",
    ),
    text(
        "RESOLUTION",
        "Ground pixel the network sees",
        "--resolution",
        "auto, native, or metres. Empty: auto, which resamples when the image's pixels differ from the model's by "
        "more than a quarter.",
    ),
    text(
        "STRETCH",
        "Stretch of values",
        "--stretch",
        "Values that become the model's range: auto, none, LOW,HIGH or LOW%,HIGH%. Empty: auto.",
    ),
    text(
        "NODATA",
        "Value of missing pixels",
        "--nodata",
        "A number, or none to believe no value. Empty: as the file says.",
    ),
    choice(
        "BLEND",
        "Seams between windows",
        "--blend",
        ("auto", "exact", "crop", "taper"),
        "exact: as one pass over the whole image; crop: cut at the middle of the overlap; taper: average; "
        "auto: exact where the model allows it.",
    ),
    number(
        "WINDOW",
        "Window in pixels",
        "--window",
        "Pixels read at a time, overlap included. Not set: about 1200 (default). Smaller windows need less memory.",
        lowest=16,
        highest=16384,
        whole=True,
    ),
    number(
        "OVERLAP",
        "Overlap in pixels",
        "--overlap",
        "Pixels that neighbouring windows share. Not set: what the model needs.",
        lowest=0,
        highest=8192,
        whole=True,
    ),
    number(
        "THREADS",
        "Threads",
        "--threads",
        "Threads of arithmetic on the processor. Not set: all cores.",
        lowest=1,
        highest=1024,
        whole=True,
    ),
    choice(
        "ON_READ_ERROR",
        "Damaged parts of an image",
        "--on-read-error",
        ("fail", "nodata"),
        "fail: stop with a message; nodata: leave those parts empty.",
    ),
    ticked(
        "ALLOW_NETWORK",
        "Open remote files",
        "--allow-network",
        "Let geoseg read images from the network, such as a layer of https://… Otherwise they are refused.",
        advanced=True,
    ),
)
"""Those that are folded away until asked for."""
