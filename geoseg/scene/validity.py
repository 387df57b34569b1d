"""One validity mask from everything a file can say about missing pixels.

A pixel is invalid where

- any used band is NaN or infinite,
- *every* used band that declares a nodata value holds it, in integer rasters: black in one band alone is a
  measurement (GDAL's dataset mask follows the same rule),
- *any* used band holds its nodata value, in floating-point rasters, where it is never a measurement,
- the alpha band is 0, the palette's colour is transparent, or the mask band or ``.msk`` file is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rasterio.enums import MaskFlags

from geoseg.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

    from geoseg.scene.bands import BandChoice

NodataOption = float | Literal["none"] | None
"""``--nodata``: a value for all bands, ``none`` to ignore declared values, None to believe the file."""


def parse_nodata(text: str) -> float | Literal["none"]:
    """Read ``--nodata VALUE|none``; raises UsageError."""
    if text.strip().lower() == "none":
        return "none"
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--nodata: {text!r} is neither a number nor none") from None


@dataclass(frozen=True, slots=True)
class ValidityRule:
    """How one scene marks its missing pixels."""

    nodata: tuple[float | None, ...]
    """Per used band, the value that means nothing was measured."""
    alpha: int | None = None
    """Band number of transparency."""
    mask: bool = False
    """Whether the file has a mask band or a ``.msk`` file."""

    def of_pixels(self, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Return the validity that the pixels themselves tell, None where all are valid.

        Args:
            pixels: Shape (bands, height, width), as read from the file.

        Returns:
            Shape (height, width), True where valid.
        """
        floating = pixels.dtype.kind == "f"
        missing: list[NDArray[np.bool_]] = []
        for band, value in zip(pixels, self.nodata, strict=True):
            same = _same_as(band, value)
            if same is not None:
                missing.append(same)
        invalid = None
        if missing:
            invalid = np.logical_or.reduce(missing) if floating else np.logical_and.reduce(missing)
        if floating:
            finite: NDArray[np.bool_] = np.isfinite(pixels).all(axis=0)
            return finite if invalid is None else finite & ~invalid
        return None if invalid is None else ~invalid

    def of_bands(self, dataset: DatasetReader, window: Window) -> NDArray[np.bool_] | None:
        """Return the validity that alpha and mask band tell, shape (height, width); None without either."""
        valid: NDArray[np.bool_] | None = None
        if self.alpha is not None:
            valid = dataset.read(self.alpha, window=window) != 0
        if self.mask:
            opaque = dataset.read_masks(1, window=window) != 0
            valid = opaque if valid is None else valid & opaque
        return valid

    def describe(self) -> str:
        """Return the rule in words, such as ``nodata 0, alpha band 4``."""
        said = []
        values = sorted({value for value in self.nodata if value is not None})
        if values:
            said.append("nodata " + ", ".join(f"{value:g}" for value in values))
        elif any(value is not None for value in self.nodata):
            said.append("nodata nan")
        if self.alpha is not None:
            said.append(f"alpha band {self.alpha}")
        if self.mask:
            said.append("mask band")
        return ", ".join(said) or "none declared"


def validity_rule(dataset: DatasetReader, choice: BandChoice, nodata: NodataOption = None) -> ValidityRule:
    """Return how a scene marks its missing pixels.

    Args:
        dataset: An opened raster.
        choice: The bands that are used; its alpha decides whether an alpha band counts.
        nodata: The user's ``--nodata``.
    """
    if nodata == "none":
        values: tuple[float | None, ...] = (None,) * len(choice.indexes)
    elif nodata is not None:
        values = (float(nodata),) * len(choice.indexes)
    else:
        values = tuple(dataset.nodatavals[i - 1] for i in choice.indexes)
    flags = dataset.mask_flag_enums[choice.indexes[0] - 1]
    mask = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
    return ValidityRule(values, choice.alpha, mask)


def _same_as(band: NDArray[Any], value: float | None) -> NDArray[np.bool_] | None:
    """Return where a band holds a nodata value; None where it cannot, or where NaN is looked for anyway."""
    if value is None or np.isnan(value):
        return None
    if band.dtype.kind == "f":
        limits = np.finfo(band.dtype)
        # Files store nodata as text: a value slightly above the largest float means the largest float.
        return np.asarray(band == band.dtype.type(min(max(value, float(limits.min)), float(limits.max))))
    whole = np.iinfo(band.dtype)
    if value != int(value) or not whole.min <= value <= whole.max:
        return None
    return np.asarray(band == band.dtype.type(int(value)))
