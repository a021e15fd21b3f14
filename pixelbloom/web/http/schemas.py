"""The shapes of requests and answers, as the OpenAPI document shows them."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pixelbloom.core.absent import NullIsAbsent
from pixelbloom.web.http import examples

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
JsonObject = dict[str, Any]
#: Of metadata stored with leads, conversations and messages, as JSON; the columns' checks have the same bound.
MAX_METADATA_BYTES = 16_384


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES // 1024} KiB as JSON")
    return value


Metadata = Annotated[JsonObject, AfterValidator(_check_size)]
RunStatusName = Literal["queued", "running", "completed", "failed", "cancelled"]

#: How far ahead a run may be put.
MAX_DELAY = timedelta(days=366)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def uuid_or_none(text: object) -> UUID | None:
    """The UUID that this text is in its usual form, or None."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def text_or_none(row_id: UUID | None) -> str | None:
    """The id as a row has it."""
    return str(row_id) if row_id else None


def read_uuid(value: object) -> UUID:
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


def _read_start(value: object) -> datetime:
    moment = _read_time(value)
    if moment > datetime.now(UTC) + MAX_DELAY:
        raise ValueError("must be at most a year ahead")
    return moment


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_limit(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("must be a whole number from 1 to 200")
    return value


def _read_flag(value: object) -> object:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def read_count(value: object) -> object:
    """A whole number of a JSON body: as JSON has it, 3.0 is one, and true and "3" are none."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


UserId = Annotated[UUID, BeforeValidator(read_uuid), WithJsonSchema({"type": "string", "format": "uuid"})] | None
#: A boolean in a query.
Flag = Annotated[bool, BeforeValidator(_read_flag)]
Moment = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
WebhookUrl = (
    Annotated[
        str,
        Field(min_length=1, max_length=2048),
        WithJsonSchema(
            {
                "type": "string",
                "format": "uri",
                "pattern": r"^https://[a-z0-9-]{1,60}(\.[a-z0-9-]{1,60}){0,4}\.[a-z]{2,20}(:[1-9][0-9]{1,3})?(/[A-Za-z0-9._~/-]*)?$",
            }
        ),
    ]
    | None
)
StartMoment = (
    Annotated[datetime, BeforeValidator(_read_start), WithJsonSchema({"type": "string", "format": "date-time"})] | None
)


class Shape(NullIsAbsent):
    """A shape whose JSON Schema is made once; flask-openapi3 asks for it on every request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _schema(cls, args, tuple(kwargs.items()))


@cache
def _schema(model: type[Shape], args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return super(Shape, model).model_json_schema(*args, **dict(kwargs))


class Changes(Shape):
    """The body of an update. What is left out stays as it is, so its fields' defaults mean nothing."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = super().__get_pydantic_json_schema__(schema, handler)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for name, field in properties.items():
            properties[name] = {key: value for key, value in field.items() if key != "default"}
        return found


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


class SubmissionTerms(Shape):
    """What every submission may say, whatever the work is."""

    user_id: UserId = None
    metadata: JsonObject = Field(default={})
    priority: Literal["interactive", "batch"] = Field(
        "interactive", description="`batch` runs wait until no interactive one does."
    )
    run_at: StartMoment = Field(None, description="Not before this time, at most a year ahead.")
    webhook_url: WebhookUrl = Field(
        None, description="Receives a signed request (Standard Webhooks) over HTTPS when the run has ended."
    )


class InvokeRequest(SubmissionTerms):
    """An agent, and what it is to work on."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": examples.INVOKE})  # type: ignore[typeddict-unknown-key]

    agent_type: str = Field(max_length=100)
    input: JsonObject


class InvokeResponse(Shape):
    """The accepted run."""

    id: Uuid
    request_id: Uuid
    status: RunStatusName
    result: JsonObject = Field(default={}, description="Only where status is completed.")
    error: str | None = Field(description="Why the run failed; null otherwise.")


class AgentPath(Shape):
    """An agent's address."""

    agent_type: str = Field(description="Such as lead_agent.")


class AgentBody(Shape):
    """An agent, and how to call it."""

    id: str
    agent_type: str
    title: str
    description: str
    capabilities: list[str]
    model: str = Field(description="The model that it asks; OLLAMA_MODEL overrides its own choice.")
    input_schema: JsonObject = Field(description="JSON Schema of `input`.")
    output_schema: JsonObject = Field(description="JSON Schema of `result`.")


class CountQuery(Shape):
    """What every list takes that can be counted."""

    count: Literal["exact"] | None = Field(
        None, description="`exact`: the response has `total`, the number of all that fit the filters."
    )


class Counted(Shape):
    """A list that can be counted."""

    total: int | None = Field(None, description="With `count=exact`: how many there are on all pages.")


def with_total(body: dict[str, Any], total: int | None) -> dict[str, Any]:
    """The body of a list, with its total where it was asked for."""
    return body if total is None else {**body, "total": total}


class AgentList(Shape):
    """All agents, by name."""

    items: list[AgentBody]
    next_cursor: None = Field(description="There is one page.")


class HealthBody(Shape):
    """The process lives."""

    status: Literal["ok"]


class CheckBody(Shape):
    """What is known of one part."""

    status: Literal["ok", "warning", "unavailable"]
    required: bool
    detail: str = ""
    queues: dict[str, int] = Field(default={}, description="Of `workers`: the number of workers of each queue.")
    ages: dict[str, float] = Field(
        default={}, description="Of `beat`: seconds since each periodic task last finished, `sweep_runs` above all."
    )


class ReadyBody(Shape):
    """What is known of all parts."""

    status: Literal["ok", "unavailable"]
    warnings: list[str] = Field(description="What is not as it should be, one sentence a part.")
    checks: dict[str, CheckBody]
