"""The schemas of runs of agents, and the common part of all runs, in the OpenAPI document."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from pixelbloom.core.statuses import RunStatusName, StepKind, StepStatus
from pixelbloom.runs.store import Detail
from pixelbloom.web.http.rendering import Body, CountedPage, JsonObject, Number, Time, Uuid, column
from pixelbloom.web.http.schemas import (
    RUN_ID,
    USER_ID,
    CountQuery,
    Moment,
    OwnedQuery,
    PageQuery,
    Shape,
    example,
    read_count,
)

_STARTED, _FINISHED = "2026-01-31T12:00:00.120000Z", "2026-01-31T12:00:03.480000Z"

RUN: dict[str, Any] = {
    "id": RUN_ID,
    "request_id": RUN_ID,
    "kind": "agent",
    "agent_type": "chat_agent",
    "user_id": USER_ID,
    "status": "completed",
    "progress": 1,
    "step": "chat_agent",
    "input": {"message": "How long does a landing page take?"},
    "result": {"reply": "A landing page takes about two weeks."},
    "error": None,
    "error_code": None,
    "metadata": {"source": "dashboard"},
    "provider": "ollama",
    "model": "llama3.1:8b",
    "attempts": 1,
    "retries": 0,
    "replay_of": None,
    "correlation_id": "7d0c2f6b3c0f4a4f9e1c0a5b6d7e8f90",
    "run_at": None,
    "created_at": "2026-01-31T12:00:00.004000Z",
    "started_at": _STARTED,
    "finished_at": _FINISHED,
    "steps": [
        {
            "key": "chat_agent",
            "kind": "agent",
            "agent_type": "chat_agent",
            "needs": [],
            "status": "completed",
            "attempt": 1,
            "started_at": _STARTED,
            "finished_at": _FINISHED,
            "duration_ms": 3360,
            "provider": "ollama",
            "model": "llama3.1:8b",
            "tokens": 212,
            "prompt_tokens": 180,
            "completion_tokens": 32,
            "output": {"reply": "A landing page takes about two weeks."},
            "error": None,
            "error_code": None,
            "errors": [],
        }
    ],
}

LISTED_RUN: dict[str, Any] = {
    **{name: value for name, value in RUN.items() if name not in ("input", "result")},
    "steps": [{name: value for name, value in step.items() if name != "output"} for step in RUN["steps"]],
}

#: In the example of a replay.
NEW_ID = "9d0f4c2a-3f57-4d0e-8a0e-6c1b2a4f5e70"
Progress = Annotated[Number, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]


class AttemptError(Body):
    """Why an attempt at a step failed."""

    attempt: int
    error: str
    code: str | None
    at: Time


class StepState(Body):
    """The fields of a step that lists have as well."""

    key: str
    kind: StepKind
    agent_type: str | None = Field(description="Null for an approval.")
    needs: list[str]
    status: StepStatus
    attempt: int
    started_at: Time | None
    finished_at: Time | None
    duration_ms: int | None
    provider: Literal["ollama", "huggingface", "fallback"] | None
    model: str | None
    tokens: int
    prompt_tokens: int
    completion_tokens: int
    error: str | None
    error_code: str | None
    errors: list[AttemptError] = Field(description="Of each attempt that failed.")
    message: str | None = Field(default=None, description="Of an approval: what to decide.")
    approvers: Literal["owner", "admin"] | None = Field(default=None, description="Of an approval: who may decide.")
    deadline_at: Time | None = Field(default=None, description="Of an approval: the deadline of the decision.")


class StepBody(StepState):
    """A step of a run; an agent run has one."""

    output: Any
    items: list[JsonObject] = Field(default=[], description="Of a map: its items, each a step.")


class ListedStep(StepState):
    """A step of a run in a list."""

    output: Any = Field(default=None, description="Only if `fields` names `steps.output`.")


class RunState(Body):
    """The common fields of runs of agents and of workflows."""

    id: Uuid = Field(description="The same as `request_id` or `workflow_run_id`.")
    user_id: Uuid | None
    status: RunStatusName
    progress: Progress = Field(description="With at most four decimals.")
    step: str | None
    error: str | None
    error_code: str | None
    metadata: JsonObject
    provider: Literal["ollama", "huggingface", "fallback"] | None
    model: str | None
    attempts: int
    retries: int = Field(description="How often it was retried after it had failed.")
    replay_of: Uuid | None = Field(description="The run that this one repeats.")
    correlation_id: str | None = Field(description="The X-Request-ID of the request that created the run.")
    run_at: Time | None = Field(description="It starts no earlier than this.")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class AgentRunState(RunState):
    """The fields of an agent run that lists have as well."""

    request_id: Uuid
    kind: Literal["agent"]
    agent_type: str


class RunBody(AgentRunState):
    """A run of an agent, as polled."""

    model_config = example(RUN)

    input: JsonObject = Field(description="The agent's input.")
    result: JsonObject | None
    steps: list[StepBody]


class ListedRun(AgentRunState):
    """A run of an agent in a list: its large fields only if `fields` names them."""

    model_config = example(LISTED_RUN)

    input: JsonObject = Field(default={}, description="Only if `fields` names `input`.")
    result: JsonObject | None = Field(default=None, description="Only if `fields` names `result`.")
    steps: list[ListedStep]


class RunPage(CountedPage[ListedRun]):
    """Runs, newest first."""


class RunsWanted(OwnedQuery):
    """Filters of runs."""

    error_code: str | None = Field(None, pattern="^[A-Z_]{1,100}$", description="Only those with this error_code.")
    created_after: Moment | None = Field(None, description="Only runs created after this time.")
    created_before: Moment | None = Field(None, description="Only runs created before this time.")


#: What `fields` of a list of runs may name.
RUN_FIELDS = {"input": Detail.INPUT, "result": Detail.RESULT, "steps.output": Detail.STEP_OUTPUTS}


def field_names(names: Iterable[str]) -> Any:
    """Return the type of a query parameter that accepts any of these names, separated by commas."""
    known = tuple(names)
    pattern = "|".join(re.escape(name) for name in known)

    def read(value: object) -> object:
        if not isinstance(value, str) or not set(value.split(",")) <= set(known):
            raise ValueError(f"must be names out of {', '.join(known)}, separated by commas")
        return value

    return Annotated[
        str | None,
        BeforeValidator(read),
        WithJsonSchema({"type": "string", "pattern": f"^({pattern})(,({pattern}))*$"}),
    ]


class RunQuery(RunsWanted, CountQuery, PageQuery):
    """Which runs to list."""

    status: RunStatusName | None = Field(None, description="Only runs in this state.")
    agent_type: str | None = Field(None, max_length=100, description="Only runs of this agent.")
    fields: field_names(RUN_FIELDS) = Field(  # type: ignore[valid-type]
        None,
        description="Large fields to show, separated by commas: `input`, `result`, `steps.output`. A page with them "
        "has fewer than `limit` runs if these are larger than 4 MiB.",
    )


class RunPath(Shape):
    """A run's address."""

    request_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of invoke.")


class RetryRequest(RunsWanted):
    """The failed runs to retry."""

    model_config = example({"agent_type": "chat_agent", "created_after": "2026-01-31T00:00:00Z"}, extra="forbid")

    agent_type: str | None = Field(None, max_length=100, description="Only runs of this agent.")
    limit: Annotated[int, BeforeValidator(read_count)] = Field(
        200, ge=1, le=200, description="How many at most, the newest first."
    )


class RetryResponse(Body):
    """The retried runs."""

    model_config = example({"retried": 1, "run_ids": [RUN_ID], "more": False})

    retried: int
    run_ids: list[Uuid]
    more: bool = Field(description="Whether more runs match; repeat the request for those.")


class ReplayResponse(Body):
    """The new run."""

    model_config = example({"id": NEW_ID, "request_id": NEW_ID, "status": "queued", "replay_of": RUN_ID})

    id: Uuid
    request_id: Uuid = column("id")
    status: RunStatusName
    replay_of: Uuid
