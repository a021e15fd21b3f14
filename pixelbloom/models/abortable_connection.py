"""The sockets and the time limit of one call to a provider."""

import contextlib
import os
import socket
import threading
import time
from types import TracebackType

from pixelbloom.models.control import CallControl
from pixelbloom.models.failures import ProviderTimeout


class AbortableConnection:
    """Shuts the sockets of a call on timeout or when the step is stopped.

    Only `shutdown`, not `close`, wakes a blocked read. We shut a duplicate of the descriptor, which stays valid when
    TLS wraps the socket or the client closes it, so that no other socket can be shut by mistake.
    """

    def __init__(self, control: CallControl, seconds: float) -> None:
        self.seconds = seconds
        self._control = control
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._timed_out = False
        self._timer = threading.Timer(max(0.0, seconds), self._on_timeout)
        self._timer.daemon = True
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "AbortableConnection":
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
        """Return the seconds left for the call, at least 0.001: socket timeouts must not be 0."""
        return max(0.001, self._deadline - time.monotonic())

    def attach(self, sock: socket.socket) -> None:
        """Register a connected socket of the call."""
        duplicate = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
        with self._lock:
            self._sockets.append(duplicate)
            late = self._cut
        if late:
            self._shut(duplicate)

    def cut(self) -> None:
        """Shut the sockets now, which wakes blocked reads and writes. Callable from any thread, more than once."""
        with self._lock:
            self._cut = True
            for sock in self._sockets:
                self._shut(sock)

    def check(self) -> None:
        """Raise StepCancelled, StepTimeout or ProviderTimeout if the call must end."""
        self._control.check()
        if self._timed_out or time.monotonic() >= self._deadline:
            raise ProviderTimeout(f"no complete reply within {self.seconds:.3g} s")

    def _on_timeout(self) -> None:
        self._timed_out = True
        self.cut()

    @staticmethod
    def _shut(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
