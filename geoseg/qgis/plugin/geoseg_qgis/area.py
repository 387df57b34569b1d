"""The polygons inside which to work: a layer of a project, handed to geoseg as a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsProcessingException,
    QgsProcessingParameterFeatureSource,
    QgsVectorFileWriter,
)

from .compat import AS_IT_IS, POLYGONS
from .flags import add

if TYPE_CHECKING:
    from pathlib import Path

_NAME, _LABEL = "AOI", "Only inside polygons"


def add_area(algorithm: Any) -> None:
    """Add the parameter."""
    add(
        algorithm,
        QgsProcessingParameterFeatureSource(_NAME, _LABEL, [POLYGONS], None, optional=True),
        "Only inside the polygons of this layer, or those selected in it; in any CRS. Empty: everywhere.",
    )


def area_source(algorithm: Any, parameters: dict[str, Any], context: Any) -> Any:
    """Return the polygons that were chosen, or None; to be called in the thread that layers live in.

    Raises:
        QgsProcessingException: what was given is no layer, is empty, or is nobody knows where.
    """
    source = algorithm.parameterAsSource(parameters, _NAME, context)
    if source is None and parameters.get(_NAME) not in (None, ""):
        raise QgsProcessingException(f"{_LABEL}: {parameters[_NAME]} is not a layer; choose one of polygons")
    if source is not None and not source.featureCount():
        raise QgsProcessingException(
            f"{_LABEL}: {source.sourceName()} has no polygons, or none of them is selected; draw or select some"
        )
    if source is not None and not source.sourceCrs().isValid():
        raise QgsProcessingException(f"{_LABEL}: {source.sourceName()} has no CRS; set it under Layer > Set CRS")
    return source


def area_words(source: Any, folder: Path, context: Any, feedback: Any) -> list[str]:
    """Write the polygons into a GeoPackage in a folder and return the flag that names it; none where there are none.

    Raises:
        QgsProcessingException: the file cannot be written.
    """
    if source is None:
        return []
    path = folder / "area.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "area"
    writer = QgsVectorFileWriter.create(
        str(path), QgsFields(), source.wkbType(), source.sourceCrs(), context.transformContext(), options
    )
    for found in source.getFeatures(QgsFeatureRequest().setNoAttributes(), AS_IT_IS):
        if feedback.isCanceled():
            break
        feature = QgsFeature()
        feature.setGeometry(found.geometry())
        writer.addFeature(feature)
    why = writer.errorMessage()
    del writer  # closes the file
    if why:
        raise QgsProcessingException(f"{path}: the area could not be written ({why})")
    return [f"--aoi={path}"]
