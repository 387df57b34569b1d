"""One task for each scene, its results under a folder that mirrors where the scenes lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from geoseg.batch.identity import key_of
from geoseg.batch.task import Task
from geoseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.batch.request import BatchRequest


def scene_tasks(request: BatchRequest, model_sha256: str) -> Iterator[Task]:
    """Yield a task for each scene, as they are asked for."""
    assert request.out_dir is not None  # noqa: S101 - the caller has seen to it
    for one in request.inputs:
        stem = request.out_dir / one.name
        wanted = request.how.of(one.source, request.wanted.beside(stem))
        yield Task(one.name, one.source, key_of(wanted, model_sha256), wanted, stem)


def make_folders(request: BatchRequest) -> None:
    """Make the folders of all results.

    Raises:
        OutputError: one cannot be made, or leads out of the folder that was named.
    """
    assert request.out_dir is not None  # noqa: S101
    top = request.out_dir
    folders = {(top / one.name).parent for one in request.inputs} | {top}
    try:
        for folder in sorted(folders):
            folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{error.filename}: is a file, but results go to a folder of that name") from None
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be made ({error.strerror})") from error
    real = os.path.realpath(top)
    for folder in folders:
        if os.path.commonpath([real, os.path.realpath(folder)]) != real:
            raise OutputError(f"{folder}: is a link that leads out of {top}; remove it")
