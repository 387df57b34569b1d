"""What a scene, a model or a vector file is, as one JSON object or as a few lines of text."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import GeosegError, InputError
from geoseg.pipeline.gpkg_extras import gpkg_extras
from geoseg.scene.open import check_file, is_remote, open_raster, read_head
from geoseg.scene.other_vectors import check_other

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio.io import DatasetReader

SCHEMA = 1

# First bytes of every vector format that is described.
_LAYERS = {
    ".gpkg": b"SQLite format 3\0",
    ".geojson": b"{",
    ".json": b"{",
    ".fgb": b"fgb",
    ".parquet": b"PAR1",
}


def describe(path: str, *, allow_network: bool = False) -> dict[str, Any]:
    """Return what a file is: its ``kind`` (scene, layers or model) and what matters about it.

    Raises:
        InputError: the file is missing, or neither an image nor vector layers.
        ModelError: the model file is damaged.
    """
    from geoseg.model.file import is_model

    ending = Path(path).suffix.lower()
    if is_model(path):
        return describe_model(path)
    if ending in _LAYERS:
        return _describe_layers(path, ending)
    if not is_remote(path):
        check_other(Path(path), "geoseg describes", ", ".join(_LAYERS))
    return _describe_scene(path, allow_network=allow_network)


def describe_model(path: str) -> dict[str, Any]:
    """Return what a model file, or the bundled model's name, is; raises ModelError."""
    from geoseg.model.card import card_to_json
    from geoseg.model.file import load_card, model_path

    found = {"kind": "model", "path": str(model_path(path))}
    return {"schema": SCHEMA, **found, "card": card_to_json(load_card(path))}


def _describe_scene(path: str, *, allow_network: bool) -> dict[str, Any]:
    with open_raster(path, allow_network=allow_network) as dataset:
        return {
            "schema": SCHEMA,
            "kind": "scene",
            "path": path,
            "driver": dataset.driver,
            "width": dataset.width,
            "height": dataset.height,
            "bands": list(_bands(dataset)),
            "block": list(dataset.block_shapes[0]),
            "compression": dataset.compression.name.lower() if dataset.compression else None,
            "overviews": list(dataset.overviews(1)),
            **_place(dataset),
            **_reading(path, allow_network=allow_network),
        }


def _bands(dataset: DatasetReader) -> Iterator[dict[str, Any]]:
    for i, (color, dtype) in enumerate(zip(dataset.colorinterp, dataset.dtypes, strict=True)):
        nodata = dataset.nodatavals[i]
        yield {
            "band": i + 1,
            "color": color.name,
            "dtype": dtype,
            "nodata": nodata if nodata is None or math.isfinite(nodata) else str(nodata),
            "description": dataset.descriptions[i],
        }


def _place(dataset: DatasetReader) -> dict[str, Any]:
    """Return where the scene lies; nulls where it does not say."""
    from geoseg.scene.georeference import bounds_of, grid_of, ground_pixel_m, short_name

    try:
        grid = grid_of(dataset)
    except InputError:
        return _unplaced(dataset)
    return {
        "crs": short_name(grid.crs),
        "transform": list(grid.transform)[:6],
        "bounds": list(bounds_of(grid.transform, *grid.shape)),
        "ground_pixel_m": list(ground_pixel_m(grid)),
    }


def _unplaced(dataset: DatasetReader) -> dict[str, Any]:
    """Return what a scene says about a place that is none: it tells what went wrong."""
    from geoseg.scene.georeference import bounds_of, short_name

    transform = None if dataset.transform.is_identity else dataset.transform
    return {
        "crs": short_name(dataset.crs.to_wkt()) if dataset.crs else None,
        "transform": transform and list(transform)[:6],
        "bounds": transform and list(bounds_of(transform, *dataset.shape)),
        "ground_pixel_m": None,
    }


def _reading(path: str, *, allow_network: bool) -> dict[str, Any]:
    """Return how ``segment`` would read the scene for red, green and blue, and what it would say."""
    from geoseg.scene.read_request import ReadRequest
    from geoseg.scene.reader import open_scene

    try:
        with open_scene(path, ReadRequest(allow_network=allow_network)) as scene:
            look = scene.look
            return {
                "bands_used": list(look.bands.indexes),
                "validity": look.validity.describe(),
                "stretch": look.stretch.text,
                "warnings": list(scene.notes),
            }
    except GeosegError as error:
        return {"bands_used": None, "validity": None, "stretch": None, "warnings": [str(error)]}


def _describe_layers(path: str, ending: str) -> dict[str, Any]:
    local = check_file(path)
    head = read_head(path, local).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head.startswith(_LAYERS[ending]):
        raise InputError(f"{path}: is named {ending} but is of another kind; give it the ending of its real format")
    styled, provenance = gpkg_extras(local) if ending == ".gpkg" else ({}, None)
    layers = [_parquet_layer(path, local)] if ending == ".parquet" else list(_ogr_layers(path, local))
    for layer in layers:
        layer["styled"] = layer["name"] in styled
    return {"schema": SCHEMA, "kind": "layers", "path": path, "layers": layers, "provenance": provenance}


