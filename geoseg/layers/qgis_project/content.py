"""What a project shows, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True)
class ProjectLayer:
    """One layer."""

    name: str
    kind: Literal["polygons", "lines", "raster"]
    file: str
    """Path or address."""
    crs: str
    """As WKT."""
    renderer: ET.Element
    """How it is drawn: see ``geoseg.layers.qml``."""
    within: str | None = None
    """Name of the layer in the file; None where it holds only one."""
    opacity: float = 1.0
    shown: bool = True
    """Whether it is switched on."""


@dataclass(frozen=True, slots=True)
class Project:
    """A map."""

    title: str
    crs: str
    """As WKT."""
    extent: tuple[float, float, float, float]
    """What is seen first: left, bottom, right, top in the CRS."""
    group: tuple[ProjectLayer, ...]
    """Layers in the group that bears the title, the uppermost first."""
    below: tuple[ProjectLayer, ...]
    """Layers under the group, the uppermost first."""

    @property
    def layers(self) -> tuple[ProjectLayer, ...]:
        """All layers, the uppermost first."""
        return (*self.group, *self.below)
