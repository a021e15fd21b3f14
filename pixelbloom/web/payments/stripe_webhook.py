"""`/api/payments/webhook`: events from Stripe. They are stored in the request; a worker processes them."""

from typing import cast

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.errors import ConfigurationError
from pixelbloom.payments.signatures import verified
from pixelbloom.web.container import services
from pixelbloom.web.http.body import StrictRequest
from pixelbloom.web.http.openapi import failures, headers, success
from pixelbloom.web.payments.schemas import ReceivedBody

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
    responses={**success(ReceivedBody), **failures(413, 500, 503)},
    openapi_extensions=headers(_SIGNATURE),
)
def receive_event() -> ReceivedBody:
    """Accepts an event that is signed with STRIPE_WEBHOOK_SECRET, or with one of several during a rotation. A repeated
    event is stored once; one of an unknown type is stored and ignored, and a malformed one is dead-lettered.
    """
    secrets = [secret.get_secret_value() for secret in services().settings.stripe_webhook_secret]
    if not secrets:
        raise ConfigurationError("Payments are not configured: STRIPE_WEBHOOK_SECRET is missing.")
    event = verified(cast(StrictRequest, request).get_raw(), request.headers.get("Stripe-Signature"), secrets)
    services().stripe_events.receive(event)
    return ReceivedBody(received=True)
