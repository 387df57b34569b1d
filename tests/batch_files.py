"""Small files and folders as inputs of batches, for tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.batch.sources.inputs import gather_inputs
from geoseg.batch.sources.names import output_names


def touch(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def sources(*given, **options):
    return [found.source for found in gather_inputs(given, **options)]


def names(*given, **options):
    return [found.name for found in gather_inputs(given, **options)]


def link(name, target, *, folder=False):
    try:
        Path(name).symlink_to(target, target_is_directory=folder)
    except OSError:
        pytest.skip("links are not allowed here")


def named(*given):
    """Return the names of files below one folder, in their order."""
    found = output_names(["/r/" + name for name in given])
    return [found["/r/" + name] for name in given]
