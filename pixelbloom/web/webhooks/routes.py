"""`/api/agents/webhooks`: webhook deliveries, and repeating them."""

from typing import Any
from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import Conflict, Forbidden, NotFound, Unavailable
from pixelbloom.runs.model import iso, parse_time
from pixelbloom.runs.service import read_cursor, write_cursor
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, may_see, own_or_scoped, principal
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.http.schemas import uuid_or_none
from pixelbloom.web.schedules import schemas as examples
from pixelbloom.web.schedules.schemas import (
    DeliveryBody,
    DeliveryPage,
    DeliveryPath,
    DeliveryQuery,
    WebhookSecretBody,
)
from pixelbloom.webhooks.secrets import own_secret

webhooks = APIBlueprint(
    "webhooks",
    __name__,
    url_prefix="/api/agents/webhooks",
    abp_tags=[Tag(name="Webhooks", description="Deliveries to the webhook_url of runs.")],
    abp_security=SECURITY,
)
webhooks.before_request(own_or_scoped("runs"))

_NO_SUCH = "There is no such delivery, or it is not yours."


@webhooks.get(
    "",
    summary="List webhook deliveries",
    operation_id="listWebhookDeliveries",
    responses={
        **success(DeliveryPage, {"items": [examples.DELIVERY], "next_cursor": None}),
        **failures(400, 401, 403, 500, 503),
    },
)
def list_deliveries(query: DeliveryQuery) -> dict[str, Any]:
    """Returns the deliveries of your own runs, newest first. Services and administrators get everybody's, or those of
    `user_id`.
    """
    wanted = {"user_id": listed_owner(query.user_id), "run_id": query.run_id, "status": query.status}
    rows = services().webhooks.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        before=read_cursor(query.cursor) if query.cursor else None,
    )
    return {
        "items": [_shown(row) for row in rows.items],
        "next_cursor": write_cursor(rows.items[-1]) if rows.more else None,
    }


@webhooks.get(
    "/secret",
    summary="Get your webhook secret",
    operation_id="getWebhookSecret",
    responses={
        **success(WebhookSecretBody, {"secret": "whsec_jXrGFAUeE7sHZVZyFZn9wXlCkfuBzEobDqlfhLNBgTE="}),
        **failures(401, 403, 500, 503),
    },
)
def get_secret() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Returns the secret that signs only the deliveries of your runs.

    For users: a service verifies with WEBHOOK_SECRET, and checks `data.user_id`.
    """
    user_id = principal().user_id
    if user_id is None:
        raise Forbidden("This secret is a user's; a service verifies webhooks with WEBHOOK_SECRET.")
    secrets = services().settings.webhook_secret
    if not secrets:
        raise Unavailable("Webhooks are not configured: WEBHOOK_SECRET is missing.")
    return {"secret": own_secret(secrets[0].get_secret_value(), user_id)}, 200, {"Cache-Control": "no-store"}


@webhooks.post(
    "/<delivery_id>/redeliver",
    summary="Redeliver a webhook",
    operation_id="redeliverWebhook",
    responses={**success(DeliveryBody, examples.DELIVERY), **failures(401, 403, 404, 409, 500, 503)},
)
def redeliver(path: DeliveryPath) -> dict[str, Any]:
    """Repeats a delivery that has ended, with attempts for another day."""
    delivery_id = uuid_or_none(path.delivery_id)
    if delivery_id is None:
        raise NotFound(_NO_SUCH)
    row = _found(delivery_id)
    if not may_see(row["user_id"]):
        raise NotFound(_NO_SUCH)
    if services().webhooks.redeliver(delivery_id) == "pending":
        raise Conflict("The delivery is still being tried; wait until it has ended.")
    return _shown(_found(delivery_id))


def _found(delivery_id: UUID) -> dict[str, Any]:
    row = services().webhooks.find(delivery_id)
    if row is None:
        raise NotFound(_NO_SUCH)
    return row


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    pending = row["status"] == "pending"
    return {
        "id": row["id"],
        "delivery_id": row["id"],
        "run_id": row["run_id"],
        "url": row["url"],
        "event": row["event"],
        "status": row["status"],
        "attempts": row["attempts"],
        "next_attempt_at": iso(parse_time(row["next_attempt_at"])) if pending else None,
        "last_status_code": row["last_status_code"],
        "last_error": row["last_error"],
        "outcomes": row["outcomes"],
        "created_at": iso(parse_time(row["created_at"])),
        "finished_at": iso(parse_time(row["finished_at"])),
    }
