"""Renews the leases of a worker process, and stops steps that must stop.

One thread per process renews all leases in one call, learns of cancelled runs and lost leases from the result, and
stops steps past their deadline. A blocked read ends because the step's control shuts its socket.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from pixelbloom.errors import PixelBloomError, StepCancelled, StepError, StepTimeout
from pixelbloom.models.control import CallControl

log = structlog.get_logger(__name__)

TICK_SECONDS = 0.25
RENEW_SECONDS = 1.0


class WorkerStopping(StepError):
    """The worker is stopping; another one takes over the step."""

    code = "WORKER_STOPPING"


@dataclass(frozen=True)
class Lease:
    """The lease of a step; `token` is its fencing token."""

    run_id: UUID
    key: str
    token: int
    control: CallControl

    def item(self) -> dict[str, Any]:
        return {"run_id": str(self.run_id), "key": self.key, "token": self.token}


class LeaseKeeper:
    """The leases that this process holds."""

    def __init__(self, renew: Callable[[Sequence[dict[str, Any]]], Sequence[dict[str, Any]]]) -> None:
        self._renew = renew
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._held = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False

    @contextmanager
    def hold(self, lease: Lease) -> Iterator[None]:
        """Renew this lease while the body runs."""
        with self._lock:
            self._leases.add(lease)
            self._held.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        if self._stopping:
            _stop(lease)
        try:
            yield
        finally:
            with self._lock:
                self._leases.discard(lease)
                if not self._leases:
                    self._held.clear()

    def cancel(self, run_id: UUID) -> int:
        """Stop this process's steps of a cancelled run. Return the number stopped."""
        stopped = [lease for lease in self._snapshot() if lease.run_id == run_id]
        for lease in stopped:
            lease.control.stop(StepCancelled("The run was cancelled."))
        return len(stopped)

    def stop_all(self) -> None:
        """Stop all current steps and each later one, so that other workers can take them over."""
        self._stopping = True
        for lease in self._snapshot():
            _stop(lease)

    def _snapshot(self) -> list[Lease]:
        with self._lock:
            return list(self._leases)

    def _run(self) -> None:
        next_renewal = time.monotonic() + RENEW_SECONDS
        while True:
            self._held.wait()
            time.sleep(TICK_SECONDS)
            for lease in self._snapshot():
                if lease.control.expired:
                    lease.control.stop(StepTimeout("The step did not end before its deadline."))
            if time.monotonic() >= next_renewal:
                self._renew_all()
                next_renewal = time.monotonic() + RENEW_SECONDS

    def _renew_all(self) -> None:
        leases = self._snapshot()
        if not leases:
            return
        try:
            results = self._renew([lease.item() for lease in leases])
        except PixelBloomError as error:
            log.warning("leases_not_renewed", count=len(leases), reason=error.message)
            return
        except Exception:
            log.exception("leases_not_renewed", count=len(leases))
            return
        for lease, result in zip(leases, results, strict=True):
            if result["cancel"]:
                lease.control.stop(StepCancelled("The run was cancelled."))
            elif not result["held"]:
                lease.control.stop(StepCancelled("Another worker has this step now."))


def _stop(lease: Lease) -> None:
    lease.control.stop(WorkerStopping("The worker was stopped; another one takes over the step."))
