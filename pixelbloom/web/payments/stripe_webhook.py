"""`/api/payments/webhook`: what Stripe tells us. Kept in the same call; a worker does the rest."""

from typing import Any, cast

import structlog
from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import ConfigurationError
from pixelbloom.payments import stripe_state as facts
from pixelbloom.payments.signatures import verified
from pixelbloom.payments.values import MalformedObject
from pixelbloom.web.container import services
from pixelbloom.web.http.body import StrictRequest
from pixelbloom.web.http.openapi import failures, headers, success
from pixelbloom.web.payments import schemas as payment_schemas
from pixelbloom.web.payments.schemas import ReceivedBody

log = structlog.get_logger(__name__)

stripe_webhook = APIBlueprint(
    "stripe_webhook",
    __name__,
    url_prefix="/api/payments",
    abp_tags=[Tag(name="Payments", description="Stripe checkout, webhooks and subscriptions.")],
    abp_security=[],
)
_SIGNATURE = {
    "name": "Stripe-Signature",
    "in": "header",
    "required": True,
    "description": "Stripe's signature over the raw body.",
    "schema": {"type": "string"},
}


@stripe_webhook.post(
    "/webhook",
    summary="Receive a Stripe event",
    operation_id="receiveStripeEvent",
    responses={**success(ReceivedBody, payment_schemas.RECEIVED), **failures(413, 500, 503)},
    openapi_extensions=headers(_SIGNATURE),
)
def receive_event() -> dict[str, Any]:
    """Takes an event that is signed with STRIPE_WEBHOOK_SECRET, or with one of them while it is rotated. A repeated
    event is stored once; one of an unknown type is stored and ignored, and a malformed one is dead-lettered.
    """
    secrets = [secret.get_secret_value() for secret in services().settings.stripe_webhook_secret]
    if not secrets:
        raise ConfigurationError("Payments are not set up here: STRIPE_WEBHOOK_SECRET is missing.")
    event = verified(cast(StrictRequest, request).get_raw(), request.headers.get("Stripe-Signature"), secrets)
    fact, unreadable = None, None
    try:
        fact = facts.read(event)
    except MalformedObject as error:
        # Stripe would send it again for days, and it would not be better.
        log.warning("stripe_event_malformed", event_id=event["id"], type=event["type"], reason=error.message)
        unreadable = error.message
    new = services().payments.record(event, fact, error=unreadable)
    log.info("stripe_event_received", event_id=event["id"], type=event["type"], new=new, handled=fact is not None)
    if new and fact is not None:
        services().send_task("pixelbloom.process_stripe_event", event["id"])
    return {"received": True}
