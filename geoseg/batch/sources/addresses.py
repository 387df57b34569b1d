"""Addresses among inputs: what is one, which are read, and how messages show them."""

from __future__ import annotations

import re

from geoseg.errors import UsageError

SCHEMES: tuple[str, ...] = ("https", "http", "s3", "gs")
"""Schemes of the addresses that scenes are read from."""

_ADDRESS = re.compile(r"\s*(?:/vsi|[A-Za-z][A-Za-z0-9+.-]+://)")


def is_address(text: str) -> bool:
    """Tell whether a text is an address, or GDAL's way to write one, and not a path."""
    return _ADDRESS.match(text) is not None


def scheme_of(address: str) -> str:
    """Return what stands before the ``://`` of an address, in lower case, or '' where there is none."""
    before, colon, _ = address.partition("://")
    return before.strip().lower() if colon and not before.startswith("/vsi") else ""


def without_secrets(address: str) -> str:
    """Return an address without user names, passwords, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", address, maxsplit=1)[0])


def check_address(address: str, *, allow_network: bool) -> None:
    """Refuse an address that may not, or cannot, be read.

    Raises:
        UsageError: the network is not allowed, or the address is none that geoseg reads.
    """
    shown = without_secrets(address)
    if scheme_of(address) not in SCHEMES:
        raise UsageError(f"{shown}: is not an address geoseg reads; use https://, s3:// or gs://")
    if not allow_network:
        raise UsageError(f"{shown}: is an address, not a local file; download it first, or add --allow-network")
