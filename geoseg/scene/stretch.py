"""From a scene's own numbers to the range the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROBUST = (2.0, 98.0)


@dataclass(frozen=True, slots=True)
class StretchRequest:
    """What ``--stretch`` asks for."""

    kind: Literal["auto", "none", "values", "percentiles"] = "auto"
    low: float = _ROBUST[0]
    high: float = _ROBUST[1]

    @property
    def text(self) -> str:
        """The same as ``--stretch`` has it."""
        percent = "%" if self.kind == "percentiles" else ""
        return self.kind if self.kind in ("auto", "none") else f"{self.low:.15g}{percent},{self.high:.15g}{percent}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A chosen stretch: per band, ``low`` and ``high`` become the ends of the model's value range."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    value_range: tuple[float, float]
    text: str
    """How it was chosen, for messages and provenance."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of stretched pixels: uint8 where the model's range is 0 to 255, else float32."""
        return np.dtype(np.uint8 if self.value_range == (0, 255) else np.float32)

    def keeps(self, dtype: np.dtype[Any]) -> bool:
        """Return whether pixels of a type pass unchanged."""
        same = all(pair == self.value_range for pair in zip(self.low, self.high, strict=True))
        return same and dtype == self.dtype

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return stretched pixels, clipped to the value range; NaN becomes its lower end.

        Args:
            pixels: Shape (bands, height, width), any real type.

        Returns:
            The same shape, of type ``dtype``.
        """
        if self.keeps(pixels.dtype):
            return pixels
        if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
            return self._by_table(pixels)
        stretched = np.empty(pixels.shape, self.dtype)
        for band in range(len(pixels)):
            stretched[band] = self._line(pixels[band], band)
        return stretched

    def _by_table(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Look every possible value up: exact, and faster than arithmetic on whole bands."""
        limits = np.iinfo(pixels.dtype)
        values = np.arange(limits.min, limits.max + 1, dtype=np.float64)
        stretched = np.empty(pixels.shape, self.dtype)
        for band in range(len(pixels)):
            # A negative value, used as an index, counts from the end: the table starts at zero and wraps.
            table = np.roll(self._line(values, band), limits.min)
            np.take(table, pixels[band], out=stretched[band], mode="wrap" if limits.min else "clip")
        return stretched

    def _line(self, values: NDArray[Any], band: int) -> NDArray[Any]:
        low, high = self.low[band], self.high[band]
        bottom, top = self.value_range
        with np.errstate(over="ignore", invalid="ignore"):
            line = (values.astype(np.float64) - low) * ((top - bottom) / (high - low)) + bottom
        line = np.nan_to_num(np.clip(line, bottom, top), nan=bottom)
        return (np.rint(line) if self.dtype == np.uint8 else line).astype(self.dtype)


def parse_stretch(text: str) -> StretchRequest:
    """Read ``auto``, ``none``, ``LOW,HIGH`` or ``PLOW%,PHIGH%``; raises UsageError."""
    words = text.strip().lower()
    if words == "auto":
        return StretchRequest()
    if words == "none":
        return StretchRequest("none")
    parts = [part.strip() for part in words.split(",")]
    percent = all(part.endswith("%") for part in parts)
    try:
        low, high = (float(part.removesuffix("%") if percent else part) for part in parts)
    except ValueError:
        raise UsageError(f"--stretch: {text!r} is not auto, none, LOW,HIGH or PLOW%,PHIGH%") from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high) or (percent and not (low >= 0 and high <= 100)):
        raise UsageError(f"--stretch: {text!r} must rise from low to high, percentiles between 0 and 100")
    return StretchRequest("percentiles" if percent else "values", low, high)


def choose_stretch(
    request: StretchRequest,
    measured: NDArray[Any],
    value_range: tuple[float, float],
    *,
    full_bytes: bool = False,
) -> Stretch:
    """Choose the stretch of a scene.

    Args:
        request: What the user asked for.
        measured: Shape (bands, n), a sample of valid pixels in the scene's own type; n may be 0.
        value_range: The model's.
        full_bytes: Whether the scene has 8-bit pixels, all of whose values are in use.
    """
    bands = len(measured)
    unchanged = Stretch((value_range[0],) * bands, (value_range[1],) * bands, value_range, "none")
    if request.kind == "none":
        return unchanged
    if request.kind == "values":
        text = f"{request.low:g},{request.high:g}"
        return Stretch((request.low,) * bands, (request.high,) * bands, value_range, text)
    if request.kind == "auto":
        if full_bytes:
            return Stretch((0.0,) * bands, (255.0,) * bands, value_range, "none")
        if _in_range(measured, value_range):
            return unchanged
    if measured.shape[1] == 0:
        return Stretch((0.0,) * bands, (1.0,) * bands, value_range, "none (no valid pixels were found)")
    low, high = np.percentile(measured.astype(np.float64), (request.low, request.high), axis=1)
    high = np.where(high > low, high, low + 1)
    found = "; ".join(f"{a:.6g},{b:.6g}" for a, b in zip(low, high, strict=True))
    text = f"{request.low:g}%,{request.high:g}% = {found}"
    return Stretch(tuple(map(float, low)), tuple(map(float, high)), value_range, text)


def _in_range(measured: NDArray[Any], value_range: tuple[float, float]) -> bool:
    """Return whether numbers already lie in the model's range and fill at least half of it."""
    if measured.shape[1] == 0:
        return False
    bottom, top = value_range
    least, most = float(measured.min()), float(measured.max())
    return bottom <= least and (bottom + top) / 2 < most <= top
