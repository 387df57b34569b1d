"""geoseg:vectorize: a class raster in, styled layers out."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingParameterRasterLayer,
)

from . import vector_flags
from .flags import add, add_flags, file, number, text, words_of
from .inputs import crs_words, raster_file
from .layered import LayeredAlgorithm

_FLAGS = (
    text(
        "CLASSES",
        "Classes",
        "--classes",
        "Classes to write: all, or their names with commas between. Empty: buildings, roads and water, or all where "
        "the raster has none of these.",
        advanced=False,
    ),
    vector_flags.REGULARIZE,
    vector_flags.CENTERLINES,
    file(
        "LEGEND",
        "Names of the values",
        "--legend",
        "A text file with lines of value,name or value,name,#RRGGBB, or JSON. Empty: as the raster's own category "
        "names say.",
        endings="Legends (*.csv *.txt *.json);;All files (*)",
    ),
    *vector_flags.DETAILS,
    number(
        "THREADS",
        "Threads",
        "--threads",
        "Threads that trace. Not set: all processors.",
        lowest=1,
        highest=1024,
        whole=True,
    ),
)


class VectorizeAlgorithm(LayeredAlgorithm):
    """Turn a class raster into polygons that share their borders."""

    VERB = "vectorize"
    TITLE = "Turn a class raster into map layers"
    TAGS = ("polygonize", "raster to vector", "land cover", "classification", "coverage")
    SHARES = {"vectorize": (0, 95)}  # noqa: RUF012
    ABOUT = (
        "Turns the regions of a class raster, of geoseg or any other program, into polygons that share their borders: "
        "small regions go to their neighbours, outlines are made smooth, and there are no gaps and overlaps.\n\n"
        "The result is one GeoPackage with a styled layer of each class. Names and colours are taken from the raster "
        "where it has them."
    )

    def initAlgorithm(self, config: Any = None) -> None:  # noqa: ARG002, N802
        """Declare parameters and outputs."""
        add(
            self,
            QgsProcessingParameterRasterLayer("INPUT", "Class raster"),
            "One band of whole numbers up to 255, of a file; 0 is nodata.",
        )
        add(
            self,
            QgsProcessingParameterRasterLayer("CONFIDENCE", "Confidence raster", None, optional=True),
            "Confidences in percent on the same pixels, as segment writes them: they become the field confidence.",
        )
        add_flags(self, _FLAGS)
        self.add_layers()

    def prepareAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> bool:  # noqa: ARG002, N802
        """Read what belongs to layers, in the thread that they live in."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        self.files = [raster_file(layer, parameters.get("INPUT"), "Class raster"), *crs_words(layer)]
        if parameters.get("CONFIDENCE") not in (None, ""):
            confidence = self.parameterAsRasterLayer(parameters, "CONFIDENCE", context)
            path = raster_file(confidence, parameters["CONFIDENCE"], "Confidence raster")
            self.files.append(f"--confidence={path}")
        return True

    def processAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> dict[str, Any]:  # noqa: N802
        """Run geoseg and name its layers."""
        out = self.out_of(parameters, context)
        words = [*self.files, *words_of(_FLAGS, self, parameters, context), f"--out={out}", "--overwrite"]
        report = self.run_geoseg(words, [out], feedback)
        if report is None:
            return {}
        return self.layer_results(report, out, {}, parameters, context)
