"""A STAC item of the Machine Learning Model extension: what a catalog must know of a model, and where its weights lie.

The item speaks of the weights as they are in the ``.safetensors`` beside it: one output per class of the legend, scores
before the softmax. https://github.com/stac-extensions/mlm
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from geoseg.model.card import card_to_json

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard
    from geoseg.vocabulary import MapClass

CARD_PROPERTY = "geoseg:card"

EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)

_SHA256 = "1220"
"""How a multihash says that 32 bytes of SHA-256 follow."""

_PLAIN_LICENSE = re.compile(r"[A-Za-z0-9.+-]+")


def mlm_item(card: ModelCard, weights: str, size: int, sha256: str, tile: int) -> dict[str, Any]:
    """Return the item as JSON values.

    Args:
        card: the model's card, digest included.
        weights: name of the ``.safetensors`` file beside the item.
        size: its bytes.
        sha256: its digest in hexadecimal.
        tile: height and width that are suggested to users of the model, in pixels.
    """
    bands = [{"name": name} for name in card.bands]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": f"{_named(card.name)}-{card.version}",
        # A card tells its domain in words and colours, not as a footprint.
        "geometry": None,
        "properties": {
            "title": f"{card.name} {card.version}",
            "description": card.domain.text or f"Semantic segmentation by {card.name}.",
            # How the extension says that a model is for images of any time.
            "datetime": None,
            "start_datetime": "1900-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "license": card.license if _PLAIN_LICENSE.fullmatch(card.license) else "other",
            "gsd": card.resolution_m,
            "bands": bands,
            **_model(card, tile),
            CARD_PROPERTY: card_to_json(card),
        },
        "links": [],
        "assets": {
            "weights": {
                "href": f"./{quote(weights)}",
                "title": "Weights and model card",
                "description": "float32 tensors by name; the card is JSON in the metadata key 'geoseg'",
                "type": "application/octet-stream; framework=pytorch",
                "roles": ["mlm:model", "mlm:weights"],
                "mlm:artifact_type": "safetensors",
                "bands": bands,
                "file:size": size,
                "file:checksum": _SHA256 + sha256,
            }
        },
    }


def _model(card: ModelCard, tile: int) -> dict[str, Any]:
    """Return the fields of the extension."""
    spec = card.our_network("described as scores; use --to onnx")
    parameters = sum(math.prod(shape) for shape in spec.tensor_shapes().values())
    return {
        "mlm:name": _named(card.name),
        "mlm:architecture": "U-Net" if spec.kind == "unet" else "FCN",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "PyTorch",
        "mlm:total_parameters": parameters,
        "mlm:memory_size": 4 * parameters,
        "mlm:pretrained": True,
        **_source(card),
        "mlm:batch_size_suggestion": 1,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:accelerator_summary": "Runs on processors (OpenVINO, torch) and on CUDA and Metal devices (torch).",
        "mlm:hyperparameters": {
            "network": card_to_json(card)["network"],
            "stride": spec.stride,
            "receptive_radius": card.receptive_radius,
            "temperature": card.temperature,
        },
        "mlm:input": [_input(card, tile)],
        "mlm:output": [_output(card, tile)],
    }


def _source(card: ModelCard) -> dict[str, str]:
    """Return the names of the data that the model learned from, where its card has them."""
    data = card.training.get("data")
    entries = data if isinstance(data, list) else []
    names = [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]
    return {"mlm:pretrained_source": "; ".join(names)} if names else {}


def _input(card: ModelCard, tile: int) -> dict[str, Any]:
    low, high = card.value_range
    return {
        "name": "pixels",
        "description": f"Values from {low:g} to {high:g} before scaling; height and width may be any multiples of "
        f"{card.network.stride}.",
        "bands": list(card.bands),
        "input": {
            "shape": [-1, len(card.bands), tile, tile],
            "dim_order": ["batch", "channel", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": [
            {"type": "z-score", "mean": mean, "stddev": std} for mean, std in zip(card.mean, card.std, strict=True)
        ],
        "resize_type": None,
        "pre_processing_function": None,
    }


def _output(card: ModelCard, tile: int) -> dict[str, Any]:
    return {
        "name": "scores",
        "description": "Channel i is the i-th class listed here; divided by the temperature, a softmax over channels "
        "gives probabilities. A class's value is that of its pixels in class rasters.",
        "tasks": ["semantic-segmentation"],
        "result": {
            "shape": [-1, len(card.legend), tile, tile],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": [_class(entry) for entry in card.legend],
        "post_processing_function": None,
    }


def _class(entry: MapClass) -> dict[str, Any]:
    """Return a class as the classification extension has it, whose names are of letters, digits, - and _."""
    name = re.sub(r"[^0-9A-Za-z_-]+", "-", entry.name).strip("-") or f"class-{entry.value}"
    return {"value": entry.value, "name": name, "description": entry.name, "color_hint": entry.style[1:].upper()}


def _named(name: str) -> str:
    """Return a name as the extension wants it: a letter first, then letters, digits, dots and dashes."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")
    return plain if re.fullmatch(r"[A-Za-z].+", plain) else f"model-{plain or 'unnamed'}"
