"""What QGIS's Deepness plugin writes into an ONNX file: each value as JSON under a name of its own.

https://qgis-plugin-deepness.readthedocs.io/en/latest/creators/creators_add_metadata_to_model.html
"""

from __future__ import annotations

import ast
import json
import math
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.foreign.description import Description

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINE = {"class_names", "names", "resolution", "tile_size", "tiles_size", "model_type"}
_LONGEST = 1 << 16
_IMPORT = "say it with flags of geoseg model import"
_NAME_THEM = "name them with --classes of geoseg model import"


def deepness_description(metadata: Mapping[str, str], told: Description) -> Description:
    """Return what the metadata say, nothing where they are not Deepness's; what is told already is not looked at.

    Deepness divides bytes by 255, subtracts the mean and divides by the deviation where both are there; its
    resolution is in centimetres, its overlap in percent of a tile.

    Raises:
        ModelError: they make no sense, or are those of a model that does not segment.
    """
    if not _MINE & set(metadata):
        return Description()
    kind = _value(metadata, "model_type")
    if told.classes is None and kind is not None and str(kind).lower() != "segmentor":
        raise ModelError(f"its metadata call it a {kind}, expected a Segmentor")
    scaled = told.mean is None and told.std is None
    mean, std = (_numbers(metadata, f"standardization_{key}") if scaled else None for key in ("mean", "std"))
    resolution = _number(metadata, "resolution") if told.resolution_m is None else None
    overlap = _number(metadata, "tiles_overlap") if told.overlap is None else None
    return Description(
        classes=_names(metadata) if told.classes is None else None,
        resolution_m=None if resolution is None else resolution / 100,
        value_range=(0.0, 255.0),
        input_range=(0.0, 1.0),
        mean=mean if mean and std else None,
        std=std if mean and std else None,
        overlap=None if overlap is None else overlap / 100,
    )


def _names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    found = _value(metadata, "class_names") or _value(metadata, "names")
    if isinstance(found, list) and len(found) == 1:  # newer ones have a table for each output
        found = found[0]
    if found is None:
        return None
    if isinstance(found, list):
        found = dict(enumerate(found))
    try:
        names = {int(number): str(name) for number, name in found.items()}
    except (AttributeError, TypeError, ValueError):
        raise ModelError(f"its metadata name classes in no table: {found!r:.80}; {_NAME_THEM}") from None
    if sorted(names) != list(range(len(names))):
        raise ModelError(f"its metadata number classes {sorted(names)[:9]}, expected 0, 1, 2 and so on; {_NAME_THEM}")
    return tuple(name for _, name in sorted(names.items()))


def _number(metadata: Mapping[str, str], key: str) -> float | None:
    found = _value(metadata, key)
    if found is None:
        return None
    number = _finite(found)
    if number is None or number < 0:
        raise ModelError(f"its metadata give {key} as {found!r:.60}, expected a number; {_IMPORT}")
    return number


def _numbers(metadata: Mapping[str, str], key: str) -> tuple[float, ...] | None:
    found = _value(metadata, key)
    if found is None:
        return None
    numbers = tuple(map(_finite, found)) if isinstance(found, list) else (None,)
    known = tuple(number for number in numbers if number is not None)
    if len(known) != len(numbers):
        raise ModelError(f"its metadata give {key} as {found!r:.60}, expected a list of numbers; {_IMPORT}")
    return known or None


def _finite(value: Any) -> float | None:
    """Return a number, or one in quotes; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _value(metadata: Mapping[str, str], key: str) -> Any:
    """Return a value written as JSON, or as Python does; a word that is neither stands for itself."""
    text = metadata.get(key)
    if text is None or len(text) > _LONGEST:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
