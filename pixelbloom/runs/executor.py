"""Executes one step: claim it, run its agent under the lease, publish progress, record the result.

There is one execution path for the steps of workflows and for single agents.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from pixelbloom.agents import registry
from pixelbloom.agents.base import AgentContext
from pixelbloom.agents.conversation_reader import ConversationReader
from pixelbloom.agents.lead_reader import LeadReader
from pixelbloom.errors import InvalidInput, PixelBloomError, StepError, Unavailable
from pixelbloom.events.emitter import DeltaSender, TokenEmitter
from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.runs.dispatcher import Dispatcher, UpdatePublisher
from pixelbloom.runs.leases import Claim, Ending, Lease, LeaseKeeper, Rendered, WorkerStopping
from pixelbloom.runs.store import RunStore
from pixelbloom.telemetry import tracing
from pixelbloom.telemetry.recorder import DISCARD, Recorder

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: How long a worker retries to claim a step or to record its result while the database is unreachable.
PATIENCE_SECONDS = 300.0
PATIENT = Retrying(
    retry=retry_if_exception_type(Unavailable),
    wait=wait_exponential_jitter(initial=0.2, max=5.0),
    stop=stop_after_delay(PATIENCE_SECONDS),
    reraise=True,
)


class StepExecutor:
    """Executes the step that a message names."""

    def __init__(
        self,
        *,
        store: RunStore,
        updates: UpdatePublisher,
        deltas: DeltaSender,
        dispatcher: Dispatcher,
        leases: LeaseKeeper,
        models: ModelManager,
        render: Callable[[Claim], Rendered | Ending],
        leads_of: Callable[[UUID | None], LeadReader],
        conversations_of: Callable[[UUID | None], ConversationReader],
        worker: str,
        metrics: Recorder = DISCARD,
    ) -> None:
        self._store = store
        self._updates = updates
        self._deltas = deltas
        self._dispatcher = dispatcher
        self._leases = leases
        self._models = models
        self._render = render
        self._leads_of = leads_of
        self._conversations_of = conversations_of
        self._worker = worker
        self._metrics = metrics

    def run(self, run_id: UUID, key: str) -> str:
        """Execute the step if it is still pending.

        Return the step's outcome ("completed", "skipped", "waiting", "expanded", "failed", "continued", "retried",
        "handed_back", "cancelled"), or why this call did nothing ("done", "over", "leased", "not_ready", "gone",
        "already", "stale").
        Raises Unavailable if the database stays unreachable; the sweep then finds the step.
        """
        claim_id = uuid4().hex
        result = retry_unavailable(lambda: self._store.claim(run_id, key, self._worker, claim_id))
        if result["outcome"] != "claimed":
            return str(result["outcome"])
        claim = Claim.from_result(run_id, key, result)
        if claim.correlation_id is not None:
            tracing.annotate(request_id=claim.correlation_id)
        with structlog.contextvars.bound_contextvars(request_id=claim.correlation_id):
            log.info("step_started", agent_type=claim.agent_type, attempt=claim.attempt)
            began, label = time.perf_counter(), claim.agent_type or claim.kind
            self._metrics.step_claimed(label, claim.attempt)
            self._updates.publish([claim.update])
            ending = self._attempt(claim)
            outcome = self._finish(claim, ending)
            self._metrics.step_ended(label, outcome, time.perf_counter() - began, ending.get("provider"))
            return outcome

    def _attempt(self, claim: Claim) -> Ending:
        """Run the attempt and return the ending to record."""
        try:
            if claim.spec is None:
                return self._run_agent(claim, claim.input)
            rendered = self._render(claim)
            return rendered if isinstance(rendered, dict) else self._run_agent(claim, rendered.input)
        except WorkerStopping as error:
            return claim.handed_back(error.message, error.code)
        except StepError as error:
            return claim.failed(error.message, error.code, retryable=error.retryable)
        except InvalidInput as error:
            return claim.failed(error.message, error.code, retryable=False)
        except PixelBloomError as error:
            return claim.failed(error.message, error.code, retryable=True)
        except Exception:
            log.exception("step_crashed", agent_type=claim.agent_type)
            return claim.failed("The agent failed unexpectedly and is retried.", "INTERNAL", retryable=True)

    def _run_agent(self, claim: Claim, input: dict[str, Any]) -> Ending:
        assert claim.agent_type is not None
        agent = registry.get(claim.agent_type)
        control = CallControl(claim.timeout_seconds)
        with (
            self._leases.hold(Lease(claim.run_id, claim.key, claim.token, control)),
            TokenEmitter(
                self._deltas,
                run_id=claim.run_id,
                step=claim.key,
                execution=claim.token,
                rev=claim.update["rev"],
                progress_of=lambda tokens: claim.progress + claim.share * min(0.95, 0.05 + tokens / agent.max_tokens),
            ) as stream,
        ):
            context = AgentContext(
                run_id=claim.run_id,
                step=claim.key,
                attempt=claim.attempt,
                user_id=claim.user_id,
                models=self._models,
                control=control,
                stream=stream,
                leads=self._leads_of(claim.user_id),
                conversations=self._conversations_of(claim.user_id),
            )
            try:
                outcome = agent.run(input, context)
            except Exception:
                control.check()  # a stop from outside is the reason, whatever error the agent raised
                raise
        return claim.completed(outcome, input)

    def _finish(self, claim: Claim, ending: Ending) -> str:
        where = {"run_id": str(claim.run_id), "key": claim.key, "token": claim.token}
        try:
            result = retry_unavailable(lambda: self._store.finish({**where, **ending}))
        except InvalidInput as error:
            ending = claim.failed("The step's result cannot be stored.", error.code, retryable=True)
            result = retry_unavailable(lambda: self._store.finish({**where, **ending}))
        self._dispatcher.publish(result["publish"])
        if result["outcome"] != "recorded":
            log.warning("step_lost", outcome=result["outcome"], attempt=claim.attempt)
            return str(result["outcome"])
        self._updates.publish([result["update"]])
        status, became = result["update"]["status"], result["became"]
        if ending["what"] == "handed_back":
            log.info("step_handed_back", became=became, run_status=status)
        elif ending["what"] != "failed":
            log.info("step_ended", what=became, provider=ending.get("provider"), run_status=status)
        else:
            log.warning("step_failed", code=ending["error_code"], reason=ending["error"], run_status=status)
        return str(became)


def retry_unavailable(call: Callable[[], T]) -> T:
    """Call, and retry while the database is unreachable. Safe because every transition is idempotent."""
    return PATIENT(call)
