"""geoseg turns georeferenced aerial and satellite images into map layers.

The folders read like the data's way: ``scene`` (read) → ``inference`` (windows, network, classes) → ``vector``
(polygons) → ``layers`` (written files). ``pipeline`` wires them together, ``cli`` calls the wiring.
"""

from geoseg import gdal_guard as _gdal_guard

__version__ = "0.1.0"

# GDAL reads these settings when it registers its drivers, so they are set before any import of rasterio or pyogrio.
_gdal_guard.arm()
