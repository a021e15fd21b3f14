"""A circuit breaker for each provider, so that a dead one does not cost every run a timeout."""

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
#: Seconds until one call may try again.
RETRY_AFTER = 30.0


class _Failed(Exception):
    """Told to pybreaker in place of the real failure."""


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
    """Counts failures in a row; open, it refuses at once; after a while it lets one call through to see.

    pybreaker holds its lock while the guarded function runs, which would let one model call run at a time.
    So a call runs outside, and pybreaker is told of its end. Whether a trial is on its way is ours to know.
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
        """Whether calls are refused, or let through one by one to see."""
        return self._memory.state != pybreaker.STATE_CLOSED

    @property
    def retry_after(self) -> float:
        """Seconds between opening and the next trial."""
        return float(self._breaker.reset_timeout)

    @retry_after.setter
    def retry_after(self, seconds: float) -> None:
        self._breaker.reset_timeout = seconds

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Run one call inside. Raises CircuitOpen instead where the provider is taken for dead.

        Only a ProviderFailure that is not `alive` counts against the provider; a cancelled step says nothing.
        """
        trial = self._admit()
        try:
            yield
        except ProviderFailure as failure:
            self._tell(well=failure.alive)
            raise
        else:
            self._tell(well=True)
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
                raise CircuitOpen(f"{self._breaker.name} failed too often and is left alone for a while")
            self._trial = True
            return True

    def _tell(self, *, well: bool) -> None:
        def end() -> None:
            if not well:
                raise _Failed

        with contextlib.suppress(_Failed, pybreaker.CircuitBreakerError):
            self._breaker.call(end)
