"""A model in an ONNX file: one of ours, which becomes what it was; or somebody else's graph with a description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ModelError
from geoseg.model import card as cards
from geoseg.model.foreign.deepness import deepness_description
from geoseg.model.foreign.description import Description, description_from_json, nothing_told
from geoseg.model.foreign.graph_card import card_of_graph, complete
from geoseg.model.foreign.graph_facts import facts_of, read_content
from geoseg.model.foreign.mlm_description import is_item, item_description
from geoseg.model.foreign.onnx_proto import without_metadata
from geoseg.model.foreign.wire import WireError
from geoseg.model.graph import GraphSpec
from geoseg.model.safetensors_file import CARD_KEY
from geoseg.model.weights import GRAPH, Model, digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.model.foreign.onnx_proto import OnnxFile
    from geoseg.model.graph import Answers

_LARGEST = 1 << 20  # bytes of a sidecar


def read_onnx(path: Path, told: Description | None = None, *, item: Path | None = None) -> Model:
    """Read a model.

    What is told counts most, then what stands in ``NAME.onnx.json`` or ``NAME.json`` beside the file, then what the
    file says itself.

    Args:
        path: the file.
        told: what else is known of it.
        item: the STAC item that it belongs to, which is what users name.

    Raises:
        ModelError: it cannot be used, or what it takes to use it is not known.
    """
    content, proto = read_content(path)
    if CARD_KEY in proto.metadata:
        nothing_told(path, told)
        return _ours(path, content, proto, proto.metadata[CARD_KEY])
    try:
        described = (told or Description()).over(sidecar(path))
        described = described.over(deepness_description(proto.metadata, described))
    except ModelError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong
    return graph_model(path, content, proto, described, item=item)


def graph_model(path: Path, content: bytes, proto: OnnxFile, told: Description, *, item: Path | None = None) -> Model:
    """Return the model of a graph's bytes; raises ModelError."""
    bands = None if told.bands is None else len(told.bands)
    facts = facts_of(path, content, proto, bands=bands, stride=told.stride)
    complete(item or path, told, facts.bands)
    weights = {GRAPH: np.frombuffer(content, np.uint8)}
    card = card_of_graph(path, told, facts, _last(proto))
    return Model(cards.with_digest(card, digest_of(weights.items())), weights)


def sidecars(path: Path) -> tuple[Path, Path]:
    """Return where the description of a file may stand, the first that is there counts."""
    return path.with_name(path.name + ".json"), path.with_suffix(".json")


def sidecar(path: Path) -> Description:
    """Return what stands beside a file, nothing where there is no sidecar; raises ModelError."""
    for beside in sidecars(path):
        if beside.is_file():
            plain = read_object(beside)
            try:
                return item_description(plain) if is_item(plain) else description_from_json(plain)
            except ModelError as wrong:
                raise ModelError(f"{beside.name} beside it: {wrong}") from wrong
    return Description()


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a small file; raises ModelError."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(f"{path}: is too large for the description of a model")
        plain = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as wrong:
        raise ModelError(f"{path}: cannot be read ({wrong.strerror})") from wrong
    except (ValueError, RecursionError) as wrong:
        raise ModelError(f"{path}: is no JSON ({wrong})") from wrong
    if not isinstance(plain, dict):
        raise ModelError(f"{path}: is no JSON object, expected a STAC MLM item or the description of a model")
    return plain


def _ours(path: Path, content: bytes, proto: OnnxFile, text: str) -> Model:
    """Return a model that geoseg wrote, with the weights it was written from."""
    try:
        card = cards.load(text)
        if isinstance(card.network, GraphSpec):
            return Model(card, {GRAPH: np.frombuffer(without_metadata(content, CARD_KEY), np.uint8)})
        found = proto.weights()
    except (ModelError, WireError) as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong
    return Model(card, {name: found[name] for name in card.network.tensor_shapes() if name in found})


def _last(proto: OnnxFile) -> Answers:
    return "probabilities" if proto.last in ("Softmax", "Sigmoid") else "logits"
