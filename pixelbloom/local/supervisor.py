"""Supervises processes: restarts with backoff those that die, and stops all of them."""

import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from pixelbloom.local.child import Child
from pixelbloom.local.output import Output

POLL_SECONDS = 0.2
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 30.0
#: A process that ran for this many seconds starts with the first backoff again.
HEALTHY_SECONDS = 60.0
#: Seconds for processes to finish their running work; the servers get their own few seconds after it.
STOP_SECONDS = 9.0


class Stopped(Exception):
    """A stop was requested while starting."""


class StopRequest:
    """SIGINT, SIGTERM and SIGHUP as an event."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def listen(self) -> None:
        """Install the signal handlers; a second Ctrl-C changes nothing."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    @property
    def made(self) -> bool:
        return self._event.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, but raise Stopped as soon as a stop is requested."""
        if self._event.wait(seconds):
            raise Stopped


@dataclass
class _Watched:
    child: Child
    started: float = field(default_factory=time.monotonic)
    backoff: float = FIRST_BACKOFF_SECONDS
    again_at: float | None = None


class Supervisor:
    """Watches children that are already started."""

    def __init__(self, children: Sequence[Child], output: Output) -> None:
        self._watched = [_Watched(child) for child in children]
        self._output = output

    def watch(self, stop: StopRequest) -> None:
        """Restart processes that die. Raises Stopped on a stop request. Call it from the thread that started them."""
        while True:
            for watched in self._watched:
                self._look(watched)
            stop.pause(POLL_SECONDS)

    def _look(self, watched: _Watched) -> None:
        now = time.monotonic()
        if watched.again_at is not None:
            if now >= watched.again_at:
                self._start(watched)
            return
        code = watched.child.exit_code()
        if code is None:
            return
        watched.child.kill()  # its descendants must not outlive it
        if now - watched.started > HEALTHY_SECONDS:
            watched.backoff = FIRST_BACKOFF_SECONDS
        self._output.say(f"{watched.child.name} ended ({reason(code)}); starting it again in {watched.backoff:g} s")
        watched.again_at = now + watched.backoff
        watched.backoff = min(watched.backoff * 2, MAX_BACKOFF_SECONDS)

    def _start(self, watched: _Watched) -> None:
        watched.started = time.monotonic()
        watched.again_at = None
        try:
            watched.child.start()
        except Exception as error:  # the others go on; this one is tried again
            self._output.say(f"{watched.child.name} could not be started: {error}")
            watched.again_at = watched.started + watched.backoff
            return
        self._output.say(f"{watched.child.name} is running again")


def stop_together(children: Sequence[Child], seconds: float = STOP_SECONDS) -> None:
    """Send the stop signal to all at once, and kill those that still run after the time."""
    for child in children:
        child.signal(child.command.stop_signal)
    deadline = time.monotonic() + seconds
    for child in children:
        child.stop(max(deadline - time.monotonic(), 0))


def reason(code: int) -> str:
    """Describe how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
