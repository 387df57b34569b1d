"""geoseg in the Processing toolbox of QGIS.

QGIS imports this package, geoseg does not. It runs in QGIS's own Python (3.9 and newer) and starts the program geoseg
as a process of its own, so that nothing that geoseg needs has to be installed into QGIS.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802 - QGIS calls it by this name
    """Return the plugin; QGIS's one way in."""
    from .plugin import GeosegPlugin

    return GeosegPlugin(iface)
