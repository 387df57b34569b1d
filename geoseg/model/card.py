"""The model card: everything ``segment`` must know about a model besides its weights.

The card is JSON in the metadata of the model file; its schema stands in ``docs/model-card.md``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from geoseg.errors import GeosegError, ModelError
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import Legend, MapClass

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Domain:
    """Where the model has been shown to work; outside of it ``segment`` warns."""

    resolution_m: tuple[float, float]
    """Smallest and largest ground pixel in metres."""
    color_mean: tuple[tuple[float, float], ...]
    """Per band: smallest and largest mean of an image, in the card's value range."""
    text: str
    """Places, sensors and seasons, in a sentence or two."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model expects, what it answers, and where it comes from."""

    name: str
    version: str
    network: NetworkSpec
    bands: tuple[str, ...]
    """Band names in the order the network wants them, by colour interpretation (``red``, ``green``, ``blue``)."""
    value_range: tuple[float, float]
    """Pixel values before normalization; (0, 255) means the network takes uint8."""
    mean: tuple[float, ...]
    """Per band, subtracted first; in the value range's units."""
    std: tuple[float, ...]
    """Per band, divided by after that."""
    resolution_m: float
    """Ground pixel the network was trained at, in metres."""
    legend: Legend
    """Output ``i`` of the network is the legend's ``i``-th class."""
    receptive_radius: int
    """Farthest pixel that can change an output, measured by perturbation; 0 where it is not known."""
    domain: Domain
    license: str
    window: int | None = None
    """Best window in pixels, halo included, where one was measured."""
    quantization: dict[str, Any] | None = None
    """Ranges for int8, where the model was calibrated."""
    training: dict[str, Any] = field(default_factory=dict)
    """Data, recipe and seed."""
    scores: list[dict[str, Any]] = field(default_factory=list)
    """Measured scores, each with the split it was measured on."""
    tensors_sha256: str = ""
    """Digest of the weights; filled in when the file is written."""

    def __post_init__(self) -> None:
        if (
            len(self.bands) != self.network.bands
            or len(self.mean) != len(self.bands)
            or len(self.std) != len(self.bands)
        ):
            raise ModelError(f"card of {self.name!r}: bands, mean and std do not match the network's bands")
        if len(self.legend) != self.network.classes:
            raise ModelError(f"card of {self.name!r}: the legend does not match the network's classes")
        if not self.value_range[0] < self.value_range[1] or any(s <= 0 for s in self.std) or self.resolution_m <= 0:
            raise ModelError(f"card of {self.name!r}: value range, std and resolution must be positive")

    @property
    def takes_uint8(self) -> bool:
        """Whether pixels reach the network as uint8."""
        return self.value_range == (0, 255)


def card_to_json(card: ModelCard) -> dict[str, Any]:
    """Return the card as JSON values."""
    plain = asdict(card)
    plain["legend"] = [asdict(entry) for entry in card.legend]
    return {"schema": SCHEMA, **plain}


def card_from_json(plain: dict[str, Any]) -> ModelCard:
    """Return the card of JSON values.

    Raises:
        ModelError: the schema is newer, or a field is missing or of the wrong kind.
    """
    values = dict(plain)
    if values.pop("schema", None) != SCHEMA:
        raise ModelError(
            f"model card: schema {plain.get('schema')!r} is not {SCHEMA}; this geoseg is too old or too new"
        )
    try:
        network = dict(values.pop("network"))
        network["widths"] = tuple(network["widths"])
        domain = values.pop("domain")
        legend = Legend(tuple(MapClass(**entry) for entry in values.pop("legend")))
        tuples: dict[str, Any] = {key: tuple(values.pop(key)) for key in ("bands", "value_range", "mean", "std")}
        return ModelCard(
            network=NetworkSpec(**network),
            domain=Domain(
                resolution_m=tuple(domain["resolution_m"]),
                color_mean=tuple(tuple(pair) for pair in domain["color_mean"]),
                text=domain["text"],
            ),
            legend=legend,
            **tuples,
            **values,
        )
    except (KeyError, TypeError, ValueError) as wrong:
        if isinstance(wrong, GeosegError):
            raise ModelError(f"model card: {wrong}") from wrong
        raise ModelError(f"model card: it does not follow schema {SCHEMA} ({wrong})") from wrong


def dump(card: ModelCard) -> str:
    """Return the card as the text stored in a model file."""
    return json.dumps(card_to_json(card), ensure_ascii=False, allow_nan=False)


def load(text: str) -> ModelCard:
    """Return the card stored as text in a model file; raises ModelError."""
    try:
        plain = json.loads(text)
    except ValueError as wrong:
        raise ModelError(f"model card: it is not JSON ({wrong})") from wrong
    if not isinstance(plain, dict):
        raise ModelError("model card: it is not a JSON object")
    return card_from_json(plain)


def with_digest(card: ModelCard, digest: str) -> ModelCard:
    """Return the card with the digest of its weights."""
    return replace(card, tensors_sha256=digest)
