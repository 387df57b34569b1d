"""What the model wants of a scene, and what the user said about it, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from geoseg.scene.open import MAX_PIXELS
from geoseg.scene.stretch import StretchRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoseg.scene.validity import NodataOption

MOST_FINER = 4
"""How many times finer than its own pixels a scene is read at most; more would invent detail."""


def alike(pixel_m: float, other_m: float) -> bool:
    """Return whether two ground pixels are so close that nothing is resampled from one to the other."""
    return 0.8 <= pixel_m / other_m <= 1.25


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What the model wants of a scene, and what the user said about it."""

    model_bands: tuple[str, ...] = ("red", "green", "blue")
    """Names of the bands, in the network's order."""
    value_range: tuple[float, float] = (0, 255)
    """Pixel values the model was trained on; (0, 255) gives uint8, any other float32."""
    fill: tuple[float, ...] = (0, 0, 0)
    """Per band, what invalid pixels become; the model's mean, so that they normalize to about zero."""
    bands: tuple[int, ...] | None = None
    nodata: NodataOption = None
    src_crs: str | None = None
    stretch: StretchRequest = field(default_factory=StretchRequest)
    resolution_m: float | None = None
    """Ground pixel to read at, in metres; None for the scene's own."""
    max_pixels: float = MAX_PIXELS
    on_read_error: Literal["fail", "nodata"] = "fail"
    allow_network: bool = False


def flags_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what of a user's options decides which values a network sees, as flags have it: ``{"bands": "4,1,2"}``.

    Args:
        options: fields of a :class:`ReadRequest`; those with their default are left out.
    """
    bands, stretch = options.get("bands"), options.get("stretch", StretchRequest())
    said = {} if bands is None else {"bands": ",".join(map(str, bands))}
    return said if stretch.kind == "auto" else {**said, "stretch": stretch.text}
