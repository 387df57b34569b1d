"""Polygons as a stream of Arrow record batches, the form in which GDAL takes them fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geoseg.vocabulary import MapClass, Polygons

Item = TypeVar("Item")

GEOMETRY = "geom"
"""Name of the geometry column."""

SCHEMA = pa.schema(
    [
        pa.field("class", pa.string()),
        pa.field("area_m2", pa.float64()),
        pa.field("perimeter_m", pa.float64()),
        pa.field("confidence", pa.float64()),
        pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"}),
    ]
)
"""Columns of every vector layer; the confidence is null where it is not known."""

_BATCH = 10_000  # polygons held as WKB at once


@dataclass(slots=True)
class Tally:
    """How much was written of a class."""

    features: int = 0
    area_m2: float = 0.0

    def count(self, polygons: Polygons) -> None:
        """Add some polygons."""
        self.features += len(polygons.values)
        self.area_m2 += float(polygons.area_m2.sum())


def feature_stream(
    layers: Iterable[tuple[MapClass, Polygons]], faults: list[BaseException] | None = None
) -> pa.RecordBatchReader:
    """Return polygons, each part of one class, one after the other, as a reader of `SCHEMA`.

    Args:
        layers: classes and polygons.
        faults: what goes wrong is appended here, an interrupt too: of an error in a reader, a writer sees words only.
    """
    return pa.RecordBatchReader.from_batches(SCHEMA, remembering(_batches(layers), [] if faults is None else faults))


def remembering(items: Iterable[Item], faults: list[BaseException]) -> Iterator[Item]:
    """Pass items on, and append what goes wrong on the way to ``faults``."""
    try:
        yield from items
    except GeneratorExit:  # nobody wants the rest
        raise
    except BaseException as error:
        faults.append(error)
        raise


def _batches(layers: Iterable[tuple[MapClass, Polygons]]) -> Iterator[pa.RecordBatch]:
    """Yield batches of polygons."""
    for entry, polygons in layers:
        for start in range(0, len(polygons.values), _BATCH):
            part = slice(start, start + _BATCH)
            wkb = shapely.to_wkb(polygons.geometry[part], byte_order=1, flavor="iso")
            confidence = polygons.confidence[part]
            columns = [
                pa.array([entry.name] * len(wkb)),
                pa.array(polygons.area_m2[part]),
                pa.array(polygons.perimeter_m[part]),
                pa.array(confidence, mask=np.isnan(confidence)),
                pa.array(wkb, pa.binary()),
            ]
            yield pa.record_batch(columns, schema=SCHEMA)
