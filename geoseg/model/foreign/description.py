"""What somebody says about a model of theirs: beside the file, inside it, or on the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from geoseg.errors import ModelError, UsageError
from geoseg.model.graph import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNKNOWN_LICENSE = "not stated"


@dataclass(frozen=True, slots=True)
class Description:
    """What is told about a model; None for what is not."""

    name: str | None = None
    version: str | None = None
    classes: tuple[str, ...] | None = None
    """Names of the output channels in their order; ``-`` leaves a channel out. One more than there are channels where
    one of them, such as ``background``, stands for none of the others."""
    colors: tuple[str | None, ...] | None = None
    """Per name, #RRGGBB."""
    bands: tuple[str, ...] | None = None
    resolution_m: float | None = None
    value_range: tuple[float, float] | None = None
    """Smallest and largest pixel value of a scene."""
    input_range: tuple[float, float] | None = None
    """What these become before mean and std are applied."""
    mean: tuple[float, ...] | None = None
    """Per band or one for all, in units of the input range."""
    std: tuple[float, ...] | None = None
    answers: Answers | None = None
    stride: int | None = None
    overlap: float | None = None
    """Share of a tile that neighbouring tiles have in common."""
    receptive_radius: int | None = None
    license: str | None = None
    text: str | None = None
    """Where the model works, in a sentence."""

    def over(self, other: Description) -> Description:
        """Return this, completed by what only the other says."""
        pairs = {entry.name: (getattr(self, entry.name), getattr(other, entry.name)) for entry in fields(self)}
        return Description(**{name: theirs if mine is None else mine for name, (mine, theirs) in pairs.items()})

    @property
    def is_empty(self) -> bool:
        """Whether nothing that matters is told."""
        return self.classes is None and self.resolution_m is None


def nothing_told(path: Path, told: Description | None) -> None:
    """Refuse a description of a model that has geoseg's own card, which would be ignored.

    Raises:
        UsageError: something is told.
    """
    names = [entry.name for entry in fields(Description) if told and getattr(told, entry.name) is not None]
    if names:
        flag = names[0].replace("_", "-")
        raise UsageError(f"--{flag}: {path} is a model of geoseg, whose card says it; leave --{flag} away")


def description_from_json(plain: Mapping[str, Any]) -> Description:
    """Return the description of a sidecar's JSON values; ``docs/models.md`` has its fields.

    Raises:
        ModelError: a field is unknown or of another kind.
    """
    known = {entry.name for entry in fields(Description)}
    if surplus := sorted(set(plain) - known):
        raise ModelError(f"its description has an unknown field {surplus[0]!r}; it may have {', '.join(sorted(known))}")
    kinds = {
        **dict.fromkeys(("name", "version", "license", "text"), _text),
        **dict.fromkeys(("classes", "bands"), _texts),
        **dict.fromkeys(("mean", "std"), _numbers),
        **dict.fromkeys(("value_range", "input_range"), _range),
        **dict.fromkeys(("stride", "receptive_radius"), _whole),
        **dict.fromkeys(("resolution_m", "overlap"), _number),
        "colors": lambda value: tuple(None if color is None else _text(color) for color in _list(value)),
        "answers": _answers,
    }
    try:
        return Description(**{name: kinds[name](value) for name, value in plain.items() if value is not None})
    except (TypeError, ValueError, OverflowError) as wrong:
        raise ModelError(f"its description makes no sense ({wrong})") from wrong


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} is no list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(entry) for entry in _list(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r:.60} is no number")
    return float(value)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(_number(entry) for entry in (value if isinstance(value, list) else [value]))


def _range(value: Any) -> tuple[float, float]:
    found = _numbers(value)
    if len(found) != 2:
        raise TypeError(f"{value!r:.60} is not two numbers")
    return found[0], found[1]


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r:.60} is no whole number")
    return value


def _answers(value: Any) -> Any:
    if value not in get_args(Answers):
        raise TypeError(f"answers {value!r:.60} is none of {', '.join(get_args(Answers))}")
    return value
