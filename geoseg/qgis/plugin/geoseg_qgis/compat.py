"""Names that moved between QGIS 3.22 and QGIS 4, each found where this QGIS has it."""

from __future__ import annotations

from functools import reduce
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessing,
    QgsProcessingFeatureSource,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
)


def first_of(*places: tuple[Any, str]) -> Any:
    """Return the first of some dotted names that there is; raises AttributeError where there is none."""
    for owner, dotted in places:
        found = reduce(lambda inside, name: getattr(inside, name, None), dotted.split("."), owner)
        if found is not None:
            return found
    raise AttributeError(f"this QGIS has none of {', '.join(dotted for _, dotted in places)}")


ADVANCED = first_of(
    (Qgis, "ProcessingParameterFlag.Advanced"),
    (QgsProcessingParameterDefinition, "FlagAdvanced"),
)
POLYGONS = first_of((Qgis, "ProcessingSourceType.VectorPolygon"), (QgsProcessing, "TypeVectorPolygon"))
LINES = first_of((Qgis, "ProcessingSourceType.VectorLine"), (QgsProcessing, "TypeVectorLine"))
RASTERS = first_of((Qgis, "ProcessingSourceType.Raster"), (QgsProcessing, "TypeRaster"))
VECTORS = first_of((Qgis, "ProcessingSourceType.VectorAnyGeometry"), (QgsProcessing, "TypeVectorAnyGeometry"))
WHOLE = first_of((Qgis, "ProcessingNumberParameterType.Integer"), (QgsProcessingParameterNumber, "Integer"))
REAL = first_of((Qgis, "ProcessingNumberParameterType.Double"), (QgsProcessingParameterNumber, "Double"))
A_FOLDER = first_of((Qgis, "ProcessingFileParameterBehavior.Folder"), (QgsProcessingParameterFile, "Folder"))
A_FILE = first_of((Qgis, "ProcessingFileParameterBehavior.File"), (QgsProcessingParameterFile, "File"))
AS_IT_IS = first_of(
    (Qgis, "ProcessingFeatureSourceFlag.SkipGeometryValidityChecks"),
    (QgsProcessingFeatureSource, "FlagSkipGeometryValidityChecks"),
)
