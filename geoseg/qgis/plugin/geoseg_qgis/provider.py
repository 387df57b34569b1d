"""The provider: geoseg's algorithms in the toolbox, and its one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .batch import BatchAlgorithm
from .evaluate import EvaluateAlgorithm
from .executable import SETTING
from .segment import SegmentAlgorithm
from .vectorize import VectorizeAlgorithm

ICON = Path(__file__).with_name("icon.svg")


class GeosegProvider(QgsProcessingProvider):
    """geoseg in the Processing toolbox."""

    def id(self) -> str:
        """Return the name before the colon in ``geoseg:segment``."""
        return "geoseg"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "geoseg"

    def longName(self) -> str:  # noqa: N802
        """Return the name with a word on what it is."""
        return "geoseg (map layers from imagery)"

    def icon(self) -> Any:
        """Return the picture in the toolbox."""
        return QIcon(str(ICON))

    def svgIconPath(self) -> str:  # noqa: N802
        """Return where that picture is."""
        return str(ICON)

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        """Return the one raster format that geoseg writes."""
        return ["tif"]

    def loadAlgorithms(self) -> None:  # noqa: N802
        """Add the algorithms."""
        for algorithm in (SegmentAlgorithm, BatchAlgorithm, VectorizeAlgorithm, EvaluateAlgorithm):
            self.addAlgorithm(algorithm())

    def load(self) -> bool:
        """Add the setting where Processing's page of options is there, and the algorithms."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig, Setting
        except ImportError:  # another program with QGIS's library; the setting is read all the same
            pass
        else:
            ProcessingConfig.settingIcons[self.name()] = self.icon()
            words = "Path of the program geoseg (empty: found by itself)"
            ProcessingConfig.addSetting(Setting(self.name(), SETTING, words, "", valuetype=Setting.FILE))
            ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the setting away."""
        try:
            from processing.core.ProcessingConfig import ProcessingConfig
        except ImportError:
            return
        ProcessingConfig.removeSetting(SETTING)
