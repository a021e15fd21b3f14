"""The schemas of requests and responses about notifications in the OpenAPI document."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from pixelbloom.agents.knowledge.described import NOT_NULL
from pixelbloom.core.statuses import BroadcastStatus, Severity
from pixelbloom.web.http.rendering import Body, CountedPage, JsonObject, Time, Uuid, column
from pixelbloom.web.http.schemas import (
    RUN_ID,
    USER_ID,
    CountQuery,
    Flag,
    OwnedQuery,
    PageQuery,
    Shape,
    UserId,
    example,
    read_uuid,
)

NOTIFICATION: dict[str, Any] = {
    "id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "notification_id": "c2a52c6e-51f4-4c8e-9c6c-7a9be1a6a0f3",
    "user_id": USER_ID,
    "notification_type": "run_completed",
    "severity": "success",
    "title": "Lead agent is done",
    "message": "The result is ready.",
    "action_url": "/runs/5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01",
    "created_at": "2026-01-31T12:00:03.480000Z",
    "read": False,
    "metadata": {"run_id": RUN_ID},
}
WANTED: dict[str, Any] = {
    "notification_type": "maintenance",
    "severity": "warning",
    "title": "Maintenance tonight",
    "message": "We are away from 2 to 3 o'clock.",
    "all_users": True,
}
BROADCAST: dict[str, Any] = {
    "id": "7d9a0c36-6d6b-4a4c-8f53-1c1d0f6b5e21",
    "broadcast_id": "7d9a0c36-6d6b-4a4c-8f53-1c1d0f6b5e21",
    "status": "sending",
    "sent": 0,
    "created_at": "2026-01-31T12:00:03.480000Z",
    "finished_at": None,
}
#: Notifications marked, or users notified, in one call.
MAX_IDS = 1_000

_IDS = {"type": "array", "minItems": 1, "maxItems": MAX_IDS, "items": {"type": "string", "format": "uuid"}}
Ids = Annotated[
    list[Annotated[UUID, BeforeValidator(read_uuid)]],
    Field(min_length=1, max_length=MAX_IDS),
    WithJsonSchema(_IDS),
]


class NotificationBody(Body):
    """A notification."""

    model_config = example(NOTIFICATION)

    id: Uuid
    notification_id: Uuid
    user_id: Uuid
    notification_type: str
    severity: Severity
    title: str
    message: str
    action_url: str | None = Field(description="The page to open.")
    created_at: Time
    read: bool
    metadata: JsonObject


class NotificationPage(CountedPage[NotificationBody]):
    """Notifications, newest first."""

    model_config = example({"items": [NOTIFICATION], "next_cursor": None, "unread_count": 1})

    unread_count: int | None = Field(description="Of all of one user's notifications; null for everybody's.")


class NotificationsQuery(OwnedQuery, CountQuery, PageQuery):
    """The notifications to list."""

    unread_only: Flag = Field(False, description="Only those not read yet.")
    notification_type: str | None = Field(
        None, min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="Only those of this type."
    )


class NotificationPath(Shape):
    """A notification's address."""

    notification_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the list.")


class UnreadQuery(Shape):
    """The user to count for."""

    user_id: UserId = Field(None, description="The user; for services and administrators. Your own by default.")


class UnreadBody(Body):
    """The number of unread notifications."""

    model_config = example({"unread_count": 3})

    unread_count: int


class MarkRequest(Shape):
    """The notifications to mark as read."""

    model_config = example({"notification_ids": [NOTIFICATION["id"]]}, extra="forbid")

    notification_ids: Ids


class MarkedBody(Body):
    """The result of marking."""

    model_config = example({"marked": 1, "unread_count": 2})

    marked: int = Field(description="The number that were unread before.")
    unread_count: int = Field(description="The number still unread.")


_TEXT = r"^[^\x00]*$"


class BroadcastRequest(Shape):
    """A notification and its audience: `user_id`, `user_ids` or `all_users`."""

    model_config = example(
        WANTED,
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["user_id"], "properties": {"user_id": NOT_NULL}},
                {"required": ["user_ids"], "properties": {"user_ids": NOT_NULL}},
                {"required": ["all_users"], "properties": {"all_users": {"const": True}}},
            ]
        },
    )

    notification_type: str = Field(min_length=1, max_length=100, pattern=_TEXT)
    severity: Severity = "info"
    title: str = Field(min_length=1, max_length=200, pattern=_TEXT)
    message: str = Field(max_length=4000, pattern=_TEXT)
    action_url: str | None = Field(None, max_length=2000, pattern=r"^(/([!-.0-\[\]-~][!-~]*)?|https://[!-~]+)$")
    metadata: JsonObject = Field(default={})
    user_id: UserId = None
    user_ids: Ids | None = None
    all_users: StrictBool = False

    @model_validator(mode="after")
    def _one_audience(self) -> "BroadcastRequest":
        """Check the rule of `oneOf` in the schema."""
        if (self.user_id is not None) + (self.user_ids is not None) + self.all_users != 1:
            raise ValueError("must have one of `user_id`, `user_ids` and `all_users`")
        return self

    @property
    def audience(self) -> list[UUID] | None:
        """The users to notify; None means all."""
        return [self.user_id] if self.user_id is not None else self.user_ids

    @property
    def notification(self) -> dict[str, Any]:
        """The notification."""
        return self.model_dump(mode="json", exclude={"user_id", "user_ids", "all_users"})


class BroadcastBody(Body):
    """A notification to many users."""

    model_config = example(BROADCAST)

    id: Uuid
    broadcast_id: Uuid = column("id")
    status: BroadcastStatus
    sent: int = Field(description="The number of users who have received it.")
    created_at: Time
    finished_at: Time | None


class BroadcastPath(Shape):
    """A broadcast's address."""

    broadcast_id: str = Field(json_schema_extra={"format": "uuid"}, description="From the response of POST.")
