"""One task for each scene, its results under a folder that mirrors where the scenes lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.batch.identity import key_of, mark_of
from geoseg.batch.sources.addresses import is_address, without_secrets
from geoseg.batch.task import Task
from geoseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.batch.request import BatchRequest
    from geoseg.model.card import ModelCard


def scene_tasks(request: BatchRequest, card: ModelCard) -> Iterator[Task]:
    """Yield a task for each scene of this shard, as they are asked for."""
    assert request.out_dir is not None  # noqa: S101 - the caller has seen to it
    model = mark_of(card)
    for number, one in enumerate(request.inputs):
        if request.where.is_mine(number):
            stem = request.out_dir / one.name
            wanted = request.how.of(one.source, request.wanted.beside(stem))
            shown = without_secrets(one.source) if is_address(one.source) else one.source
            yield Task(one.name, shown, key_of(wanted, model), wanted, stem)


def make_folders(request: BatchRequest) -> None:
    """Make the folders of all results.

    Raises:
        OutputError: one cannot be made or written to, or leads out of the folder that was named.
    """
    assert request.out_dir is not None  # noqa: S101
    top = request.out_dir
    folders = {(top / one.name).parent for one in request.inputs} | {top}
    real = os.path.realpath(top)
    for folder in sorted(folders):
        if not Path(os.path.realpath(folder)).is_relative_to(real):
            raise OutputError(f"{folder}: is a link that leads out of {top}; remove it")
    try:
        for folder in sorted(folders):
            folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{error.filename}: is a file, but results go to a folder of that name") from None
    except OSError as error:
        raise OutputError(f"{error.filename}: cannot be made ({error.strerror})") from error
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{folder}: cannot be written to; check its permissions, or choose another --out-dir")
