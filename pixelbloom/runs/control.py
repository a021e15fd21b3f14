"""Operations on existing runs: cancel, retry, replay and decide an approval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from pixelbloom.errors import Conflict, Forbidden, NotFound
from pixelbloom.runs.model import Run
from pixelbloom.runs.service import Accepted, RunService, Terms
from pixelbloom.runs.status import Priority
from pixelbloom.runs.store import RunStore

MAX_RETRIED = 200


@dataclass(frozen=True)
class Retried:
    """The result of retrying many runs. `skipped` counts those that were retried or deleted meanwhile."""

    run_ids: tuple[UUID, ...]
    skipped: int


class Repeats(Protocol):
    """Creates a run from the source of an earlier one: the service of agent runs, or that of workflows."""

    def again(self, source: Mapping[str, Any], terms: Terms) -> Accepted: ...


class RunControl:
    """Changes runs. The caller's permission is checked before. Every method may raise Unavailable.

    `publish` queues admitted steps, the runs' updates, and the run that workers must stop.
    """

    def __init__(self, store: RunStore, runs: RunService, workflows: Repeats, publish: Callable[..., None]) -> None:
        self._store = store
        self._runs = runs
        self._workflows = workflows
        self._publish = publish

    def cancel(self, run: Run) -> Run:
        """Cancel the run (`POST /api/agents/runs/{request_id}/cancel`); a running step stops within a second.

        Raises Conflict if it has completed or failed. Cancelling again changes nothing.
        """
        result = self._store.cancel(run.id)
        if result["outcome"] == "gone":
            raise NotFound("There is no such run.")
        if result["outcome"] == "finished":
            if result["status"] != "cancelled":
                raise Conflict(f"The run has {result['status']}; only a queued or running run can be cancelled.")
        else:
            self._publish(result["publish"], [result["update"]], stop=run.id)
        return self._runs.get(run.id)

    def retry(self, run: Run) -> Run:
        """Resume from the failed or cancelled steps; completed steps are not repeated. Raises Conflict."""
        result = self._store.retry([run.id])
        [item] = result["items"]
        if item["outcome"] == "gone":
            raise NotFound("There is no such run.")
        if item["outcome"] == "not_failed":
            raise Conflict(
                f"The run is {item['status']}; only a failed or cancelled run can be retried. Replay makes a new run."
            )
        self._publish(result["publish"], [item["update"]])
        return self._runs.get(run.id)

    def retry_many(self, run_ids: Sequence[UUID]) -> Retried:
        """Retry at most MAX_RETRIED runs; those that have not failed are skipped."""
        if not run_ids:
            return Retried((), 0)
        result = self._store.retry(run_ids[:MAX_RETRIED])
        done = [(i, item) for i, item in zip(run_ids, result["items"], strict=True) if item["outcome"] == "retried"]
        self._publish(result["publish"], [item["update"] for _, item in done])
        return Retried(tuple(i for i, _ in done), len(run_ids) - len(done))

    def replay(self, run: Run, *, caller: str, correlation_id: str | None) -> Accepted:
        """Submit a new run of the same agent or workflow version, with the same inputs, for the same user."""
        source = self._store.source(run.id)
        terms = Terms(
            caller=caller,
            user_id=run.user_id,
            metadata=run.metadata,
            correlation_id=correlation_id,
            priority=Priority.of(source["priority"]),
            webhook_url=run.webhook_url,
            replay_of=run.id,
        )
        return (self._runs if run.kind == "agent" else self._workflows).again(source, terms)

    def decide(
        self, run: Run, key: str, *, approved: bool, comment: str | None, by: str, is_admin: Callable[[], bool]
    ) -> Run:
        """Approve or reject a waiting step. The same decision again changes nothing.

        `is_admin` returns whether `by` is an administrator or a service. Raises NotFound, Forbidden and Conflict.
        """
        step = next((step for step in run.steps if step.key == key and step.kind == "approval"), None)
        if step is None:
            raise NotFound("The run has no step of that key that waits for a decision.")
        if step.approvers == "admin" and not is_admin():
            raise Forbidden("Only an administrator or a service may decide this step.")
        result: dict[str, Any] = self._store.decide(run.id, key, approved=approved, comment=comment, by=by)
        if result["outcome"] == "gone":
            raise NotFound("There is no such step, or it is not an approval.")
        if result["outcome"] == "not_waiting":
            raise Conflict(f"The step is {result['status']}; only a waiting step can be decided.")
        if result["outcome"] == "decided":
            self._publish(result["publish"], [result["update"]])
        return self._runs.get(run.id)
