"""The deadline of a step, and the way to end it from another thread."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import structlog

from pixelbloom.errors import StepError, StepTimeout

log = structlog.get_logger(__name__)


class CallControl:
    """Shared by the thread that works on a step and the watchdog that may end it.

    The worker asks `check` between tokens; the watchdog calls `stop`, which also wakes a blocked read
    through whatever the worker attached with `abortable`. Every method may be called from any thread.
    """

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline = time.monotonic() + deadline_seconds
        self._lock = threading.Lock()
        self._error: StepError | None = None
        self._aborts: list[Callable[[], None]] = []

    def remaining(self) -> float:
        """Seconds left until the deadline, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the deadline passed."""
        return time.monotonic() >= self._deadline

    @property
    def stopped(self) -> bool:
        """Whether somebody called `stop`."""
        return self._error is not None

    def check(self) -> None:
        """Raise what `stop` was given, or StepTimeout past the deadline; otherwise return."""
        if self._error is not None:
            raise self._error
        if self.expired:
            raise StepTimeout("The step did not finish before its deadline.")

    def stop(self, error: StepError) -> None:
        """End the step with `error`, at once where it is in an abortable call. The first call counts."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            aborts = tuple(self._aborts)
        for abort in aborts:
            self._run(abort)

    @contextlib.contextmanager
    def abortable(self, abort: Callable[[], None]) -> Iterator[None]:
        """While inside, `stop` also calls `abort`, which must not block; at once where `stop` came first."""
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
