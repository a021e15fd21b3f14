"""What people do to a run that is there: stop it, let it go on, run it again, decide where it waits for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from pixelbloom.errors import Conflict, NotFound
from pixelbloom.runs.model import Priority, Run, Step
from pixelbloom.runs.service import Accepted, RunService, Terms
from pixelbloom.runs.store import RunStore

MAX_RETRIED = 200


@dataclass(frozen=True)
class Retried:
    """What a retry of many did. `skipped` are those that went on, or away, in the meantime."""

    run_ids: tuple[UUID, ...]
    skipped: int


class Repeats(Protocol):
    """What makes a run anew from the source of an earlier one: the service of agents' runs, or that of workflows."""

    def again(self, source: Mapping[str, Any], terms: Terms) -> Accepted: ...


class RunControl:
    """Changes runs. Whether the caller may is decided before. Every method may raise Unavailable.

    `publish` hands on admitted steps, the runs' updates, and the run that workers shall stop.
    """

    def __init__(self, store: RunStore, runs: RunService, workflows: Repeats, publish: Callable[..., None]) -> None:
        self._store = store
        self._runs = runs
        self._workflows = workflows
        self._publish = publish

    def cancel(self, run: Run) -> Run:
        """Ask it to stop (`POST /api/agents/runs/{request_id}/cancel`); a running step stops within a second.

        Raises Conflict where it has completed or failed. To cancel again changes nothing.
        """
        answer = self._store.cancel(run.id)
        if answer["outcome"] == "gone":
            raise NotFound("There is no such run.")
        if answer["outcome"] == "finished":
            if answer["status"] != "cancelled":
                raise Conflict(f"The run has {answer['status']}; only a queued or running run can be cancelled.")
        else:
            self._publish(answer["publish"], [answer["update"]], stop=run.id)
        return self._runs.get(run.id)

    def retry(self, run: Run) -> Run:
        """Go on from the steps that failed or were cancelled; what was done is kept. Raises Conflict."""
        answer = self._store.retry([run.id])
        [item] = answer["items"]
        if item["outcome"] == "gone":
            raise NotFound("There is no such run.")
        if item["outcome"] == "not_failed":
            raise Conflict(
                f"The run is {item['status']}; only a failed or cancelled run can be retried. Replay makes a new run."
            )
        self._publish(answer["publish"], [item["update"]])
        return self._runs.get(run.id)

    def retry_many(self, run_ids: Sequence[UUID]) -> Retried:
        """The same for many, at most MAX_RETRIED; those that are not failed are left alone."""
        if not run_ids:
            return Retried((), 0)
        answer = self._store.retry(run_ids[:MAX_RETRIED])
        done = [(i, item) for i, item in zip(run_ids, answer["items"], strict=True) if item["outcome"] == "retried"]
        self._publish(answer["publish"], [item["update"] for _, item in done])
        return Retried(tuple(i for i, _ in done), len(run_ids) - len(done))

    def replay(self, run: Run, *, caller: str, correlation_id: str | None) -> Accepted:
        """A new run of the same agent or workflow version, with the same inputs, for the same user."""
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

    def decide(self, run: Run, step: Step, *, approved: bool, comment: str | None, by: str) -> Run:
        """Say yes or no where the run waits for it. The same decision again changes nothing. Raises Conflict."""
        answer: dict[str, Any] = self._store.decide(run.id, step.key, approved=approved, comment=comment, by=by)
        if answer["outcome"] == "gone":
            raise NotFound("There is no such step, or it is no approval.")
        if answer["outcome"] == "not_waiting":
            raise Conflict(f"The step is {answer['status']} and waits for no decision now.")
        if answer["outcome"] == "decided":
            self._publish(answer["publish"], [answer["update"]])
        return self._runs.get(run.id)
