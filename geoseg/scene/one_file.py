"""The pixels of one file: which of its bands are read, what of them is missing, how values are stretched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.scene.bands import choose_bands
from geoseg.scene.decode import Look, NativeRows
from geoseg.scene.sample import sample
from geoseg.scene.stretch import choose_stretch
from geoseg.scene.validity import validity_rule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.scene.bands import BandChoice
    from geoseg.scene.decode import Faults
    from geoseg.scene.read_request import ReadRequest
    from geoseg.scene.stretch import StretchRequest
    from geoseg.scene.strips import RowMaker
    from geoseg.scene.validity import ValidityRule

Stamps = dict[str, tuple[int, int]]
"""Size in bytes and time of change in nanoseconds of files."""


class OneFile:
    """An opened file whose pixels are a scene's."""

    def __init__(self, dataset: DatasetReader, request: ReadRequest) -> None:
        self._dataset = dataset
        bands = choose_bands(dataset, request.bands, request.model_bands)
        rule = validity_rule(dataset, bands, request.nodata)
        full, seen = has_full_bytes(dataset, bands), np.empty((bands.count, 0), np.uint8)
        if needs_values(request.stretch, bands, full_bytes=full):
            seen = measured(dataset, bands, rule)
        stretch = choose_stretch(request.stretch, seen, request.value_range, full_bytes=full)
        self.look = Look(bands, rule, stretch, request.fill)
        """How the network sees the file."""

    def rows(self, cols: tuple[int, int], faults: Faults) -> RowMaker:
        """Return what makes rows of some columns."""
        return NativeRows(self._dataset, self.look, cols, faults)

    def sample(self) -> NDArray[Any]:
        """Return up to a million valid pixels as they stand in the file, or as a palette shows them: (bands, n)."""
        found = measured(self._dataset, self.look.bands, self.look.validity)
        palette = self.look.bands.palette
        return found if palette is None else palette[:3, found[0]]

    def stamps(self) -> Stamps:
        """Return size and time of change of every local file that is read."""
        return stamps_of(self._dataset.files)


def needs_values(wish: StretchRequest, bands: BandChoice, *, full_bytes: bool) -> bool:
    """Return whether a stretch depends on the values of the pixels."""
    if bands.palette is not None:
        return False
    return wish.kind == "percentiles" or (wish.kind == "auto" and not full_bytes)


def has_full_bytes(dataset: DatasetReader, bands: BandChoice) -> bool:
    """Return whether the pixels are bytes of which all eight bits are in use, as colours of a palette are."""
    if bands.palette is not None:
        return True
    bits = dataset.tags(ns="IMAGE_STRUCTURE", bidx=bands.indexes[0]).get("NBITS", "8")
    return bits == "8" and all(dataset.dtypes[i - 1] == "uint8" for i in bands.indexes)


def measured(dataset: DatasetReader, bands: BandChoice, rule: ValidityRule) -> NDArray[Any]:
    """Return valid pixels of a sample, shape (bands, n), as they stand in the file."""
    count = len(bands.indexes)
    alpha = () if rule.alpha is None else (rule.alpha,)
    taken = sample(dataset, (*bands.indexes, *alpha), mask=rule.mask)
    pixels, valid = taken.pixels[:count], taken.mask
    for part in (rule.of_pixels(pixels[:, None]), taken.pixels[count:] != 0):
        if part is not None and len(part):
            valid = valid & part[0]
    return pixels[:, valid]


def stamps_of(names: list[str]) -> Stamps:
    """Return the stamps of those of some files that are local."""
    stamps = {}
    for name in names:
        try:
            status = Path(name).stat()
        except OSError:
            continue
        stamps[name] = status.st_size, status.st_mtime_ns
    return stamps
