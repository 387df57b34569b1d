"""The key of a task: a digest of the files it reads, the model, the choices that shape its result, and our version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.scene.mosaic import Mosaic

if TYPE_CHECKING:
    from geoseg.pipeline.parts import Part
    from geoseg.pipeline.request import SegmentRequest

_BESIDE = (".aux.xml", ".ovr", ".msk", ".prj")
_WORLD = (".tfw", ".jgw", ".pgw", ".wld", ".prj", ".hdr")


def key_of(request: SegmentRequest, model_sha256: str, part: Part | None = None) -> str:
    """Return the key, 32 hexadecimal digits.

    Sizes and times of change stand for the contents of files. How fast and where a result is made is not part of it.
    """
    said = {
        "version": geoseg.__version__,
        "model": model_sha256,
        "reading": _plain(replace(request.reading, aoi=None)),
        "windows": _plain(request.windows),
        "precision": request.runs_on.precision,
        "tta": request.eightfold,
        "aoi": stamps(request.reading.aoi) if request.reading.aoi else None,
        **_scene(request),
    }
    if part is None:
        output = request.output
        names = [path.suffix if path else None for path in (output.layers, output.raster, output.raster_final)]
        said["outputs"] = [*names, output.confidence is not None, output.rfc7946, dict(output.creation)]
        said["vectors"] = _plain(request.vectors)
    else:
        said["part"] = [part.rows, request.output.has_rasters]
    return combined([json.dumps(said, sort_keys=True, default=str)])


def combined(texts: list[str]) -> str:
    """Return the digest of texts in their order."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def _scene(request: SegmentRequest) -> dict[str, Any]:
    scene = request.scene
    if not isinstance(scene, Mosaic):
        return {"scene": stamps(scene)}
    grid = scene.grid
    places = [[tile.stamps, window.row, window.col] for tile, window in zip(scene.tiles, scene.windows, strict=True)]
    return {"grid": [grid.crs, list(grid.transform), grid.shape], "stretch": _plain(scene.stretch), "tiles": places}


def stamps(path: Path | str) -> dict[str, tuple[int, int]]:
    """Return size and time of change of a file and of what may lie beside it; of an address, nothing but its name."""
    path = Path(path)
    found: dict[str, tuple[int, int]] = {}
    for one in (
        path,
        *(path.with_name(path.name + end) for end in _BESIDE),
        *(path.with_suffix(end) for end in _WORLD),
    ):
        try:
            status = one.stat()
        except (OSError, ValueError):
            continue
        found[one.name] = status.st_size, status.st_mtime_ns
    return found or {str(path): (0, 0)}


def _plain(noun: Any) -> Any:
    return asdict(noun) if is_dataclass(noun) and not isinstance(noun, type) else noun
