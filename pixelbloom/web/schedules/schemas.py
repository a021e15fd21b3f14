"""The schemas of requests and responses about schedules in the OpenAPI document."""

from typing import Any

from pydantic import Field

from pixelbloom.core.statuses import RunKind
from pixelbloom.web.http.rendering import Body, JsonObject, Page, Time, Uuid
from pixelbloom.web.http.schemas import OwnedQuery, PageQuery, Shape, UserId, example

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


class ScheduleRequest(Shape):
    """An agent or a workflow, and when it runs."""

    model_config = example(WANTED, extra="forbid")

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


class ScheduleBody(Body):
    """A schedule."""

    model_config = example(SCHEDULE)

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

    model_config = example({"active": False}, extra="forbid")

    active: bool = Field(strict=True, description="False pauses it. True resumes it at its next time from now.")


class SchedulePage(Page[ScheduleBody]):
    """Schedules, newest first."""


class OwnedPageQuery(OwnedQuery, PageQuery):
    """The part of the list, and its owner."""


class SchedulePath(Shape):
    """A schedule's address."""

    schedule_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of POST.")
