"""A circuit breaker per provider, so that an unreachable one does not cost every run a timeout."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pybreaker
import structlog

from pixelbloom.models.failures import CircuitOpen, ProviderFailure

log = structlog.get_logger(__name__)

#: Failures in a row that open the circuit.
FAILURES = 5
#: Seconds until one trial call is allowed.
RETRY_AFTER = 30.0


class _Failed(Exception):
    """Raised to pybreaker instead of the real failure."""


class _Watcher(pybreaker.CircuitBreakerListener):
    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        log.warning(
            "model_breaker_changed",
            provider=cb.name,
            old_state=old_state.name if old_state else None,
            new_state=new_state.name,
        )


class Breaker:
    """Counts consecutive failures. Open, it rejects calls at once; after a while it allows one trial call.

    pybreaker holds its lock while the guarded function runs, which would serialize model calls. So calls run outside of
    it, and only their outcome is reported to pybreaker. This class tracks whether a trial call is in progress.
    """

    def __init__(self, name: str, failures: int = FAILURES, retry_after: float = RETRY_AFTER) -> None:
        self._memory = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=retry_after,
            state_storage=self._memory,
            name=name,
            listeners=[_Watcher()],
        )
        self._lock = threading.Lock()
        self._trial = False

    @property
    def is_open(self) -> bool:
        """Whether calls are rejected, or allowed one at a time as a trial."""
        return self._memory.state != pybreaker.STATE_CLOSED

    @property
    def retry_after(self) -> float:
        """Seconds between opening and the next trial call."""
        return float(self._breaker.reset_timeout)

    @retry_after.setter
    def retry_after(self, seconds: float) -> None:
        self._breaker.reset_timeout = seconds

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Guard one call. Raises CircuitOpen if the circuit is open.

        Only a ProviderFailure that is not `alive` counts as a failure; a cancelled step does not count.
        """
        trial = self._admit()
        try:
            yield
        except ProviderFailure as failure:
            self._report(well=failure.alive)
            raise
        else:
            self._report(well=True)
        finally:
            if trial:
                with self._lock:
                    self._trial = False

    def _admit(self) -> bool:
        with self._lock:
            if not self.is_open:
                return False
            opened = self._memory.opened_at
            waiting = opened is not None and datetime.now(UTC) < opened + timedelta(seconds=self.retry_after)
            if waiting or self._trial:
                raise CircuitOpen(f"{self._breaker.name} failed repeatedly and is skipped for a while")
            self._trial = True
            return True

    def _report(self, *, well: bool) -> None:
        def end() -> None:
            if not well:
                raise _Failed

        with contextlib.suppress(_Failed, pybreaker.CircuitBreakerError):
            self._breaker.call(end)
