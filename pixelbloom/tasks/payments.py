"""Processes Stripe's events, and reconciles with Stripe every night."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import structlog

from pixelbloom.celery_app import app
from pixelbloom.core.backoff import backoff
from pixelbloom.errors import InvalidInput, PixelBloomError, RateLimited, Unavailable
from pixelbloom.payments import stripe_state
from pixelbloom.payments.stripe_state import StripeObjectState
from pixelbloom.payments.values import MalformedObject
from pixelbloom.tasks.container import services

log = structlog.get_logger(__name__)

#: Events per task; the next beat continues.
BATCH = 200
#: Longer than Stripe and the database may take together.
LEASE_SECONDS = 120.0
#: Pauses double from 5 seconds, about half a day in all. Then the event is dead-lettered.
FIRST_PAUSE_SECONDS = 5.0
MAX_ATTEMPTS = 12
PAGE = 100
#: The task ends after this many consecutive events that failed because the database is unreachable.
MAX_UNAVAILABLE = 3
#: `checkout.session.expired` comes long before.
LOST_AFTER = timedelta(minutes=15)


@app.task(name="pixelbloom.process_stripe_events")
def process_stripe_events() -> int:
    """Process due events, the oldest first. Return their number.

    A failed event does not stop later ones. While the database is unreachable, the next task continues.
    """
    ids = services().payments.due(BATCH)
    unavailable = 0
    for event_id in ids:
        try:
            process_stripe_event(event_id)
            unavailable = 0
        except Unavailable as error:
            unavailable += 1
            log.warning("stripe_event_left", event_id=event_id, reason=error.message)
            if unavailable == MAX_UNAVAILABLE:
                break
        except Exception:
            log.exception("stripe_event_left", event_id=event_id)
    return len(ids)


@app.task(name="pixelbloom.process_stripe_event")
def process_stripe_event(event_id: str) -> str | None:
    """Make one attempt at an event. Return processed, ignored, received (to retry) or failed; None if not attempted.

    Safe to repeat, also concurrently. Any error uses up the attempt; after the last one the event is dead-lettered.
    """
    parts = services()
    begun = parts.payments.begin(event_id, LEASE_SECONDS, MAX_ATTEMPTS)
    if begun is None:
        return None
    try:
        state = _resolved(begun["state"] or _fetched(event_id), begun["type"])
        applied = parts.payments.apply(event_id, state, begun["token"])
        if applied is None:
            return None
        if applied["ambiguous_order"] and state["kind"] == "subscription":
            _ask(state["id"])
    except Exception as error:
        return _failed(begun, error)
    # The rows' events are in the outbox: publish them now, not at the next beat.
    parts.dispatcher.send("pixelbloom.relay_outbox")
    parts.metrics.stripe_event_handled(str(applied["status"]))
    log.info("stripe_event_processed", event_id=event_id, type=begun["type"], **applied)
    return str(applied["status"])


def _failed(begun: Mapping[str, Any], error: Exception) -> str | None:
    """Record a failed attempt. Return received or failed."""
    final = isinstance(error, InvalidInput) or begun["attempts"] >= MAX_ATTEMPTS
    expected = isinstance(error, PixelBloomError)
    reason = error.message if isinstance(error, PixelBloomError) else f"{type(error).__name__}: see the worker's log."
    status = services().payments.fail(
        begun["id"],
        begun["token"],
        reason,
        retry_seconds=backoff(FIRST_PAUSE_SECONDS, begun["attempts"]),
        final=final,
    )
    if status is not None:
        services().metrics.stripe_event_handled(status)
    log.warning(
        "stripe_event_failed",
        event_id=begun["id"],
        type=begun["type"],
        status=status,
        reason=reason,
        exc_info=None if expected else error,
    )
    return status


def _fetched(event_id: str) -> StripeObjectState:
    """Fetch an event that could not be parsed on receipt, and return its state. Raises MalformedObject."""
    state = stripe_state.read(services().stripe.event(event_id))
    if state is None:
        raise MalformedObject("The event's type is no longer handled.")
    return state


@app.task(name="pixelbloom.reconcile_subscriptions")
def reconcile_subscriptions() -> int:
    """Compare every stored subscription with Stripe, and apply differences. Return the number repaired.

    Stored subscriptions unknown to Stripe are logged and not changed: the key may belong to another account.
    """
    parts = services()
    if parts.settings.stripe_api_key is None:
        return 0
    repaired = 0
    seen: set[str] = set()
    listed = parts.stripe.subscriptions()
    # Taken before each page is requested: later events are newer.
    at = int(time.time())
    while page := list(islice(listed, PAGE)):
        found = list(_readable(page, at))
        seen |= {str(item.get("id")) for item in page}
        known = parts.payments.known([state["id"] for state in found])
        for state in found:
            if state["id"] not in known or _same(known[state["id"]], state["body"]):
                continue  # not created by our checkout, or unchanged
            parts.payments.apply(f"reconciled:{at}", state)
            repaired += 1
            log.warning("subscription_repaired", stripe_subscription_id=state["id"], status=state["body"]["status"])
        at = int(time.time())
    if repaired:
        parts.dispatcher.send("pixelbloom.relay_outbox")
    lost = [open_id for open_id in _open() if open_id not in seen]
    for open_id in lost:
        log.warning("subscription_unknown_to_stripe", stripe_subscription_id=open_id)
    log.info("subscriptions_reconciled", seen=len(seen), repaired=repaired, unknown=len(lost))
    return repaired


@app.task(name="pixelbloom.release_lost_uses")
def release_lost_uses() -> int:
    """Release code redemptions of checkouts that expired without an event. Return the number released.

    A known session is looked up at Stripe. A session that was never recorded, because Stripe did not respond, cannot be
    paid.
    """
    parts = services()
    released = 0
    for row in parts.pricing.overdue_redemptions(datetime.now(UTC) - LOST_AFTER, PAGE):
        try:
            state = parts.checkouts.end_redemption(row["redemption_key"], row["stripe_session_id"])
        except PixelBloomError as error:
            log.warning("campaign_use_left", redemption_id=row["id"], reason=error.message)
            if isinstance(error, Unavailable):
                break
        else:
            released += state == "expired"
            log.info("campaign_use_recorded", redemption_id=row["id"], state=state)
    return released


def _same(known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether two states of a subscription differ at most in the amount of its upcoming invoice."""
    return {**known, "notified_amount": None} == {**found, "notified_amount": None}


