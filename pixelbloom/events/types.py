"""The events of a run, in the envelope form and the flat form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

#: A step's execution n (the token of its lease) streams as generation n * GENERATIONS, plus one for each restart.
GENERATIONS = 1_000
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class RunUpdate:
    """A run's full state at one revision, as the SQL functions return it and the outbox stores it.

    `rev` grows with every transition and orders the updates of a run.
    """

    run_id: UUID
    kind: str
    workflow_id: str
    user_id: UUID | None
    rev: int
    status: str
    step: str | None
    progress: float
    updated_at: str
    result: Any = None
    error: str | None = None
    error_code: str | None = None
    provider: str | None = None
    model: str | None = None
    attempts: int = 0
    #: The steps of a workflow in order, each with its key and status. A waiting approval also has its message,
    #: approvers and deadline; a map also its running items.
    steps: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Build from the database's JSON. Raises KeyError or ValueError if it is invalid."""
        user_id = payload["user_id"]
        return cls(
            run_id=UUID(str(payload["run_id"])),
            kind=str(payload["kind"]),
            workflow_id=str(payload["workflow_id"]),
            user_id=UUID(str(user_id)) if user_id else None,
            rev=int(payload["rev"]),
            status=str(payload["status"]),
            step=payload.get("step"),
            progress=round(float(payload["progress"]), 4),
            updated_at=str(payload["updated_at"]),
            result=payload.get("result"),
            error=payload.get("error"),
            error_code=payload.get("error_code"),
            provider=payload.get("provider"),
            model=payload.get("model"),
            attempts=int(payload.get("attempts") or 0),
            steps=payload.get("steps"),
        )

    @property
    def terminal(self) -> bool:
        """Whether the run has ended."""
        return self.status in TERMINAL

    @property
    def running(self) -> str:
        """The running steps of a workflow, surrounded by spaces; empty for an agent's run."""
        if self.steps is None:
            return ""
        return f" {' '.join(key for key, status in statuses(self.steps) if status == 'running')} "

    @property
    def message(self) -> str | None:
        """The question of the current step if it waits for a decision."""
        waiting = (step for step in self.steps or () if step["key"] == self.step and step["status"] == "waiting")
        return next((str(step.get("message") or "") for step in waiting), None)

    def state(self) -> dict[str, Any]:
        """Return the `data` of the envelope form on `workflow_run:<id>`, without `status` and `progress`."""
        state: dict[str, Any] = {
            "id": str(self.run_id),
            "step": self.step or "",
            "provider": self.provider,
            "model": self.model,
            "attempts": self.attempts,
            "updated_at": self.updated_at,
        }
        if self.steps is not None:
            state["steps"] = [dict(step) for step in self.steps]
        if self.message is not None:
            state["message"] = self.message
        if self.status == "completed":
            state["result" if self.kind == "agent" else "outputs"] = self.result
        if self.status in ("failed", "cancelled"):
            state["error"] = self.error
            state["error_code"] = self.error_code
        return state

    def flat(self) -> dict[str, Any]:
        """Return the `data` of the spec's `workflow_status_update`, without `status` and `progress`."""
        data = {
            "id": str(self.run_id),
            "workflow_run_id": str(self.run_id),
            "workflow_id": self.workflow_id,
            "user_id": str(self.user_id) if self.user_id else None,
            "step": self.step or "",
            "updated_at": self.updated_at,
        }
        return data if self.message is None else {**data, "message": self.message}


def statuses(steps: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the key and status of each step and of each listed map item."""
    for step in steps:
        yield str(step["key"]), str(step["status"])
        yield from statuses(step.get("items") or ())


@dataclass(frozen=True)
class RunDelta:
    """More text of a running step. Parallel steps are ordered independently.

    `generation` grows when the streamed text is discarded (to retry with `retrying_with`, if it names a provider);
    `offset` counts this generation's characters before this text. `rev` is the run's revision when the step was
    claimed: older states are no longer published, and the text is dropped if a state as new or newer has ended
    that attempt. 0 means unknown, allowed only for an agent's run.
    """

    run_id: UUID
    generation: int
    offset: int
    text: str
    step: str
    progress: float
    status: str = "running"
    rev: int = 0
    retrying_with: str = ""

    @property
    def again(self) -> bool:
        """Whether the step was started before."""
        return self.generation >= 2 * GENERATIONS
