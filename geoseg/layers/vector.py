"""Write finished polygons as vector layers, in the format that the file's ending names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio
import pyogrio.raw

from geoseg.errors import OutputError, UsageError
from geoseg.layers import geojson
from geoseg.layers.faults import writing
from geoseg.layers.features import GEOMETRY, Features
from geoseg.layers.geopackage import write_geopackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from geoseg.layers.features import Tally, WantedLayers
    from geoseg.vocabulary import Grid, Polygons

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


@dataclass(frozen=True, slots=True)
class WrittenLayers:
    """What came out."""

    tallies: dict[int, Tally]
    """How much was written, by class value."""
    notes: list[str]
    """Sentences the user should read."""


def write_layers(
    path: Path, wanted: WantedLayers, polygons: Iterable[Polygons], grid: Grid, provenance: Mapping[str, Any]
) -> WrittenLayers:
    """Write polygons as they come; a GeoPackage gets a layer for each class, other formats one with ``class``.

    Args:
        path: a new file (a temporary name, see ``publish``); its ending names the format.
        wanted: classes and fields to write.
        polygons: finished polygons in batches, of any classes, in the coordinates of the grid's CRS.
        grid: the CRS, and the pixels that tell how precise coordinates are.
        provenance: how the polygons came about; kept by GeoPackage.

    Raises:
        UsageError: an unknown ending.
        OutputError: the file cannot be written, or not in this format.
    """
    features = Features(wanted, polygons)
    try:
        with writing(path):
            return _written(path, features, grid, provenance)
    except BaseException:
        if features.faults:
            raise features.faults[0] from None
        raise


def _written(path: Path, features: Features, grid: Grid, provenance: Mapping[str, Any]) -> WrittenLayers:
    driver = driver_of(path)
    notes: list[str] = []
    if driver == "GPKG":
        write_geopackage(path, features, grid.crs, provenance)
    elif driver == "GeoJSON":
        notes = _write_geojson(path, features, grid)
    elif driver == "FlatGeobuf":
        _write_flatgeobuf(path, features, grid.crs)
    else:
        _write_parquet(path, features, grid.crs)
    return WrittenLayers(features.tallies, notes)


def _write_geojson(path: Path, features: Features, grid: Grid) -> list[str]:
    """Write one collection and return the notes on its CRS."""
    notes: list[str] = []
    if features.wanted.rfc7946:
        geojson.check_place(path, grid.crs)
        crs, ours = grid.crs, {"RFC7946": "YES"}
    else:
        crs = geojson.code_of(path, grid.crs)
        notes = geojson.notes_on(crs)
        ours = {"COORDINATE_PRECISION": str(geojson.decimals(grid))}
    pyogrio.write_arrow(
        features.records(features.parts()),
        path,
        driver="GeoJSON",
        layer=_ONE_LAYER,
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs,
        **ours,
    )
    geojson.check_end(path)
    return notes


def _write_flatgeobuf(path: Path, features: Features, crs: str) -> None:
    """Write one layer with a spatial index; raises OutputError where features are missing afterwards."""
    pyogrio.write_arrow(
        features.records(features.parts()),
        path,
        driver="FlatGeobuf",
        layer=_ONE_LAYER,
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs,
    )
    with pyogrio.raw.open_arrow(path, use_pyarrow=True) as (_, reader):
        found = sum(batch.num_rows for batch in reader)
    if found != features.count:
        raise OutputError(f"{path}: came out with {found} of {features.count} polygons; is the disk full?")


def _write_parquet(path: Path, features: Features, crs: str) -> None:
    """Write one GeoParquet table."""
    import geopandas

    table = features.records(features.parts()).read_all()
    columns = {name: table[name].to_pandas() for name in table.column_names if name != GEOMETRY}
    geometry = geopandas.GeoSeries.from_wkb(table[GEOMETRY].to_pandas(), crs=crs)
    frame = geopandas.GeoDataFrame(columns, geometry=geometry).rename_geometry(GEOMETRY)
    frame.to_parquet(path, compression="zstd")
