"""Choose the image of a STAC item, and find where a link of STAC leads."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from geoseg.batch.sources.addresses import SCHEMES, is_address, without_secrets
from geoseg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: C: is a drive
_RASTER_TYPE = re.compile(r"image/(?:tiff|jp2|jpeg|jpg|png|.*geotiff)\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_RASTER_ENDINGS = (".tif", ".tiff", ".jp2", ".j2k", ".png", ".jpg", ".jpeg", ".img", ".vrt")
_NOT_FOR_READING = re.compile(r"thumb|overview|preview|quicklook|browse|metadata", re.IGNORECASE)


def image_href(item: Mapping[str, Any]) -> str | None:
    """Return where an item says that its image lies, or None where it has none.

    The asset called ``visual`` comes first, then one with the role ``visual``; then GeoTIFF among those with the role
    ``data``, others with that role, any GeoTIFF, and any image. Within a rank the first counts. Thumbnails, overviews
    and metadata are never taken; only the asset called ``visual`` may have the role ``overview``, because catalogs
    of Sentinel-2 give it to the full image.
    """
    assets = item["assets"].items()
    ranked = [(_rank(str(key), asset), asset) for key, asset in assets if isinstance(asset, dict)]
    usable = [(rank, asset) for rank, asset in ranked if rank is not None]
    return str(min(usable, key=lambda pair: pair[0])[1]["href"]) if usable else None


def _rank(key: str, asset: Mapping[str, Any]) -> int | None:
    """Return how good an asset is, 0 the best; None for what is no image to be read."""
    href, kind, given = asset.get("href"), asset.get("type"), asset.get("roles")
    roles = {str(role).lower() for role in given} if isinstance(given, list) else set[str]()
    if not isinstance(href, str) or not href:
        return None
    named = re.split(r"[?#]", href, maxsplit=1)[0].lower()
    typed = isinstance(kind, str) and kind.lower().startswith("image/")
    is_raster = _RASTER_TYPE.fullmatch(str(kind).strip()) if typed else not kind and named.endswith(_RASTER_ENDINGS)
    if not is_raster or {"thumbnail", "metadata"} & roles:
        return None
    if key.lower() == "visual":
        return 0
    if any(_NOT_FOR_READING.search(word) for word in (key, *roles)):
        return None
    tiff = "tiff" in str(kind).lower() if kind else named.endswith((".tif", ".tiff"))
    order = ("visual" in roles, "data" in roles and tiff, "data" in roles, tiff, True)
    return 1 + order.index(True)


def resolved(href: str, place: str, whose: str) -> str:
    """Return the path or address that a link in a STAC file leads to.

    Args:
        href: relative to the file, absolute, ``file://`` or an address.
        place: path or address of the file.
        whose: what holds the link, for messages.

    Raises:
        InputError: another kind of address, or a local file named by a remote STAC file.
    """
    if is_address(place):
        try:
            target = urljoin(place, href)
            scheme = urlsplit(target).scheme.lower()
        except ValueError:
            scheme = target = ""
        if scheme not in SCHEMES:
            raise InputError(f"{whose} leads to {_shown(href)}, expected https://, s3:// or gs://; download it first")
        return target
    if _SCHEME.match(href) or href.startswith("/vsi"):
        return _from_address(href, whose)
    if "\0" in href:
        raise InputError(f"{whose} leads to {_shown(href)}, which is no path; write the STAC file again")
    folder = os.path.dirname(place)
    literal = os.path.join(folder, re.sub(r"^(?:\./+)+", "", href))
    # Some writers quote characters as in an address, others write names as they are.
    unquoted = os.path.join(folder, unquote(href))
    is_quoted = "%" in href and not os.path.lexists(literal) and os.path.lexists(unquoted)
    return unquoted if is_quoted else literal


def _from_address(href: str, whose: str) -> str:
    """Return an absolute link of a local STAC file; raises InputError."""
    scheme = href.partition(":")[0].lower()
    if scheme in SCHEMES and is_address(href):
        return href
    try:
        parts = urlsplit(href)
        path = url2pathname(parts.path)
    except (ValueError, OSError):
        parts, path = urlsplit(""), ""
    is_here = scheme == "file" and parts.netloc in ("", "localhost") and os.path.isabs(path)
    if not is_here or "\0" in path or is_address(path):
        raise InputError(f"{whose} leads to {_shown(href)}, expected a path, file://, https://, s3:// or gs://")
    return path


def _shown(href: str) -> str:
    return repr(without_secrets(href)[:200])
