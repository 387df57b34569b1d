"""The settings that keep GDAL from following a file's own orders.

GDAL opens a VRT or a WMS description whatever its name is, and then follows the URLs and paths inside it.
rasterio and pyogrio each bring their own GDAL; variables set before either registers its drivers reach both
(https://gdal.org/en/stable/user/security.html).
"""

from __future__ import annotations

import logging
import os

# Drivers that fetch from the network or run on the contents of other files. GDAL warns of names a build
# lacks; CPL_LOG keeps that from standard error where no library listens yet when GDAL loads.
_RASTER_SERVICES = "WMS,WCS,WMTS,HTTP,PLMOSAIC,DAAS,OGCAPI,STACIT,STACTA,EEDAI,GTI,RASTERLITE,MBTiles,KMLSUPEROVERLAY"
_VECTOR_SERVICES = "OGR_VRT,GDALG,ADBC,WFS,OAPIF,CSW,CARTO,Elasticsearch,AMIGOCLOUD,NGW,PostgreSQL,MySQL,PLSCENES,EEDA"

_SETTINGS = {
    "GDAL_DRIVER_PATH": "disable",
    "OGR_DRIVER_PATH": "disable",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE": "SIBLING_OR_CHILD_OF_VRT_PATH",
    # A block cache of bounded size: GDAL's default is a share of the machine's memory.
    "GDAL_CACHEMAX": "48",
    "PROJ_NETWORK": "OFF",
}

_OFFLINE = {
    "GDAL_SKIP": f"{_RASTER_SERVICES},{_VECTOR_SERVICES}",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
    "CPL_VSIL_CURL_HEADER_FILE_KVP_ENABLED": "NO",
}


def arm() -> None:
    """Set the guarded environment; called once, when the package is imported."""
    os.environ.update(_SETTINGS)
    os.environ.update(_OFFLINE)
    os.environ.setdefault("CPL_LOG", os.devnull)
    os.environ.pop("GDAL_VRT_PYTHON_TRUSTED_MODULES", None)
    logging.getLogger("rasterio._env").addFilter(_is_no_skipped_driver)


def _is_no_skipped_driver(record: logging.LogRecord) -> bool:
    """Return whether a log record is about anything else than a driver that GDAL_SKIP names and the build lacks."""
    return "GDAL_SKIP" not in record.getMessage()


def allow_network() -> None:
    """Let GDAL open remote files; must be called before rasterio or pyogrio is first used.

    Services, OGR VRTs and plug-in drivers stay off: only ``/vsicurl/`` and its relatives open up.
    """
    os.environ.pop("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", None)
    os.environ.update(GDAL_HTTP_TIMEOUT="60", GDAL_HTTP_CONNECTTIMEOUT="15", GDAL_HTTP_MAX_RETRY="3")
