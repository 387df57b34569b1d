"""From what is told about a graph and what is measured of it to a card."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

from geoseg.class_names import is_background, legend_of_names
from geoseg.errors import GeosegError, ModelError
from geoseg.model.card import Domain, ModelCard
from geoseg.model.foreign.description import UNKNOWN_LICENSE
from geoseg.model.graph import NONE_OF_THEM, GraphSpec

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.model.foreign.description import Description
    from geoseg.model.foreign.graph_facts import GraphFacts
    from geoseg.model.graph import Answers
    from geoseg.model.network import NetworkSpec
    from geoseg.vocabulary import Legend

_DROPPED = "-"
_BANDS = {1: ("gray",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "nir")}
_LARGEST_HALO = 256


def card_of_graph(path: Path, told: Description, facts: GraphFacts, answers: Answers) -> ModelCard:
    """Return the card of a graph whose description is complete.

    Args:
        path: its file; begins every message.
        told: what is said of it.
        facts: what it is.
        answers: what its last operation makes, where nothing is said.

    Raises:
        ModelError: what is said does not fit the graph.
    """
    try:
        channels, legend, answers = _classes(told, facts.channels, told.answers or answers)
        network = GraphSpec(
            bands=facts.bands,
            classes=len(legend),
            channels=channels,
            answers=answers,
            tile=facts.tile,
            stride=facts.stride,
            halo=_halo(told, facts),
        )
        return described_card(path, told, network, legend)
    except GeosegError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong


def described_card(path: Path, told: Description, network: NetworkSpec | GraphSpec, legend: Legend) -> ModelCard:
    """Return the card of a network whose description is complete; raises ModelError and UsageError."""
    bands = told.bands or _BANDS[network.bands]
    assert told.value_range and told.input_range and told.resolution_m is not None  # noqa: PT018, S101 - by `complete`
    if not 0 < told.resolution_m < math.inf:
        raise ModelError(f"a ground pixel of {told.resolution_m:g} m is none; say another with --resolution-m")
    low, high = told.value_range
    bottom, top = told.input_range
    if not (low < high and bottom < top):
        raise ModelError(f"value range {told.value_range} and input range {told.input_range} must rise")
    scale = (high - low) / (top - bottom)
    mean, std = told.mean or (0.0,), told.std or (1.0,)
    if len(mean) not in (1, len(bands)) or len(std) not in (1, len(bands)):
        raise ModelError(f"{len(bands)} bands have {len(mean)} means and {len(std)} deviations; give one each")
    mean, std = (values * len(bands) if len(values) == 1 else values for values in (mean, std))
    return ModelCard(
        name=told.name or path.stem,
        version=told.version or "1",
        network=network,
        bands=bands,
        value_range=(low, high),
        mean=tuple(low + (value - bottom) * scale for value in mean),
        std=tuple(value * scale for value in std),
        resolution_m=told.resolution_m,
        legend=legend,
        receptive_radius=told.receptive_radius or 0,
        domain=Domain(
            (told.resolution_m * 0.8, told.resolution_m * 1.25),
            ((low, high),) * len(bands),
            told.text or "not stated by whoever made the model",
        ),
        license=told.license or UNKNOWN_LICENSE,
        training={"source": f"imported from {path.name}"},
    )


def complete(path: Path, told: Description, bands: int) -> None:
    """Refuse a description that lacks what cannot be guessed; raises ModelError."""
    missing = []
    if told.classes is None:
        missing.append("--classes background,building")
    if told.resolution_m is None:
        missing.append("--resolution-m 0.3")
    if told.bands is None and bands not in _BANDS:
        missing.append("--bands " + ",".join(f"name{i}" for i in range(1, bands + 1)))
    if told.value_range is None:
        missing.append("--value-range 0,255")
    if told.input_range is None:
        missing.append("--input-range 0,1")
    if missing:
        nouns = {"--classes": "classes", "--resolution-m": "ground pixel", "--bands": "bands"}
        nouns |= {"--value-range": "range of pixel values", "--input-range": "range these are scaled to"}
        lacks = ", ".join(nouns[flag.split()[0]] for flag in missing)
        stem = path.name.removesuffix(path.suffix).removesuffix(".mlm")
        flags = " ".join([*missing, "--out", f"{shlex.quote(stem)}.safetensors"])
        raise ModelError(
            f"{path}: its {lacks} {'is' if lacks == 'ground pixel' else 'are'} not known; say so, such as: "
            f"geoseg model import {shlex.quote(str(path))} {flags}"
        )
    if told.bands is not None and len(told.bands) != bands:
        raise ModelError(f"{path}: takes {bands} bands, not the {len(told.bands)} that are named")


def _classes(told: Description, channels: int, answers: Answers) -> tuple[tuple[int, ...], Legend, Answers]:
    """Return the output channel of every class, the legend, and what the channels are."""
    names = list(told.classes or ())
    if channels == 1 and answers == "logits":  # a softmax of one is always one
        answers = "sigmoid"
    where = list(range(channels))
    alone = answers == "sigmoid" or (answers == "probabilities" and channels == 1)
    if len(names) == channels + 1 and any(map(is_background, names)):
        where.insert(next(i for i, name in enumerate(names) if is_background(name)), NONE_OF_THEM)
    elif alone and len(names) == channels and not any(map(is_background, names)):
        names, where = [*names, "background"], [*where, NONE_OF_THEM]
    if len(names) != len(where):
        raise ModelError(
            f"its output has {channels} channels and {len(names)} classes are named; name one each, "
            f"with {_DROPPED} for a channel to leave out"
        )
    colors = told.colors if told.colors and len(told.colors) == len(told.classes or ()) else None
    kept = [i for i in range(len(names)) if names[i].strip() != _DROPPED]
    kept.sort(key=lambda i: is_background(names[i]))  # background gets the highest value, the others keep their order
    painted = [colors[i] if colors and i < len(colors) else None for i in kept]
    return tuple(where[i] for i in kept), legend_of_names([names[i] for i in kept], painted), answers


def _halo(told: Description, facts: GraphFacts) -> int | None:
    if told.overlap is None:
        return None
    if not 0 <= told.overlap < 0.9:
        raise ModelError(f"an overlap of {told.overlap:g} of a tile is none; expected a share below 0.9")
    side = min(facts.tile) if facts.tile else 0
    steps = round(side * told.overlap / 2 / facts.stride)
    most = max(0, (side - facts.stride) // (2 * facts.stride))
    return min(steps, most, _LARGEST_HALO // facts.stride) * facts.stride if side else None
