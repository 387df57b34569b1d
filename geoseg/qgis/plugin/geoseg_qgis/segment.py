"""geoseg:segment: one image in, styled layers out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingParameterBand,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from . import scene_flags, vector_flags
from .area import add_area, area_source, area_words
from .flags import add, add_flags, words_of
from .inputs import crs_words, raster_file
from .layered import LayeredAlgorithm

_RASTERS = (
    (
        "RASTER",
        "Class raster",
        "--raster",
        "What the network decided for each pixel, before small regions are merged: a GeoTIFF with colours and names.",
    ),
    (
        "RASTER_FINAL",
        "Class raster of the finished polygons",
        "--raster-final",
        "The classes of the finished polygons on the image's pixels.",
    ),
    (
        "CONFIDENCE",
        "Confidence raster",
        "--confidence",
        "Probability of the decided class in percent for each pixel; 255 where there is nodata.",
    ),
)
_FLAGS = (
    scene_flags.MODEL,
    scene_flags.CLASSES,
    vector_flags.REGULARIZE,
    vector_flags.CENTERLINES,
    *scene_flags.DETAILS,
    *vector_flags.DETAILS,
)
_BEFORE_AREA = 2  # parameters of the model come first, then where, then how


class SegmentAlgorithm(LayeredAlgorithm):
    """Turn an image into polygons of buildings, roads and water."""

    VERB = "segment"
    TITLE = "Segment an image into map layers"
    TAGS = ("buildings", "roads", "water", "land cover", "deep learning", "u-net", "aerial", "satellite", "extract")
    SHARES = {"segment": (0, 90)}  # noqa: RUF012
    ABOUT = (
        "Turns a georeferenced aerial or satellite image into clean polygons of buildings, roads and water (and, where "
        "ticked, vegetation and land), in the image's own coordinate system.\n\n"
        "The result is one GeoPackage with a layer of each class. The layers share their borders, without gaps and "
        "overlaps, and come with their styles.\n\n"
        "The model that comes with geoseg knows built-up areas in images with pixels of about 1 m. It says so where an "
        "image looks unlike what it was trained on; geoseg train then makes a model of your own.\n\n"
        "The work is done by the program geoseg, outside of QGIS. Cancelling leaves nothing behind."
    )

    def initAlgorithm(self, config: Any = None) -> None:  # noqa: ARG002, N802
        """Declare parameters and outputs."""
        add(
            self,
            QgsProcessingParameterRasterLayer("INPUT", "Image"),
            "A georeferenced image: a raster layer of a file such as GeoTIFF, JPEG 2000 or Erdas .img. A CRS that "
            "you gave the layer in QGIS counts.",
        )
        add_flags(self, _FLAGS[:_BEFORE_AREA])
        add(
            self,
            QgsProcessingParameterExtent("EXTENT", "Only this extent", None, optional=True),
            "Only this part of the image; in any CRS. Empty: the whole image.",
        )
        add_area(self)
        add(
            self,
            QgsProcessingParameterBand("BANDS", "Bands", None, "INPUT", optional=True, allowMultiple=True),
            "Bands to use as red, green, blue (or as the model's bands), in that order. Empty: by colour "
            "interpretation.",
            advanced=True,
        )
        add_flags(self, _FLAGS[_BEFORE_AREA:])
        self.add_layers()
        for name, label, _, told in _RASTERS:
            add(self, QgsProcessingParameterRasterDestination(name, label, None, True, False), told)

    def prepareAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> bool:  # noqa: ARG002, N802
        """Read what belongs to layers, in the thread that they live in."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        self.scene = raster_file(layer, parameters.get("INPUT"), "Image")
        self.where = crs_words(layer)
        extent = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        if parameters.get("EXTENT") not in (None, "") and not extent.isNull():
            corners = extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()
            self.where += ["--bounds", *map(repr, corners)]
        self.area = area_source(self, parameters, context)
        return True

    def processAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> dict[str, Any]:  # noqa: N802
        """Run geoseg and name its layers."""
        out = self.out_of(parameters, context)
        rasters = {
            name: path for name, *_ in _RASTERS if (path := self.parameterAsOutputLayer(parameters, name, context))
        }
        words = [*self.where, *words_of(_FLAGS, self, parameters, context), f"--out={out}", "--overwrite"]
        words += [f"{flag}={rasters[name]}" for name, _, flag, _ in _RASTERS if name in rasters]
        bands = self.parameterAsInts(parameters, "BANDS", context)
        words += [f"--bands={','.join(map(str, bands))}"] if bands else []
        with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
            words += area_words(self.area, Path(folder), context, feedback)
            report = self.run_geoseg([self.scene, *words], [out, *rasters.values()], feedback)
        if report is None:
            return {}
        return self.layer_results(report, out, rasters, parameters, context)
