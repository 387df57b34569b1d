"""The model card: everything ``segment`` must know about a model besides its weights.

The card is JSON in the metadata of the model file; its schema stands in ``docs/model-card.md``.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from geoseg.errors import GeosegError, ModelError
from geoseg.model.graph import GraphSpec
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import Legend, MapClass

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = 1

Item = TypeVar("Item")


MAX_RADIUS = 4096
"""Windows are read with as much around them, so that a card could ask for any amount of memory."""


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
    network: NetworkSpec | GraphSpec
    """What is built from the weights: one of our networks, or somebody else's graph."""
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
    temperature: float = 1.0
    """Scores are divided by it before the softmax, so that confidence means what it says."""
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
        if len(self.domain.color_mean) != len(self.bands):
            raise ModelError(f"card of {self.name!r}: the domain's colours do not match its bands")
        if len(self.legend) != self.network.classes:
            raise ModelError(f"card of {self.name!r}: the legend does not match the network's classes")
        if not self.value_range[0] < self.value_range[1] or any(s <= 0 for s in self.std) or self.resolution_m <= 0:
            raise ModelError(f"card of {self.name!r}: value range, std and resolution must be positive")
        if not 0 <= self.receptive_radius <= MAX_RADIUS:
            raise ModelError(
                f"card of {self.name!r}: a receptive radius of {self.receptive_radius} pixels is out of range "
                f"(0–{MAX_RADIUS}); 0 says that it is not known"
            )
        if not 0 < self.temperature < math.inf:
            raise ModelError(f"card of {self.name!r}: the temperature {self.temperature} is not positive")

    @property
    def tile(self) -> tuple[int, int] | None:
        """Height and width of the only windows the network takes; None where they may have any size."""
        return self.network.tile if isinstance(self.network, GraphSpec) else None

    def our_network(self, wanted: str = "trained or rebuilt") -> NetworkSpec:
        """Return the shape of a network of ours.

        Args:
            wanted: what it is wanted for, as it ends "cannot be ...".

        Raises:
            ModelError: it is somebody else's graph, which runs as it is.
        """
        if isinstance(self.network, GraphSpec):
            raise ModelError(f"model {self.name}: is an ONNX graph, which runs as it is but cannot be {wanted}")
        return self.network

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
    if plain.get("schema") != SCHEMA:
        raise ModelError(
            f"model card: schema {plain.get('schema')!r} is not {SCHEMA}; this geoseg is too old or too new"
        )
    known = {"schema", *(entry.name for entry in fields(ModelCard))}
    if surplus := sorted(set(plain) - known):
        raise ModelError(f"model card: the field {surplus[0]!r} is not part of schema {SCHEMA}")
    try:
        bands = _list(plain, "bands", _text)
        domain, network = plain["domain"], plain["network"]
        return ModelCard(
            name=_text(plain["name"]),
            version=_text(plain["version"]),
            network=_network(network),
            bands=bands,
            value_range=_pair(plain["value_range"]),
            mean=_list(plain, "mean", _number),
            std=_list(plain, "std", _number),
            resolution_m=_number(plain["resolution_m"]),
            legend=Legend(tuple(MapClass(**entry) for entry in plain["legend"])),
            receptive_radius=_whole(plain["receptive_radius"]),
            domain=Domain(
                resolution_m=_pair(domain["resolution_m"]),
                color_mean=_list(domain, "color_mean", _pair),
                text=_text(domain["text"]),
            ),
            license=_text(plain["license"]),
            window=None if plain["window"] is None else _whole(plain["window"]),
            quantization=None if plain["quantization"] is None else _object(plain["quantization"]),
            temperature=_number(plain.get("temperature", 1.0)),  # cards of before it was measured have none
            training=_object(plain["training"]),
            scores=list(_list(plain, "scores", _object)),
            tensors_sha256=_text(plain["tensors_sha256"]),
        )
    except (KeyError, TypeError, ValueError) as wrong:
        what = f"{wrong}" if isinstance(wrong, GeosegError) else f"it does not follow schema {SCHEMA} ({wrong!r})"
        raise ModelError(f"model card: {what}") from wrong


def _network(plain: dict[str, Any]) -> NetworkSpec | GraphSpec:
    if "kind" in plain and plain["kind"] == "onnx":
        if not isinstance(plain["channels"], list) or any(type(channel) is not int for channel in plain["channels"]):
            raise TypeError(f"channels is {plain['channels']!r}, not a list of whole numbers")
        shape = {name: _whole(plain[name]) for name in ("bands", "classes", "stride")}
        tile = None if plain["tile"] is None else _list(plain, "tile", _whole)
        if tile is not None and len(tile) != 2:
            raise TypeError(f"tile {tile!r} is not a height and a width")
        halo = None if plain["halo"] is None else _whole(plain["halo"])
        return GraphSpec(**{**plain, **shape, "channels": tuple(plain["channels"]), "tile": tile, "halo": halo})
    return NetworkSpec(**{**plain, "widths": _list(plain, "widths", _whole)})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a whole number of at least 0")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError(f"{value!r} is not two numbers")
    return _number(value[0]), _number(value[1])


def _list(plain: dict[str, Any], name: str, kind: Callable[[Any], Item]) -> tuple[Item, ...]:
    if not isinstance(plain[name], list):
        raise TypeError(f"{name} is {plain[name]!r}, not a list")
    return tuple(kind(value) for value in plain[name])


def dump(card: ModelCard) -> str:
    """Return the card as the text stored in a model file."""
    return json.dumps(card_to_json(card), ensure_ascii=False, allow_nan=False)


def load(text: str) -> ModelCard:
    """Return the card stored as text in a model file; raises ModelError."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise ModelError(f"model card: it is not JSON ({wrong})") from wrong
    if not isinstance(plain, dict):
        raise ModelError("model card: it is not a JSON object")
    return card_from_json(plain)


def with_digest(card: ModelCard, digest: str) -> ModelCard:
    """Return the card with the digest of its weights."""
    return replace(card, tensors_sha256=digest)
