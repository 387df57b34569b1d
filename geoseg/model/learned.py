"""Whether a model may have learned from the very images it is scored on; such scores flatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from geoseg.model.card import ModelCard


def learned_from(card: ModelCard, sources: Collection[str], images: Sequence[tuple[str, str]]) -> list[str]:
    """Return one sentence if the card says that the model was trained on a source of one of these names, else nothing.

    Args:
        card: the model's card.
        sources: names of the folders and scenes that the images are of.
        images: names and groups of those that are scored; what the card names as held out, by either, is not counted.
    """
    for data in _sources(card.training):
        if data.get("name") not in sources:
            continue
        aside = data.get("held_out") or []
        known = [names for names in images if not set(names) & set(aside)]
        if known:
            sentence = (
                f"model {card.name} was trained on {data['name']}, perhaps on {len(known)} of the {len(images)} images "
                "scored here, so expect less elsewhere; score images it has not seen with --hold-out NAME"
            )
            return [sentence]
    return []


def _sources(training: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a card says about its data sets, and those of models it began with, whoever wrote it."""
    entries = training.get("data")
    if isinstance(entries, list):
        yield from (entry for entry in entries if isinstance(entry, dict))
    for earlier in (training.get("last_run"), training.get("before")):
        if isinstance(earlier, dict):
            yield from _sources(earlier)
