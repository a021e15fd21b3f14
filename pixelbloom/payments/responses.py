"""Stores subscriptions as Stripe returned them. Events may overtake a response."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import structlog

from pixelbloom.errors import PixelBloomError
from pixelbloom.payments import stripe_state
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.store import PaymentStore

log = structlog.get_logger(__name__)

#: How often a subscription is read again while other states of it are stored.
READINGS = 3


def store_response(
    store: PaymentStore, stripe: StripeGateway, subscription_id: str, request: Callable[[], dict[str, Any]]
) -> bool:
    """Make a request of Stripe that returns the subscription of this id, and store the state in its response.

    If another state is stored between the request and its response, only Stripe knows which is later, and the
    subscription is read again. Return whether the newest state is stored; else the next event has it. Raises what
    `request` raises, and Unavailable if the response cannot be stored.
    """
    if _stored(store, subscription_id, request):
        return True
    try:
        for _ in range(READINGS):
            if _stored(store, subscription_id, lambda: stripe.subscription(subscription_id)):
                return True
    except PixelBloomError as error:  # the request itself succeeded
        log.warning("subscription_not_read", stripe_subscription_id=subscription_id, reason=error.message)
    else:
        log.warning("subscription_not_settled", stripe_subscription_id=subscription_id, readings=READINGS)
    return False


def refresh(store: PaymentStore, stripe: StripeGateway, subscription_id: str) -> bool:
    """Read a subscription from Stripe and store its state. Returns and raises as `store_response`."""
    return store_response(store, stripe, subscription_id, lambda: stripe.subscription(subscription_id))


def _stored(store: PaymentStore, subscription_id: str, request: Callable[[], dict[str, Any]]) -> bool:
    over = store.stored_by(subscription_id)
    at = int(time.time())  # before the request: events from then on may be later than the response
    state = stripe_state.from_response(request(), at) | {"over": over}
    applied = store.apply(f"response:{uuid4()}", state)
    return applied is None or not applied["ambiguous_order"]
