"""From the flags of ``batch`` to a request: the only place that knows both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoseg.batch.request import BatchRequest, How, Wanted, Where
from geoseg.batch.sources.inputs import gather_inputs
from geoseg.cli.segment_request import choices_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def batch_request_from(scenes: Sequence[str], given: Mapping[str, Any], note: Callable[[str], None]) -> BatchRequest:
    """Return the request that the flags amount to, its inputs found.

    Args:
        scenes: what was named.
        given: the flags.
        note: called with sentences on what is left out.

    Raises:
        UsageError: the flags contradict one another, or nothing is named.
        InputError: a list or a STAC file cannot be read.
    """
    mosaic, layers = given["mosaic"], None if given["to"] == "none" else f".{given['to']}"
    if mosaic is not None and layers is not None:
        layers = mosaic.suffix.lower()
    wanted = Wanted(
        layers,
        given["raster"],
        given["raster_final"],
        given["confidence"],
        given["overwrite"],
        given["rfc7946"],
        given["creation"],
    )
    where = Where(given["jobs"], given["scheduler"], given["scheduler_file"], given["shard"])
    request = BatchRequest(
        (),
        given["out_dir"],
        mosaic,
        wanted,
        How(**choices_from(given)),
        where,
        given["collect"],
        given["max_failures"],
    )
    inputs = gather_inputs(
        scenes, files_from=given["files_from"], nul=given["null"], allow_network=given["allow_network"], note=note
    )
    return request.of(inputs)
