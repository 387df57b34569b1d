"""What QGIS makes of files, told as JSON: started with the Python that QGIS comes with, never by pytest itself.

    python3 qgis_look.py JOBS.json ANSWERS.json

Jobs are lists of paths by what is asked of them: projects, layers (GeoPackages), rasters, and pairs of file and style.
"""

import json
import os
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsLayerTreeGroup,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsNullSymbolRenderer,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRenderContext,
    QgsSymbolLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def of_drawing(drawing):
    said = drawing.properties()
    width = drawing.dataDefinedProperties().property(QgsSymbolLayer.PropertyStrokeWidth)
    return {
        "kind": drawing.layerType(),
        "color": drawing.color().name(),
        "alpha": drawing.color().alpha(),
        "edge": drawing.strokeColor().name(),
        "edge_style": said.get("outline_style"),
        "edge_mm": said.get("outline_width"),
        "level": drawing.renderingPass(),
        "width_unit": said.get("line_width_unit"),
        "width_by": width.expressionString() if width and width.isActive() else None,
    }


def of_renderer(renderer):
    found = {"type": renderer.type()}
    if hasattr(renderer, "symbols"):
        found["symbols"] = [[of_drawing(one) for one in symbol] for symbol in renderer.symbols(QgsRenderContext())]
        found["levels"] = renderer.usingSymbolLevels()
    if found["type"] == "categorizedSymbol":
        found["categories"] = [[one.value(), one.label()] for one in renderer.categories()]
    if found["type"] == "paletted":
        found["classes"] = [[one.value, one.label, one.color.name(), one.color.alpha()] for one in renderer.classes()]
    if found["type"] == "multibandcolor":
        found["bands"] = [renderer.redBand(), renderer.greenBand(), renderer.blueBand(), renderer.alphaBand()]
        stretched = [renderer.redContrastEnhancement(), renderer.greenContrastEnhancement()]
        stretched.append(renderer.blueContrastEnhancement())
        found["limits"] = [[one.minimumValue(), one.maximumValue()] for one in stretched]
    if found["type"] == "singlebandgray":
        stretched = renderer.contrastEnhancement()
        found["bands"], found["limits"] = [renderer.grayBand()], [[stretched.minimumValue(), stretched.maximumValue()]]
    return found


def of_layer(layer):
    found = {"name": layer.name(), "valid": layer.isValid()}
    if not layer.isValid():
        return found
    found |= {"crs": layer.crs().authid(), "proj": layer.crs().toProj(), "source": layer.source()}
    raster = isinstance(layer, QgsRasterLayer)
    found |= {
        "opacity": layer.renderer().opacity() if raster else layer.opacity(),
        "renderer": of_renderer(layer.renderer()),
    }
    if isinstance(layer, QgsVectorLayer):
        found |= {"labels": layer.labelsEnabled(), "features": layer.featureCount()}
    return found


def of_tree(node):
    return [
        [child.name(), child.isVisible(), of_tree(child) if isinstance(child, QgsLayerTreeGroup) else None]
        for child in node.children()
    ]


def of_project(path, picture):
    project = QgsProject()
    found = {"read": project.read(path), "title": project.title(), "crs": project.crs().authid()}
    view = project.viewSettings().defaultViewExtent()
    found |= {
        "proj": project.crs().toProj(),
        "ellipsoid": project.ellipsoid(),
        "tree": of_tree(project.layerTreeRoot()),
    }
    found["extent"] = [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()]
    found["layers"] = [of_layer(layer) for layer in project.layerTreeRoot().layerOrder()]
    settings = QgsMapSettings()
    settings.setLayers([node.layer() for node in project.layerTreeRoot().findLayers() if node.isVisible()])
    settings.setDestinationCrs(project.crs())
    settings.setEllipsoid(project.ellipsoid())
    settings.setExtent(view)
    settings.setOutputSize(QSize(400, 400))
    settings.setBackgroundColor(QColor("white"))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    return found | {"picture": picture}


def of_geopackage(path):
    names = [one.name() for one in QgsProviderRegistry.instance().querySublayers(path)]
    return [of_layer(QgsVectorLayer(f"{path}|layername={name}", name)) for name in names]


def of_styled(path, style):
    if path.endswith(".tif"):
        layer = QgsRasterLayer(path, "styled")
    else:
        layer = QgsVectorLayer(path, "styled")
        layer.setRenderer(QgsNullSymbolRenderer())
    load = layer.loadSldStyle if style.endswith(".sld") else layer.loadNamedStyle
    message, worked = load(style)
    return of_layer(layer) | {"message": message, "worked": worked}


if __name__ == "__main__":
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    application = QgsApplication([], False)
    application.initQgis()
    answers = {
        "projects": [of_project(path, f"{sys.argv[2]}.{n}.png") for n, path in enumerate(jobs.get("projects", []))],
        "layers": [of_geopackage(path) for path in jobs.get("layers", [])],
        "rasters": [of_layer(QgsRasterLayer(path, "raster")) for path in jobs.get("rasters", [])],
        "styled": [of_styled(path, style) for path, style in jobs.get("styled", [])],
    }
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")
    os._exit(0)  # QGIS may fall over its own feet on the way out
