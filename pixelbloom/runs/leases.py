"""Claimed steps, how they end, and their leases.

One thread per worker process renews all its leases in one call, learns of cancelled runs and lost leases from the
result, and stops steps past their deadline. A blocked read ends because the step's control shuts its socket.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from pixelbloom.agents.base import AgentOutcome
from pixelbloom.database.group_commit import storable_size
from pixelbloom.errors import PixelBloomError, StepCancelled, StepError, StepRejected, StepTimeout
from pixelbloom.models.control import CallControl

MAX_OUTPUT_BYTES = 512 * 1024
MAX_ITEMS_BYTES = 2 * 1024 * 1024

#: One item of `finish_steps`.
Ending = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The input of a step's agent, rendered when the step is claimed."""

    input: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A step claimed by this process. `spec` is the step's workflow definition; an agent run has none."""

    run_id: UUID
    key: str
    token: int
    attempt: int
    kind: str
    agent_type: str | None
    input: dict[str, Any]
    spec: Mapping[str, Any] | None
    context: Mapping[str, Any] | None
    timeout_seconds: float
    user_id: UUID | None
    correlation_id: str | None
    progress: float
    share: float
    update: dict[str, Any]

    @classmethod
    def from_result(cls, run_id: UUID, key: str, result: dict[str, Any]) -> "Claim":
        return cls(
            run_id=run_id,
            key=key,
            token=result["token"],
            attempt=result["attempt"],
            kind=result["kind"],
            agent_type=result["agent_type"],
            input=result["input"],
            spec=result["spec"],
            context=result["context"],
            timeout_seconds=result["timeout_seconds"],
            user_id=UUID(result["user_id"]) if result["user_id"] else None,
            correlation_id=result["correlation_id"],
            progress=result["update"]["progress"],
            share=result["share"],
            update=result["update"],
        )

    def completed(self, outcome: AgentOutcome, input: Mapping[str, Any]) -> Ending:
        """Record the agent's result. Raises StepRejected if it is too large."""
        ending = {
            "what": "completed",
            "input": input,
            "output": outcome.output,
            "provider": outcome.provider,
            "model": outcome.model,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
        }
        if storable_size({"output": outcome.output}) > MAX_OUTPUT_BYTES:
            raise StepRejected(f"The agent's result is larger than {MAX_OUTPUT_BYTES // 1024} KiB.")
        return ending

    def skipped(self) -> Ending:
        """Record that the step's condition is false."""
        return {"what": "skipped"}

    def waiting(self, message: str, approvers: str) -> Ending:
        """Record that the step waits for a decision."""
        return {"what": "waiting", "input": {"message": message, "approvers": approvers}}

    def expanded(self, items: Sequence[Mapping[str, Any]]) -> Ending:
        """Record that the step continues as these items. Raises StepRejected if they are too large together."""
        ending = {"what": "expanded", "items": list(items)}
        if storable_size(ending) > MAX_ITEMS_BYTES:
            raise StepRejected(f"The inputs of the map's items are larger than {MAX_ITEMS_BYTES // 1024} KiB together.")
        return ending

    def handed_back(self, message: str, code: str) -> Ending:
        """Record that this worker stops: another one takes over the step, and no attempt is used up."""
        return {"what": "handed_back", "error": message, "error_code": code}

    def failed(self, message: str, code: str, *, retryable: bool) -> Ending:
        """Record that the attempt failed."""
        return {"what": "failed", "error": message, "error_code": code, "retryable": retryable}


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
