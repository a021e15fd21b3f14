"""What the events of a run say, in both forms that the sockets speak."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

#: A step's execution n (the token of its lease) streams as generation n * GENERATIONS, and the next number each time it
#: begins anew.
GENERATIONS = 1_000
TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class RunUpdate:
    """A run's whole state at one revision: what the SQL functions return and the outbox keeps.

    `rev` grows with every transition, so of two updates of a run the newer one is known.
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
    #: Of a workflow: its steps in order, each with its key and status; one that waits for a decision also with its
    #: message, approvers and deadline, a map also with the items that run now.
    steps: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Build from the database's JSON. Raises KeyError or ValueError for what is none."""
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
        """The steps of a workflow that run now, between spaces; empty for an agent's run."""
        if self.steps is None:
            return ""
        return f" {' '.join(key for key, status in statuses(self.steps) if status == 'running')} "

    @property
    def message(self) -> str | None:
        """What the step in hand asks, where it waits for a decision."""
        waiting = (step for step in self.steps or () if step["key"] == self.step and step["status"] == "waiting")
        return next((str(step.get("message") or "") for step in waiting), None)

    def state(self) -> dict[str, Any]:
        """The `data` of the envelope form on `workflow_run:<id>`, less `status` and `progress`."""
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
        """The `data` of the spec's `workflow_status_update`, less `status` and `progress`."""
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
    """The key and status of each step, and of the items that a map shows."""
    for step in steps:
        yield str(step["key"]), str(step["status"])
        yield from statuses(step.get("items") or ())


@dataclass(frozen=True)
class RunDelta:
    """Some more text of a running step. Steps that run side by side have each their own order.

    `generation` grows when what was streamed before is discarded (for another try with `retrying_with`, where that
    names a provider), `offset` counts this generation's characters
    before this text. `rev` is the run's revision when the step was claimed: a state older than that is told no
    more, and the text is not told where a state as new or newer has ended that attempt. It is 0 where it is not
    known, which only the run of an agent may leave so.
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
        """Whether the step was begun before."""
        return self.generation >= 2 * GENERATIONS
