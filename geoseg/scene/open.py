"""The door for rasters: only plain image files come in, and only through drivers that read nothing else.

GDAL would also open a VRT or a service description under any name and follow the paths and URLs inside it, so
drivers are named, and a ``.vrt`` is checked first (https://gdal.org/en/stable/user/security.html).
"""

from __future__ import annotations

import re
import shlex
import stat
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geoseg import gdal_guard
from geoseg.errors import InputError, first_of
from geoseg.scene.damage import check_end, check_raw, hear_out
from geoseg.scene.vrt import check_vrt, is_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DRIVERS: tuple[str, ...] = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG", "HFA", "ENVI", "EHdr", "AAIGrid")
"""Drivers that read one image and, beside it, only its own side files."""

MAX_PIXELS = 10**11
"""Largest scene read unless ``--max-pixels`` says otherwise, in pixels."""

_MAX_BLOCK_BYTES = 256 * 2**20
_MAX_BANDS = 512
_CONTAINERS = ("netCDF", "HDF5")
_CONTAINER_HEADS = (b"CDF\x01", b"CDF\x02", b"CDF\x05", b"\x89HDF\r\n\x1a\n")
_REMOTE = {
    "https://": "/vsicurl/https://",
    "http://": "/vsicurl/http://",
    "s3://": "/vsis3/",
    "gs://": "/vsigs/",
}
_REMOTE_FOLDERS = ("/vsicurl/", "/vsis3/", "/vsigs/", "/vsiaz/")
_READABLE = "GeoTIFF, JPEG 2000, PNG, JPEG, Erdas .img, ENVI, EHdr, ASCII grid or .vrt"

# geoseg says in its own sentence what lacks a georeference (georeference.py).
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@contextmanager
def open_raster(
    path: str | Path, *, allow_network: bool = False, max_pixels: float = MAX_PIXELS
) -> Iterator[DatasetReader]:
    """Open one raster for reading, or say in one sentence why it cannot be used.

    Args:
        path: A file; with ``allow_network`` also an https, s3 or gs address.
        allow_network: Let GDAL read remote files. Files and ``.vrt`` mosaics still may not refer to any.
        max_pixels: Refuse rasters of more pixels than this.

    Raises:
        InputError: missing, unreadable, not an image, disguised, remote, or too large to be read.
    """
    name = str(path)
    settings: dict[str, str] = {}
    if is_remote(name) and allow_network:
        gdal_guard.allow_network()
        # A server has no folders to list; asking for one costs a request for every possible side file.
        settings, source, drivers = (
            {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"},
            remote_source(name),
            DRIVERS,
        )
    else:
        local = check_file(name)
        # A name with a colon could be taken for a GDAL connection string; an absolute path cannot.
        # A link to a VRT is followed here, because the paths inside count from the VRT's own folder.
        drivers = _drivers_for(name, local)
        if drivers == ("VRT",) and local.is_symlink():
            local = local.resolve()
        source = str(local.absolute()) if ":" in name or str(local) != str(Path(name)) else name
    with rasterio.Env(**settings):
        dataset = _open(name, source, drivers)
    try:
        _check_sizes(name, dataset, max_pixels)
        yield dataset
    finally:
        dataset.close()


def check_file(path: str | Path) -> Path:
    """Return the path of an existing local file that is not empty; no driver is asked yet.

    Raises:
        InputError: the path is an address, a GDAL connection string, missing, a folder, empty or unreadable.
    """
    name = str(path)
    shown = name if len(name) <= 200 else f"{name[:200]}…"
    if "\0" in name or "\n" in name or not name.strip():
        raise InputError(f"{shown!r}: is not a file name; give the path of an image file")
    if name.lstrip().startswith(("<", "{")):
        raise InputError(f"{shown}: is a text, not a file name; give the path of an image file")
    if is_remote(name):
        address = _without_secrets(shown)
        raise InputError(f"{address}: is an address, not a local file; download it first, or add --allow-network")
    local = Path(name)
    try:
        status = local.stat()
    except FileNotFoundError:
        raise InputError(f"{shown}: {_why_missing(name, local)}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown}: cannot be opened ({reason}); check the path and its permissions") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{shown}: is a folder, expected one file; name a file in it, or use geoseg batch")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{shown}: is not a regular file; copy its contents into a file first")
    if status.st_size == 0:
        raise InputError(f"{shown}: is empty (0 bytes); copy or download it again")
    return local


def shown(path: str | Path) -> str:
    """Return a path as people may see it: an address without user names, passwords and keys."""
    return _without_secrets(str(path)) if is_remote(str(path)) else str(path)


def read_head(name: str, local: Path, size: int = 4096) -> bytes:
    """Return the first bytes of a file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with local.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); check its permissions") from None


def is_remote(name: str) -> bool:
    """Tell whether a name is an address, or a name of GDAL's for one."""
    return name.lstrip().startswith("/vsi") or re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]+://", name) is not None


def _without_secrets(address: str) -> str:
    """Return an address without user names, passwords and query."""
    return re.sub(r"//[^/@]*@", "//", address.split("?", 1)[0])


def remote_source(name: str) -> str:
    """Return the name by which GDAL opens an address; raises InputError where it is of no known kind."""
    for scheme, folder in _REMOTE.items():
        if name.lower().startswith(scheme):
            return folder + name[len(scheme) :]
    if name.startswith(_REMOTE_FOLDERS) and "/vsi" not in name[4:]:
        return name
    raise InputError(f"{_without_secrets(name)}: is not an address geoseg reads; use https://, s3:// or gs://")


