"""The shapes of requests and answers, as the OpenAPI document shows them."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from pixelbloom.runs.service import CURSOR_PATTERN, MAX_PAGE
from pixelbloom.web import examples

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
JsonObject = dict[str, Any]
RunStatusName = Literal["queued", "running", "completed", "failed", "cancelled"]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def uuid_or_none(text: object) -> UUID | None:
    """The UUID that this text is in its usual form, or None."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def _read_uuid(value: object) -> UUID:
    found = uuid_or_none(value)
    if found is None:
        raise ValueError("must be a UUID")
    return found


def _read_time(value: object) -> datetime:
    """ISO 8601; taken as UTC where it names no zone. A `+` that came unencoded arrives as a space: forgiven."""
    try:
        if not isinstance(value, str) or len(value) > 64 or "-" not in value:
            raise ValueError
        return _in_utc(datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"+\1", value)))
    except (ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601, like 2026-01-31T12:00:00Z") from None


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _read_limit(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("must be a whole number from 1 to 200")
    return value


#: Where it may be left out; null is not the same as left out, and is refused.
UserId = Annotated[UUID | None, BeforeValidator(_read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
Moment = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]


class Shape(BaseModel):
    """A shape whose JSON Schema is made once; flask-openapi3 asks for it on every request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _schema(cls, args, tuple(kwargs.items()))


@cache
def _schema(model: type[Shape], args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return super(Shape, model).model_json_schema(*args, **dict(kwargs))


class Fault(Shape):
    """A field at fault."""

    field: str
    message: str


class ErrorBody(Shape):
    """Every error, from whatever address."""

    error: str = Field(description="A sentence that says what to do.")
    code: Literal[
        "BAD_REQUEST",
        "UNAUTHORIZED",
        "FORBIDDEN",
        "NOT_FOUND",
        "METHOD_NOT_ALLOWED",
        "PAYLOAD_TOO_LARGE",
        "CONFLICT",
        "RATE_LIMITED",
        "INTERNAL",
        "UPSTREAM_ERROR",
        "UNAVAILABLE",
    ]
    details: list[Fault] = Field(default=[], description="Only where fields are at fault.")


class InvokeRequest(Shape):
    """An agent, and what it is to work on."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": examples.INVOKE})  # type: ignore[typeddict-unknown-key]

    agent_type: str = Field(max_length=100)
    input: JsonObject
    user_id: UserId = None
    metadata: JsonObject = Field(default={})


class InvokeResponse(Shape):
    """The accepted run."""

    request_id: Uuid
    status: RunStatusName
    result: JsonObject = Field(default={}, description="Only where status is completed.")
    error: str | None = Field(description="Why the run failed; null otherwise.")


class StepBody(Shape):
    """A step of a run; an agent run has one."""

    key: str
    agent_type: str
    status: Literal["pending", "running", "waiting", "completed", "failed", "skipped", "cancelled"]
    attempt: int
    started_at: Time | None
    finished_at: Time | None
    duration_ms: int | None
    provider: Literal["ollama", "huggingface", "fallback"] | None
    model: str | None
    tokens: int
    output: Any
    error: str | None


class RunBody(Shape):
    """A run, as polled."""

    request_id: Uuid
    kind: Literal["agent"]
    agent_type: str
    user_id: Uuid | None
    status: RunStatusName
    progress: float = Field(ge=0, le=1)
    step: str | None
    result: JsonObject | None
    error: str | None
    error_code: str | None
    metadata: JsonObject
    provider: Literal["ollama", "huggingface", "fallback"] | None
    model: str | None
    attempts: int
    correlation_id: str | None = Field(description="The X-Request-ID of the request that made the run.")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    steps: list[StepBody]


class RunPage(Shape):
    """Runs, newest first."""

    items: list[RunBody]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class RunQuery(Shape):
    """Which runs to list."""

    status: RunStatusName | None = Field(None, description="Only runs in this state.")
    agent_type: str | None = Field(None, max_length=100, description="Only runs of this agent.")
    created_after: Moment | None = Field(None, description="Only runs made after this time.")
    created_before: Moment | None = Field(None, description="Only runs made before this time.")
    user_id: UserId = Field(None, description="Whose runs; for services and administrators. Others see their own.")
    limit: Annotated[int, BeforeValidator(_read_limit)] = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor`.")


class RunPath(Shape):
    """A run's address."""

    request_id: str = Field(json_schema_extra={"format": "uuid"}, description="As invoke answered it.")


class AgentPath(Shape):
    """An agent's address."""

    agent_type: str = Field(description="Such as lead_agent.")


class AgentBody(Shape):
    """An agent, and how to call it."""

    agent_type: str
    title: str
    description: str
    capabilities: list[str]
    model: str = Field(description="The model that it asks; OLLAMA_MODEL overrides its own choice.")
    input_schema: JsonObject = Field(description="JSON Schema of `input`.")
    output_schema: JsonObject = Field(description="JSON Schema of `result`.")


class AgentList(Shape):
    """All agents, by name."""

    items: list[AgentBody]
    next_cursor: None = Field(description="There is one page.")


class HealthBody(Shape):
    """The process lives."""

    status: Literal["ok"]


class CheckBody(Shape):
    """What is known of one part."""

    status: Literal["ok", "unavailable"]
    required: bool
    detail: str = ""


class ReadyBody(Shape):
    """What is known of all parts."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, CheckBody]
