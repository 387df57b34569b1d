"""What the desktop application does with the plugin, without a screen: run by test_qgis.py in QGIS's own Python.

``python3 qgis_desktop.py FOLDER SCENE`` prints one JSON object; the plugin's folder is in QGIS_PLUGINPATH.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

sys.path[:0] = [os.environ["QGIS_PLUGINPATH"], os.environ.get("QGIS_PYTHON_PLUGINS", "/usr/share/qgis/python/plugins")]

from qgis.core import (  # noqa: E402
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsRenderContext,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize  # noqa: E402
from qgis.PyQt.QtGui import QColor  # noqa: E402

FOLDER, SCENE = Path(sys.argv[1]), sys.argv[2]


def algorithm(name: str):
    return QgsApplication.processingRegistry().createAlgorithmById(f"geoseg:{name}")


def run(asked, parameters: dict) -> tuple[dict, QgsProcessingContext, QgsProcessingFeedback]:
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(QgsProject.instance())
    fine, why = asked.checkParameterValues(parameters, context)
    assert fine, why
    results, fine = asked.run(parameters, context, feedback)
    return (results if fine else {}), context, feedback


def color_of(layer) -> str:
    return layer.renderer().symbols(QgsRenderContext())[0].color().name().upper()


def parameters() -> dict:
    """Return every parameter of every algorithm: whether it has help, whether it is folded away."""
    found = {}
    for asked in QgsApplication.processingRegistry().providerById("geoseg").algorithms():
        listed = asked.parameterDefinitions()
        found[asked.name()] = {p.name(): [bool(p.help().strip()), bool(int(p.flags()) & 2)] for p in listed}
        assert asked.shortHelpString()
        assert asked.canExecute()[0]
    return found


def opened(path: str) -> dict:
    """Return the colours of layers as QGIS draws them when they are opened, and nothing else is done."""
    layers = [QgsVectorLayer(f"{path}|layername={name}", name, "ogr") for name in ("buildings", "roads", "water")]
    return {layer.name(): color_of(layer) for layer in layers}


def loaded() -> dict:
    """Return the legend, colours and picture after a run in a project."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    project = QgsProject.instance()
    asked = algorithm("segment")
    scene = project.addMapLayer(QgsRasterLayer(SCENE, "scene"))
    wanted = {
        "INPUT": "scene",
        "CLASSES": ["buildings", "roads", "water", "land"],
        "CENTERLINES": True,
        "OUTPUT": "TEMPORARY_OUTPUT",
        "RASTER_FINAL": QgsProcessingOutputLayerDefinition(str(FOLDER / "final.tif"), project),
    }
    results, context, feedback = run(asked, wanted)
    assert handleAlgorithmResults(asked, context, feedback, parameters=results), feedback.textLog()
    nodes = project.layerTreeRoot().children()
    shown = [layer for layer in (node.layer() for node in nodes) if isinstance(layer, QgsVectorLayer)]
    settings = QgsMapSettings()
    settings.setDestinationCrs(scene.crs())
    settings.setOutputSize(QSize(scene.width(), scene.height()))
    settings.setExtent(scene.extent())
    settings.setFlag(settings.Flag.Antialiasing, False)
    settings.setBackgroundColor(QColor("white"))
    areas = [layer for layer in shown if layer.name() != "road_centerlines"]
    switched_on = [node.layer() for node in nodes if node.itemVisibilityChecked()]
    for name, seen in (("layers.png", areas), ("map.png", switched_on)):
        settings.setLayers(seen)
        job = QgsMapRendererSequentialJob(settings)
        job.start()
        job.waitForFinished()
        job.renderedImage().save(str(FOLDER / name))
    told = {
        "legend": [node.name() for node in nodes],
        "off": [node.name() for node in nodes if not node.itemVisibilityChecked()],
        "colors": {layer.name(): color_of(layer) for layer in shown},
        "temporary": results["OUTPUT"],
    }
    project.clear()
    return told


def in_parts() -> dict:
    """Return what a run inside selected polygons, and one inside an extent, of other CRSs, cover."""
    scene = QgsRasterLayer(SCENE, "scene")
    box = scene.extent()
    middle = QgsRectangle(box.center().x() - 60, box.center().y() - 40, box.center().x() + 60, box.center().y() + 40)
    area = QgsVectorLayer(f"Polygon?crs={scene.crs().authid()}", "area", "memory")
    features = []
    for rectangle in (middle, box):
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(rectangle))
        features.append(feature)
    _, features = area.dataProvider().addFeatures(features)
    QgsProject.instance().addMapLayer(area)
    area.selectByIds([features[0].id()])
    inside = QgsProcessingFeatureSourceDefinition(area.id(), True)
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    there = QgsCoordinateTransform(scene.crs(), degrees, QgsProject.instance()).transformBoundingBox(middle)
    common = {"INPUT": SCENE, "CLASSES": ["buildings", "roads", "water", "vegetation", "land"], "LOAD": False}
    covered = {}
    for name, said in (("polygons", {"AOI": inside}), ("extent", {"EXTENT": QgsReferencedRectangle(there, degrees)})):
        results, context, feedback = run(
            algorithm("segment"), {**common, **said, "OUTPUT": str(FOLDER / f"{name}.gpkg")}
        )
        assert not context.layersToLoadOnCompletion()
        assert results, feedback.textLog()
        layers = [QgsVectorLayer(source, "part", "ogr") for source in results["LAYERS"]]
        whole = QgsRectangle()
        for layer in layers:
            if layer.featureCount():
                whole.combineExtentWith(layer.extent())
        area_m2 = sum(feature["area_m2"] for layer in layers for feature in layer.getFeatures())
        covered[name] = [area_m2, whole.width(), whole.height()]
    QgsProject.instance().clear()
    return covered


