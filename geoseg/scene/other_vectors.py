"""Vector files of kinds that geoseg does not read: how they are known, and how GDAL makes GeoPackages of them."""

from __future__ import annotations

import re
import shlex
import zipfile
from pathlib import Path, PurePosixPath

from geoseg.errors import InputError
from geoseg.scene.open import check_file

_READ = {".gpkg", ".geojson", ".json", ".fgb", ".parquet"}
_UNPLACED = {".csv", ".dxf", ".dwg", ".dgn"}  # formats that cannot say their CRS
_OTHERS = _UNPLACED | {
    *(".shp", ".shx", ".dbf", ".shz", ".gdb", ".tab", ".mif", ".mid", ".kml", ".kmz", ".gml", ".gpx", ".sqlite"),
    *(".geojsonl", ".geojsons", ".geojsonseq", ".ndjson", ".jsonl", ".topojson", ".osm", ".pbf", ".mvt"),
    *(".arrow", ".feather", ".gmt", ".jml", ".mapml"),
}


def check_other(path: Path, reader: str, expected: str) -> None:
    """Refuse a vector file that has to be converted first, by its name or by what is packed in it.

    Args:
        path: the file; a geodatabase is a folder.
        reader: as in `other_kind`.
        expected: as there.

    Raises:
        InputError: it is one, or is missing and would be one.
    """
    if _is_other(path):
        if not path.is_dir():
            check_file(path)
        raise other_kind(path, reader, expected)


def other_kind(path: Path, reader: str, expected: str) -> InputError:
    """Return the refusal of a vector file of another kind.

    Args:
        path: the file.
        reader: who would read it, and as what: "geoseg reads".
        expected: the kinds that are read.
    """
    options = ["-a_srs EPSG:n"] if path.suffix.lower() in _UNPLACED else []
    command = as_geopackage(path, *options)
    return InputError(f"{path}: is no vector file {reader}, expected {expected}; write it as one with: {command}")


def as_geopackage(path: Path, *options: str, layer: str = "") -> str:
    """Return the command by which GDAL writes a vector file, or one layer of it, as a GeoPackage."""
    out = "out.gpkg" if path.name != "out.gpkg" else "out2.gpkg"
    words = ["ogr2ogr", *options, out, _quoted(_source(path)), *([_quoted(layer)] if layer else [])]
    return " ".join(words) + (" (of a GDAL that reads Parquet)" if path.suffix.lower() == ".parquet" else "")


def swapped_axes(path: Path) -> str:
    """Return the command by which GDAL swaps x and y of a vector file."""
    return as_geopackage(path, '-ct "+proj=axisswap +order=2,1"')


def _is_other(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending == ".gz":
        return Path(path.stem).suffix.lower() in _READ | _OTHERS
    return ending in _OTHERS or (ending == ".zip" and _packed(path) is not None)


def _source(path: Path) -> str:
    """Return the name by which GDAL opens a file, packed or not (https://gdal.org/en/stable/user/virtual_file_systems.html)."""
    ending = path.suffix.lower()
    if ending == ".gz":
        return f"/vsigzip/{path}"
    return f"/vsizip/{path}{_packed(path) or ''}" if ending == ".zip" else str(path)


def _packed(path: Path) -> str | None:
    """Return where the vector files of a zip archive lie, "" for its top; None where it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(name) for name in archive.namelist() if not name.startswith("__MACOSX/")]
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    for name in names:
        database = next((at for at in (name, *name.parents) if at.suffix.lower() == ".gdb"), None)
        if database is not None:
            return f"/{database}"
        if name.suffix.lower() in {".shp", ".tab", ".mif"}:  # GDAL reads all of a folder
            return "" if name.parent == PurePosixPath() else f"/{name.parent}"
    kinds = (_READ | _OTHERS) - {".json"}  # which is hardly ever of polygons, beside images
    return next((f"/{name}" for name in names if name.suffix.lower() in kinds), None)


def _quoted(word: str) -> str:
    if re.search(r"[$`\"!]", word):
        return shlex.quote(word)
    return f'"{word}"' if re.search(r"[^\w./\\:+-]", word) else word
