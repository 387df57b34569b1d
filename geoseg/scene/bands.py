"""Which bands of a scene the network sees, and which one, if any, says where the scene is transparent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import InputError, UsageError
from geoseg.scene.sample import sample

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

_ALPHA_SHARE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class BandChoice:
    """The bands to read, in the model's order."""

    indexes: tuple[int, ...]
    """Band numbers from 1; repeats are allowed. One band where there is a palette."""
    alpha: int | None = None
    """The band whose zeros are transparent."""
    palette: NDArray[np.uint8] | None = None
    """Shape (4, 256): red, green, blue and alpha of each value of the one band."""
    notes: tuple[str, ...] = ()
    """What the user should know about the choice."""

    @property
    def count(self) -> int:
        """Bands the network gets."""
        return len(self.indexes) if self.palette is None else 3


def parse_bands(text: str) -> tuple[int, ...]:
    """Read ``3,2,1``; raises UsageError."""
    try:
        bands = tuple(int(part) for part in text.split(","))
    except ValueError:
        bands = ()
    if not bands or min(bands) < 1:
        raise UsageError(f"--bands: {text!r} is not a list of band numbers; write them like 3,2,1, counted from 1")
    return bands


def choose_bands(dataset: DatasetReader, wanted: tuple[int, ...] | None, model_bands: tuple[str, ...]) -> BandChoice:
    """Choose the bands of a scene for a model.

    Bands are found by colour interpretation or description; the model's remaining bands are taken in the
    file's order from those that are left. A band tagged alpha counts as imagery unless (almost) all of it is
    either fully transparent or fully opaque.

    Args:
        dataset: An opened raster; its name begins every message.
        wanted: The user's ``--bands``, from 1; None to choose.
        model_bands: The model's band names, such as ``("red", "green", "blue")``.

    Raises:
        InputError: too few bands, or complex numbers.
        UsageError: ``wanted`` has another length than the model, or names a band that is not there.
    """
    name, count = dataset.name, dataset.count
    if wanted is not None:
        if len(wanted) != len(model_bands):
            raise UsageError(f"--bands: {len(wanted)} bands are given, {_wants(model_bands)}")
        if min(wanted) < 1 or max(wanted) > count:
            raise UsageError(f"--bands: {name} has {count} bands, there is no band {max(wanted)}")
    alpha, notes = _alpha(dataset)
    alpha = None if wanted and alpha in wanted else alpha
    colors = [c.name for c in dataset.colorinterp]
    if wanted is None and colors[0] == "palette" and count - (alpha is not None) < len(model_bands):
        return _palette_choice(dataset, model_bands, alpha)
    indexes = wanted or _by_name(dataset, alpha, model_bands)
    if len(indexes) < len(model_bands):
        ones = ",".join("1" for _ in model_bands)
        raise InputError(
            f"{name}: {_wants(model_bands)}, the file has {len(indexes)}; use --bands {ones} or another list"
        )
    if any("complex" in dataset.dtypes[i - 1] for i in indexes):
        raise InputError(f"{name}: holds complex numbers, expected an image; write its amplitude with gdal_calc.py")
    if not wanted and not _named(dataset, indexes, model_bands):
        taken = ", ".join(f"{i} as {band}" for i, band in zip(indexes, model_bands, strict=True))
        notes = (*notes, f"bands carry no colour names, took {taken}; choose others with --bands")
    return BandChoice(tuple(indexes), alpha, notes=notes)


def _wants(model_bands: tuple[str, ...]) -> str:
    return f"the model wants {len(model_bands)} ({', '.join(model_bands)})"


def _names(dataset: DatasetReader) -> list[set[str]]:
    """Return, per band, the words it goes by."""
    pairs = zip(dataset.colorinterp, dataset.descriptions, strict=True)
    return [{color.name, (description or "").strip().lower()} for color, description in pairs]


def _named(dataset: DatasetReader, indexes: tuple[int, ...], model_bands: tuple[str, ...]) -> bool:
    names = _names(dataset)
    return all(band in names[i - 1] for i, band in zip(indexes, model_bands, strict=True))


def _by_name(dataset: DatasetReader, alpha: int | None, model_bands: tuple[str, ...]) -> tuple[int, ...]:
    """Return as many of the model's bands as there are, those with a name first."""
    names = _names(dataset)
    free = [i for i in range(1, dataset.count + 1) if i != alpha]
    found: dict[str, int] = {}
    for band in model_bands:
        match = next((i for i in free if band in names[i - 1]), None)
        if match is not None:
            found[band] = match
            free.remove(match)
    for band in model_bands:
        if band not in found and free:
            found[band] = free.pop(0)
    return tuple(found[band] for band in model_bands if band in found)


def _alpha(dataset: DatasetReader) -> tuple[int | None, tuple[str, ...]]:
    """Return the alpha band, or None and a note where a band is tagged alpha but holds imagery."""
    tagged = [i for i, color in enumerate(dataset.colorinterp, start=1) if color.name == "alpha"]
    if not tagged:
        return None, ()
    values = sample(dataset, tagged[:1]).pixels[0]
    if values.size == 0:
        return tagged[0], ()
    share = np.count_nonzero((values == 0) | (values == values.max())) / values.size
    if share >= _ALPHA_SHARE:
        return tagged[0], ()
    return None, (f"band {tagged[0]} is tagged alpha but holds imagery, it is not used as transparency",)


def _palette_choice(dataset: DatasetReader, model_bands: tuple[str, ...], alpha: int | None) -> BandChoice:
    if model_bands != ("red", "green", "blue"):
        raise InputError(f"{dataset.name}: is a palette image, which gives red, green and blue; {_wants(model_bands)}")
    if dataset.dtypes[0] != "uint8":
        raise InputError(
            f"{dataset.name}: has a palette of {dataset.dtypes[0]}; expand it with gdal_translate -expand rgb"
        )
    table = np.zeros((4, 256), np.uint8)
    for value, color in dataset.colormap(1).items():
        if 0 <= value < 256:
            table[:, value] = color
    return BandChoice((1,), alpha, table, ("palette colours were expanded to red, green and blue",))
