"""Masks: pictures whose pixels tell classes, by value, by palette or by colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import ColorInterp

from geoseg.errors import InputError, first_of
from geoseg.layers.legend import read_legend
from geoseg.scene.damage import decoding
from geoseg.scene.open import open_raster
from geoseg.vocabulary import NODATA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

    from geoseg.labels.mask_key import MaskKey

_UNKNOWN = 255  # label of what means nothing known; no legend has that value
_WORTH_SAYING = 0.99
_KNOWN_SHARE = 0.5  # of a mask's pixels must have a class or be unlabelled, or it is a mask of something else


def read_labels(mask: Path, key: MaskKey, note: Callable[[str], None] = lambda _sentence: None) -> NDArray[np.uint8]:
    """Return the legend values (h, w) of a mask; 0 where it says nothing.

    Three bands are colours, those of the key, or grey values where it has no colours. One band with a palette of such
    colours is the same; any other one band holds values: those of the key, or of a legend of the file's own with the
    same names.

    Raises:
        InputError: the mask cannot be read, or most of it is no class of the legend.
    """
    with open_raster(mask) as opened, decoding(str(mask)):
        colors = _colors(opened, key)
        labels = _by_value(opened, key) if colors is None else _by_color(colors, key)
        labels[~_opaque(opened)] = NODATA
        known = labels != _UNKNOWN
        found = "colours" if colors is not None or known.all() else _strange(opened, ~known)
        is_blurred = opened.driver == "JPEG"
    strange = f"{mask}: {1 - known.mean():.0%} of its pixels have {found} that are no class of the legend; "
    if known.mean() < _KNOWN_SHARE and is_blurred:
        raise InputError(strange + "JPEG blurs the colours and values of masks, so write them as PNG or TIFF")
    if known.mean() < _KNOWN_SHARE:
        raise InputError(strange + "name them with --legend FILE")
    if known.mean() < _WORTH_SAYING:
        note(strange + "they count as unlabelled, unless --legend FILE names them")
    return np.where(known, labels, np.uint8(NODATA))


def _strange(mask: DatasetReader, where: NDArray[np.bool_]) -> str:
    """Return how to speak of the values that a mask has in some places: by the first of them."""
    values = np.unique(np.asarray(mask.read(1))[where])
    return f"values ({first_of([f'{value:g}' for value in values[:6].tolist()], 5)})"


def _opaque(mask: DatasetReader) -> NDArray[np.bool_]:
    """Return which pixels are not wholly transparent."""
    alphas = [i for i, color in enumerate(mask.colorinterp, 1) if color == ColorInterp.alpha]
    return np.asarray(mask.read(alphas[0]) > 0) if alphas else np.ones(mask.shape, bool)


def _colors(mask: DatasetReader, key: MaskKey) -> NDArray[np.uint8] | None:
    """Return the colours (3, h, w) of a mask that tells classes by colour; None where it does so by value."""
    if mask.count >= 3:
        if set(mask.dtypes[:3]) != {"uint8"}:
            raise InputError(f"{mask.name}: has {mask.count} bands of {mask.dtypes[0]}, expected colours in uint8")
        colors = np.asarray(mask.read((1, 2, 3)))
        is_grey = (colors[0] == colors[1]).all() and (colors[0] == colors[2]).all()
        return None if is_grey and not key.is_colored else colors
    if mask.colorinterp[0] != ColorInterp.palette or not key.is_colored:
        return None
    table, band = _palette(mask), np.asarray(mask.read(1))
    used = {_packed(table[value]) for value in np.unique(band)}
    ours = {color for color, value in key.colors.items() if value != NODATA}
    return np.ascontiguousarray(table[band].transpose(2, 0, 1)) if used & ours else None


def _palette(picture: DatasetReader) -> NDArray[np.uint8]:
    """Return red, green and blue of each value, shape (256, 3)."""
    table = np.zeros((256, 3), np.uint8)
    for value, color in picture.colormap(1).items():
        table[value] = color[:3]
    return table


def _by_color(colors: NDArray[np.uint8], key: MaskKey) -> NDArray[np.uint8]:
    """Return the values of colours (3, h, w); 255 for those that mean nothing known."""
    packed = _packed(colors)
    labels = np.full(packed.shape, _UNKNOWN, np.uint8)
    for color, value in key.colors.items():
        labels[packed == color] = value
    return labels


def _by_value(mask: DatasetReader, key: MaskKey) -> NDArray[np.uint8]:
    """Return the legend values of a mask's first band; 255 for unknown ones.

    Names and nodata that a mask itself has go before the key's values, unless somebody told these.
    """
    values: NDArray[Any] = np.asarray(mask.read(1))
    inside = (values >= 0) & (values <= 255) & (values == np.rint(values))
    codes = np.where(inside, values, 0).astype(np.uint8)
    numbers = {entry.name: entry.value for entry in key.legend}
    own = {} if key.is_told else read_legend(mask, np.unique(codes).tolist())
    named = {value: numbers[entry.name] for value, entry in own.items() if entry.name in numbers}
    meaning = {NODATA: NODATA} | named if named else key.values
    table = np.full(256, _UNKNOWN, np.uint8)
    table[list(meaning)] = list(meaning.values())
    labels = np.where(inside, table[codes], np.uint8(_UNKNOWN))
    if mask.nodata is not None:
        lost = np.isnan(values) if np.isnan(mask.nodata) else values == mask.nodata
        labels[lost & (labels == _UNKNOWN) if key.is_told else lost] = NODATA
    return labels


def _packed(colors: NDArray[np.uint8]) -> Any:
    """Return red, green and blue along the first axis as one number."""
    return (colors[0].astype(np.uint32) << 16) | (colors[1].astype(np.uint32) << 8) | colors[2]
