"""What algorithms share that make one GeoPackage with a layer of each class: its declaration and its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
)

from .algorithm import GEOPACKAGE, GeosegAlgorithm, geopackage
from .compat import LINES, POLYGONS
from .flags import add
from .results import layers_of, load
from .scene_flags import LAYERS


class LayeredAlgorithm(GeosegAlgorithm):
    """A verb whose result is one GeoPackage."""

    def add_layers(self) -> None:
        """Declare the GeoPackage and what is in it."""
        add(
            self,
            QgsProcessingParameterBoolean("LOAD", "Add the layers to the project", True),
            "Load the layers when the run is done. Untick it in a model that goes on with them.",
        )
        add(
            self,
            QgsProcessingParameterFileDestination("OUTPUT", "Map layers", GEOPACKAGE),
            "The GeoPackage to write: one layer for each class. An existing file is replaced whole.",
        )
        for layer in LAYERS:
            self.addOutput(QgsProcessingOutputVectorLayer(layer.upper(), layer.capitalize(), POLYGONS))
        self.addOutput(QgsProcessingOutputVectorLayer("ROAD_CENTERLINES", "Road centrelines", LINES))
        self.addOutput(QgsProcessingOutputMultipleLayers("LAYERS", "All layers"))

    def out_of(self, parameters: dict[str, Any], context: Any) -> str:
        """Return the path of the GeoPackage, a new one at each call where it is temporary.

        Raises:
            QgsProcessingException: it has another ending.
        """
        return geopackage(self.parameterAsFileOutput(parameters, "OUTPUT", context), "Map layers")

    def layer_results(
        self, report: dict[str, Any], out: str, rasters: dict[str, str], parameters: dict[str, Any], context: Any
    ) -> dict[str, Any]:
        """Return the results by the names of outputs, and have them loaded where that was asked for.

        Args:
            report: of the run.
            out: the GeoPackage it wrote.
            rasters: that were written, too, by the names of outputs.
            parameters: of the run.
            context: of the run.
        """
        layers = layers_of(out, [layer["name"] for layer in report["layers"]])
        if self.parameterAsBool(parameters, "LOAD", context):
            load(context, layers, Path(out).stem, list(rasters.values()))
        named = {layer.output: layer.source for layer in layers}
        return {**named, "OUTPUT": out, **rasters, "LAYERS": [layer.source for layer in layers]}
