"""Polygons as a stream of Arrow record batches, the form in which GDAL takes them fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from geoseg.vocabulary import Attribute, MapClass, Polygons

Item = TypeVar("Item")

GEOMETRY = "geom"
"""Name of the geometry column."""

_FIELDS = (
    pa.field("class", pa.string()),
    pa.field("area_m2", pa.float64()),
    pa.field("perimeter_m", pa.float64()),
    pa.field("confidence", pa.float64()),
)
_SHAPES = pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
_KINDS = {"int32": pa.int32(), "float64": pa.float64()}
_BATCH = 10_000  # polygons held as WKB at once


@dataclass(frozen=True, slots=True)
class WantedLayers:
    """Which layers are written, and what they say of their features."""

    classes: Sequence[MapClass]
    """A layer for each, in this order, where a format holds several."""
    attributes: Sequence[Attribute] = ()
    """Fields beside those that every layer has."""
    rfc7946: bool = False
    """Whether GeoJSON is written in WGS 84."""


@dataclass(slots=True)
class Tally:
    """How much was written of a class."""

    features: int = 0
    area_m2: float = 0.0

    def count(self, polygons: Polygons) -> None:
        """Add some polygons."""
        self.features += len(polygons.values)
        self.area_m2 += float(polygons.area_m2.sum())


class Features:
    """Polygons on their way into a writer that pulls them, counted, and what went wrong on that way."""

    def __init__(self, wanted: WantedLayers, polygons: Iterable[Polygons]) -> None:
        self.wanted = wanted
        self._polygons = polygons
        self.tallies = {entry.value: Tally() for entry in wanted.classes}
        self.faults: list[BaseException] = []

    def parts(self) -> Iterator[tuple[MapClass, Polygons]]:
        """Yield the polygons of each wanted class in each batch, empty ones too."""
        for batch in remembering(self._polygons, self.faults):
            for entry in self.wanted.classes:
                part = batch.of_class(entry.value)
                self.tallies[entry.value].count(part)
                yield entry, part

    def records(self, parts: Iterable[tuple[MapClass, Polygons]]) -> pa.RecordBatchReader:
        """Return some of the `parts` as records."""
        return feature_stream(parts, self.wanted.attributes, self.faults)

    @property
    def count(self) -> int:
        """Polygons so far."""
        return sum(tally.features for tally in self.tallies.values())


def feature_stream(
    layers: Iterable[tuple[MapClass, Polygons]],
    attributes: Sequence[Attribute] = (),
    faults: list[BaseException] | None = None,
) -> pa.RecordBatchReader:
    """Return polygons, each part of one class, one after the other, as records; what is not known is null.

    Args:
        layers: classes and polygons.
        attributes: fields beside class, area, perimeter and confidence.
        faults: what goes wrong is appended here, an interrupt too: of an error in a reader, a writer sees words only.
    """
    schema = pa.schema([*_FIELDS, *(pa.field(wanted.name, _KINDS[wanted.kind]) for wanted in attributes), _SHAPES])
    batches = _batches(layers, attributes, schema)
    return pa.RecordBatchReader.from_batches(schema, remembering(batches, [] if faults is None else faults))


def remembering(items: Iterable[Item], faults: list[BaseException]) -> Iterator[Item]:
    """Pass items on, and append what goes wrong on the way to ``faults``."""
    try:
        yield from items
    except GeneratorExit:  # nobody wants the rest
        raise
    except BaseException as error:
        faults.append(error)
        raise


def _batches(
    layers: Iterable[tuple[MapClass, Polygons]], attributes: Sequence[Attribute], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield batches of polygons."""
    for entry, polygons in layers:
        for start in range(0, len(polygons.values), _BATCH):
            part = slice(start, start + _BATCH)
            wkb = shapely.to_wkb(polygons.geometry[part], byte_order=1, flavor="iso")
            columns = [
                pa.array([entry.name] * len(wkb)),
                pa.array(polygons.area_m2[part]),
                pa.array(polygons.perimeter_m[part]),
                _nullable(polygons.confidence[part]),
                *(_nullable(wanted.of(polygons.geometry[part])) for wanted in attributes),
                pa.array(wkb, pa.binary()),
            ]
            yield pa.record_batch(columns, schema=schema)


def _nullable(values: NDArray[Any]) -> pa.Array:
    """Return values with nulls for NaN."""
    return pa.array(values, mask=np.isnan(values))
