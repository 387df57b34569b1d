"""From somebody else's model to a file of ours, with a card and, where it can be measured, how far it sees."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.class_names import is_background, legend_of_names
from geoseg.errors import GeosegError, ModelError, UsageError
from geoseg.layers.publish import check_target, published
from geoseg.model.card import with_digest
from geoseg.model.file import load_model, save_model
from geoseg.model.foreign.checkpoint import read_checkpoint
from geoseg.model.foreign.description import Description
from geoseg.model.foreign.graph_card import complete, described_card
from geoseg.model.foreign.mlm import read_item
from geoseg.model.foreign.onnx_file import graph_model, read_onnx, sidecar
from geoseg.model.foreign.onnx_proto import read_proto
from geoseg.model.foreign.radius import measure_graph_radius
from geoseg.model.foreign.refusals import refuse
from geoseg.model.foreign.state_dict import is_ours, spec_of, without_prefixes
from geoseg.model.foreign.torch_module import as_onnx, module_of_folder, module_of_task
from geoseg.model.graph import GraphSpec
from geoseg.model.weights import Model, check_weights, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.model.card import ModelCard


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A model and what is told about it."""

    source: str
    out: Path
    told: Description = field(default_factory=Description)
    measure: bool = True
    """Whether a graph's receptive radius is measured."""
    overwrite: bool = False


def import_model(request: ImportRequest, note: Callable[[str], None] = lambda _sentence: None) -> ModelCard:
    """Write a model file of somebody else's model and return its card.

    Args:
        request: what and where.
        note: called with sentences on what was found.

    Raises:
        UsageError: the name of the file is not one of a model.
        ModelError: the model cannot be used, or what it takes to use it is not known.
        OutputError: the file cannot be written.
    """
    if request.out.suffix != ".safetensors":
        raise UsageError(f"--out: {request.out} must end in .safetensors")
    path = Path(request.source)
    refuse(os.fspath(request.source), path, importing=True)
    check_target(request.out, overwrite=request.overwrite, inputs=[path])
    model = _read(path, request.told)
    check_weights(path, model)
    if isinstance(model.card.network, GraphSpec) and request.told.receptive_radius is None and request.measure:
        model = _measured(model, note)
    with published(request.out, overwrite=request.overwrite) as half:
        card = save_model(half, model.card, model.weights)
        if _card_back(half, request.out) != card:
            raise ModelError(f"{request.out}: did not come back as it was written")
    return card


def _card_back(half: Path, out: Path) -> ModelCard:
    """Return the card of a file that has not got its name yet."""
    try:
        return load_model(half).card
    except ModelError as wrong:
        raise ModelError(f"{out}: {wrong}") from wrong


def _read(path: Path, told: Description) -> Model:
    if path.suffix.lower() == ".onnx":
        return read_onnx(path, told)
    if path.suffix.lower() == ".json":
        return read_item(path, told)
    if path.is_dir():
        module, bands = module_of_folder(path)
        return _graph(path, as_onnx(path, module, bands), told)
    tensors, beside = read_checkpoint(path)
    plain = without_prefixes(tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in plain.items()}
    if is_ours(shapes):
        return _ours(path, plain, shapes, told.over(sidecar(path)))
    settings = beside.get("hyper_parameters")
    prefixed = any(name.startswith("model.") for name in tensors)
    if prefixed and isinstance(settings, dict) and "model" in settings:
        module, bands = module_of_task(path, tensors, settings)
        return _graph(path, as_onnx(path, module, bands), told)
    names = ", ".join(list(tensors)[:3])
    raise ModelError(
        f"{path}: its tensors ({names}, ...) are those of no architecture that is known here; "
        "export the model to ONNX where it was made, then: geoseg model import model.onnx"
    )


def _graph(path: Path, content: bytes, told: Description) -> Model:
    return graph_model(path, content, read_proto(content), told.over(sidecar(path)))


def _ours(path: Path, tensors: dict[str, Any], shapes: dict[str, tuple[int, ...]], told: Description) -> Model:
    """Return a network of ours; its card is what was told."""
    bands = 3 if told.bands is None else len(told.bands)
    complete(path, told, bands)
    names = sorted(told.classes or (), key=is_background)  # background is the highest value, and its output the last
    try:
        if names != list(told.classes or ()):
            raise ModelError("the class of the background must be named last, since outputs of ours end with it")
        spec, legend = spec_of(shapes, bands, len(names)), legend_of_names(names, told.colors)
        card = described_card(path, told, spec, legend)
    except GeosegError as wrong:
        raise ModelError(f"{path}: {wrong}") from wrong
    if told.receptive_radius is None:
        from geoseg.learn.radius import measure_radius

        card = replace(card, receptive_radius=measure_radius(spec))
    weights = {name: tensor.float().numpy().astype(np.float32) for name, tensor in tensors.items()}
    return Model(with_digest(card, digest_of(weights.items())), weights)


def _measured(model: Model, note: Callable[[str], None]) -> Model:
    """Return a graph with the radius that was measured."""
    radius = measure_graph_radius(model)
    if radius:
        note(f"it sees {radius} pixels far, measured with its own weights, so --blend exact is possible")
    else:
        note("it sees farther than could be measured, so overlapping windows are averaged (--blend taper)")
    return Model(replace(model.card, receptive_radius=radius), model.weights)