def in_a_model() -> int:
    """Return how many centroids a model makes of the buildings that segment gave it."""
    model = QgsProcessingModelAlgorithm("buildings", "test")
    fixed, from_child = (
        QgsProcessingModelChildParameterSource.fromStaticValue,
        QgsProcessingModelChildParameterSource.fromChildOutput,
    )
    first = QgsProcessingModelChildAlgorithm("geoseg:segment")
    first.setChildId("segmented")
    first.addParameterSources("INPUT", [fixed(SCENE)])
    first.addParameterSources("LOAD", [fixed(False)])
    first.addParameterSources("EXTENT", [fixed("325200,325400,2784500,2784700 [EPSG:32640]")])
    model.addChildAlgorithm(first)
    second = QgsProcessingModelChildAlgorithm("native:centroids")
    second.setChildId("points")
    second.addParameterSources("INPUT", [from_child("segmented", "BUILDINGS")])
    output = QgsProcessingModelOutput("centroids")
    output.setChildOutputName("OUTPUT")
    output.setChildId("points")
    second.setModelOutputs({"centroids": output})
    model.addChildAlgorithm(second)
    model.updateDestinationParameters()
    name = model.destinationParameterDefinitions()[0].name()
    results, context, feedback = run(model, {name: str(FOLDER / "points.gpkg")})
    assert results, feedback.textLog()
    assert not context.layersToLoadOnCompletion()
    return QgsVectorLayer(str(FOLDER / "points.gpkg"), "points", "ogr").featureCount()


def packed() -> str:
    """Add the scene inside a zip to the project and return the layer's name."""
    with zipfile.ZipFile(FOLDER / "packed.zip", "w") as archive:
        archive.write(SCENE, "scene.tif")
    layer = QgsRasterLayer(f"/vsizip/{FOLDER / 'packed.zip'}/scene.tif", "packed")
    QgsProject.instance().addMapLayer(layer)
    return layer.name()


def empty_area(crs: str, *, drawn: bool) -> QgsProcessingFeatureSourceDefinition:
    """Return a layer of polygons of which none is selected, or all are meant."""
    area = QgsVectorLayer("Polygon", "area", "memory")
    area.setCrs(QgsCoordinateReferenceSystem(crs))
    feature = QgsFeature()
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(325010, 2784950, 325060, 2784990)))
    area.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(area)
    return QgsProcessingFeatureSourceDefinition(area.id(), not drawn)


def refused() -> list[str]:
    """Return what is said of what cannot be run, in the order of the attempts."""
    tiles = QgsRasterLayer("type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmax=1&zmin=0", "tiles", "wms")
    QgsProject.instance().addMapLayer(tiles)
    said = []
    area = {"INPUT": SCENE, "OUTPUT": "TEMPORARY_OUTPUT"}
    for name, parameters in (
        ("segment", {"INPUT": "tiles", "OUTPUT": "TEMPORARY_OUTPUT"}),
        ("segment", {"INPUT": SCENE, "OUTPUT": str(FOLDER / "x.shp")}),
        ("segment", {"INPUT": packed(), "OUTPUT": "TEMPORARY_OUTPUT"}),
        ("segment", {**area, "AOI": empty_area("EPSG:32640", drawn=False)}),
        ("segment", {**area, "AOI": empty_area("", drawn=True)}),
        ("batch", {"INPUT": [SCENE], "OUTPUT": str(FOLDER / "packed.zip")}),
        ("evaluate", {"PREDICTED": SCENE, "REFERENCE": SCENE, "SCORES": str(FOLDER / "nowhere" / "x.json")}),
    ):
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        context.setProject(QgsProject.instance())
        assert not algorithm(name).run(parameters, context, feedback)[1]
        said.append(feedback.textLog())
    QgsProject.instance().clear()
    return said


def stopped() -> dict:
    """Return what is said, and what is left, of runs that are stopped as soon as they begin.

    They are long ones: where the first signal is lost, as in the background of a shell, the second comes after two
    seconds.
    """
    told = {}
    for name, parameters in (
        ("segment", {"INPUT": SCENE, "OUTPUT": str(FOLDER / "stopped" / "x.gpkg"), "TTA": True}),
        ("batch", {"INPUT": [SCENE], "OUTPUT": str(FOLDER / "stopped"), "TTA": True}),
    ):
        (FOLDER / "stopped").mkdir(exist_ok=True)
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        feedback.cancel()
        results, _ = algorithm(name).run(parameters, context, feedback)
        left = [path.name for path in (FOLDER / "stopped").iterdir()]
        told[name] = [feedback.textLog(), results, left]
    return told


def main() -> None:
    application = QgsApplication([], True)
    application.initQgis()
    from geoseg_qgis.provider import GeosegProvider
    from processing.core.Processing import Processing
    from processing.core.ProcessingConfig import ProcessingConfig

    Processing.initialize()
    provider = GeosegProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    told = {
        "setting": ProcessingConfig.getSetting("GEOSEG_EXECUTABLE"),
        "parameters": parameters(),
        "opened": opened(sys.argv[3]),
        "loaded": loaded(),
        "covered": in_parts(),
        "model": in_a_model(),
        "refused": refused(),
        "stopped": stopped(),
    }
    print(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)  # layers that are alive at the end of the application crash QGIS


if __name__ == "__main__":
    main()
