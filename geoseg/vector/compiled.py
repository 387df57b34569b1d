"""The one decorator of compiled functions: numba, without the interpreter's lock, kept on disk between runs.

Never ``parallel=True``: it would start a pool of threads beside OpenVINO's. Threads come from the caller.

numba tells by a file's time and size whether what it kept is still good, and does not see that a function inlines one
of another file. So everything is kept in a folder named after the sources of all files that hold compiled functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Function = TypeVar("Function", bound="Callable[..., object]")

_HERE = Path(__file__).parent
_CONSTANTS = _HERE.parent / "vocabulary.py"
_ROADS = _HERE.parent / "roads"


def compiled(function: Function) -> Function:
    """Compile a function of numbers and arrays when it is first called; a full or read-only disk does no harm."""
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    try:
        with _kept_in(_folder()):
            dispatcher: Any = numba.njit(nogil=True, cache=True)(function)
    except (RuntimeError, OSError):  # no folder can be written
        return cast("Function", numba.njit(nogil=True)(function))
    cache = dispatcher._cache  # noqa: SLF001 - numba has no other way to let a failed save pass
    cache.save_overload = _forgiving(cache.save_overload)
    return cast("Function", dispatcher)


def _folder() -> Path:
    """Return where compiled code is kept: beside the package, or where the user's caches are."""
    digest = hashlib.blake2b(digest_size=8)
    for path in (*sorted(_HERE.glob("*.py")), *sorted(_ROADS.glob("*.py")), _CONSTANTS):
        digest.update(path.read_bytes())
    name = f"geoseg-{digest.hexdigest()}"
    beside = _HERE / "__pycache__" / name
    with contextlib.suppress(OSError):
        beside.mkdir(parents=True, exist_ok=True)
        if os.access(beside, os.W_OK):  # it may be there and belong to whoever installed the package
            return beside
    from numba.misc import appdirs

    folders: Any = appdirs
    return Path(folders.user_cache_dir("geoseg")) / name


@contextlib.contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Let numba keep what is decorated meanwhile in a folder, unless the user has named one."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = before or str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _forgiving(save: Callable[..., Any]) -> Callable[..., None]:
    """Return a save that does nothing where there is no room."""

    def attempt(*arguments: Any) -> None:
        with contextlib.suppress(OSError):
            save(*arguments)

    return attempt
