"""Read the next record while the present one is worked on."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")


class Ahead(Generic[Item]):
    """An iterator that is drained by a thread, one record ahead of its user.

    Errors of the thread are raised where the record would have come. Leaving the ``with`` block stops the thread.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=1)
        self._room = threading.Semaphore(1)  # one record is made while one is worked on, never a third
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self.seconds = 0.0
        """Time the thread has spent on making records."""

    def __enter__(self) -> Iterator[Item]:
        self._thread.start()
        return self._iterate()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._room.release()
        while self._thread.is_alive():
            try:
                self._ready.get(timeout=0.05)  # makes room, so that a waiting put ends
            except queue.Empty:
                continue

    def _iterate(self) -> Iterator[Item]:
        while True:
            item, error = self._ready.get()
            self._room.release()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def _drain(self) -> None:
        try:
            items = iter(self._items)
            while True:
                self._room.acquire()
                if self._stopped.is_set():
                    return
                started = time.perf_counter()
                item = next(items, None)
                self.seconds += time.perf_counter() - started
                self._ready.put((item, None))
                if item is None:
                    return
                del item
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._ready.put((None, error))
