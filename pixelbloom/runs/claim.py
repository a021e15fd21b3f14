"""A claimed step, and the records of how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pixelbloom.agents.context import AgentOutcome
from pixelbloom.database.group_commit import storable_size
from pixelbloom.errors import StepRejected

MAX_OUTPUT_BYTES = 512 * 1024
MAX_ITEMS_BYTES = 2 * 1024 * 1024

#: One item of `finish_steps`.
Ending = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """The input of a step's agent, rendered when the step is claimed."""

    input: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A step claimed by this process. `spec` is the step's workflow definition; an agent run has none."""

    run_id: UUID
    key: str
    token: int
    attempt: int
    kind: str
    agent_type: str | None
    input: dict[str, Any]
    spec: Mapping[str, Any] | None
    context: Mapping[str, Any] | None
    timeout_seconds: float
    user_id: UUID | None
    correlation_id: str | None
    progress: float
    share: float
    update: dict[str, Any]

    @classmethod
    def from_result(cls, run_id: UUID, key: str, result: dict[str, Any]) -> "Claim":
        return cls(
            run_id=run_id,
            key=key,
            token=result["token"],
            attempt=result["attempt"],
            kind=result["kind"],
            agent_type=result["agent_type"],
            input=result["input"],
            spec=result["spec"],
            context=result["context"],
            timeout_seconds=result["timeout_seconds"],
            user_id=UUID(result["user_id"]) if result["user_id"] else None,
            correlation_id=result["correlation_id"],
            progress=result["update"]["progress"],
            share=result["share"],
            update=result["update"],
        )

    def completed(self, outcome: AgentOutcome, input: Mapping[str, Any]) -> Ending:
        """Record the agent's result. Raises StepRejected if it is too large."""
        ending = {
            "what": "completed",
            "input": input,
            "output": outcome.output,
            "provider": outcome.provider,
            "model": outcome.model,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
        }
        if storable_size({"output": outcome.output}) > MAX_OUTPUT_BYTES:
            raise StepRejected(f"The agent's result is larger than {MAX_OUTPUT_BYTES // 1024} KiB.")
        return ending

    def skipped(self) -> Ending:
        """Record that the step's condition is false."""
        return {"what": "skipped"}

    def waiting(self, message: str, approvers: str) -> Ending:
        """Record that the step waits for a decision."""
        return {"what": "waiting", "input": {"message": message, "approvers": approvers}}

    def expanded(self, items: Sequence[Mapping[str, Any]]) -> Ending:
        """Record that the step continues as these items. Raises StepRejected if they are too large together."""
        ending = {"what": "expanded", "items": list(items)}
        if storable_size(ending) > MAX_ITEMS_BYTES:
            raise StepRejected(f"The inputs of the map's items are larger than {MAX_ITEMS_BYTES // 1024} KiB together.")
        return ending

    def handed_back(self, message: str, code: str) -> Ending:
        """Record that this worker stops: another one takes over the step, and no attempt is used up."""
        return {"what": "handed_back", "error": message, "error_code": code}

    def failed(self, message: str, code: str, *, retryable: bool) -> Ending:
        """Record that the attempt failed."""
        return {"what": "failed", "error": message, "error_code": code, "retryable": retryable}
