"""One supervisor per home."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pixelbloom.errors import ConfigurationError

#: Seconds to wait for a holder that is stopping.
STOPPING_SECONDS = 20.0
STOPPING = "stopping"


class HomeLock:
    """A held lock. The system releases it when its holder dies."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._write("running")

    def stopping(self) -> None:
        """Record that the holder is stopping, so that a successor waits."""
        self._write(STOPPING)

    def _write(self, state: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()} {state}\n")
        self._file.flush()


@contextmanager
def hold(path: Path) -> Iterator[HomeLock]:
    """Hold the home's lock. Raises ConfigurationError with the holder, unless it is stopping."""
    deadline = time.monotonic() + STOPPING_SECONDS
    with path.open("a+", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder, _, state = file.read().strip().partition(" ")
            if state != STOPPING or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"PIXELBLOOM_HOME: {path.parent} is in use by a stack that runs (pid {holder or 'unknown'}): "
                    "stop that one, or set PIXELBLOOM_HOME, PORT and FLOWER_PORT to run a second one"
                )
            time.sleep(0.1)
        yield HomeLock(file)
