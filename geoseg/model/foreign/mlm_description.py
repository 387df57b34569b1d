"""What a STAC item of the machine-learning-model extension says of a model.

https://github.com/stac-extensions/mlm
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from geoseg.errors import ModelError
from geoseg.model.foreign.description import Description

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMITS = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "int16": (-32768.0, 32767.0)}


def is_item(plain: Mapping[str, Any]) -> bool:
    """Return whether JSON values are such an item."""
    properties = plain.get("properties")
    return "stac_version" in plain and isinstance(properties, dict) and "mlm:input" in properties


def item_description(item: Mapping[str, Any]) -> Description:
    """Return what an item says.

    Raises:
        ModelError: it is not about segmentation, or scales its input in a way that is no line.
    """
    properties = item["properties"]
    tasks = properties.get("mlm:tasks") or []
    if tasks and not any("segmentation" in str(task) and "instance" not in str(task) for task in tasks):
        raise ModelError(f"its tasks are {', '.join(map(str, tasks))}, expected semantic-segmentation")
    try:
        entering, leaving = _only(properties, "mlm:input"), _only(properties, "mlm:output")
        order = [str(side)[0].lower() for side in entering["input"].get("dim_order", "bchw")]
        if order not in (["b", "c", "h", "w"], ["n", "c", "h", "w"]):
            raise ModelError(f"its input is ordered {order}, expected batch, channel, height, width")
        bands = tuple(str(band["name"] if isinstance(band, dict) else band) for band in entering.get("bands") or ())
        names, colors = _classes(leaving)
        value_range, input_range, mean, std = _scaling(entering, item, len(bands))
        resolution = properties.get("geoseg:resolution_m", properties.get("gsd"))
        resolution = resolution if resolution is not None else _spatial_resolution(item)
        return Description(
            name=str(properties["mlm:name"]) if "mlm:name" in properties else None,
            version=str(properties["version"]) if "version" in properties else None,
            classes=names,
            colors=colors,
            bands=tuple(_band(item, band) for band in bands) or None,
            resolution_m=None if resolution is None else _number(resolution),
            value_range=value_range,
            input_range=input_range,
            mean=mean,
            std=std,
            license=str(properties["license"]) if "license" in properties else None,
            text=str(properties["description"]) if "description" in properties else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        if isinstance(wrong, ModelError):
            raise
        raise ModelError(f"it does not follow STAC MLM ({wrong!r:.120})") from wrong


def _only(properties: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = properties[key]
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        count = len(found) if isinstance(found, list) else "no"
        raise ModelError(f"it describes {count} of {key}, expected one")
    return dict(found[0])


def _classes(leaving: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, tuple[str | None, ...] | None]:
    """Return names and colours in the order of the values."""
    found = leaving.get("classification:classes", leaving.get("classification_classes"))
    if not found:
        return None, None
    entries = sorted(found, key=lambda entry: int(entry["value"]))
    hints = [str(entry["color_hint"]) if entry.get("color_hint") else None for entry in entries]
    colors = tuple(None if hint is None else f"#{hint.lstrip('#').upper()}" for hint in hints)
    return tuple(str(entry["name"]) for entry in entries), colors


def _scaling(
    entering: Mapping[str, Any], item: Mapping[str, Any], bands: int
) -> tuple[tuple[float, float] | None, tuple[float, float] | None, tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return value range, input range, mean and deviation; the last two in units of the pixel values."""
    if entering.get("pre_processing_function"):
        raise ModelError("it asks for code of its own before the network (pre_processing_function), which is not run")
    steps = entering.get("value_scaling") or []
    limits = _limits(entering, item)
    lines = [_line(step) for step in steps]
    if not lines:
        return limits, limits, None, None
    if len(lines) not in (1, bands):
        raise ModelError(f"it scales {len(lines)} of {bands} bands")
    known = {(low, high) for _, _, low, high in lines if low is not None and high is not None}
    if len(known) == 1:
        (limits,) = known
    return limits, limits, tuple(shift for shift, _, _, _ in lines), tuple(scale for _, scale, _, _ in lines)


def _line(step: Any) -> tuple[float, float, float | None, float | None]:
    """Return what is subtracted, what is divided by after that, and the ends of the values where a step has them."""
    kind = None if step is None else step.get("type")
    low, high = (
        None if step is None or step.get(key) is None else _number(step[key]) for key in ("minimum", "maximum")
    )
    if kind is None:
        return 0.0, 1.0, None, None
    if kind == "z-score":
        return _number(step["mean"]), _number(step["stddev"]), low, high
    if kind == "min-max":
        if low is None or high is None:
            raise ModelError("it scales values by min-max, with no minimum or no maximum")
        return low, high - low, low, high
    if kind in ("clip", "clip-min", "clip-max"):
        return 0.0, 1.0, low, high
    if kind == "offset":
        return _number(step["value"]), 1.0, None, None
    if kind == "scale":
        return 0.0, _number(step["value"]), None, None
    raise ModelError(f"it scales values by {kind!r:.40}, expected z-score, min-max, scale, offset or clip")


def _limits(entering: Mapping[str, Any], item: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the range of pixel values before any scaling, from the type of the bands."""
    told = item["properties"].get("geoseg:value_range")
    if told is not None:
        low, high = told
        return _number(low), _number(high)
    kinds = {str(band["data_type"]) for band in _described(item) if band.get("data_type")}
    if not kinds and not entering.get("value_scaling"):
        kinds = {str(entering["input"].get("data_type"))}
    return _LIMITS.get(kinds.pop()) if len(kinds) == 1 else None


def _described(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the bands as STAC describes them, from properties and assets."""
    places = [item["properties"], *item.get("assets", {}).values()]
    found = [place.get(key) or [] for place in places for key in ("bands", "raster:bands", "eo:bands")]
    return [band for bands in found for band in bands if isinstance(band, dict)]


def _band(item: Mapping[str, Any], name: str) -> str:
    """Return the common name of a band, such as red for B04, where the item has one."""
    for band in _described(item):
        if band.get("name") == name:
            common = band.get("eo:common_name", band.get("common_name"))
            if common:
                return str(common)
    return name.lower()


def _spatial_resolution(item: Mapping[str, Any]) -> Any:
    keys = ("spatial_resolution", "raster:spatial_resolution", "gsd")
    found = {band[key] for band in _described(item) for key in keys if key in band}
    return found.pop() if len(found) == 1 else None


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ModelError(f"{value!r} is no number")
    return number
