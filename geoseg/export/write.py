"""Write a model for other programs; its files appear together, whole, or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from geoseg.errors import UsageError
from geoseg.layers.publish import Publication, check_target
from geoseg.layers.target import same_file
from geoseg.model.card import dump
from geoseg.model.file import load_model, model_path, save_model
from geoseg.model.foreign.onnx_proto import with_metadata
from geoseg.model.graph import GraphSpec
from geoseg.model.safetensors_file import CARD_KEY
from geoseg.model.weights import GRAPH

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.model.file import Model

Format = Literal["onnx", "mlm", "openvino"]

ENDINGS: dict[Format, str] = {"onnx": ".onnx", "mlm": ".json", "openvino": ".xml"}

TILE = 640
"""Default tile. Of it, 30 percent are twice 96 pixels: the bundled model's halo, and tiles that lie 448 pixels apart, a
multiple of its stride. So programs that place tiles by percent give geoseg's own classes."""

LARGEST_TILE = 8192


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Which model, as what, and where to."""

    model: str
    """A file, or ``default``."""
    to: Format
    out: Path
    tile: int | None = None
    """Height and width of the input in pixels; None means 640, or any size where the format can say so."""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that an export consists of."""

    path: Path
    size: int
    """Bytes."""
    sha256: str


def export_model(request: ExportRequest) -> list[ExportedFile]:
    """Write a model as the request has it; returns its files, the one that was asked for first.

    Raises:
        UsageError: the ending or the tile does not fit, or a package is not installed.
        ModelError: the model cannot be read.
        OutputError: a file cannot be written.
    """
    check_target(_out_of(request), overwrite=request.overwrite, inputs=[model_path(request.model)])
    model = load_model(request.model)
    if isinstance(model.card.network, GraphSpec):
        if request.to != "onnx" or request.tile is not None:
            model.card.our_network("written as anything else; use --to onnx, without --tile")
    else:
        _check_tile(request, model)
    write = {"onnx": _onnx, "mlm": _mlm, "openvino": _openvino}[request.to]
    with Publication(overwrite=request.overwrite) as publication:
        written = write(request, model, publication)
    return [_described(path) for path in written]


def _onnx(request: ExportRequest, model: Model, publication: Publication) -> list[Path]:
    """Write the network as a graph; somebody else's graph as it was, with the card."""
    if isinstance(model.card.network, GraphSpec):
        content = with_metadata(model.weights[GRAPH].tobytes(), CARD_KEY, dump(model.card))
        publication.add(request.out).write_bytes(content)
        return [request.out]
    from geoseg.export.deepness import deepness_metadata
    from geoseg.export.onnx_graph import onnx_model

    tile = _tile_of(request, model)
    built = onnx_model(model, tile, deepness_metadata(model.card, tile))
    publication.add(request.out).write_bytes(built.SerializeToString())
    return [request.out]


def _mlm(request: ExportRequest, model: Model, publication: Publication) -> list[Path]:
    """Write the item, and the weights beside it; where the model itself lies there it is that file."""
    from geoseg.export.mlm import mlm_item

    weights = request.out.with_name(request.out.name.removesuffix(".json").removesuffix(".mlm") + ".safetensors")
    card, file = model.card, model_path(request.model)
    if not same_file(weights, file):
        file = publication.add(weights)
        card = save_model(file, card, model.weights)
    found = _described(file)
    item = mlm_item(card, weights.name, found.size, found.sha256, _tile_of(request, model))
    text = json.dumps(item, ensure_ascii=False, allow_nan=False, indent=2)
    publication.add(request.out).write_text(text + "\n", encoding="utf-8")
    return [request.out, weights]


def _openvino(request: ExportRequest, model: Model, publication: Publication) -> list[Path]:
    from geoseg.export.openvino_ir import write_ir

    weights = request.out.with_suffix(".bin")
    half = publication.add(weights)
    graph = publication.add(request.out)
    write_ir(model, graph, request.tile)
    graph.with_suffix(".bin").replace(half)  # OpenVINO names it after the graph's own half-written name
    return [request.out, weights]


def _out_of(request: ExportRequest) -> Path:
    ending = ENDINGS[request.to]
    if request.out.suffix.lower() != ending:
        wanted = ".mlm.json" if request.to == "mlm" else ending
        raise UsageError(f"{request.out}: --to {request.to} writes a file that ends in {wanted}")
    return request.out


def _tile_of(request: ExportRequest, model: Model) -> int:
    """Return the tile asked for, or the default one, which every network's stride divides after rounding up."""
    stride = model.card.network.stride
    return request.tile or -(-TILE // stride) * stride


def _check_tile(request: ExportRequest, model: Model) -> None:
    stride, tile = model.card.network.stride, _tile_of(request, model)
    if tile % stride or not stride <= tile <= LARGEST_TILE:
        raise UsageError(
            f"--tile: {tile} is not a multiple of {stride}, the network's stride, between {stride} and {LARGEST_TILE}"
        )


def _described(path: Path) -> ExportedFile:
    with path.open("rb") as file:
        return ExportedFile(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
