"""One process of the stack: it ends with this process, its output is recorded, and it is always stopped."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pixelbloom.errors import StackError
from pixelbloom.local.identity import Identity
from pixelbloom.local.leftovers import end_group
from pixelbloom.local.output import Output

LAUNCHER = Path(__file__).with_name("launch.py")
LONGEST_LINE = 64 * 1024
#: Seconds between the stop signal and SIGKILL.
GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Command:
    """What to run. `env` is added to the environment; `before` runs ahead of each start, and may repair its state."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    launch: Sequence[str] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    before: Callable[[], None] | None = None
    cwd: Path | None = None


class Child:
    """A running command. Start it from a thread that outlives it: Linux ends it with that thread."""

    def __init__(self, command: Command, records: Path, output: Output) -> None:
        self.command = command
        self.name = command.name
        self._record = records / f"{command.name}.json"
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def started(self) -> bool:
        """Return whether it was ever started."""
        return self._process is not None

    def start(self) -> None:
        """Start it, in a process group of its own: a Ctrl-C at the terminal reaches only the supervisor."""
        if self.command.before is not None:
            self.command.before()
        self._output.begin(self.name)
        launcher = [
            *(sys.executable, "-I", "-S", str(LAUNCHER)),
            *("--parent", str(os.getpid()), "--on-death", str(int(self.command.stop_signal))),
            *self.command.launch,
        ]
        try:
            self._process = subprocess.Popen(
                [*launcher, "--", *self.command.argv],
                env={**os.environ, **self.command.env},
                cwd=self.command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        except OSError as error:
            raise StackError(f"{self.name}: cannot start a process: {error.strerror}") from None
        identity = Identity.of(self._process.pid)
        if identity is not None:
            self._record.write_text(json.dumps({"pid": identity.pid, "started": identity.started}))
        assert self._process.stdout is not None
        self._pump = threading.Thread(
            target=self._read, args=(self._process.stdout,), name=f"log-{self.name}", daemon=True
        )
        self._pump.start()

    def exit_code(self) -> int | None:
        """Return the exit code, or a negative signal number. None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its group."""
        if self.exit_code() is None:
            self._process.send_signal(number)  # type: ignore[union-attr]

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Send the stop signal, wait `grace` seconds, then kill its whole group. Safe to repeat."""
        if self._process is None:
            return
        self.signal(self.command.stop_signal)
        deadline = time.monotonic() + grace
        while self.exit_code() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.kill()

    def kill(self) -> None:
        """Kill it and its descendants at once."""
        if self._process is None:
            return
        end_group(self._process.pid)
        self._process.wait()
        self._record.unlink(missing_ok=True)
        if self._pump is not None:
            self._pump.join(timeout=1)

    def last_words(self) -> str:
        """Return the end of its output, for an error message."""
        if self._pump is not None and self.exit_code() is not None:
            self._pump.join(timeout=1)
        return self._output.tail(self.name)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(LONGEST_LINE):
                self._output.line(self.name, line.decode(errors="replace").rstrip())
