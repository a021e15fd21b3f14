"""The deadline of a step, and how to stop it from another thread."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import structlog

from pixelbloom.errors import StepError, StepTimeout

log = structlog.get_logger(__name__)


class CallControl:
    """Shared by the thread that executes a step and the watchdog that may stop it.

    The worker calls `check` between tokens; the watchdog calls `stop`, which also wakes a blocked read through the
    callbacks registered with `abortable`. Every method may be called from any thread.
    """

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline = time.monotonic() + deadline_seconds
        self._lock = threading.Lock()
        self._error: StepError | None = None
        self._aborts: list[Callable[[], None]] = []

    def remaining(self) -> float:
        """Return the seconds left until the deadline, at least 0."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the deadline passed."""
        return time.monotonic() >= self._deadline

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._error is not None

    def check(self) -> None:
        """Raise the error of `stop`, or StepTimeout past the deadline; otherwise return."""
        if self._error is not None:
            raise self._error
        if self.expired:
            raise StepTimeout("The step did not finish before its deadline.")

    def stop(self, error: StepError) -> None:
        """End the step with `error`, at once if it is in an abortable call. Only the first call counts."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            aborts = tuple(self._aborts)
        for abort in aborts:
            self._run(abort)

    @contextlib.contextmanager
    def abortable(self, abort: Callable[[], None]) -> Iterator[None]:
        """Let `stop` call `abort`, which must not block, while the body runs; at once if `stop` was called before."""
        with self._lock:
            late = self._error is not None
            self._aborts.append(abort)
        try:
            if late:
                self._run(abort)
            yield
        finally:
            with self._lock:
                self._aborts.remove(abort)

    @staticmethod
    def _run(abort: Callable[[], None]) -> None:
        try:
            abort()
        except Exception:
            log.exception("abort_failed")
