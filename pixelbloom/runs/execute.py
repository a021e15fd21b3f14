"""Executes one step: claim it, run its agent under the lease, tell the progress, record the end.

There is one execution path, for the steps of workflows and for single agents.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from pixelbloom.agents import registry
from pixelbloom.agents.context import AgentContext, AgentOutcome
from pixelbloom.agents.leads import LeadReader
from pixelbloom.errors import InvalidInput, PixelBloomError, StepError, StepRejected, Unavailable
from pixelbloom.events.emitter import TokenEmitter
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.types import RunUpdate
from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.runs.dispatch import Dispatcher
from pixelbloom.runs.leases import Lease, LeaseKeeper, WorkerStopping
from pixelbloom.store.grouping import storable_size
from pixelbloom.store.runs import RunStore

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: How long a worker holds on to a step, or to its result, while the database is away.
PATIENCE_SECONDS = 300.0
MAX_OUTPUT_BYTES = 512 * 1024
MAX_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True)
class Claim:
    """A step that this process holds."""

    run_id: UUID
    key: str
    token: int
    attempt: int
    agent_type: str
    input: dict[str, Any]
    timeout_seconds: float
    user_id: UUID | None
    correlation_id: str | None
    progress: float
    share: float
    update: dict[str, Any]

    @classmethod
    def from_answer(cls, run_id: UUID, key: str, answer: dict[str, Any]) -> "Claim":
        return cls(
            run_id=run_id,
            key=key,
            token=answer["token"],
            attempt=answer["attempt"],
            agent_type=answer["agent_type"],
            input=answer["input"],
            timeout_seconds=answer["timeout_seconds"],
            user_id=UUID(answer["user_id"]) if answer["user_id"] else None,
            correlation_id=answer["correlation_id"],
            progress=answer["update"]["progress"],
            share=answer["share"],
            update=answer["update"],
        )


def backoff_seconds(attempt: int) -> float:
    """How long to wait before the next attempt: doubling, bounded, with jitter."""
    ceiling: float = min(2.0 ** (attempt - 1), MAX_BACKOFF_SECONDS)
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311  (jitter, not a secret)


class StepExecutor:
    """What a worker does with a message that names a step."""

    def __init__(
        self,
        *,
        store: RunStore,
        publisher: Publisher,
        dispatcher: Dispatcher,
        leases: LeaseKeeper,
        models: ModelManager,
        leads_of: Callable[[UUID | None], LeadReader],
        worker: str,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._dispatcher = dispatcher
        self._leases = leases
        self._models = models
        self._leads_of = leads_of
        self._worker = worker

    def run(self, run_id: UUID, key: str) -> str:
        """Execute the step if it is still to be done.

        Answers "completed", "failed" or "retried" for what this call did, or why it did nothing: "done", "leased",
        "not_ready", "gone". Raises Unavailable when the database stays away; the sweep then finds the step.
        """
        word = uuid4().hex
        answer = patiently(lambda: self._store.claim(run_id, key, self._worker, word))
        if answer["outcome"] != "claimed":
            return str(answer["outcome"])
        claim = Claim.from_answer(run_id, key, answer)
        with structlog.contextvars.bound_contextvars(request_id=claim.correlation_id):
            log.info("step_started", agent_type=claim.agent_type, attempt=claim.attempt)
            self._tell(claim.update)
            return self._finish(claim, self._attempt(claim))

    def _attempt(self, claim: Claim) -> dict[str, Any]:
        """Run the agent once; answers what to record."""
        control = CallControl(claim.timeout_seconds)
        try:
            agent = registry.get(claim.agent_type)
            with (
                self._leases.hold(Lease(claim.run_id, claim.key, claim.token, control)),
                TokenEmitter(
                    self._publisher,
                    run_id=claim.run_id,
                    step=claim.key,
                    attempt=claim.attempt,
                    rev=claim.update["rev"],
                    progress_of=lambda tokens: (
                        claim.progress + claim.share * min(0.95, 0.05 + tokens / agent.max_tokens)
                    ),
                ) as stream,
            ):
                outcome = agent.run(
                    claim.input,
                    AgentContext(
                        run_id=claim.run_id,
                        step=claim.key,
                        attempt=claim.attempt,
                        user_id=claim.user_id,
                        models=self._models,
                        control=control,
                        stream=stream,
                        leads=self._leads_of(claim.user_id),
                    ),
                )
            return completion(outcome)
        except StepError as error:
            return failure(claim, error.message, error.code, retryable=error.retryable, at_once=_handed_back(error))
        except InvalidInput as error:
            return failure(claim, error.message, error.code, retryable=False)
        except PixelBloomError as error:
            return failure(claim, error.message, error.code, retryable=True)
        except Exception:
            log.exception("step_crashed", agent_type=claim.agent_type)
            return failure(claim, "The agent failed unexpectedly; it is tried again.", "INTERNAL", retryable=True)

    def _finish(self, claim: Claim, ending: dict[str, Any]) -> str:
        item = {"run_id": str(claim.run_id), "key": claim.key, "token": claim.token, **ending}
        try:
            answer = patiently(lambda: self._store.finish(item))
        except InvalidInput as error:
            ending = failure(claim, "The agent's result cannot be stored.", error.code, retryable=True)
            answer = patiently(lambda: self._store.finish({**item, "completed": False, "output": None, **ending}))
        self._dispatcher.publish(answer["publish"])
        if answer["outcome"] != "recorded":
            log.warning("step_lost", outcome=answer["outcome"], attempt=claim.attempt)
            return str(answer["outcome"])
        self._tell(answer["update"])
        status = answer["update"]["status"]
        if ending["completed"]:
            log.info("step_completed", provider=ending["provider"], model=ending["model"], run_status=status)
            return "completed"
        log.warning("step_failed", code=ending["error_code"], reason=ending["error"], run_status=status)
        return "failed" if status == "failed" else "retried"

    def _tell(self, update: dict[str, Any]) -> None:
        """Publish at once; where Redis does not answer, the outbox row tells it later."""
        try:
            self._publisher.run_update(RunUpdate.from_payload(update))
        except Exception as error:
            log.warning("update_left_to_outbox", reason=type(error).__name__)


def _handed_back(error: StepError) -> bool:
    return isinstance(error, WorkerStopping)


def completion(outcome: AgentOutcome) -> dict[str, Any]:
    """What to record of a step that its agent brought to an end. Raises StepRejected for a result that is too large."""
    ending = {
        "completed": True,
        "output": outcome.output,
        "provider": outcome.provider,
        "model": outcome.model,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
    }
    if storable_size(ending) > MAX_OUTPUT_BYTES:
        raise StepRejected(f"The agent's result is larger than {MAX_OUTPUT_BYTES // 1024} KiB.")
    return ending


def failure(claim: Claim, message: str, code: str, *, retryable: bool, at_once: bool = False) -> dict[str, Any]:
    """What to record of an attempt that brought no result."""
    return {
        "completed": False,
        "error": message,
        "error_code": code,
        "retryable": retryable,
        "backoff_seconds": 0 if at_once else backoff_seconds(claim.attempt),
    }


def patiently(call: Callable[[], T]) -> T:
    """Call, and again while the database is away. Safe because every transition may be repeated."""
    return Retrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential_jitter(initial=0.2, max=5.0),
        stop=stop_after_delay(PATIENCE_SECONDS),
        reraise=True,
    )(call)
