"""The ways a run can end, each with the exit code of the command line.

A message is one sentence: *path: what was found, what was expected, what to type*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class GeosegError(Exception):
    """Base of every error that geoseg raises on purpose; alone it means an internal failure."""

    exit_code = 1


class UsageError(GeosegError, ValueError):
    """Raised when the caller asked for something that cannot mean anything."""

    exit_code = 2


class InputError(GeosegError, ValueError):
    """Raised when a scene, class raster or vector file cannot be used."""

    exit_code = 3


class OutsideAreaError(InputError):
    """Raised when the area that was asked for does not meet a scene."""


class OutputError(GeosegError, OSError):
    """Raised when a result cannot be written where it was asked for."""

    exit_code = 4


class ModelError(GeosegError, ValueError):
    """Raised when a model file cannot be used, or not with this scene."""

    exit_code = 5


class BatchError(GeosegError):
    """Raised when a batch came to its end and some of its scenes failed."""

    exit_code = 6


class Interrupted(BaseException):
    """Raised in the main thread when a signal asks the run to stop; leaves no partial output behind.

    Like KeyboardInterrupt it is no Exception, so that no handler of a library's errors takes it for one.
    """

    exit_code = 130


def first_of(names: Sequence[str], most: int) -> str:
    """Return the first names of a list as a sentence has them: those after ``most`` are dots."""
    return ", ".join(names[:most]) + ", …" * (len(names) > most)
