"""The schemas of requests and responses about webhooks in the OpenAPI document."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from pixelbloom.core.statuses import DeliveryStatus
from pixelbloom.web.http.rendering import Body, Page, Time, Uuid, column
from pixelbloom.web.http.schemas import Shape, UserId, example
from pixelbloom.web.schedules.schemas import OwnedPageQuery

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


class Attempt(Body):
    """How one attempt at a delivery ended."""

    at: Time
    status_code: int | None
    error: str | None
    duration_ms: int | None


class DeliveryBody(Body):
    """A delivery of a webhook."""

    model_config = example(DELIVERY)

    id: Uuid
    delivery_id: Uuid = column("id")
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

    @field_validator("next_attempt_at", mode="before")
    @classmethod
    def _only_while_pending(cls, at: object, info: ValidationInfo) -> object:
        return at if info.data["status"] == "pending" else None


class DeliveryPage(Page[DeliveryBody]):
    """Deliveries, newest first."""


class WebhookSecretBody(Body):
    """The secret with which a user verifies webhooks."""

    model_config = example({"secret": "whsec_jXrGFAUeE7sHZVZyFZn9wXlCkfuBzEobDqlfhLNBgTE="})

    secret: str = Field(description="Signs only your own deliveries; in the format of Standard Webhooks' libraries.")


class DeliveryQuery(OwnedPageQuery):
    """Which deliveries to list."""

    run_id: UserId = Field(None, description="Only those of this run.")
    status: DeliveryStatus | None = Field(None, description="Only those in this state.")


class DeliveryPath(Shape):
    """A delivery's address."""

    delivery_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the list.")