def _open() -> Iterable[str]:
    after = ""
    while page := services().payments.open_subscriptions(PAGE, after):
        yield from page
        after = page[-1]


def _ask(subscription_id: str) -> None:
    """Resolve two conflicting events of the same second by reading Stripe. If that fails, reconciliation does it."""
    parts, at = services(), int(time.time())
    if parts.settings.stripe_api_key is None:
        return
    try:
        parts.payments.apply(
            f"response:{at}", stripe_state.from_response(parts.stripe.subscription(subscription_id), at)
        )
    except PixelBloomError as error:
        log.warning("subscription_not_asked", stripe_subscription_id=subscription_id, reason=error.message)


def _readable(page: Iterable[dict[str, Any]], at: int) -> Iterable[StripeObjectState]:
    for item in page:
        try:
            yield stripe_state.from_response(item, at)
        except MalformedObject:
            log.warning("subscription_not_readable", stripe_subscription_id=item.get("id"))


def _resolved(state: StripeObjectState, kind: str) -> StripeObjectState:
    """Add what the event omits: the subject of a refund or dispute, and the amount due after a trial."""
    if kind == "customer.subscription.trial_will_end":
        return _with_upcoming(state)
    payment = state["body"].get("payment_intent")
    if state["kind"] not in ("charge", "refund", "dispute") or state["subject"] is not None or payment is None:
        return state
    parts = services()
    subject = parts.payments.checkout_of(payment)
    body = state["body"]
    if subject is None and parts.settings.stripe_api_key is not None:
        invoice = parts.stripe.invoice_of(payment)
        if invoice is not None:
            found = stripe_state.invoice_fetched(invoice)
            subject, body = found["subject"], {**body, "invoice": found["id"]}
    return {**state, "subject": subject, "body": body}


def _with_upcoming(state: StripeObjectState) -> StripeObjectState:
    """Add the total of the upcoming invoice. If Stripe has none, the price less the discounts stays.

    A subscription that ends with its trial has no upcoming invoice.

    Raises Unavailable and RateLimited, which are retried.
    """
    parts = services()
    if parts.settings.stripe_api_key is None or state["body"].get("ends_in_trial"):
        return state
    try:
        total, currency = parts.stripe.upcoming(state["id"])
    except (Unavailable, RateLimited):
        raise
    except PixelBloomError as error:
        log.warning("upcoming_invoice_unknown", stripe_subscription_id=state["id"], reason=error.message)
        return state
    if currency != state["body"]["currency"]:
        return state
    return {**state, "body": {**state["body"], "notified_amount": total}}
