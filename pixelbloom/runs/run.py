"""A run and its steps as values, and as the API tells them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID


class RunStatus(StrEnum):
    """Where a run stands. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


def parse_time(value: str | None) -> datetime | None:
    """A time of the database, in UTC."""
    return datetime.fromisoformat(value).astimezone(UTC) if value else None


def iso(value: datetime | None) -> str | None:
    """ISO 8601 in UTC with `Z`, as everywhere in the API."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


@dataclass(frozen=True)
class Step:
    """One step of a run; an agent run has one."""

    key: str
    agent_type: str
    status: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    provider: str | None
    model: str | None
    prompt_tokens: int
    completion_tokens: int
    output: Any
    error: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            key=row["key"],
            agent_type=row["agent_type"],
            status=row["status"],
            attempt=row["attempt"],
            started_at=parse_time(row["started_at"]),
            finished_at=parse_time(row["finished_at"]),
            provider=row["provider"],
            model=row["model"],
            prompt_tokens=row["prompt_tokens"],
            completion_tokens=row["completion_tokens"],
            output=row["output"],
            error=row["error"],
        )

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from the first start to the end, where both are known."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)

    def to_public(self) -> dict[str, Any]:
        """The step as `GET /api/agents/runs/{request_id}` shows it."""
        return {
            "key": self.key,
            "agent_type": self.agent_type,
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
        }


@dataclass(frozen=True)
class Run:
    """A run as it was read from the database."""

    id: UUID
    kind: str
    agent_type: str | None
    workflow_id: str | None
    workflow_version: int | None
    user_id: UUID | None
    status: RunStatus
    rev: int
    progress: float
    step: str | None
    result: Any
    error: str | None
    error_code: str | None
    metadata: Mapping[str, Any]
    provider: str | None
    model: str | None
    attempts: int
    correlation_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    steps: tuple[Step, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        created, updated = parse_time(row["created_at"]), parse_time(row["updated_at"])
        assert created is not None
        assert updated is not None
        return cls(
            id=UUID(row["id"]),
            kind=row["kind"],
            agent_type=row["agent_type"],
            workflow_id=row["workflow_id"],
            workflow_version=row["workflow_version"],
            user_id=UUID(row["user_id"]) if row["user_id"] else None,
            status=RunStatus(row["status"]),
            rev=row["rev"],
            progress=row["progress"],
            step=row["step"],
            result=row["result"],
            error=row["error"],
            error_code=row["error_code"],
            metadata=row["metadata"],
            provider=row["provider"],
            model=row["model"],
            attempts=row["attempts"],
            correlation_id=row["correlation_id"],
            created_at=created,
            started_at=parse_time(row["started_at"]),
            finished_at=parse_time(row["finished_at"]),
            updated_at=updated,
            steps=tuple(
                Step.from_row(step) for step in sorted(row["run_steps"], key=lambda s: (s["position"], s["key"]))
            ),
        )

    def to_public(self) -> dict[str, Any]:
        """The run as the API shows it (`GET /api/agents/runs/{request_id}`)."""
        if self.kind == "agent":
            named: dict[str, Any] = {"request_id": str(self.id), "agent_type": self.agent_type, "result": self.result}
        else:
            named = {
                "workflow_run_id": str(self.id),
                "workflow_id": self.workflow_id,
                "workflow_version": self.workflow_version,
                "outputs": self.result,
            }
        return {
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
            "correlation_id": self.correlation_id,
            "created_at": iso(self.created_at),
            "started_at": iso(self.started_at),
            "finished_at": iso(self.finished_at),
            "steps": [step.to_public() for step in self.steps],
        }

    def to_update(self) -> dict[str, Any]:
        """The run's state in the form that the outbox keeps and the publisher tells."""
        return {
            "run_id": str(self.id),
            "kind": self.kind,
            "workflow_id": self.workflow_id or self.agent_type,
            "user_id": str(self.user_id) if self.user_id else None,
            "rev": self.rev,
            "status": str(self.status),
            "step": self.step,
            "progress": self.progress,
            "updated_at": iso(self.updated_at),
            "result": self.result,
            "error": self.error,
            "error_code": self.error_code,
            "provider": self.provider,
            "model": self.model,
            "attempts": self.attempts,
        }
