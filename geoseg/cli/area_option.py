"""``--min-area-m2``: one area for all classes, or one for each.

--min-area-m2 25
--min-area-m2 building=10 --min-area-m2 roads=50
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY = "*"
"""Stands for all classes that are not named."""


class AreaType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, not before
    """``N`` or ``name=N``, square metres of at least 0; gives pairs of name (or `EVERY`) and area."""

    name = "N|NAME=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Parse one value; raises click.BadParameter."""
        if isinstance(value, tuple):
            return value
        name, _, number = str(value).rpartition("=")
        try:
            area = float(number)
        except ValueError:
            area = math.nan
        if not (math.isfinite(area) and area >= 0) or ("=" in str(value) and not name.strip()):
            self.fail(f"{value!r} is not square metres such as 25 or building=10", param, ctx)
        return name.strip() or EVERY, area


def areas_by_name(given: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return repeated areas by class or layer name; the last of one name counts."""
    return dict(given)
