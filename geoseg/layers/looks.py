"""How classes and centrelines look on a map, whatever the language it is written in (see ``qml`` and ``sld``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.vocabulary import MapClass

OPACITY = 0.7
"""Of whole layers of polygons: the image below stays readable, and the classes stay distinct."""

WIDTH_FIELD = "width_m"
"""Field of centrelines that holds the road's width in metres."""

_OUTLINED = ("building", "buildings")  # outlines say where one ends and the next begins
_SEAM_MM = 0.1


@dataclass(frozen=True, slots=True)
class AreaLook:
    """A filled area and its edge."""

    fill: str
    """``#RRGGBB``."""
    edge: str
    """``#RRGGBB``; the fill's own colour where there is no outline to be seen."""
    edge_mm: float

    @property
    def outlined(self) -> bool:
        """Whether the edge is to be seen."""
        return self.edge != self.fill


@dataclass(frozen=True, slots=True)
class LineLook:
    """A road as wide as it is, with its axis."""

    band: str = "#F2F2F2"
    """Colour of the road's width, ``#RRGGBB``: light, so that it is told from the road's area below."""
    axis: str = "#262626"
    """Colour of the line in its middle, ``#RRGGBB``."""
    axis_mm: float = 0.4
    least_mm: float = 0.8
    """Width below which the band never shrinks, however far one is away."""
    opacity: float = 0.7


def area_look(entry: MapClass) -> AreaLook:
    """Return the look of a class: its fill, and a darker outline for buildings only.

    Every other area has an edge in its own fill, too, half of which lies under its neighbour: with none, the smoothed
    edges of two neighbours let a hairline of the background through.
    """
    if {entry.name.casefold(), (entry.layer or "").casefold()} & set(_OUTLINED):
        darker = bytes(part * 6 // 10 for part in bytes.fromhex(entry.style[1:]))
        return AreaLook(entry.style.upper(), f"#{darker.hex().upper()}", 0.26)
    return AreaLook(entry.style.upper(), entry.style.upper(), _SEAM_MM)
