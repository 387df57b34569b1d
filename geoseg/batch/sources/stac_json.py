"""Read the JSON files of STAC, here or over HTTP: bounded in size and time, and nothing but http and https."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

from geoseg.batch.sources.addresses import is_address, scheme_of, without_secrets
from geoseg.errors import InputError

_MAX_BYTES = 50 * 2**20
_SILENCE_SECONDS = 30
_FETCH_SECONDS = 300
_AGENT = {"User-Agent": "geoseg", "Accept": "application/geo+json, application/json"}


def read_json(place: str) -> tuple[dict[str, Any], str]:
    """Return the JSON object in a file or at an http or https address, and where its links count from.

    The caller asks whether the place may be read. Links count from it, or from where it redirects to.

    Raises:
        InputError: it cannot be read, is too large, or is no JSON object.
    """
    shown = without_secrets(place) if is_address(place) else place
    raw, base = _fetched(place, shown) if is_address(place) else (_read(place), place)
    if len(raw) > _MAX_BYTES:
        raise InputError(f"{shown}: is over {_MAX_BYTES // 2**20} MB, expected a STAC file; split it into several")
    try:
        content = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{shown}: is not well-formed JSON ({error}), expected STAC; write the file again") from None
    if not isinstance(content, dict):
        raise InputError(f"{shown}: holds a JSON {type(content).__name__}, expected a STAC object; name images instead")
    return content, base


def _read(path: str) -> bytes:
    try:
        if not os.path.isfile(path):
            raise InputError(f"{path}: is not a regular file, expected STAC; name a .json file")
        with open(path, "rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), expected STAC; check its permissions") from None


def _fetched(address: str, shown: str) -> tuple[bytes, str]:
    """Return what an address answers, at most a little more than is allowed, and the address that answered."""
    if scheme_of(address) not in ("http", "https"):
        raise InputError(f"{shown}: is a STAC file that geoseg does not fetch, expected https://; download it first")
    until = time.monotonic() + _FETCH_SECONDS
    raw = bytearray()
    try:
        request = urllib.request.Request(address, headers=_AGENT)  # noqa: S310 - its scheme is known
        with _opener().open(request, timeout=_SILENCE_SECONDS) as answer:
            base = str(answer.geturl())
            while len(raw) <= _MAX_BYTES and (block := answer.read(2**16)):
                raw += block
                if time.monotonic() > until:
                    raise TimeoutError("too slow")
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{shown}: cannot be fetched ({reason}), expected STAC; try again or download it") from None
    return bytes(raw), base


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that no redirection leads to files, FTP or other schemes."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
