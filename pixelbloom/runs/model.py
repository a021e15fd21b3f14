"""A run and its steps as values, and their form in the API."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pixelbloom.core.time_zones import iso, parse_time
from pixelbloom.runs.status import RunStatus
from pixelbloom.runs.store import Detail

#: The message for a run that does not exist and for another user's, so that they look the same.
NO_SUCH_RUN = "There is no such run, or it is not yours."


@dataclass(frozen=True)
class Step:
    """One step of a run; an agent run has one. The items of a map are steps with the map as `parent`."""

    key: str
    kind: str
    agent_type: str | None
    parent: str | None
    needs: tuple[str, ...]
    status: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    provider: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    output: Any
    error: str | None
    error_code: str | None
    errors: tuple[Mapping[str, Any], ...]
    #: For an approval: the question, and who may decide.
    message: str | None
    approvers: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            key=row["key"],
            kind=row["kind"],
            agent_type=row["agent_type"],
            parent=row["parent"],
            needs=tuple(row["needs"]),
            status=row["status"],
            attempt=row["attempt"],
            started_at=parse_time(row["started_at"]),
            finished_at=parse_time(row["finished_at"]),
            deadline_at=parse_time(row["deadline_at"]),
            provider=row["provider"],
            model=row["model"],
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            output=row.get("output"),
            error=row["error"],
            error_code=row["error_code"],
            errors=tuple(row["errors"]),
            message=row["message"] if row["kind"] == "approval" else None,
            approvers=row["approvers"] if row["kind"] == "approval" else None,
        )

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from the first start to the end, or None if one is unknown."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    def to_public(self, items: Sequence["Step"] = ()) -> dict[str, Any]:
        """Return the step as in `GET /api/agents/runs/{request_id}`; a map with its items."""
        shown = {
            "key": self.key,
            "kind": self.kind,
            "agent_type": self.agent_type,
            "needs": list(self.needs),
            "status": self.status,
            "attempt": self.attempt,
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "duration_ms": self.duration_ms,
            "provider": self.provider,
            "model": self.model,
            "tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "output": self.output,
            "error": self.error,
            "error_code": self.error_code,
            "errors": [dict(error) for error in self.errors],
        }
        if self.kind == "approval":
            shown |= {"message": self.message, "approvers": self.approvers, "deadline_at": iso(self.deadline_at)}
        if self.kind == "map":
            shown["items"] = [item.to_public() for item in items]
        return shown


@dataclass(frozen=True)
class RunOwner:
    """The owner of a run: the user it is for, and the caller who submitted it (see `Principal.caller`)."""

    kind: str
    user_id: UUID | None
    caller: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(row["kind"], UUID(row["user_id"]) if row["user_id"] else None, row["caller"])

    @property
    def visitor_id(self) -> UUID | None:
        """The session id of the visitor who submitted it, or None."""
        kind, _, number = self.caller.partition(":")
        return UUID(number) if kind == "visitor" else None


@dataclass(frozen=True)
class Run:
    """A run as read from the database."""

    id: UUID
    kind: str
    agent_type: str | None
    workflow_id: str | None
    workflow_version: int | None
    user_id: UUID | None
    status: RunStatus
    progress: float
    step: str | None
    result: Any
    error: str | None
    error_code: str | None
    metadata: Mapping[str, Any]
    provider: str | None
    model: str | None
    attempts: int
    retries: int
    replay_of: UUID | None
    webhook_url: str | None
    correlation_id: str | None
    run_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[Step, ...]
    input: Mapping[str, Any] | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        created = parse_time(row["created_at"])
        assert created is not None
        return cls(
            id=UUID(row["id"]),
            kind=row["kind"],
            agent_type=row["agent_type"],
            workflow_id=row["workflow_id"],
            workflow_version=row["workflow_version"],
            user_id=UUID(row["user_id"]) if row["user_id"] else None,
            status=RunStatus(row["status"]),
            progress=round(row["progress"], 4),
            step=row["step"],
            result=row.get("result"),
            error=row["error"],
            error_code=row["error_code"],
            metadata=row["metadata"],
            provider=row["provider"],
            model=row["model"],
            attempts=row["attempts"],
            retries=row["retries"],
            replay_of=UUID(row["replay_of"]) if row["replay_of"] else None,
            webhook_url=row["webhook_url"],
            correlation_id=row["correlation_id"],
            run_at=parse_time(row["run_at"]),
            created_at=created,
            started_at=parse_time(row["started_at"]),
            finished_at=parse_time(row["finished_at"]),
            steps=tuple(
                Step.from_row(step) for step in sorted(row["run_steps"], key=lambda s: (s["position"], s["key"]))
            ),
            input=row.get("input"),
        )

    def to_listed(self, details: Collection[Detail]) -> dict[str, Any]:
        """Return the run as in a list: without its large parts, except for `details`."""
        agent = self.kind == "agent"
        shown = self.to_public()
        if Detail.RESULT not in details:
            del shown["result" if agent else "outputs"]
        if Detail.INPUT not in details:
            del shown["input" if agent else "inputs"]
        for step in shown["steps"]:
            step.pop("items", None)
            if Detail.STEP_OUTPUTS not in details:
                del step["output"]
        return shown

    def to_public(self) -> dict[str, Any]:
        """Return the run as in `GET /api/agents/runs/{request_id}`."""
        if self.kind == "agent":
            named: dict[str, Any] = {
                "request_id": str(self.id),
                "agent_type": self.agent_type,
                "input": dict(self.input or {}),
                "result": self.result,
            }
        else:
            named = {
                "workflow_run_id": str(self.id),
                "workflow_id": self.workflow_id,
                "workflow_version": self.workflow_version,
                "inputs": dict(self.input or {}),
                "outputs": self.result,
            }
        return {
            "id": str(self.id),
            **named,
            "kind": self.kind,
            "user_id": str(self.user_id) if self.user_id else None,
            "status": str(self.status),
            "progress": self.progress,
            "step": self.step,
            "error": self.error,
            "error_code": self.error_code,
            "metadata": dict(self.metadata),
            "provider": self.provider,
            "model": self.model,
            "attempts": self.attempts,
            "retries": self.retries,
            "replay_of": str(self.replay_of) if self.replay_of else None,
            "correlation_id": self.correlation_id,
            "run_at": iso(self.run_at),
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "steps": [step.to_public(self.items(step.key)) for step in self.steps if step.parent is None],
        }

    def items(self, key: str) -> list[Step]:
        """Return the items of a map, in order."""
        return [step for step in self.steps if step.parent == key]
