"""Workers that a test starts, stops and restarts itself, with options of its own, as an operator does."""

import itertools
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from pixelbloom.local.roles import command
from tests.waiting import SECONDS


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
        self.process.wait(SECONDS)
        self._log.close()


class Supervisor:
    """Starts each worker that ended again, as in production, and stores the output of those that ended."""

    def __init__(self, env: Mapping[str, str], folder: Path, roles: Iterable[str], *options: str) -> None:
        self._env, self._folder, self._options = env, folder, options
        self.running = {role: self._start(role) for role in roles}
        self.ended: list[tuple[str, int, str]] = []
        self.outputs: list[str] = []

    def _start(self, role: str) -> WorkerProcess:
        options = ("--stop-grace=1",) if role == "agents" else ()
        return WorkerProcess(role, self._env, self._folder, *self._options, *options)

    def look(self) -> None:
        for role, worker in self.running.items():
            code = worker.process.poll()
            if code is not None:
                self.ended.append((role, code, worker.output))
                self.outputs.append(worker.output)
                worker.end()
                self.running[role] = self._start(role)

    def close(self) -> None:
        for worker in self.running.values():
            self.outputs.append(worker.output)
            worker.end()
