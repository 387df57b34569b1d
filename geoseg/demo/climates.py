"""The climates that scenes are made in, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.demo.dry import DRY
from geoseg.demo.humid import HUMID
from geoseg.demo.mediterranean import MEDITERRANEAN
from geoseg.demo.temperate import LEAFLESS, TEMPERATE

if TYPE_CHECKING:
    from geoseg.demo.climate import Climate

CLIMATES: dict[str, Climate] = {one.name: one for one in (DRY, TEMPERATE, LEAFLESS, MEDITERRANEAN, HUMID)}


def climate_of(climate: Climate | str) -> Climate:
    """Return a climate by its name, or as it is.

    Raises:
        KeyError: there is none of that name.
    """
    return CLIMATES[climate] if isinstance(climate, str) else climate
