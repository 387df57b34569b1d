"""A model in a STAC item of the machine-learning-model extension, its weights in a file beside the item."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from geoseg.errors import ModelError
from geoseg.model import card as cards
from geoseg.model.foreign.description import Description, nothing_told
from geoseg.model.foreign.mlm_description import is_item, item_description
from geoseg.model.foreign.onnx_file import read_object, read_onnx
from geoseg.model.safetensors_file import CARD_KEY, read_safetensors

if TYPE_CHECKING:
    from geoseg.model.weights import Model

_READABLE = (".safetensors", ".onnx")


def read_item(path: Path, told: Description | None = None) -> Model:
    """Read the model of an item.

    Args:
        path: the item.
        told: what counts more than what the item says.

    Raises:
        ModelError: it is no such item, or its model is remote, elsewhere, or of a kind that is not opened.
    """
    item = read_object(path)
    if not is_item(item):
        raise ModelError(f"{path}: is JSON but no STAC MLM item; give the model file itself, or one with mlm:input")
    asset = local_asset(path, item)
    if asset.suffix.lower() == ".safetensors":
        nothing_told(path, told)
        model = read_safetensors(asset)
    else:
        try:
            described = (told or Description()).over(item_description(item))
        except ModelError as wrong:
            raise ModelError(f"{path}: {wrong}") from wrong
        model = read_onnx(asset, described, item=path)
    plain = item["properties"].get(f"{CARD_KEY}:card")
    if plain is None:
        return model
    try:
        card = cards.card_from_json(plain) if isinstance(plain, dict) else cards.load(str(plain))
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong
    if card.tensors_sha256 != model.card.tensors_sha256:
        raise ModelError(f"{path}: its card was written for other weights than those of {asset.name} (sha256 differs)")
    return model if model.card == card else type(model)(card, model.weights)


def local_asset(path: Path, item: dict[str, Any]) -> Path:
    """Return the file of an item's model, in the item's folder or below; raises ModelError."""
    assets = item.get("assets")
    found = [entry for entry in assets.values() if isinstance(entry, dict)] if isinstance(assets, dict) else []
    models = [entry for entry in found if _is_model(entry)]
    if not models:
        raise ModelError(f"{path}: has no asset with the role mlm:model, so there is nothing to run")
    try:
        models.sort(key=lambda entry: PurePosixPath(urlsplit(entry["href"]).path).suffix.lower() not in _READABLE)
        href = models[0]["href"]
        parts = urlsplit(href)
    except ValueError as wrong:
        raise ModelError(f"{path}: its model's href is none ({wrong}); put the file beside the item") from wrong
    if parts.scheme not in ("", "file") or parts.netloc or href.startswith(("//", "\\\\")):
        raise ModelError(f"{path}: its model lies at {href}, and nothing is fetched; put the file beside the item")
    name = unquote(parts.path)
    if "\0" in name:
        raise ModelError(f"{path}: its model's href {href!r} names no file; put the file beside the item")
    folder = path.resolve().parent
    asset = Path(folder, name).resolve()
    if not asset.is_relative_to(folder):
        raise ModelError(f"{path}: its model {href} lies outside of the item's folder; put it beside the item")
    if asset.suffix.lower() not in _READABLE:
        raise ModelError(f"{path}: its model is {asset.name}; geoseg opens {' and '.join(_READABLE)} of an item")
    if not asset.is_file():
        raise ModelError(f"{path}: its model {asset.name} is not there; put it beside the item")
    return asset


def _is_model(asset: dict[str, Any]) -> bool:
    roles = asset.get("roles")
    return isinstance(roles, list) and "mlm:model" in roles and isinstance(asset.get("href"), str)
