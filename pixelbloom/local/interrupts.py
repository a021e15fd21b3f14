"""Waiting that a signal ends: a request to stop, or the death of a child."""

import contextlib
import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """Somebody asked us to stop."""


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP are requests to stop, seen at the next wait. Main thread only."""

    def __init__(self) -> None:
        self.stops = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            self._before[number] = signal.signal(number, self._note)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> None:
        """Wait, at most `seconds`, until any signal comes. Raises StopRequested where one asked us to stop."""
        if not self.stops:
            select.select([self._reader], [], [], seconds)
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)
        if self.stops:
            raise StopRequested

    def _note(self, number: int, _: FrameType | None) -> None:
        if number in STOP_SIGNALS:
            self.stops += 1
