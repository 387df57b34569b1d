"""The plugin: one provider, put into the Processing registry and taken out again."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from .provider import GeosegProvider


class GeosegPlugin:
    """What QGIS holds of the plugin."""

    def __init__(self, iface: Any) -> None:  # noqa: ARG002
        """Keep nothing of ``iface``: it is None under qgis_process."""
        self.provider: GeosegProvider | None = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS calls it by this name
        """Add the provider; the only hook that qgis_process calls."""
        self.provider = GeosegProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802
        """Do the same in the desktop application."""
        self.initProcessing()

    def unload(self) -> None:
        """Take the provider away."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
