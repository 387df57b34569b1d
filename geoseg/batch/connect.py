"""The way to a Dask cluster: finding its scheduler, and seeing that its workers can do what is asked of them."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geoseg
from geoseg.batch.cluster import Cluster
from geoseg.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geoseg.batch.request import Where

CONNECT_S = 10.0
"""Longest wait for a scheduler, in seconds."""
WORKERS_S = 60.0
"""Longest wait for the first worker."""


_LOGS = ("asyncio", "distributed", "distributed.client", "distributed.comm", "distributed.core")


@contextmanager
def cluster(where: Where, folder: Path, *, gpu: bool) -> Iterator[Cluster]:
    """Connect to a scheduler.

    Args:
        where: its address, such as ``tcp://10.0.0.1:8786``, or the file that it was started with.
        folder: of the results, which the workers must see.
        gpu: whether a task needs a worker's resource ``GPU``.

    Raises:
        UsageError: Dask is not installed; the scheduler cannot be reached or has no workers; a worker has another
            version of geoseg, or another folder of this name.
        OutputError: nothing can be written into the folder.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler needs Dask; type: pip install 'geoseg[cluster]'") from None
    address = where.scheduler or _address_in(Path(where.scheduler_file or ""))
    _check_scheduler(address)
    with _quiet(), Client(address, timeout=CONNECT_S, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise UsageError(f"--scheduler: {address} has no workers; start some with: dask worker {address}") from None
        _check_workers(client, folder)
        if gpu:
            _check_gpus(client)
        yield Cluster(client, address, {"GPU": 1.0} if gpu else None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs of a lost scheduler from users, who are told in a sentence; not from those who ask (-vv)."""
    loggers = [logging.getLogger(name) for name in _LOGS]
    levels = [logger.level for logger in loggers]
    if not logging.getLogger("geoseg").isEnabledFor(logging.DEBUG):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _address_in(path: Path) -> str:
    """Return the address that a scheduler has written into its file; a scheduler that is starting is waited for."""
    until = time.monotonic() + CONNECT_S
    while True:
        try:
            address = json.loads(path.read_text("utf-8"))["address"]
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
        except (ValueError, KeyError, TypeError):
            reason = "is not the file of a Dask scheduler"
        else:
            return str(address)
        if time.monotonic() > until:
            raise UsageError(f"--scheduler-file: {path} {reason}; start: dask scheduler --scheduler-file {path}")
        time.sleep(0.2)


def _check_scheduler(address: str) -> None:
    """Refuse an address where no scheduler answers: a client that cannot connect cannot be closed, either."""

    async def greet() -> None:
        from distributed import Security, rpc

        async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
            await scheduler.identity()

    async def greet_in_time() -> None:
        await asyncio.wait_for(greet(), CONNECT_S)

    try:
        with ThreadPoolExecutor(1) as apart:  # the caller may have a loop of its own
            apart.submit(lambda: asyncio.run(greet_in_time())).result()
    except Exception as error:  # noqa: BLE001 - Dask and the system say in many ways that there is no way
        reason = " ".join(str(error).split()) or "no answer"
        raise UsageError(f"--scheduler: {address} cannot be reached ({reason}); is it running there?") from None


def _check_workers(client: Any, folder: Path) -> None:
    """Refuse workers that would make something else, or somewhere else."""
    token = folder / f".geoseg.{secrets.token_hex(8)}.tmp"
    try:
        token.touch()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to ({error.strerror})") from error
    try:
        answers = client.run(_about, str(token), on_error="return")
    finally:
        token.unlink(missing_ok=True)
    for worker, answer in answers.items():
        version, sees = answer if isinstance(answer, tuple) else (f"not installed ({type(answer).__name__})", True)
        if version != geoseg.__version__:
            raise UsageError(
                f"--scheduler: worker {worker} has geoseg {version}, expected {geoseg.__version__}; "
                "install the same version on all workers"
            )
        if not sees:
            raise UsageError(
                f"--scheduler: worker {worker} does not see the folder {folder} of this machine; "
                "scenes, model and results must lie on a file system that all of them share"
            )


def _check_gpus(client: Any) -> None:
    workers = client.scheduler_info()["workers"].values()
    if not any(worker.get("resources", {}).get("GPU", 0) >= 1 for worker in workers):
        raise UsageError("--device cuda: no worker offers a GPU; start them with: dask worker --resources GPU=1")


def _about(token: str) -> tuple[str, bool]:
    """Return a worker's version, and whether it sees a file."""
    return geoseg.__version__, Path(token).exists()
