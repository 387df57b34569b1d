"""What the report of a run counts: seconds spent on the way, and what each layer holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from geoseg.layers.vector import WrittenLayers
    from geoseg.vocabulary import MapClass

Item = TypeVar("Item")


def timed(items: Iterable[Item], seconds: dict[str, float], name: str) -> Iterator[Item]:
    """Pass items on, adding up the time it takes to make them."""
    items = iter(items)
    while True:
        began = time.perf_counter()
        item = next(items, None)
        seconds[name] += time.perf_counter() - began
        if item is None:
            return
        yield item


def tallied(chosen: Sequence[MapClass], written: WrittenLayers) -> list[dict[str, Any]]:
    """Return what a report says of the layers of some classes."""
    return [
        {
            "name": entry.layer,
            "class": entry.name,
            "features": written.tallies[entry.value].features,
            "area_m2": round(written.tallies[entry.value].area_m2, 2),
        }
        for entry in chosen
    ]
