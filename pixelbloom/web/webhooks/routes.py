"""`/api/agents/webhooks`: webhook deliveries, and repeating them."""

from uuid import UUID

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import Conflict
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import listed_owner, own_or_scoped, principal, visible
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.http.rendering import Responded
from pixelbloom.web.webhooks.schemas import (
    DeliveryBody,
    DeliveryPage,
    DeliveryPath,
    DeliveryQuery,
    WebhookSecretBody,
)
from pixelbloom.webhooks.secrets import current_secret

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
    responses={**success(DeliveryPage), **failures(400, 401, 403, 500, 503)},
)
def list_deliveries(query: DeliveryQuery) -> DeliveryPage:
    """Returns the deliveries of your own runs, newest first. Services and administrators get everybody's, or those of
    `user_id`.
    """
    wanted = {"user_id": listed_owner(query.user_id), "run_id": query.run_id, "status": query.status}
    rows = services().webhooks.page(
        limit=query.limit,
        filters={name: str(value) for name, value in wanted.items() if value is not None},
        before=query.before,
    )
    return DeliveryPage.of(rows)


@webhooks.get(
    "/secret",
    summary="Get your webhook secret",
    operation_id="getWebhookSecret",
    responses={**success(WebhookSecretBody), **failures(401, 403, 500, 503)},
)
def get_secret() -> Responded:
    """Returns the secret that signs only the deliveries of your runs.

    For users: a service verifies with WEBHOOK_SECRET, and checks `data.user_id`.
    """
    secret = current_secret(services().settings, principal().user_id)
    return WebhookSecretBody(secret=secret), 200, {"Cache-Control": "no-store"}


@webhooks.post(
    "/<delivery_id>/redeliver",
    summary="Redeliver a webhook",
    operation_id="redeliverWebhook",
    responses={**success(DeliveryBody), **failures(401, 403, 404, 409, 500, 503)},
)
def redeliver(path: DeliveryPath) -> DeliveryBody:
    """Repeats a delivery that has ended, with attempts for another day."""
    row = visible(path.delivery_id, services().webhooks.find, _NO_SUCH)
    if services().webhooks.redeliver(UUID(row["id"])) == "pending":
        raise Conflict("The delivery is still being tried; wait until it has ended.")
    return DeliveryBody.model_validate(visible(path.delivery_id, services().webhooks.find, _NO_SUCH))
