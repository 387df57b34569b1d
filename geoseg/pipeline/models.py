"""The models that come with geoseg."""

from __future__ import annotations

from typing import Any


def bundled_models() -> list[dict[str, Any]]:
    """Return what matters about each bundled model, as JSON values; ``name`` is what ``--model`` takes."""
    from geoseg.model.file import BUNDLED, load_card, model_path

    found = []
    for name in BUNDLED:
        card = load_card(name)
        found.append(
            {
                "name": name,
                "card": f"{card.name} {card.version}",
                "path": str(model_path(name)),
                "resolution_m": card.resolution_m,
                "bands": list(card.bands),
                "classes": [entry.name for entry in card.legend],
                "license": card.license,
            }
        )
    return found


def models_as_text(models: list[dict[str, Any]]) -> str:
    """Return the models for people: a line each for the name and what it is."""
    lines = []
    for model in models:
        lines += [
            f"{model['name']}: {model['card']}, {model['resolution_m']:g} m, {', '.join(model['bands'])}",
            f"  classes  {', '.join(model['classes'])}",
            f"  licence  {model['license']}",
            f"  path     {model['path']}",
        ]
    return "\n".join(lines)
