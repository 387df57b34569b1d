"""Where a scene lies, and how large its pixels truly are on the ground."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import InputError, UsageError
from geoseg.vocabulary import Grid

if TYPE_CHECKING:
    import pyproj
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

_PRJ_BYTES = 2**16
_FLAG = "--src-crs EPSG:n"
_MOST_LON = 720.0  # degrees: twice round


def grid_of(dataset: DatasetReader, *, src_crs: str | None = None, means: str = _FLAG) -> Grid:
    """Return the grid of an opened raster.

    Args:
        dataset: The raster; its name begins every message.
        src_crs: What the user says the CRS is, such as ``EPSG:32633``; wins over the file's own.
        means: By what a user can say so, for messages.

    Raises:
        InputError: the raster has no CRS or no usable transform; the message says how to give it one.
        UsageError: ``src_crs`` cannot be understood.
    """
    name, transform = dataset.name, dataset.transform
    crs = _user_crs(src_crs) if src_crs else dataset.crs or _crs_beside(name)
    if transform.is_identity:
        _refuse_unplaced(dataset, crs)
    if not all(map(math.isfinite, transform)) or transform.determinant == 0:
        raise InputError(f"{name}: its geotransform is degenerate; give it one with gdal_translate -a_ullr")
    if not crs:
        raise InputError(f"{name}: has pixel coordinates but no CRS, expected both; say which with {means}")
    if crs.is_geographic:
        _check_degrees(name, crs, transform @ (dataset.width / 2, dataset.height / 2), means)
    return Grid(_wkt2(crs), transform, dataset.height, dataset.width)


def _check_degrees(name: str, crs: CRS, middle: tuple[float, float], means: str) -> None:
    """Raise InputError for what can be no longitude and latitude, in the units of the CRS."""
    lon, lat = middle
    _, radians = crs.units_factor
    if math.degrees(abs(lon) * radians) > _MOST_LON or math.degrees(abs(lat) * radians) > 90:
        raise InputError(
            f"{name}: its middle lies at {lon:.10g}, {lat:.10g}, which is no longitude and latitude, and its CRS is "
            f"geographic; say which CRS it has with {means}, or swap its axes if they are"
        )


def ground_pixel_m(grid: Grid) -> tuple[float, float]:
    """Return the true ground size of a pixel at the grid's centre, in metres.

    Geodesic wherever the CRS leads to longitude and latitude, so that Web Mercator's stretched metres are not
    taken for real ones; otherwise by the CRS's linear unit.

    Returns:
        Size along a column (from row to row) and along a row (from column to column).
    """
    import pyproj

    crs = pyproj.CRS.from_wkt(grid.crs)
    row, col = grid.height / 2, grid.width / 2
    ends = [(col, row - 0.5), (col, row + 0.5), (col - 0.5, row), (col + 0.5, row)]
    xs, ys = zip(*(grid.transform @ end for end in ends), strict=True)
    geodesic = _geodesic(crs, xs, ys)
    if geodesic is not None:
        return geodesic
    unit_x, unit_y = _linear_unit(crs, math.radians(ys[0]))
    high = math.hypot((xs[1] - xs[0]) * unit_x, (ys[1] - ys[0]) * unit_y)
    wide = math.hypot((xs[3] - xs[2]) * unit_x, (ys[3] - ys[2]) * unit_y)
    return high, wide


def _user_crs(text: str) -> CRS:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return CRS.from_user_input(text)
    except (CRSError, ValueError):  # ValueError: EPSG:letters
        raise UsageError(f"--src-crs: {text!r} is not a CRS; write it like EPSG:32633, or as WKT") from None


def _crs_beside(name: str) -> CRS | None:
    """Return the CRS of a ``.prj`` beside a scene: the companion of a world file, which GDAL ignores."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with Path(name).with_suffix(".prj").open("rb") as file:
            return CRS.from_wkt(file.read(_PRJ_BYTES).decode())
    except (OSError, ValueError, CRSError):
        return None


def _wkt2(crs: CRS) -> str:
    """Return WKT 2 that reads back as the same CRS; the older WKT where GDAL finds no WKT 2 for it."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        text: str = crs.to_wkt(version="WKT2_2019")
        if text and CRS.from_wkt(text) == crs:
            return text
    except CRSError:
        pass
    return str(crs.to_wkt())


def _refuse_unplaced(dataset: DatasetReader, crs: CRS | None) -> None:
    """Say how a raster without a transform can be given one; raises InputError."""
    name = dataset.name
    points, _ = dataset.gcps
    if points:
        raise InputError(
            f"{name}: is placed by {len(points)} ground control points only, expected a georeferenced image; "
            "warp it with: gdalwarp -t_srs EPSG:n in out.tif"
        )
    if dataset.rpcs:
        raise InputError(
            f"{name}: is placed by RPCs only, expected an orthophoto; "
            "orthorectify it first with: gdalwarp -rpc -t_srs EPSG:n in out.tif"
        )
    found = "has a CRS but no pixel coordinates" if crs else "is not georeferenced"
    raise InputError(
        f"{name}: {found}, expected an image placed on the ground; "
        "place it with: gdal_translate -a_srs EPSG:n -a_ullr LEFT TOP RIGHT BOTTOM in out.tif"
    )


def _geodesic(crs: pyproj.CRS, xs: tuple[float, ...], ys: tuple[float, ...]) -> tuple[float, float] | None:
    """Return the lengths of the two segments on the ellipsoid, None where the CRS does not lead there."""
    import pyproj
    from pyproj.exceptions import ProjError

    geographic = crs.geodetic_crs
    if geographic is None or crs.is_geocentric:
        return None
    try:
        to_degrees = pyproj.Transformer.from_crs(crs.to_2d(), geographic.to_2d(), always_xy=True)
        lon, lat = to_degrees.transform(xs, ys)
        ellipsoid = geographic.get_geod() or pyproj.Geod(ellps="WGS84")
    except ProjError:
        return None
    per_unit = math.degrees(geographic.axis_info[0].unit_conversion_factor or math.radians(1))
    lon, lat = [value * per_unit for value in lon], [value * per_unit for value in lat]
    if not all(map(math.isfinite, (*lon, *lat))) or max(map(abs, lat)) > 90:
        return None
    _, _, lengths = ellipsoid.inv([lon[0], lon[2]], [lat[0], lat[2]], [lon[1], lon[3]], [lat[1], lat[3]])
    return (lengths[0], lengths[1]) if min(lengths) > 0 else None


def _linear_unit(crs: pyproj.CRS, latitude: float) -> tuple[float, float]:
    """Return metres per unit of x and y, of degrees on a sphere where the CRS has degrees."""
    if crs.is_geographic:
        degree = math.radians(6371008.8)
        return degree * max(math.cos(latitude), 0.01), degree
    factors = [axis.unit_conversion_factor for axis in crs.axis_info[:2] if axis.unit_conversion_factor]
    unit = factors[0] if factors else 1.0
    return unit, unit


def bounds_of(transform: Affine, height: int, width: int) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of all four corners, whatever the rotation, in units of the CRS."""
    corners = [transform @ corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def short_name(crs: str) -> str:
    """Return the authority's code of a CRS where it has exactly that one, else its WKT."""
    import pyproj

    code = pyproj.CRS.from_wkt(crs).to_authority(min_confidence=100)
    return ":".join(code) if code else crs