def _ogr_layers(path: str, local: Path) -> Iterator[dict[str, Any]]:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        for name, geometry in pyogrio.list_layers(local):
            if name == "layer_styles":
                continue
            found = pyogrio.read_info(local, layer=name, force_feature_count=True)
            yield {
                "name": str(name),
                "geometry": None if geometry is None else str(geometry),
                "features": int(found["features"]),
                "crs": _known(found["crs"]),
                "fields": [str(field) for field in found["fields"]],
            }
    except (DataSourceError, DataLayerError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as vector layers ({reason}); export it again") from error


def _known(crs: str | None) -> str | None:
    """Return a layer's CRS; None for what GDAL writes where there is none."""
    import pyproj
    from pyproj.exceptions import CRSError

    from geoseg.scene.open_vector import is_undefined

    try:
        return None if crs is None or is_undefined(pyproj.CRS.from_user_input(crs)) else crs
    except CRSError:  # GDAL knows some that PROJ does not
        return crs


def _parquet_layer(path: str, local: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyproj
    from pyarrow import parquet
    from pyproj.exceptions import CRSError

    from geoseg.scene.georeference import short_name

    try:
        stored = parquet.read_metadata(local)
        columns = [str(name) for name in stored.schema.to_arrow_schema().names]
        geo = json.loads((stored.metadata or {}).get(b"geo", b"{}"))
        primary = geo.get("primary_column")
        column = geo.get("columns", {}).get(primary, {})
        # https://geoparquet.org/releases/v1.1.0/: where none is given it is this one, and null says that it is unknown
        stated = column.get("crs", "OGC:CRS84") if primary else None
        crs = _known(short_name(pyproj.CRS.from_user_input(stated).to_wkt())) if stated else None
    except (pa.ArrowException, OSError, ValueError, AttributeError, TypeError, CRSError) as error:
        raise InputError(f"{path}: cannot be read as GeoParquet ({error}); export it again") from error
    return {
        "name": local.stem,
        "geometry": ", ".join(column.get("geometry_types", [])) or None,
        "features": stored.num_rows,
        "crs": crs,
        "fields": [name for name in columns if name != primary],
    }


_LABEL = 24
"""Longest label, so that one key of a foreign card does not push all texts to the right."""


def as_text(found: dict[str, Any]) -> str:
    """Return a description for people: one aligned line for each thing."""
    lines = list({"scene": _scene_lines, "layers": _layer_lines, "model": _model_lines}[found["kind"]](found))
    width = max(len(label) for label, _ in lines)
    return "\n".join(f"{label:<{width}}  {text}".rstrip() for label, text in lines)


def _scene_lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "scene", found["path"]
    stored = [found["driver"], *([found["compression"]] if found["compression"] else [])]
    block = "{1} x {0}".format(*found["block"])
    yield "format", f"{', '.join(stored)}, blocks of {block} pixels, {len(found['overviews'])} overviews"
    yield "size", f"{found['width']} x {found['height']} pixels"
    for band in found["bands"]:
        nodata = "" if band["nodata"] is None else f", nodata {float(band['nodata']):g}"
        name = f" ({band['description']})" if band["description"] else ""
        yield f"band {band['band']}", f"{band['color']}{name}, {band['dtype']}{nodata}"
    yield "CRS", _short(found["crs"]) if found["crs"] else "unknown"
    if found["bounds"]:
        yield "bounds", ", ".join(f"{value:.10g}" for value in found["bounds"])
    if found["ground_pixel_m"]:
        yield "ground pixel", "{1:.4g} x {0:.4g} m".format(*found["ground_pixel_m"])
    if found["bands_used"]:
        yield "read as", f"bands {','.join(map(str, found['bands_used']))}, stretch {found['stretch']}"
        yield "missing pixels", found["validity"]
    for warning in found["warnings"]:
        yield "note", warning


def _layer_lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "layers", found["path"]
    for layer in found["layers"]:
        style = ", styled" if layer["styled"] else ""
        crs = _short(layer["crs"]) if layer["crs"] else "no CRS"
        yield (
            f"  {layer['name']}",
            f"{layer['features']} x {layer['geometry'] or 'no geometry'}, {crs}{style}",
        )
        yield "", f"fields: {', '.join(layer['fields']) or 'none'}"
    for key, value in (found["provenance"] or {}).items():
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _model_lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    card = found["card"]
    yield "model", f"{card['name']} {card['version']} ({found['path']})"
    yield (
        "bands",
        f"{', '.join(card['bands'])}; values {card['value_range'][0]:g} to {card['value_range'][1]:g}",
    )
    yield "ground pixel", f"{card['resolution_m']:g} m"
    yield "classes", ", ".join(f"{entry['value']} {entry['name']}" for entry in card["legend"])
    yield "network", ", ".join(f"{key} {value}" for key, value in card["network"].items() if value is not None)
    yield "receptive radius", f"{card['receptive_radius']} pixels" if card["receptive_radius"] else "unknown"
    yield "domain", card["domain"]["text"]
    yield "licence", card["license"]
    for key, value in card["training"].items():
        for entry in value if _holds_objects(value) else [value]:
            yield f"trained: {key}"[:_LABEL], _flat(entry)
    for score in card["scores"]:
        numbers = (f"{key} {value:.3f}" for key, value in score.items() if isinstance(value, float))
        yield "scored on", f"{score.get('split', 'images not named')}: {', '.join(numbers)}"


def _flat(value: Any) -> str:
    """Return what a value says at first sight; what lies deeper is for ``--json``."""
    if _holds_objects(value):
        return f"({'; '.join(map(_flat, value))})"
    if not isinstance(value, dict):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shallow = (f"{name} {_flat(one)}" for name, one in value.items() if not isinstance(one, dict) and one != [])
    return "; ".join([*shallow, *(["..."] if any(isinstance(one, dict) for one in value.values()) else [])])


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _short(crs: str) -> str:
    """Return a code as it is, and WKT as its name."""
    return crs if len(crs) < 40 or '"' not in crs else f'"{crs.split(chr(34))[1]}" (no code)'
