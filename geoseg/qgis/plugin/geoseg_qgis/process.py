"""A child process with all that it starts itself: one group, stopped and ended as one."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LAST_S = 5.0  # for the threads of a killed process to see its end
_WAITING_LINES = 1000  # a child that prints faster than QGIS listens waits


class Child:
    """One started process, its pipes and its group."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it; raises OSError where that is not possible."""
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        self._process = subprocess.Popen(  # noqa: S603 - the user's own program
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",
            creationflags=flags,
        )
        self.lines: queue.Queue[tuple[str, str | None]] = queue.Queue(_WAITING_LINES)
        """Lines of both pipes, each with ``out`` or ``err``; None where a pipe has ended."""
        self._unheard = threading.Event()
        pipes = {"out": self._process.stdout, "err": self._process.stderr}
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pipes.items()]
        for reader in self._readers:
            reader.start()

    @property
    def code(self) -> int:
        """The exit code, negative where a signal ended the process."""
        return self._process.wait()

    def is_gone(self) -> bool:
        """Tell whether the process itself has ended; others of its group may live on."""
        return self._process.poll() is not None

    def ask_to_stop(self, *, again: bool = False) -> bool:
        """Ask the whole group to stop, as Ctrl-C does; return whether it could be asked.

        A Python that has only begun may drop the first signal. A second one of the same kind would end geoseg at once,
        with its temporary files where they are; another kind says no more than the first.
        """
        try:
            if sys.platform == "win32":
                if not again:
                    # Fails where QGIS has no console of its own.
                    self._process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                os.killpg(self._process.pid, signal.SIGTERM if again else signal.SIGINT)
        except (OSError, ValueError):
            return False
        return True

    def kill(self) -> None:
        """End the whole group at once."""
        if sys.platform == "win32":
            if not self.is_gone():
                tree = ["taskkill", "/F", "/T", "/PID", str(self._process.pid)]
                with contextlib.suppress(OSError):
                    subprocess.run(tree, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)  # noqa: S603
                self._process.kill()
            return
        with contextlib.suppress(OSError):  # the group is gone already
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """See to it that nothing is left: no process, no pipe, no thread."""
        self._unheard.set()
        if not self.is_gone() or any(reader.is_alive() for reader in self._readers):
            self.kill()
        self._process.wait()
        for reader, pipe in zip(self._readers, (self._process.stdout, self._process.stderr)):
            reader.join(_LAST_S)
            if not reader.is_alive():
                pipe.close()  # type: ignore[union-attr]

    def _read(self, name: str, pipe: IO[str]) -> None:
        """Hand on the lines of a pipe, and None at its end."""
        for line in pipe:
            self._hand_on(name, line.rstrip("\r\n"))
        self._hand_on(name, None)

    def _hand_on(self, name: str, line: str | None) -> None:
        """Wait for room, unless nobody listens any more."""
        while not self._unheard.is_set():
            with contextlib.suppress(queue.Full):
                self.lines.put((name, line), timeout=0.1)
                return
