"""The schemas of responses about failed runs in the OpenAPI document."""

from typing import Any

from pydantic import Field

from pixelbloom.core.statuses import RunKind
from pixelbloom.web.http.rendering import Body, Time, Uuid
from pixelbloom.web.http.schemas import Moment, OwnedQuery, example

GROUP: dict[str, Any] = {
    "id": "6e0c5b3f-5d0f-7b60-6a57-2f4a8c1d9e10",
    "kind": "agent",
    "agent_type": "lead_agent",
    "workflow_id": None,
    "error_code": "TIMEOUT",
    "count": 3,
    "first_at": "2026-01-31T11:40:00.000000Z",
    "last_at": "2026-01-31T12:00:00.000000Z",
    "last_run_id": "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01",
    "last_error": "The model did not respond within 60 s.",
}


class FailureGroup(Body):
    """Failed runs of one agent or workflow, with one error code."""

    id: Uuid
    kind: RunKind
    agent_type: str | None = Field(description="Only of an agent's runs.")
    workflow_id: str | None = Field(description="Only of a workflow's runs.")
    error_code: str | None
    count: int
    first_at: Time = Field(description="When the oldest of them was created.")
    last_at: Time = Field(description="When the newest of them was created.")
    last_run_id: Uuid = Field(description="The newest of them.")
    last_error: str | None = Field(description="Why the newest of them failed.")


class FailurePage(Body):
    """Groups of failed runs, the largest first, 200 at most."""

    model_config = example({"items": [GROUP], "counted": 3, "more": False})

    items: list[FailureGroup]
    counted: int = Field(description="How many failed runs are grouped, 10,000 at most.")
    more: bool = Field(description="Whether there are older ones beyond these.")


class FailureQuery(OwnedQuery):
    """Which failed runs to group."""

    created_after: Moment | None = Field(None, description="Only runs created after this time.")
    created_before: Moment | None = Field(None, description="Only runs created before this time.")
