"""The one decorator of compiled functions: numba, without the interpreter's lock, kept on disk between runs.

Never ``parallel=True``: it would start a pool of threads beside OpenVINO's. Threads come from the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

Function = TypeVar("Function", bound="Callable[..., object]")


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays when it is first called; a read-only cache folder does no harm."""
    try:
        kept = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no folder can be written: neither beside the module nor the user's
        kept = numba.njit(nogil=True)(function)
    return cast("Function", kept)
