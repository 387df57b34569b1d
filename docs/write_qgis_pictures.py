"""Write the pictures of docs/qgis.md, without a screen: ``/usr/bin/python3 docs/write_qgis_pictures.py GEOSEG``.

Runs in the Python that QGIS belongs to (3.22 or newer); GEOSEG is the path of the program geoseg. The image on the map
is the made-up one of ``sample_data``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
SCENE = TOP / "sample_data" / "scene.tif"
MAP_SIZE, DIALOG_SIZE, TOOLBOX_SIZE = (440, 440), (980, 760), (360, 180)
MAP_WIDTH_M, GAP = 380.0, 8

scratch = Path(tempfile.mkdtemp())
os.environ.update(
    QT_QPA_PLATFORM="offscreen", QGIS_CUSTOM_CONFIG_PATH=str(scratch), XDG_RUNTIME_DIR=str(scratch), LC_ALL="C.UTF-8"
)
os.environ["GEOSEG_EXECUTABLE"] = sys.argv[1]
sys.path[:0] = [str(TOP / "geoseg" / "qgis" / "plugin"), "/usr/share/qgis/python/plugins"]

from qgis.core import (  # noqa: E402 - the environment comes first
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import QgisInterface, QgsMapCanvas, QgsMessageBar  # noqa: E402
from qgis.PyQt.QtCore import QSize  # noqa: E402
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter  # noqa: E402
from qgis.PyQt.QtWidgets import QApplication, QMainWindow  # noqa: E402


class Interface(QgisInterface):
    """As much of the desktop application as Processing's dialogs ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.canvas, self.bar = QMainWindow(), QgsMapCanvas(), QgsMessageBar()

    def mainWindow(self):  # noqa: ANN201, N802
        """Return the window that dialogs belong to."""
        return self.window

    def mapCanvas(self):  # noqa: ANN201, N802
        """Return a canvas that nobody sees."""
        return self.canvas

    def messageBar(self):  # noqa: ANN201, N802
        """Return a bar that nobody reads."""
        return self.bar


def show_map(project: QgsProject, out: Path) -> None:
    """Render what the project shows: the image alone, and beside it with the layers over it."""
    layers = project.layerTreeRoot().layerOrder()
    scene = next(layer for layer in layers if isinstance(layer, QgsRasterLayer))
    settings = QgsMapSettings()
    settings.setDestinationCrs(scene.crs())
    settings.setOutputSize(QSize(*MAP_SIZE))
    extent = scene.extent()
    extent.scale(MAP_WIDTH_M / extent.width())
    settings.setExtent(extent)
    width, height = MAP_SIZE
    both = QImage(2 * width + GAP, height, QImage.Format.Format_RGB32)
    both.fill(QColor("white"))
    painter = QPainter(both)
    for left, shown in ((0, [scene]), (width + GAP, layers)):
        settings.setLayers(shown)
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        painter.drawImage(left, 0, job.renderedImage())
    painter.end()
    save(both, out)


def save(image: QImage, out: Path) -> None:
    """Write a picture, and say how large it is."""
    image.save(str(out), quality=88 if out.suffix == ".jpg" else 0)
    print(out, out.stat().st_size)


def grab(widget, size: tuple[int, int], out: Path) -> None:  # noqa: ANN001
    """Take a picture of a window as it would look on a screen."""
    widget.resize(*size)
    widget.show()
    for _ in range(20):
        QApplication.processEvents()
    save(widget.grab().toImage(), out)
    widget.hide()


def main() -> None:
    """Segment the sample as the desktop application would, and take the pictures."""
    application = QgsApplication([], True)
    application.setFont(QFont("DejaVu Sans", 9))
    application.initQgis()
    import qgis.utils

    qgis.utils.iface = Interface()
    from geoseg_qgis.provider import GeosegProvider
    from processing.core.Processing import Processing
    from processing.gui.AlgorithmDialog import AlgorithmDialog
    from processing.gui.Postprocessing import handleAlgorithmResults
    from processing.gui.ProcessingToolbox import ProcessingToolbox

    Processing.initialize()
    provider = GeosegProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    project = QgsProject.instance()
    project.addMapLayer(QgsRasterLayer(str(SCENE), "scene"))
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("geoseg:segment")

    dialog = AlgorithmDialog(algorithm, False, qgis.utils.iface.mainWindow())
    grab(dialog, DIALOG_SIZE, HERE / "images" / "qgis-segment.png")

    toolbox = ProcessingToolbox()
    toolbox.searchBox.setText("geoseg")
    grab(toolbox, TOOLBOX_SIZE, HERE / "images" / "qgis-toolbox.png")

    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    context.setProject(project)
    parameters = {
        "INPUT": "scene",
        "CLASSES": ["buildings", "roads", "water", "vegetation"],
        "CENTERLINES": True,
        "REGULARIZE": True,
        "OUTPUT": str(scratch / "map.gpkg"),
    }
    results, fine = algorithm.create().run(parameters, context, feedback)
    print(feedback.textLog())
    assert fine, feedback.textLog()
    handleAlgorithmResults(algorithm, context, feedback, parameters=results)
    print([node.name() for node in project.layerTreeRoot().children()])
    show_map(project, HERE / "images" / "qgis-map.jpg")
    sys.stdout.flush()
    os._exit(0)  # layers that are alive at the end of the application crash QGIS


if __name__ == "__main__":
    main()
