"""The output of all children: on the terminal with a prefix, and in bounded files."""

import sys
import threading
from collections import deque
from pathlib import Path
from typing import IO

#: A file of this many bytes becomes `.1`, in place of the one before.
FILE_BYTES = 5_000_000
TAIL_LINES = 40
NAME_WIDTH = 11
#: The supervisor's.
OWN_NAME = "pixelbloom"
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92)


class Output:
    """Takes lines from many threads. With `console` None they do not reach the terminal.

    What children say reaches the terminal after `follow`; before, there are the files, and the supervisor's own words.
    """

    def __init__(self, folder: Path, console: IO[str] | None = None) -> None:
        self._folder = folder
        self._console = console
        self._followed = False
        self._colour = console is not None and console.isatty()
        self._files: dict[str, IO[str]] = {}
        self._tails: dict[str, deque[str]] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write one line of a child's output. Never raises: a full disk or a closed terminal must not stop a child."""
        with self._lock:
            self._tails.setdefault(name, deque(maxlen=TAIL_LINES)).append(text)
            self._write(name, text)
            if self._followed or name == OWN_NAME:
                self._show(name, text)

    def tail(self, name: str) -> str:
        with self._lock:
            return "\n".join(self._tails.get(name, ()))

    def begin(self, name: str) -> None:
        """Drop the tail of an earlier process of this name."""
        with self._lock:
            self._tails.pop(name, None)

    def say(self, text: str) -> None:
        """Print a line of the supervisor."""
        self.line(OWN_NAME, text)

    def follow(self) -> None:
        """From now on, show the children's output on the terminal."""
        with self._lock:
            self._followed = True

    def plain(self, text: str) -> None:
        """Print text on the terminal only, without a prefix."""
        with self._lock:
            self._print(text)

    def close(self) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _write(self, name: str, text: str) -> None:
        path = self._folder / f"{name}.log"
        try:
            file = self._files.get(name)
            if file is None:
                file = self._files[name] = path.open("a", encoding="utf-8", buffering=1)
            file.write(text + "\n")
            if file.tell() > FILE_BYTES:
                file.close()
                del self._files[name]
                path.replace(path.with_suffix(".log.1"))
        except (OSError, ValueError):
            self._files.pop(name, None)

    def _show(self, name: str, text: str) -> None:
        prefix = f"{name:<{NAME_WIDTH}} |"
        if self._colour:
            colour = COLOURS[sum(name.encode()) % len(COLOURS)]
            prefix = f"\033[{colour}m{prefix}\033[0m"
        self._print(f"{prefix} {text}")

    def _print(self, text: str) -> None:
        if self._console is None:
            return
        try:
            self._console.write(text + "\n")
            self._console.flush()
        except (OSError, ValueError):
            # The reader of a pipe has gone; the files go on. Python would try to flush again at exit.
            self._console = None
            sys.stdout = sys.stderr
