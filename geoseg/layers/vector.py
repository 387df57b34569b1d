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
from geoseg.layers.features import GEOMETRY, Tally, feature_stream, remembering
from geoseg.layers.geopackage import write_geopackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    import pyarrow as pa

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


@dataclass(frozen=True, slots=True)
class WrittenLayers:
    """What came out."""

    tallies: dict[int, Tally]
    """How much was written, by class value."""
    notes: list[str]
    """Sentences the user should read."""


def write_layers(
    path: Path,
    chosen: Sequence[MapClass],
    polygons: Iterable[Polygons],
    grid: Grid,
    provenance: Mapping[str, Any],
    *,
    rfc7946: bool,
) -> WrittenLayers:
    """Write polygons as they come; a GeoPackage gets a layer for each class, other formats one with ``class``.

    Args:
        path: a new file (a temporary name, see ``publish``); its ending names the format.
        chosen: classes to write.
        polygons: finished polygons in batches, of any classes, in the coordinates of the grid's CRS.
        grid: the CRS, and the pixels that tell how precise coordinates are.
        provenance: how the polygons came about; kept by GeoPackage.
        rfc7946: write GeoJSON in WGS 84.

    Raises:
        UsageError: an unknown ending.
        OutputError: the file cannot be written, or not in this format.
    """
    source = _Source(chosen, polygons)
    try:
        with writing(path):
            return _written(path, source, grid, provenance, rfc7946)
    except BaseException:
        if source.faults:
            raise source.faults[0] from None
        raise


def _written(path: Path, source: _Source, grid: Grid, provenance: Mapping[str, Any], rfc7946: bool) -> WrittenLayers:
    driver = driver_of(path)
    notes: list[str] = []
    if driver == "GPKG":
        write_geopackage(path, source.chosen, source.parts(), grid.crs, provenance, faults=source.faults)
    elif driver == "GeoJSON":
        notes = _write_geojson(path, source, grid, rfc7946=rfc7946)
    elif driver == "FlatGeobuf":
        _write_flatgeobuf(path, source, grid.crs)
    else:
        _write_parquet(path, source, grid.crs)
    return WrittenLayers(source.tallies, notes)


class _Source:
    """Polygons on their way into a writer that pulls them, counted, and what went wrong on that way."""

    def __init__(self, chosen: Sequence[MapClass], polygons: Iterable[Polygons]) -> None:
        self.chosen = chosen
        self._polygons = polygons
        self.tallies = {entry.value: Tally() for entry in chosen}
        self.faults: list[BaseException] = []

    def parts(self) -> Iterator[tuple[MapClass, Polygons]]:
        """Yield the polygons of each class in each batch, empty ones too."""
        for batch in remembering(self._polygons, self.faults):
            for entry in self.chosen:
                part = batch.of_class(entry.value)
                self.tallies[entry.value].count(part)
                yield entry, part

    def stream(self) -> pa.RecordBatchReader:
        """Return the chosen classes' polygons as records."""
        return feature_stream(self.parts(), self.faults)

    @property
    def features(self) -> int:
        """Polygons so far."""
        return sum(tally.features for tally in self.tallies.values())


def _write_geojson(path: Path, source: _Source, grid: Grid, *, rfc7946: bool) -> list[str]:
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
        source.stream(),
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


def _write_flatgeobuf(path: Path, source: _Source, crs: str) -> None:
    """Write one layer with a spatial index; raises OutputError where features are missing afterwards."""
    pyogrio.write_arrow(
        source.stream(),
        path,
        driver="FlatGeobuf",
        layer=_ONE_LAYER,
        geometry_name=GEOMETRY,
        geometry_type="Polygon",
        crs=crs,
    )
    with pyogrio.raw.open_arrow(path, use_pyarrow=True) as (_, reader):
        found = sum(batch.num_rows for batch in reader)
    if found != source.features:
        raise OutputError(f"{path}: came out with {found} of {source.features} polygons; is the disk full?")


def _write_parquet(path: Path, source: _Source, crs: str) -> None:
    """Write one GeoParquet table."""
    import geopandas

    table = source.stream().read_all()
    columns = {name: table[name].to_pandas() for name in table.column_names if name != GEOMETRY}
    geometry = geopandas.GeoSeries.from_wkb(table[GEOMETRY].to_pandas(), crs=crs)
    frame = geopandas.GeoDataFrame(columns, geometry=geometry).rename_geometry(GEOMETRY)
    frame.to_parquet(path, compression="zstd")