def _why_missing(name: str, local: Path) -> str:
    if local.is_symlink():
        return "is a broken link; restore the file it points to"
    if re.match(r"[A-Za-z][A-Za-z0-9_]+:", name):
        return "is not a file; geoseg opens files, not GDAL connection strings (gdal_translate writes one)"
    file, *details = name.split("|")
    if layer := next((one.removeprefix("layername=") for one in details if one.startswith("layername=")), ""):
        command = f"ogr2ogr out.gpkg {shlex.quote(file)} {shlex.quote(layer)}"
        return f"is a layer in the words of QGIS, expected a file; write that one with: {command}"
    return "does not exist; check the path"


def _drivers_for(name: str, local: Path) -> tuple[str, ...]:
    """Return the drivers a local file may be opened with, judged by its first bytes and its side files."""
    head = read_head(name, local)
    named_vrt = local.suffix.lower() == ".vrt"
    if is_xml(head):
        if b"<VRTDataset" not in head:
            raise InputError(f"{name}: is an XML text, not an image; expected {_READABLE}")
        if not named_vrt:
            raise InputError(f"{name}: is a VRT, not an image; give it a name ending in .vrt if you trust it")
        _check_side_files(name, local)
        check_vrt(local, name, _check_source)
        return ("VRT",)
    if named_vrt:
        raise InputError(f"{name}: is named .vrt but is no VRT; give it the ending of its real format")
    if head.startswith(_CONTAINER_HEADS):
        _refuse_container(name, local)
    if head.startswith(b"SQLite format 3"):
        raise InputError(f"{name}: is a GeoPackage or database, not an image; expected {_READABLE}")
    check_end(name, local, head)
    _check_side_files(name, local)
    return DRIVERS


def _check_side_files(name: str, local: Path) -> None:
    """Refuse overviews and masks that are themselves XML: GDAL would open them with any driver."""
    for ending in (".ovr", ".msk", ".aux.xml.ovr"):
        side = local.with_name(local.name + ending)
        if side.is_file() and is_xml(read_head(name, side)):
            raise InputError(f"{name}: its side file {side.name} is XML, not an image; remove that file")
    sidecar = local.with_name(local.name + ".aux.xml")
    if sidecar.is_file():
        text = read_head(name, sidecar, 2**24).lower()
        if b"overview_file" in text or b"<vrt" in text:
            raise InputError(f"{name}: its side file {sidecar.name} refers to other files; remove that file")


def _check_source(source: Path) -> None:
    """Check that a source of a VRT is itself a plain image (or a sound .vrt); raises InputError."""
    local = check_file(source)
    if source.suffix.lower() == ".vrt":  # its text is checked by the caller's walk
        _check_side_files(str(source), local)
    else:
        _open(str(source), str(source), _drivers_for(str(source), local)).close()


def _refuse_container(name: str, local: Path) -> None:
    try:
        with rasterio.Env(), DatasetReader(str(local.absolute()), driver=list(_CONTAINERS)) as container:
            inside = container.subdatasets
    except RasterioError:
        inside = []
    listed = first_of([item.rsplit(":", 1)[-1].lstrip("/") for item in inside], 5)
    found = f"holding {listed}" if inside else "without images"
    first = inside[0] if inside else "SUBDATASET"
    raise InputError(
        f"{name}: is a netCDF or HDF5 container {found}, expected an image; "
        f"write one as GeoTIFF with: gdal_translate '{first}' out.tif"
    )


def _open(name: str, source: str, drivers: Sequence[str]) -> DatasetReader:
    try:
        with rasterio.Env():  # the driver list is honoured only inside an Env
            dataset = DatasetReader(source, driver=list(drivers))
    except (RasterioError, ValueError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        if "not recognized" in reason or "No such file" in reason:
            raise InputError(f"{name}: is not an image geoseg can read, expected {_READABLE}") from None
        raise InputError(f"{name}: is damaged or not supported ({reason}); copy or export it again") from None
    hear_out(dataset)
    try:
        check_raw(name, dataset)
    except InputError:
        dataset.close()
        raise
    return dataset


def _check_sizes(name: str, dataset: DatasetReader, max_pixels: float) -> None:
    """Refuse what would exhaust memory or time, from the declared sizes alone."""
    height, width, count = dataset.height, dataset.width, dataset.count
    if count == 0:
        raise InputError(f"{name}: holds no bands, expected an image; list its contents with gdalinfo")
    if count > _MAX_BANDS:
        raise InputError(f"{name}: has {count} bands, at most {_MAX_BANDS} are read; cut it with gdal_translate -b")
    if height * width > max_pixels:
        raise InputError(f"{name}: {width} x {height} pixels is over --max-pixels {max_pixels:g}; raise it or cut it")
    item = max(16 if "complex" in kind else np.dtype(kind).itemsize for kind in set(dataset.dtypes))
    block = max(rows * cols for rows, cols in dataset.block_shapes) * item
    if dataset.driver == "GTiff" and str(dataset.profile.get("interleave")) == "pixel":
        block *= count
    if block > _MAX_BLOCK_BYTES:
        raise InputError(
            f"{name}: is stored in blocks of {block // 2**20} MB, too large to read in part; "
            "re-tile it with: gdal_translate -co TILED=YES"
        )
