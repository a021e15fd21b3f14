"""Workers that a test starts, stops and restarts itself, with options of its own, as an operator does."""

import itertools
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pixelbloom.local.roles import command

SECONDS = 90


class WorkerProcess:
    """A worker of a role; its output goes to a file in the folder."""

    _numbers = itertools.count(1)

    def __init__(self, role: str, env: Mapping[str, str], folder: Path, *options: str) -> None:
        self.name = f"{role}-own-{next(self._numbers)}"
        self._log: IO[str] = (folder / f"{self.name}.log").open("w+")
        started = command(role, env)
        argv = [part.replace(f"{role}@", f"{self.name}@") for part in started.argv]
        self.process = subprocess.Popen(
            [*argv, *options],
            env=dict(started.env),
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> None:
        """SIGTERM, and wait for its orderly end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SECONDS) == 0, self.output

    def end(self) -> None:
        """SIGKILL. Safe to repeat."""
        self.process.kill()
        self.process.wait()
        self._log.close()
