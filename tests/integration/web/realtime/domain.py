"""Events of leads, conversations, subscriptions and notifications."""

from typing import Any
from uuid import UUID, uuid4

from pixelbloom.events import domain
from pixelbloom.events.domain import DomainEvent
from tests.servers.web import Client

AT = "2026-01-31T12:00:00.000001Z"
ID = "812ee4be-d17d-4004-9d1e-cdceb3401e9d"
#: Every event of the spec with exactly its fields, less `user_id`.
SPEC: dict[str, dict[str, Any]] = {
    "lead_created": {"lead_id": ID, "created_at": AT},
    "lead_analyzed": {"lead_id": ID, "analysis_id": ID, "completed_at": AT},
    "message_created": {"conversation_id": ID, "message_id": ID, "created_at": AT},
    "conversation_deleted": {"conversation_id": ID, "deleted_at": AT},
    "subscription_created": {"subscription_id": ID, "plan": "Growth", "created_at": AT},
    "subscription_updated": {"subscription_id": ID, "plan": "Growth", "updated_at": AT},
    "notification_created": {
        "notification_id": ID,
        "notification_type": "run_completed",
        "severity": "success",
        "title": "Done",
        "message": "The run has ended.",
        "created_at": AT,
        "read": False,
        "metadata": {"run_id": ID},
        "action_url": "/runs/1",
    },
}


def event(kind: str, user_id: UUID | None, **changes: Any) -> DomainEvent:
    """Return an event of its own with new ids."""
    data = {name: str(uuid4()) if value == ID else value for name, value in SPEC[kind].items()}
    return domain.read(kind, {**data, "user_id": str(user_id) if user_id else None, **changes})


def subscribed(client: Client, topic: str, **options: Any) -> list[dict[str, Any]]:
    client.send(type="subscribe", topic=topic, **options)
    response = client.until(type="subscribed")
    return response if response[-1]["recovered"] else [*response, client.next()]
