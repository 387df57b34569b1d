"""Add a layer of centrelines to a GeoPackage that has been written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyogrio
import shapely

from geoseg.layers.faults import writing
from geoseg.layers.features import GEOMETRY
from geoseg.layers.geopackage import check_complete, unguarded, unguarded_database
from geoseg.layers.styles import add_line_style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoseg.vocabulary import Lines

LAYER = "road_centerlines"
"""Name of the layer."""

SCHEMA = pa.schema(
    [
        pa.field("width_m", pa.float64()),
        pa.field("length_m", pa.float64()),
        pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"}),
    ]
)
"""Columns of the layer."""


def line_records(lines: Lines) -> pa.RecordBatch:
    """Return lines as records of `SCHEMA`, in which they take the least room."""
    wkb = shapely.to_wkb(lines.geometry, byte_order=1, flavor="iso")
    return pa.record_batch(
        [pa.array(lines.width_m), pa.array(lines.length_m), pa.array(wkb, pa.binary())], schema=SCHEMA
    )


def append_lines(path: Path, records: Sequence[pa.RecordBatch], crs: str) -> None:
    """Add the layer `LAYER` with its style; without lines it is still a layer with CRS, fields and style.

    Args:
        path: a GeoPackage as `geoseg.layers.vector.write_layers` leaves it.
        records: the lines.
        crs: WKT of the coordinate reference system.

    Raises:
        OutputError: it cannot be written, or lines are missing from what was written.
    """
    with writing(path):
        with unguarded():
            pyogrio.write_arrow(
                pa.RecordBatchReader.from_batches(SCHEMA, records),
                path,
                driver="GPKG",
                layer=LAYER,
                geometry_name=GEOMETRY,
                geometry_type="LineString",
                crs=crs,
                append=True,
            )
        with unguarded_database(path) as database:
            add_line_style(database, LAYER)
            check_complete(path, database, {LAYER: sum(part.num_rows for part in records)})
