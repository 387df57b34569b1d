"""Write finished polygons as vector layers, in the format that the file's ending names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio
import pyogrio.raw

from geoseg.errors import OutputError, UsageError
from geoseg.layers import geojson
from geoseg.layers.faults import writing
from geoseg.layers.features import GEOMETRY, feature_stream
from geoseg.layers.geopackage import write_geopackage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from geoseg.vocabulary import Grid, MapClass, Polygons

_DRIVERS = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
    ".parquet": "Parquet",
}
_ONE_LAYER = "classes"  # name of the layer where a format holds only one


def driver_of(path: str | Path) -> str:
    """Return the format that a file's ending names: GPKG, GeoJSON, FlatGeobuf or Parquet.

    Raises:
        UsageError: it names none.
    """
    ending = Path(path).suffix.lower()
    if ending not in _DRIVERS:
        raise UsageError(f"{path}: unknown ending {ending!r}; use one of {', '.join(_DRIVERS)}")
    return _DRIVERS[ending]


def check_layers(path: str | Path, grid: Grid, *, rfc7946: bool) -> None:
    """Refuse, before any work is done, a format that cannot be, or cannot hold the CRS.

    Raises:
        UsageError: the ending names no format, or ``rfc7946`` is asked of another than GeoJSON.
        OutputError: GeoJSON cannot name the CRS, or nothing is known of its place on the globe.
    """
    driver = driver_of(path)
    if rfc7946 and driver != "GeoJSON":
        raise UsageError(f"{path}: --rfc7946 is about GeoJSON; {driver} keeps the scene's CRS")
    if driver == "GeoJSON":
        check = geojson.check_place if rfc7946 else geojson.code_of
        check(Path(path), grid.crs)


def write_layers(
    path: Path,
    layers: Sequence[tuple[MapClass, Polygons]],
    grid: Grid,
    provenance: Mapping[str, Any],
    *,
    rfc7946: bool,
    options: Mapping[str, str],
) -> list[str]:
    """Write polygons; a GeoPackage gets a layer for each class, other formats one layer with ``class``.

    Args:
        path: a new file (a temporary name, see ``publish``); its ending names the format.
        layers: classes with their polygons, in the coordinates of the grid's CRS.
        grid: the CRS, and the pixels that tell how precise coordinates are.
        provenance: how the polygons came about; kept by GeoPackage.
        rfc7946: write GeoJSON in WGS 84.
        options: GDAL creation options that override ours.

    Returns:
        Sentences the user should read.

    Raises:
        UsageError: an unknown ending or option.
        OutputError: the file cannot be written, or not in this format.
    """
    driver = driver_of(path)
    options = {name.upper(): value for name, value in options.items()}
    notes: list[str] = []
    with writing(path), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        try:
            if driver == "GPKG":
                write_geopackage(path, layers, grid.crs, provenance, options)
            elif driver == "GeoJSON":
                notes = _write_geojson(path, layers, grid, rfc7946=rfc7946, options=options)
            elif driver == "FlatGeobuf":
                _write_flatgeobuf(path, layers, grid.crs, options)
            else:
                _write_parquet(path, layers, grid.crs, options)
        except ValueError as error:
            if options and "option" in str(error):
                raise UsageError(f"--co: {error}") from error
            raise
    for warning in caught if options else ():
        if "creation option" in str(warning.message):
            raise UsageError(f"--co: {warning.message}")
    return notes


def _write_geojson(
    path: Path,
    layers: Sequence[tuple[MapClass, Polygons]],
    grid: Grid,
    *,
    rfc7946: bool,
    options: Mapping[str, str],
) -> list[str]:
    """Write one collection and return the notes on its CRS."""
    notes: list[str] = []
    if rfc7946:
        geojson.check_place(path, grid.crs)
        crs, ours = grid.crs, {"RFC7946": "YES"}
    else:
        crs = geojson.code_of(path, grid.crs)
        notes = geojson.notes_on(crs)
        ours = {"COORDINATE_PRECISION": str(geojson.decimals(grid))}
    pyogrio.write_arrow(
        feature_stream(layers),
        path,
        driver="GeoJSON",
        layer=_ONE_LAYER,
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs,
        **ours | dict(options),
    )
    geojson.check_end(path)
    return notes


def _write_flatgeobuf(
    path: Path, layers: Sequence[tuple[MapClass, Polygons]], crs: str, options: Mapping[str, str]
) -> None:
    """Write one layer with a spatial index; raises OutputError where features are missing afterwards."""
    pyogrio.write_arrow(
        feature_stream(layers),
        path,
        driver="FlatGeobuf",
        layer=_ONE_LAYER,
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs,
        **options,
    )
    with pyogrio.raw.open_arrow(path, use_pyarrow=True) as (_, reader):
        found = sum(batch.num_rows for batch in reader)
    expected = sum(len(polygons.values) for _, polygons in layers)
    if found != expected:
        raise OutputError(f"{path}: came out with {found} of {expected} polygons; is the disk full?")


def _write_parquet(
    path: Path, layers: Sequence[tuple[MapClass, Polygons]], crs: str, options: Mapping[str, str]
) -> None:
    """Write one GeoParquet table; its only option is COMPRESSION."""
    import geopandas

    unknown = set(options) - {"COMPRESSION"}
    if unknown:
        raise UsageError(f"--co {min(unknown)}: GeoParquet knows only the option COMPRESSION")
    table = feature_stream(layers).read_all()
    columns = {name: table[name].to_pandas() for name in table.column_names if name != GEOMETRY}
    geometry = geopandas.GeoSeries.from_wkb(table[GEOMETRY].to_pandas(), crs=crs)
    frame = geopandas.GeoDataFrame(columns, geometry=geometry).rename_geometry(GEOMETRY)
    compression = options.get("COMPRESSION", "zstd").lower()
    frame.to_parquet(path, compression=None if compression == "none" else compression)
