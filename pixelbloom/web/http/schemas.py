"""The schemas of requests and responses in the OpenAPI document."""

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
from pixelbloom.core.statuses import RunStatusName
from pixelbloom.web.http import examples

Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
JsonObject = dict[str, Any]
#: The limit of metadata of leads, conversations and messages, as JSON; the columns' checks have the same.
MAX_METADATA_BYTES = 16_384


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES // 1024} KiB as JSON")
    return value


Metadata = Annotated[JsonObject, AfterValidator(_check_size)]

#: How far ahead a run may be scheduled.
MAX_DELAY = timedelta(days=366)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def uuid_or_none(text: object) -> UUID | None:
    """Return the UUID in this text in its canonical form, or None."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def text_or_none(row_id: UUID | None) -> str | None:
    """Return the id as text."""
    return str(row_id) if row_id else None


def read_uuid(value: object) -> UUID:
    found = uuid_or_none(value)
    if found is None:
        raise ValueError("must be a UUID")
    return found


def _read_time(value: object) -> datetime:
    """Parse ISO 8601; UTC if there is no zone. A space is accepted for an unencoded `+`."""
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
    """Reject true and "3" as whole numbers; 3.0 is one in JSON."""
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
    """A model whose JSON Schema is cached; flask-openapi3 reads it on every request."""

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _schema(cls, args, tuple(kwargs.items()))


@cache
def _schema(model: type[Shape], args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return super(Shape, model).model_json_schema(*args, **dict(kwargs))


class Changes(Shape):
    """The body of an update. Omitted fields do not change, so the fields' defaults are not used."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = super().__get_pydantic_json_schema__(schema, handler)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for name, field in properties.items():
            properties[name] = {key: value for key, value in field.items() if key != "default"}
        return found


class ErrorDetail(Shape):
    """An invalid field."""

    field: str
    message: str


class ErrorBody(Shape):
    """The body of every error."""

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
    details: list[ErrorDetail] = Field(default=[], description="Only if fields are invalid.")


class SubmissionTerms(Shape):
    """The common fields of all submissions."""

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
    """An agent and its input."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": examples.INVOKE})  # type: ignore[typeddict-unknown-key]

    agent_type: str = Field(max_length=100)
    input: JsonObject


class InvokeResponse(Shape):
    """The accepted run."""

    id: Uuid
    request_id: Uuid
    status: RunStatusName
    result: JsonObject = Field(default={}, description="Only if status is completed.")
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
    model: str = Field(description="The model that it uses; OLLAMA_MODEL overrides the agent's choice.")
    input_schema: JsonObject = Field(description="JSON Schema of `input`.")
    output_schema: JsonObject = Field(description="JSON Schema of `result`.")


class CountQuery(Shape):
    """The query of a list that can be counted."""

    count: Literal["exact"] | None = Field(
        None, description="`exact`: the response has `total`, the number of all rows that match the filters."
    )


class Counted(Shape):
    """A list that can be counted."""

    total: int | None = Field(None, description="With `count=exact`: the number on all pages.")


def with_total(body: dict[str, Any], total: int | None) -> dict[str, Any]:
    """Return the body of a list, with its total if requested."""
    return body if total is None else {**body, "total": total}


class AgentList(Shape):
    """All agents, by name."""

    items: list[AgentBody]
    next_cursor: None = Field(description="There is one page.")


class HealthBody(Shape):
    """The process is alive."""

    status: Literal["ok"]


class CheckBody(Shape):
    """The state of one part."""

    status: Literal["ok", "warning", "unavailable"]
    required: bool
    detail: str = ""
    queues: dict[str, int] = Field(default={}, description="Of `workers`: the number of workers of each queue.")
    ages: dict[str, float] = Field(
        default={}, description="Of `beat`: seconds since each periodic task last finished, `sweep_runs` above all."
    )


class ReadyBody(Shape):
    """The state of all parts."""

    status: Literal["ok", "unavailable"]
    warnings: list[str] = Field(description="Problems, one sentence per part.")
    checks: dict[str, CheckBody]
