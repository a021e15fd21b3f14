"""Domain events of leads, conversations, subscriptions and notifications, as the spec defines them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from pixelbloom.core.statuses import Severity
from pixelbloom.core.time_zones import iso_utc
from pixelbloom.events.topics import ANALYTICS, NOTIFICATIONS, user_topic

Moment = Annotated[datetime, PlainSerializer(iso_utc)]


class DomainEvent(BaseModel):
    """A change of a row, with or without an owner. The fields are those of the flat form's `data`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    channel: ClassVar[str] = ANALYTICS
    #: The field with the id of the row.
    row: ClassVar[str]
    #: The fields that, with the type, identify the event.
    identity: ClassVar[tuple[str, ...]]

    user_id: UUID | None

    @property
    def id(self) -> str:
        """The deduplication id: the same for the same change, whichever process publishes it."""
        return ":".join((self.type, *(str(getattr(self, name)) for name in self.identity)))

    @property
    def topic(self) -> str | None:
        """The topic of the envelope form, or None."""
        return None

    @property
    def flat(self) -> dict[str, Any] | None:
        """The `data` of the flat form, plus the row's id as `id`; None if clients do not receive the event."""
        data = self.model_dump(mode="json")
        return {"id": data[self.row], **data}

    @property
    def envelope(self) -> dict[str, Any]:
        """The `data` of the envelope form."""
        raise NotImplementedError


class LeadCreated(DomainEvent):
    """A lead was stored."""

    type = "lead_created"
    row = "lead_id"
    identity = ("lead_id",)

    lead_id: UUID
    created_at: Moment


class LeadAnalyzed(DomainEvent):
    """lead_agent has scored a lead."""

    type = "lead_analyzed"
    row = "lead_id"
    identity = ("analysis_id",)

    lead_id: UUID
    analysis_id: UUID
    completed_at: Moment


class MessageCreated(DomainEvent):
    """A user or the assistant added a message to a conversation."""

    type = "message_created"
    row = "message_id"
    identity = ("message_id",)

    conversation_id: UUID
    message_id: UUID
    created_at: Moment


class ConversationDeleted(DomainEvent):
    """A conversation was removed."""

    type = "conversation_deleted"
    row = "conversation_id"
    identity = ("conversation_id", "deleted_at")

    conversation_id: UUID
    deleted_at: Moment


class SubscriptionCreated(DomainEvent):
    """A plan was subscribed to."""

    type = "subscription_created"
    row = "subscription_id"
    identity = ("subscription_id",)

    subscription_id: UUID
    plan: str
    created_at: Moment


class SubscriptionUpdated(DomainEvent):
    """A subscription changed: its status, price or end."""

    type = "subscription_updated"
    row = "subscription_id"
    identity = ("subscription_id", "updated_at")

    subscription_id: UUID
    plan: str
    updated_at: Moment


class NotificationCreated(DomainEvent):
    """A notification was created for a user."""

    type = "notification_created"
    channel = NOTIFICATIONS
    row = "notification_id"
    identity = ("notification_id",)

    notification_id: UUID
    notification_type: str
    severity: Severity
    title: str
    message: str
    created_at: Moment
    read: bool = False
    metadata: dict[str, Any] = Field(default_factory=dict)
    action_url: str | None = None

    @property
    def topic(self) -> str | None:
        return None if self.user_id is None else user_topic(self.user_id)

    @property
    def envelope(self) -> dict[str, Any]:
        return self.flat or {}


class DataChanged(DomainEvent):
    """Rows changed in a way that the spec has no event for: live figures are recomputed."""

    type = "data_changed"
    row = "row_id"
    identity = ("subject", "row_id", "changed_at")

    subject: Literal["leads", "conversations", "subscriptions"]
    row_id: UUID
    changed_at: Moment

    @property
    def flat(self) -> None:
        return None


TYPES: Mapping[str, type[DomainEvent]] = {
    kind.type: kind
    for kind in (
        LeadCreated,
        LeadAnalyzed,
        MessageCreated,
        ConversationDeleted,
        SubscriptionCreated,
        SubscriptionUpdated,
        NotificationCreated,
        DataChanged,
    )
}


def read(kind: str, payload: Mapping[str, Any]) -> DomainEvent:
    """Return the event of an outbox row. Raises ValueError if it is invalid."""
    if kind not in TYPES:
        raise ValueError(f"There is no event of type {kind}.")
    return TYPES[kind].model_validate(payload)
