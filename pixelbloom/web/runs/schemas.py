"""The schemas of runs of agents, and the common part of all runs, in the OpenAPI document."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from pixelbloom.core.statuses import RunStatusName, StepKind, StepStatus
from pixelbloom.runs.service import CURSOR_PATTERN, MAX_PAGE
from pixelbloom.runs.store import Detail
from pixelbloom.web.http import examples
from pixelbloom.web.http.schemas import (
    Counted,
    CountQuery,
    JsonObject,
    Moment,
    Shape,
    Time,
    UserId,
    Uuid,
    read_count,
    read_limit,
)


class AttemptError(Shape):
    """Why an attempt at a step failed."""

    attempt: int
    error: str
    code: str | None
    at: Time


class StepState(Shape):
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


class RunState(Shape):
    """The common fields of runs of agents and of workflows."""

    id: Uuid = Field(description="The same as `request_id` or `workflow_run_id`.")
    user_id: Uuid | None
    status: RunStatusName
    progress: float = Field(ge=0, le=1, description="With at most four decimals.")
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

    input: JsonObject = Field(description="The agent's input.")
    result: JsonObject | None
    steps: list[StepBody]


class ListedRun(AgentRunState):
    """A run of an agent in a list: its large fields only if `fields` names them."""

    input: JsonObject = Field(default={}, description="Only if `fields` names `input`.")
    result: JsonObject | None = Field(default=None, description="Only if `fields` names `result`.")
    steps: list[ListedStep]


class RunPage(Counted):
    """Runs, newest first."""

    items: list[ListedRun]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class RunsWanted(Shape):
    """Filters of runs."""

    error_code: str | None = Field(None, pattern="^[A-Z_]{1,100}$", description="Only those with this error_code.")
    created_after: Moment | None = Field(None, description="Only runs created after this time.")
    created_before: Moment | None = Field(None, description="Only runs created before this time.")
    user_id: UserId = Field(None, description="The owner; for services and administrators. Others see their own.")


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


class RunQuery(RunsWanted, CountQuery):
    """Which runs to list."""

    status: RunStatusName | None = Field(None, description="Only runs in this state.")
    agent_type: str | None = Field(None, max_length=100, description="Only runs of this agent.")
    fields: field_names(RUN_FIELDS) = Field(  # type: ignore[valid-type]
        None,
        description="Large fields to show, separated by commas: `input`, `result`, `steps.output`. A page with them "
        "has fewer than `limit` runs if these are larger than 4 MiB.",
    )
    limit: Annotated[int, BeforeValidator(read_limit)] = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor`.")


class RunPath(Shape):
    """A run's address."""

    request_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of invoke.")


class RetryRequest(RunsWanted):
    """The failed runs to retry."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": examples.RETRY})  # type: ignore[typeddict-unknown-key]

    agent_type: str | None = Field(None, max_length=100, description="Only runs of this agent.")
    limit: Annotated[int, BeforeValidator(read_count)] = Field(
        200, ge=1, le=200, description="How many at most, the newest first."
    )


class RetryResponse(Shape):
    """The retried runs."""

    retried: int
    run_ids: list[Uuid]
    more: bool = Field(description="Whether more runs match; repeat the request for those.")


class ReplayResponse(Shape):
    """The new run."""

    id: Uuid
    request_id: Uuid
    status: RunStatusName
    replay_of: Uuid
