"""Submits, reads and lists runs for the web tier."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pixelbloom.agents import registry
from pixelbloom.agents.base import Agent
from pixelbloom.core.time_zones import iso
from pixelbloom.database.pagination import Rows
from pixelbloom.errors import Conflict, Unavailable
from pixelbloom.events.types import RunUpdate
from pixelbloom.runs.model import Run, RunOwner
from pixelbloom.runs.status import Priority, RunStatus
from pixelbloom.runs.store import Detail, RunStore
from pixelbloom.telemetry import tracing


class StaleVersion(Conflict):
    """The workflow does not accept runs of this version any more."""


#: Failed runs grouped at once.
MAX_FAILURES = 10_000


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The terms of a run, of any kind. `run_at` is the earliest start."""

    caller: str
    user_id: UUID | None
    metadata: Mapping[str, Any]
    idempotency_key: str | None = None
    correlation_id: str | None = None
    priority: Priority = Priority.INTERACTIVE
    run_at: datetime | None = None
    webhook_url: str | None = None
    replay_of: UUID | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns of a run that the terms set."""
        return {
            "user_id": str(self.user_id) if self.user_id else None,
            "caller": self.caller,
            # All visitors share one queue, so that they cannot crowd out users.
            "user_queue": str(self.user_id) if self.user_id else self.caller.partition(":")[0],
            "priority": self.priority.number,
            "idempotency_key": self.idempotency_key,
            "correlation_id": self.correlation_id,
            "metadata": dict(self.metadata),
            "run_at": iso(self.run_at),
            "webhook_url": self.webhook_url,
            "replay_of": str(self.replay_of) if self.replay_of else None,
        }

    def request_hash(self, *what: Any) -> str:
        """Return a hash that distinguishes requests with the same idempotency key."""
        body: list[Any] = [*what, str(self.user_id) if self.user_id else None, self.metadata]
        # Defaults are left out, so that keys stay valid when fields are added.
        extras = [self.priority.value, iso(self.run_at), self.webhook_url]
        if extras != [Priority.INTERACTIVE.value, None, None]:
            body.append(extras)
        return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Submission(Terms):
    """The input of an agent, checked by the web tier."""

    agent_type: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Accepted:
    """The run of a submission: a new one, or the earlier one of the same idempotency key."""

    id: UUID
    status: RunStatus
    result: Any
    error: str | None
    created: bool


@dataclass(frozen=True)
class RunFilter:
    """Selects the runs to list. `owner` None means all users."""

    owner: UUID | None
    status: RunStatus | None = None
    agent_type: str | None = None
    workflow_id: str | None = None
    error_code: str | None = None
    kind: str | None = "agent"
    created_after: datetime | None = None
    created_before: datetime | None = None

    def columns(self) -> dict[str, str]:
        """Return the required values by column."""
        wanted = {
            "user_id": self.owner,
            "status": self.status,
            "agent_type": self.agent_type,
            "workflow_id": self.workflow_id,
            "error_code": self.error_code,
            "kind": self.kind,
        }
        return {name: str(value) for name, value in wanted.items() if value is not None}


class RunService:
    """The runs of the web tier.

    `publish` queues admitted steps and the runs' updates without waiting for the broker. `model_timeout` is
    MODEL_TIMEOUT, in seconds; a step's deadline allows each provider that long.
    """

    def __init__(
        self,
        store: RunStore,
        publish: Callable[[list[dict[str, Any]], list[dict[str, Any]]], None],
        *,
        model_timeout: float,
    ) -> None:
        self._store = store
        self._publish = publish
        self._model_timeout = model_timeout

    def submit(self, submission: Submission, run_id: UUID | None = None) -> Accepted:
        """Store the run (`POST /api/agents/invoke`); when this returns, it is a committed row.

        Raises InvalidInput for an unknown agent or input that does not match its schema, Conflict for an idempotency
        key used with another body, and Unavailable, which names the run, if the database is unreachable.
        """
        agent = registry.get(submission.agent_type)
        checked = agent.validate(dict(submission.input))
        return self.accept(
            {
                **submission.row(),
                "kind": "agent",
                "agent_type": agent.agent_type,
                "request_hash": submission.request_hash(submission.agent_type, submission.input),
                "input": checked,
                "steps": [_agent_step(agent, checked, self._model_timeout)],
            },
            run_id,
        )

    def again(self, run: Mapping[str, Any], terms: Terms) -> Accepted:
        """Submit a new run of the same agent with the same input."""
        return self.submit(Submission(agent_type=run["agent_type"], input=run["input"], **vars(terms)))

    def accept(self, row: Mapping[str, Any], run_id: UUID | None = None) -> Accepted:
        """Store a run of any kind and publish the steps that may start. Raises as `submit`.

        A row's "if_version" says what its workflow's version must still be: the "newest" active one, or "active".
        Raises StaleVersion if it is not.
        """
        run_id = run_id or uuid4()
        tracing.annotate(run_id=str(run_id))
        traced = {"traceparent": context} if (context := tracing.traceparent()) else {}
        try:
            result = self._store.create({"id": str(run_id), **traced, **row})
        except Unavailable as error:
            raise Unavailable(
                f"The database did not confirm run {run_id}: ask for that run, or send the request again"
                " with the same Idempotency-Key.",
                error.retry_after,
            ) from error
        self._publish(result["publish"], result["updates"])
        if result["stale"]:
            raise StaleVersion("The workflow has another version now; send the request again.")
        if result["conflict"] and not result["created"]:
            raise Conflict("This Idempotency-Key was used with another request; use a new key for a new request.")
        return Accepted(
            id=UUID(result["id"]),
            status=RunStatus(result["status"]),
            result=result["result"],
            error=result["error"],
            created=result["created"],
        )

    def get(self, run_id: UUID) -> Run:
        """Return the run with its steps. Raises NotFound."""
        return Run.from_row(self._store.get(run_id))

    def find(self, run_id: UUID, kind: str) -> Run | None:
        """Return the run with its steps, or None if it is of another kind. Raises NotFound."""
        run = self.get(run_id)
        return run if run.kind == kind else None

    def find_owner(self, run_id: UUID, kind: str) -> RunOwner | None:
        """Return the owner of the run of that kind, read without its large parts, or None if there is none."""
        rows = self._store.find([run_id], columns="id,kind,user_id,caller")
        return RunOwner.from_row(rows[0]) if rows and rows[0]["kind"] == kind else None

    def find_update(self, run_id: UUID) -> RunUpdate | None:
        """Return the run's current state as an event, or None if there is no such run."""
        payload = self._store.read_update(run_id)
        return None if payload is None else RunUpdate.from_payload(payload)

    def ended(self, run_ids: list[UUID]) -> set[UUID]:
        """Return those of the runs that have ended, in one request."""
        rows = self._store.find(run_ids, columns="id,status")
        return {UUID(row["id"]) for row in rows if RunStatus(row["status"]).terminal}

    def page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        before: tuple[str, str] | None,
        details: Collection[Detail] = (),
        total: bool = False,
    ) -> Rows:
        """Return at most `limit` runs, newest first, with only the requested `details`; fewer if the page is too large.

        With `total`, all matching runs are counted too. `before` is the (created_at, id) of the last run that was read.
        """
        return self._store.page(
            limit=limit,
            filters=wanted.columns(),
            created_after=wanted.created_after,
            created_before=wanted.created_before,
            before=before,
            details=details,
            total=total,
        )

    def approvals(self, owner: UUID | None, *, admin: bool, limit: int, after: tuple[str, str] | None) -> Rows:
        """Return a page of steps that wait for a decision, the earliest deadline first, after (deadline_at, id).

        `owner` None means all users. Steps that only an administrator may decide are included only if `admin`.
        """
        return Rows.cut(self._store.approvals(owner, admin=admin, limit=limit + 1, after=after), limit)

    def failures(
        self, owner: UUID | None, *, created_after: datetime | None, created_before: datetime | None
    ) -> dict[str, Any]:
        """Group failed runs by agent or workflow and by error code, the largest group first.

        `owner` None means all users. The newest MAX_FAILURES are counted; `more` is true if there are more.
        """
        return self._store.failures(
            owner, created_after=created_after, created_before=created_before, most=MAX_FAILURES
        )

    def newest_ids(self, wanted: RunFilter, *, limit: int) -> tuple[list[UUID], bool]:
        """Return the ids of the newest runs, and whether there are more."""
        found = self._store.ids(
            limit=limit + 1,
            filters=wanted.columns(),
            created_after=wanted.created_after,
            created_before=wanted.created_before,
        )
        return found[:limit], len(found) > limit


def _agent_step(agent: Agent[Any, Any], input: Mapping[str, Any], model_timeout: float) -> dict[str, Any]:
    """Return the row of an agent run's single step."""
    return {
        "key": agent.agent_type,
        "agent_type": agent.agent_type,
        "writes": agent.writes,
        "input": input,
        "timeout_seconds": agent.deadline(model_timeout),
    }
