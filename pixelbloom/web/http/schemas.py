"""The common parts of the schemas of requests, and the schema of invoking an agent."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pixelbloom.core.absent import NullIsAbsent
from pixelbloom.core.statuses import RunStatusName
from pixelbloom.core.time_zones import iso
from pixelbloom.database.cursors import CURSOR_PATTERN, read_cursor
from pixelbloom.database.pagination import MAX_PAGE
from pixelbloom.runs.service import Accepted
from pixelbloom.runs.status import RunStatus
from pixelbloom.web.http.rendering import Body, JsonObject, Uuid

#: The limit of metadata of leads, conversations and messages, as JSON; the columns' checks have the same.
MAX_METADATA_BYTES = 16_384


def _check_size(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, ensure_ascii=False).encode(errors="replace")) > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES // 1024} KiB as JSON")
    return value


Metadata = Annotated[JsonObject, AfterValidator(_check_size)]
#: In examples.
RUN_ID, USER_ID = "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01", "0b9f1a0e-5f8c-4c0b-8a54-6a1f6c1d2e3f"

#: How far ahead a run may be scheduled.
MAX_DELAY = timedelta(days=366)

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SPACE_FOR_PLUS = re.compile(r" (\d\d:?\d\d)$")


def uuid_or_none(text: object) -> UUID | None:
    """Return the UUID in this text in its canonical form, or None."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


def example(value: Any, **config: Any) -> Any:
    """Return the configuration of a model with this example in the API document."""
    return {"openapi_extra": {"example": value}, **config}


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


def _read_limit(value: object) -> object:
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
Limit = Annotated[int, BeforeValidator(_read_limit)]
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


class PageQuery(Shape):
    """Which part of a list."""

    limit: Limit = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor`.")

    @property
    def before(self) -> tuple[str, str] | None:
        """The time and the id of the last row that was read."""
        return read_cursor(self.cursor) if self.cursor else None


class OwnedQuery(Shape):
    """The owner of what is listed."""

    user_id: UserId = Field(None, description="The owner; for services and administrators. Others see their own.")


class CreatedQuery(Shape):
    """When what is listed was created."""

    created_after: Moment | None = None
    created_before: Moment | None = None

    @property
    def between(self) -> tuple[str | None, str | None]:
        """Both times as ISO 8601."""
        return iso(self.created_after), iso(self.created_before)


class Changes(Shape):
    """The body of an update. Omitted fields do not change, so the fields' defaults are not used."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = super().__get_pydantic_json_schema__(schema, handler)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for name, field in properties.items():
            properties[name] = {key: value for key, value in field.items() if key != "default"}
        return found


class ErrorDetail(Body):
    """An invalid field."""

    field: str
    message: str


class ErrorBody(Body):
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

    model_config = example(
        {
            "agent_type": "lead_agent",
            "input": {"query": "Find top prospects in SaaS"},
            "metadata": {"source": "dashboard"},
        },
        extra="forbid",
    )

    agent_type: str = Field(max_length=100)
    input: JsonObject


class AcceptedBody(Body):
    """The accepted run, of any kind. `_named` and `_result` are its fields for the run's id and result."""

    _named: ClassVar[str]
    _result: ClassVar[str]

    id: Uuid
    status: RunStatusName
    error: str | None = Field(description="Why the run failed; null otherwise.")

    @classmethod
    def of(cls, accepted: Accepted) -> Self:
        """Return the body about an accepted run, with the result of a completed one."""
        fields = {"id": accepted.id, cls._named: accepted.id, "status": str(accepted.status), "error": accepted.error}
        if accepted.status == RunStatus.COMPLETED:
            fields[cls._result] = accepted.result
        return cls.model_validate(fields)


class InvokeResponse(AcceptedBody):
    """The accepted run."""

    model_config = example({"id": RUN_ID, "request_id": RUN_ID, "status": "queued", "error": None})

    _named, _result = "request_id", "result"

    request_id: Uuid
    result: JsonObject = Field(default={}, description="Only if status is completed.")


class CountQuery(Shape):
    """The query of a list that can be counted."""

    count: Literal["exact"] | None = Field(
        None, description="`exact`: the response has `total`, the number of all rows that match the filters."
    )
