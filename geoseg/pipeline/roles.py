"""Which class of a legend plays a part that a flag asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from geoseg.vocabulary import Legend, MapClass


def class_called(legend: Legend, name: str, flag: str) -> MapClass:
    """Return the class that has a name, or the name's plural, as its name or layer.

    Args:
        legend: the classes there are.
        name: in the singular, without capitals.
        flag: who asks.

    Raises:
        UsageError: there is none.
    """
    found = class_known(legend, name)
    if found is not None:
        return found
    known = ", ".join(entry.name for entry in legend)
    raise UsageError(f"{flag}: no class is named {name}, or has the layer {name}s; the legend has {known}")


def class_known(legend: Legend, name: str) -> MapClass | None:
    """Return the class that has a name, or the name's plural, as its name or layer; None where there is none."""
    for entry in legend:
        if {entry.name.casefold(), (entry.layer or "").casefold()} & {name, f"{name}s"}:
            return entry
    return None
