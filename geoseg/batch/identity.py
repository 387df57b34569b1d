"""The key of a task: a digest of the files it reads, the model, the choices that shape its result, and our version."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.batch.sources.addresses import is_address, without_secrets
from geoseg.model.card import card_to_json
from geoseg.scene.mosaic import Mosaic

if TYPE_CHECKING:
    from pathlib import Path

    from geoseg.model.card import ModelCard
    from geoseg.pipeline.parts import Part
    from geoseg.pipeline.request import SegmentRequest

_BESIDE = (".aux.xml", ".ovr", ".msk", ".prj")
_WORLD = (".tfw", ".jgw", ".pgw", ".wld", ".prj", ".hdr", ".dbf", ".shx", ".cpg")
_REFUSING = ("max_pixels", "allow_network")  # with these a scene is read as it is without them, or not at all
_THIRDS = ("input", "model", "options")
_DIGITS = 16


def key_of(request: SegmentRequest, model: str, part: Part | None = None) -> str:
    """Return the key, 48 hexadecimal digits: a third each for what is read, the model, and the choices.

    Sizes and times of change stand for the contents of files. How fast and where a result is made is not part of it,
    and neither is what only refuses scenes.

    Args:
        request: what is made.
        model: the mark of the model, see `mark_of`.
        part: of a mosaic; None stands for all of the scene.
    """
    reading, output = _plain(request.reading), request.output
    read = {"aoi": stamps(request.reading.aoi) if request.reading.aoi else None, **_scene(request)}
    chosen = {
        "version": geoseg.__version__,
        "reading": {name: value for name, value in reading.items() if name not in ("aoi", "options")},
        "options": {name: value for name, value in reading["options"].items() if name not in _REFUSING},
        "windows": _plain(request.windows),
        "precision": request.runs_on.precision,
        "tta": request.eightfold,
    }
    if part is None:
        names = [path.suffix if path else None for path in (output.layers, output.raster, output.raster_final)]
        chosen["outputs"] = [*names, output.confidence is not None, output.rfc7946, dict(output.creation)]
        chosen["vectors"] = _plain(request.vectors) if output.traced else None
    else:
        chosen["part"] = [part.rows, part.apart]
    return _digest(read) + model + _digest(chosen)


def mark_of(card: ModelCard) -> str:
    """Return the digest of a model: of its card, which has that of its weights."""
    return _digest(card_to_json(card))


def changed(earlier: str, key: str) -> str:
    """Return which thirds of two keys differ, in words for people."""
    if len(earlier) != len(key) or len(key) != len(_THIRDS) * _DIGITS:
        return "input, model or options have changed"
    starts = range(0, len(key), _DIGITS)
    differ = [name for name, i in zip(_THIRDS, starts, strict=True) if earlier[i : i + _DIGITS] != key[i : i + _DIGITS]]
    return f"{' and '.join(differ)} {'has' if differ in (['input'], ['model']) else 'have'} changed"


def combined(texts: list[str]) -> str:
    """Return the digest of texts in their order."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def _digest(said: dict[str, Any]) -> str:
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGITS // 2).hexdigest()


def _scene(request: SegmentRequest) -> dict[str, Any]:
    scene = request.scene
    if not isinstance(scene, Mosaic):
        return {"scene": stamps(scene)}
    grid = scene.grid
    places = []
    for tile, window in zip(scene.tiles, scene.windows, strict=True):
        files = {os.path.basename(name): stamp for name, stamp in tile.stamps.items()}
        places.append([files or without_secrets(tile.path), window.row, window.col])
    return {"grid": [grid.crs, list(grid.transform), grid.shape], "stretch": _plain(scene.stretch), "tiles": places}


def stamps(path: Path | str) -> dict[str, tuple[int, int]]:
    """Return size and time of change of a file and of what may lie beside it; of an address, nothing but its name."""
    name = os.fspath(path)
    if is_address(name):
        return {name: (0, 0)}
    stem, found = os.path.splitext(name)[0], dict[str, tuple[int, int]]()
    for one in (name, *(name + end for end in _BESIDE), *(stem + end for end in _WORLD)):
        try:
            status = os.stat(one)
        except (OSError, ValueError):
            continue
        found[os.path.basename(one)] = status.st_size, status.st_mtime_ns
    return found or {name: (0, 0)}


def _plain(noun: Any) -> Any:
    return asdict(noun) if is_dataclass(noun) and not isinstance(noun, type) else noun
