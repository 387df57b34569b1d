"""What the QGIS plugin Deepness wants to know of an ONNX file: metadata keys, each value as JSON text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from geoseg.model.card import dump

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard

CARD_KEY = "geoseg"
"""Under this key lies the card, as in our own model files."""

_HALO = 64
"""Pixels around a tile that are not used where the model's receptive radius is not known."""

_MOST_OVERLAP = 50
"""Percent; a half costs four times the arithmetic already."""


def deepness_metadata(card: ModelCard, tile: int) -> dict[str, str]:
    """Return the metadata of a segmentation model for Deepness, and our card beside it.

    The threshold is 0, so that every pixel gets its most probable class; areas are not smoothed either, since Deepness
    smooths by a median over class numbers.

    Args:
        card: the model's card.
        tile: height and width of the graph's input in pixels.
    """
    plain = {
        "model_type": "Segmentor",
        "class_names": class_names(card),
        "resolution": round(card.resolution_m * 100, 6),
        # Deepness documents tiles_size and reads tile_size.
        "tile_size": tile,
        "tiles_size": tile,
        "tiles_overlap": overlap_percent(card.receptive_radius, tile),
        "seg_thresh": 0.0,
        "seg_small_segment": 0,
    }
    told = {key: json.dumps(value, ensure_ascii=False) for key, value in plain.items()}
    return {**told, CARD_KEY: dump(card)}


def class_names(card: ModelCard) -> dict[str, str]:
    """Return the name of every output channel by its number; channel 0 is what no class was found for."""
    names = [entry.name for entry in card.legend]
    nothing = "background" if "background" not in names else "unclassified"
    return {str(i): name for i, name in enumerate([nothing, *names])}


def overlap_percent(radius: int, tile: int) -> int:
    """Return the overlap of neighbouring tiles in percent of a tile.

    Deepness cuts tiles in the middle of their overlap, so that half of it is the halo: the receptive radius where it is
    known and half of the tile is enough for it.

    Args:
        radius: the model's receptive radius in pixels, 0 where unknown.
        tile: height and width of a tile in pixels.
    """
    return min(_MOST_OVERLAP, math.ceil(100 * 2 * (radius or _HALO) / tile))
