"""From the flags of ``segment`` to a request: the only place that knows both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.cli.vector_options import vectors_from
from geoseg.inference.network import RunsOn
from geoseg.inference.windows import WindowRequest
from geoseg.pipeline.request import OutputRequest, SceneRequest, SegmentRequest
from geoseg.scene.bands import parse_bands
from geoseg.scene.stretch import parse_stretch
from geoseg.scene.validity import parse_nodata

if TYPE_CHECKING:
    from collections.abc import Mapping


def request_from(scene: str, given: Mapping[str, Any]) -> SegmentRequest:
    """Return the request that the flags amount to; raises UsageError."""
    output = OutputRequest(
        layers=Path(given["out"]) if given["out"] else None,
        raster=given["raster"],
        raster_final=given["raster_final"],
        confidence=given["confidence"],
        project=given["qgis_project"],
        overwrite=given["overwrite"],
        rfc7946=given["rfc7946"],
        creation=given["creation"],
    )
    return SegmentRequest(scene, output, **choices_from(given))


def choices_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a SegmentRequest that say how, whatever the scene and its results; raises UsageError."""
    return {
        "model": given["model"],
        "reading": SceneRequest(
            options={
                "bands": None if given["bands"] is None else parse_bands(given["bands"]),
                "nodata": None if given["nodata"] is None else parse_nodata(given["nodata"]),
                "src_crs": given["src_crs"],
                "stretch": parse_stretch(given["stretch"]),
                "max_pixels": given["max_pixels"],
                "on_read_error": given["on_read_error"],
                "allow_network": given["allow_network"],
            },
            resolution=given["resolution"],
            bounds=given["bounds"],
            aoi=given["aoi"],
        ),
        "windows": WindowRequest(
            blend=None if given["blend"] == "auto" else given["blend"],
            window=given["window"],
            overlap=given["overlap"],
        ),
        "runs_on": RunsOn(
            device=given["device"],
            precision=None if given["precision"] == "auto" else given["precision"],
            threads=given["threads"],
        ),
        "vectors": vectors_from(given),
        "eightfold": given["tta"],
    }
