"""The schemas of requests and responses about schedules and webhooks in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from pixelbloom.core.statuses import DeliveryStatus, RunKind
from pixelbloom.runs.service import CURSOR_PATTERN, MAX_PAGE
from pixelbloom.web.http.schemas import JsonObject, Shape, Time, UserId, Uuid, read_limit

WANTED: dict[str, Any] = {
    "workflow_id": "support_triage",
    "inputs": {"message": "What is new this week?"},
    "cron": "30 7 * * 1",
    "timezone": "Europe/Vienna",
}
SCHEDULE: dict[str, Any] = {
    "id": "7d9a0c36-6d6b-4a4c-8f53-1c1d0f6b5e21",
    "schedule_id": "7d9a0c36-6d6b-4a4c-8f53-1c1d0f6b5e21",
    "kind": "workflow",
    **WANTED,
    "user_id": None,
    "metadata": {},
    "active": True,
    "next_run_at": "2026-02-02T06:30:00Z",
    "next_runs": ["2026-02-02T06:30:00Z", "2026-02-09T06:30:00Z"],
    "last_run_at": None,
    "last_run_id": None,
    "last_error": None,
    "created_at": "2026-01-31T12:00:00.004000Z",
}
DELIVERY: dict[str, Any] = {
    "id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "delivery_id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "run_id": "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01",
    "url": "https://example.com/hooks",
    "event": "run.completed",
    "status": "delivered",
    "attempts": 1,
    "next_attempt_at": None,
    "last_status_code": 204,
    "last_error": None,
    "outcomes": [{"at": "2026-01-31T12:00:04Z", "status_code": 204, "error": None, "duration_ms": 41}],
    "created_at": "2026-01-31T12:00:03.500000Z",
    "finished_at": "2026-01-31T12:00:04.000000Z",
}


class ScheduleRequest(Shape):
    """An agent or a workflow, and when it runs."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": WANTED})  # type: ignore[typeddict-unknown-key]

    agent_type: str | None = Field(None, max_length=100, description="An agent; or else a workflow_id.")
    input: JsonObject | None = Field(None, description="The agent's input.")
    workflow_id: str | None = Field(
        None, pattern="^[a-z][a-z0-9_]{0,99}(@[1-9][0-9]{0,8})?$", description="A workflow; or else an agent_type."
    )
    inputs: JsonObject | None = Field(None, description="The workflow's inputs.")
    cron: str = Field(max_length=200, description="Minute, hour, day of month, month, day of week.")
    timezone: str = Field("UTC", max_length=100, description="Of the IANA database, such as Europe/Vienna.")
    user_id: UserId = None
    metadata: JsonObject = Field(default={})


class ScheduleBody(Shape):
    """A schedule."""

    id: Uuid
    schedule_id: Uuid
    kind: RunKind
    agent_type: str = Field(default="", description="Only of an agent's.")
    input: JsonObject = Field(default={}, description="Only of an agent's.")
    workflow_id: str = Field(default="", description="Only of a workflow's.")
    inputs: JsonObject = Field(default={}, description="Only of a workflow's.")
    user_id: Uuid | None
    metadata: JsonObject
    cron: str
    timezone: str
    active: bool = Field(description="False while it is paused.")
    next_run_at: Time | None = Field(description="Null while it is paused.")
    next_runs: list[Time] = Field(description="The next five times; empty while it is paused.")
    last_run_at: Time | None = Field(description="The time of its last run.")
    last_run_id: Uuid | None
    last_error: str | None = Field(description="Why it failed to start its last run.")
    created_at: Time


class ScheduleChange(Shape):
    """Whether the schedule starts runs."""

    model_config = ConfigDict(extra="forbid", openapi_extra={"example": {"active": False}})  # type: ignore[typeddict-unknown-key]

    active: bool = Field(strict=True, description="False pauses it. True resumes it at its next time from now.")


class SchedulePage(Shape):
    """Schedules, newest first."""

    items: list[ScheduleBody]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class PageQuery(Shape):
    """The part of the list, and its owner."""

    user_id: UserId = Field(None, description="The owner; for services and administrators. Others see their own.")
    limit: Annotated[int, BeforeValidator(read_limit)] = Field(50, ge=1, le=MAX_PAGE, description="How many at most.")
    cursor: str | None = Field(None, pattern=CURSOR_PATTERN, description="From `next_cursor`.")


class SchedulePath(Shape):
    """A schedule's address."""

    schedule_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of POST.")


class Attempt(Shape):
    """How one attempt at a delivery ended."""

    at: Time
    status_code: int | None
    error: str | None
    duration_ms: int | None


class DeliveryBody(Shape):
    """A delivery of a webhook."""

    id: Uuid
    delivery_id: Uuid
    run_id: Uuid
    url: str
    event: Literal["run.completed", "run.failed", "run.cancelled"]
    status: DeliveryStatus
    attempts: int
    next_attempt_at: Time | None = Field(description="Null once it has ended.")
    last_status_code: int | None
    last_error: str | None
    outcomes: list[Attempt] = Field(description="The newest twenty attempts.")
    created_at: Time
    finished_at: Time | None


class DeliveryPage(Shape):
    """Deliveries, newest first."""

    items: list[DeliveryBody]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class WebhookSecretBody(Shape):
    """The secret with which a user verifies webhooks."""

    secret: str = Field(description="Signs only your own deliveries; in the format of Standard Webhooks' libraries.")


class DeliveryQuery(PageQuery):
    """Which deliveries to list."""

    run_id: UserId = Field(None, description="Only those of this run.")
    status: DeliveryStatus | None = Field(None, description="Only those in this state.")


class DeliveryPath(Shape):
    """A delivery's address."""

    delivery_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the list.")
