"""Whether a model may have learned from the very images it is scored on; such scores flatter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from geoseg.model.card import ModelCard


_READ_BY = {"bands": re.compile(r"\d{1,4}(,\d{1,4}){0,99}"), "stretch": re.compile(r"none|[-+.,%e\d]{3,60}")}
"""Flags by which scenes are read, and what their values look like; a card may say anything."""


class ImageNames(NamedTuple):
    """An image that is scored, by every name that a card may have for it."""

    name: str
    names: frozenset[str]
    """Those of itself, and of its group."""
    sources: frozenset[str]
    """Names of its file and of the folders that it may have been given by."""


def learned_from(card: ModelCard, images: Sequence[ImageNames]) -> str:
    """Return a sentence if the card says that the model was trained on sources of these images; '' if not.

    What the card names as held out, by name or group, is not counted.
    """
    known: set[ImageNames] = set()
    sources: dict[str, None] = {}
    for data in _sources(card.training):
        source, said = str(data.get("name")), data.get("held_out")
        aside = {name for name in said if isinstance(name, str)} if isinstance(said, list) else set()
        here = {image for image in images if source in image.sources and not image.names & aside}
        known |= here
        if here:
            sources[source] = None
    if not known:
        return ""
    which = f"{len(known)} of the {len(images)} images" if len(images) > 1 else "the image"
    return (
        f"model {card.name} was trained on {', '.join(sources)}, perhaps on {which} scored here, so expect less "
        "elsewhere; score images it has not seen with --hold-out NAME"
    )


def read_otherwise(card: ModelCard, said: Mapping[str, str]) -> str:
    """Return a sentence if a model was trained on scenes read with flags that were not given now; '' if not.

    Args:
        card: of the model; ``training["read"]`` has the flags' values by their names.
        said: the same of the scene at hand.
    """
    kept = card.training.get("read")
    known = kept if isinstance(kept, dict) else {}
    flags = [
        f"--{name} {known[name]}"
        for name, valid in _READ_BY.items()
        if name not in said and isinstance(known.get(name), str) and valid.fullmatch(known[name])
    ]
    if not flags:
        return ""
    return f"model {card.name} was trained on scenes read with {' '.join(flags)}; give the same for scenes like those"


def _sources(training: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a card says about its data sets, and those of models it began with, whoever wrote it."""
    entries = training.get("data")
    if isinstance(entries, list):
        yield from (entry for entry in entries if isinstance(entry, dict))
    for earlier in (training.get("last_run"), training.get("before")):
        if isinstance(earlier, dict):
            yield from _sources(earlier)
