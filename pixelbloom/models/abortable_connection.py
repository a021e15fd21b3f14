"""The line to a provider: the sockets and the time of one call."""

import contextlib
import os
import socket
import threading
import time
from types import TracebackType

from pixelbloom.models.control import CallControl
from pixelbloom.models.failures import ProviderTimeout


class Line:
    """Cuts the sockets of a call when its time is up or when the step is stopped.

    A read that blocks is woken only by `shutdown`, not by `close`. We shut a duplicate of the descriptor:
    it stays ours when TLS wraps the socket or the client closes it, so no other socket can be hit by mistake.
    """

    def __init__(self, control: CallControl, seconds: float) -> None:
        self.seconds = seconds
        self._control = control
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._timed_out = False
        self._timer = threading.Timer(max(0.0, seconds), self._time_is_up)
        self._timer.daemon = True
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Line":
        self._stack.enter_context(self._control.abortable(self.cut))
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._stack.close()
        with self._lock:
            self._cut = True
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def remaining(self) -> float:
        """Seconds that the call still has, at least a millisecond: socket timeouts take no 0."""
        return max(0.001, self._deadline - time.monotonic())

    def attach(self, sock: socket.socket) -> None:
        """Take charge of a connected socket of the call."""
        twin = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        with self._lock:
            self._sockets.append(twin)
            late = self._cut
        if late:
            self._shut(twin)

    def cut(self) -> None:
        """Wake whoever reads or writes, now. Callable from any thread, more than once."""
        with self._lock:
            self._cut = True
            for sock in self._sockets:
                self._shut(sock)

    def check(self) -> None:
        """Raise StepCancelled, StepTimeout or ProviderTimeout where the call may not go on."""
        self._control.check()
        if self._timed_out or time.monotonic() >= self._deadline:
            raise ProviderTimeout(f"no whole answer within {self.seconds:.3g} s")

    def _time_is_up(self) -> None:
        self._timed_out = True
        self.cut()

    @staticmethod
    def _shut(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
