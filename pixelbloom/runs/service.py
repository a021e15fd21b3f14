"""Submitting, reading and listing runs: what the web tier calls."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pixelbloom.agents import registry
from pixelbloom.errors import Conflict, InvalidInput, Unavailable
from pixelbloom.events.types import RunUpdate
from pixelbloom.runs.run import Run, RunStatus, parse_time
from pixelbloom.store.runs import RunStore

MAX_PAGE = 200
#: Every text of this form is a cursor, so that the API's description can say what it takes.
CURSOR_PATTERN = "^[0-9]{16}[0-9a-f]{32}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Submission:
    """What a caller asked for, checked by the web tier."""

    agent_type: str
    input: Mapping[str, Any]
    caller: str
    user_id: UUID | None
    metadata: Mapping[str, Any]
    idempotency_key: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True)
class Accepted:
    """The run that answers a submission: a new one, or the one that the same key made before."""

    id: UUID
    status: RunStatus
    result: Any
    error: str | None
    created: bool


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list. `owner` None means everybody's."""

    owner: UUID | None
    status: RunStatus | None = None
    agent_type: str | None = None
    kind: str | None = "agent"
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Some runs, newest first, and where to go on; no cursor means that there are no more."""

    items: tuple[Run, ...]
    next_cursor: str | None


class RunService:
    """Runs as the web tier sees them.

    `publish` hands admitted steps and the runs' updates on, without waiting for the broker. `model_timeout` is
    MODEL_TIMEOUT, in seconds: a step's deadline leaves each provider its turn.
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
        """Keep the run (`POST /api/agents/invoke`); when this returns, it is a committed row.

        Raises InvalidInput for an unknown agent or input against its schema, Conflict for an idempotency key that
        came with another body, and Unavailable, which names the run, when the database does not answer.
        """
        agent = registry.get(submission.agent_type)
        checked = agent.validate(dict(submission.input))
        run_id = run_id or uuid4()
        try:
            answer = self._store.create(
                {
                    "id": str(run_id),
                    "kind": "agent",
                    "agent_type": agent.agent_type,
                    "user_id": str(submission.user_id) if submission.user_id else None,
                    "caller": submission.caller,
                    "lane": str(submission.user_id) if submission.user_id else submission.caller,
                    "idempotency_key": submission.idempotency_key,
                    "request_hash": request_hash(submission),
                    "correlation_id": submission.correlation_id,
                    "input": checked,
                    "metadata": dict(submission.metadata),
                    "steps": [
                        {
                            "key": agent.agent_type,
                            "agent_type": agent.agent_type,
                            "input": checked,
                            "timeout_seconds": agent.deadline(self._model_timeout),
                        }
                    ],
                }
            )
        except Unavailable as error:
            raise Unavailable(
                f"The database did not confirm run {run_id}: ask for that run, or send the request again"
                " with the same Idempotency-Key.",
                error.retry_after,
            ) from error
        self._publish(answer["publish"], answer["updates"])
        if answer["conflict"] and not answer["created"]:
            raise Conflict("This Idempotency-Key was used with another request; use a new key for a new request.")
        return Accepted(
            id=UUID(answer["id"]),
            status=RunStatus(answer["status"]),
            result=answer["result"],
            error=answer["error"],
            created=answer["created"],
        )

    def get(self, run_id: UUID) -> Run:
        """One run with its steps. Raises NotFound."""
        return Run.from_row(self._store.get(run_id))

    def find_update(self, run_id: UUID) -> RunUpdate | None:
        """The run's present state as the events tell it, or None where there is no such run."""
        rows = self._store.find([run_id])
        return RunUpdate.from_payload(Run.from_row(rows[0]).to_update()) if rows else None

    def ended(self, run_ids: list[UUID]) -> set[UUID]:
        """Which of these runs have ended, in one request."""
        rows = self._store.find(run_ids, columns="id,status")
        return {UUID(row["id"]) for row in rows if RunStatus(row["status"]).terminal}

    def page(self, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
        """Runs, newest first. Raises InvalidInput for a cursor that we did not give."""
        filters = {
            name: str(value)
            for name, value in (
                ("user_id", wanted.owner),
                ("status", wanted.status),
                ("agent_type", wanted.agent_type),
                ("kind", wanted.kind),
            )
            if value is not None
        }
        rows = self._store.page(
            limit=limit + 1,
            filters=filters,
            created_after=wanted.created_after,
            created_before=wanted.created_before,
            before=read_cursor(cursor) if cursor else None,
        )
        more = len(rows) > limit
        return Page(
            items=tuple(Run.from_row(row) for row in rows[:limit]),
            next_cursor=write_cursor(rows[limit - 1]) if more else None,
        )


def request_hash(submission: Submission) -> str:
    """Tells two requests under one idempotency key apart."""
    body = [
        submission.agent_type,
        submission.input,
        str(submission.user_id) if submission.user_id else None,
        submission.metadata,
    ]
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_cursor(row: Mapping[str, Any]) -> str:
    """Where a page ended, opaque to the caller: microseconds since the epoch, then the run's id."""
    moment = parse_time(row["created_at"])
    assert moment is not None
    return f"{(moment - _EPOCH) // timedelta(microseconds=1):016d}{UUID(row['id']).hex}"


def read_cursor(cursor: str) -> tuple[str, str]:
    """The (created_at, id) that a cursor stands for. Raises InvalidInput."""
    if not re.fullmatch(CURSOR_PATTERN, cursor):
        raise InvalidInput("The cursor is not one that we gave; leave it out to start from the newest.")
    moment = _EPOCH + timedelta(microseconds=int(cursor[:16]))
    return moment.isoformat().replace("+00:00", "Z"), str(UUID(cursor[16:]))
