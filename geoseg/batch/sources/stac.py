"""Find the images of a STAC Item, ItemCollection, Collection or Catalog (https://github.com/radiantearth/stac-spec)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoseg.batch.sources.addresses import check_address, is_address, without_secrets
from geoseg.batch.sources.stac_asset import image_href, resolved
from geoseg.batch.sources.stac_json import read_json
from geoseg.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_DEPTH = 16
_MAX_FILES = 100_000


def stac_sources(
    place: str, *, allow_network: bool = False, note: Callable[[str], None] = lambda _sentence: None
) -> list[str]:
    """Return the image of every item of a STAC file, in its order.

    Links ``item`` and ``child`` are followed, each file once. An image that does not exist is returned all the same,
    and so is an item's file that a catalog names but that does not exist: whoever opens it tells what is missing.
    Items without any image among their assets are left out with a note.

    Args:
        place: path, or http or https address that may be fetched.
        allow_network: follow links to addresses, and return images that lie at some.
        note: called with sentences on what is left out.

    Raises:
        InputError: a file is no STAC, damaged or too large, leads to what is no file or address, or to no image.
        UsageError: an image or a linked file lies at an address, without ``allow_network``.
    """
    walk = _Walk(place, allow_network)
    while walk.waiting:
        walk.step(*walk.waiting.pop())
    shown = _shown(place)
    if walk.without_image:
        first = walk.without_image[0]
        note(f"{shown}: {len(walk.without_image)} of its items have no image and are left out, first {first}")
    if walk.has_more:
        note(f"{shown}: has further pages, which are not followed; save them all and name each")
    if not walk.found:
        raise InputError(f"{shown}: leads to no item with an image, expected assets of GeoTIFF and the like")
    return walk.found


@dataclass
class _Walk:
    """What one walk through linked files has found."""

    top: str
    allow_network: bool
    found: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    has_more: bool = False
    seen: set[str] = field(default_factory=set)
    waiting: list[tuple[str, int]] = field(init=False)
    """Files to be read, the next one last, and how many links lead there."""

    def __post_init__(self) -> None:
        self.waiting = [(self.top, 0)]

    def step(self, place: str, depth: int) -> None:
        """Read one file."""
        identity = place if is_address(place) else os.path.realpath(place)
        if identity in self.seen:
            return
        self.seen.add(identity)
        if len(self.seen) > _MAX_FILES:
            raise InputError(f"{_shown(self.top)}: links to over {_MAX_FILES} files; name some of its parts instead")
        if depth > _MAX_DEPTH:
            raise InputError(f"{_shown(place)}: lies over {_MAX_DEPTH} links deep; name it or its catalog by itself")
        if depth and not is_address(place) and not os.path.lexists(place):
            self.found.append(place)
            return
        content, place = read_json(place)
        kind = _kind(content)
        if kind == "item":
            self._add(content, place)
        elif kind == "items":
            for item in content["features"]:
                if isinstance(item, dict) and isinstance(item.get("assets"), dict):
                    self._add(item, place)
            self.has_more = self.has_more or bool(_links(content, ("next",)))
        elif kind == "catalog":
            links = [self._allowed(href, place, "its link") for href in _links(content, ("item", "child"))]
            self.waiting += [(link, depth + 1) for link in reversed(links)]
        else:
            raise InputError(
                f"{_shown(place)}: is {_found_instead(content)}, expected a STAC Item, ItemCollection, Collection or "
                "Catalog; name images instead"
            )

    def _add(self, item: Mapping[str, Any], place: str) -> None:
        name = repr(str(item.get("id", "without id"))[:80])
        href = image_href(item)
        if href is None:
            self.without_image.append(name)
        else:
            self.found.append(self._allowed(href, place, f"the image of its item {name}"))

    def _allowed(self, href: str, place: str, what: str) -> str:
        """Return where a link leads; raises InputError and UsageError."""
        whose = f"{_shown(place)}: {what}"
        target = resolved(href, place, whose)
        if is_address(target):
            try:
                check_address(target, allow_network=self.allow_network)
            except UsageError as error:
                raise UsageError(f"{whose} leads to {error}") from None
        return target


def _kind(content: Mapping[str, Any]) -> str | None:
    """Return item, items or catalog; None for what is no STAC."""
    kind, features = content.get("type"), content.get("features")
    if kind == "Feature" and isinstance(content.get("assets"), dict):
        return "item"
    if kind == "FeatureCollection" and isinstance(features, list):
        return "items" if any(isinstance(f, dict) and "assets" in f for f in features) else None
    # Before version 1.0, catalogs had no type.
    if kind in ("Catalog", "Collection") or (kind is None and "stac_version" in content):
        return "catalog"
    return None


def _links(content: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    links = content.get("links")
    found = [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return [link["href"] for link in found if link.get("rel") in kinds and isinstance(link.get("href"), str)]


def _found_instead(content: Mapping[str, Any]) -> str:
    kind = content.get("type")
    if kind in ("Feature", "FeatureCollection"):
        return f"a GeoJSON {kind} without STAC assets"
    return f"JSON of type {str(kind)[:80]!r}" if kind is not None else "JSON without a type"


def _shown(place: str) -> str:
    return without_secrets(place) if is_address(place) else place
