"""Stripe's events: stored on receipt, processed in attempts, dead-lettered after the last one."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from pixelbloom.core.backoff import backoff
from pixelbloom.errors import InvalidInput, PixelBloomError, RateLimited, Unavailable
from pixelbloom.payments import stripe_state
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.responses import refresh
from pixelbloom.payments.store import PaymentStore
from pixelbloom.payments.stripe_state import StripeObjectState
from pixelbloom.payments.values import MalformedObject

log = structlog.get_logger(__name__)

#: Events of one call of `process_due`; the next beat continues.
BATCH = 200
#: Longer than Stripe and the database may take together.
LEASE_SECONDS = 120.0
#: Pauses double from 5 seconds, about half a day in all. Then the event is dead-lettered.
FIRST_PAUSE_SECONDS = 5.0
MAX_ATTEMPTS = 12
#: `process_due` ends after this many consecutive events that failed because the database is unreachable.
MAX_UNAVAILABLE = 3


class StripeEvents:
    """The events that Stripe sends.

    `enqueue` makes a worker process the event of this id; `publish` makes it publish what an event changed.
    `on_handled` is called with the status of an event after each attempt.
    """

    def __init__(
        self,
        store: PaymentStore,
        stripe: StripeGateway,
        *,
        enqueue: Callable[[str], None],
        publish: Callable[[], None],
        on_handled: Callable[[str], None],
    ) -> None:
        self._store = store
        self._stripe = stripe
        self._enqueue = enqueue
        self._publish = publish
        self._on_handled = on_handled

    def receive(self, event: Mapping[str, Any]) -> None:
        """Store a verified event (`POST /api/payments/webhook`) and enqueue it.

        A repeated event is stored once; one of an unknown type is stored and ignored. A malformed one is dead-lettered:
        an error would make Stripe retry for days, with the same event. Raises Unavailable.
        """
        state, malformed = None, None
        try:
            state = stripe_state.read(event)
        except MalformedObject as error:
            log.warning("stripe_event_malformed", event_id=event["id"], type=event["type"], reason=error.message)
            malformed = error.message
        new = self._store.record(event, state, error=malformed)
        log.info("stripe_event_received", event_id=event["id"], type=event["type"], new=new, handled=state is not None)
        if new and state is not None:
            self._enqueue(event["id"])

    def process_due(self) -> int:
        """Process due events, the oldest first. Return their number.

        A failed event does not stop later ones. While the database is unreachable, the next call continues.
        """
        ids = self._store.due(BATCH)
        unavailable = 0
        for event_id in ids:
            try:
                self.process(event_id)
                unavailable = 0
            except Unavailable as error:
                unavailable += 1
                log.warning("stripe_event_left", event_id=event_id, reason=error.message)
                if unavailable == MAX_UNAVAILABLE:
                    break
            except Exception:
                log.exception("stripe_event_left", event_id=event_id)
        return len(ids)

    def process(self, event_id: str) -> str | None:
        """Make one attempt. Return processed, ignored, received (to retry) or failed; None if not attempted.

        Safe to repeat, also concurrently. Any error uses up the attempt; after the last one the event is dead-lettered.
        """
        begun = self._store.begin(event_id, LEASE_SECONDS, MAX_ATTEMPTS)
        if begun is None:
            return None
        try:
            state = self._resolved(begun["state"] or self._fetched(event_id), begun["type"])
            applied = self._store.apply(event_id, state, begun["token"])
            if applied is None:
                return None
            if applied["ambiguous_order"] and state["kind"] == "subscription":
                self._ask(state["id"])
        except Exception as error:
            return self._failed(begun, error)
        self._publish()
        self._on_handled(str(applied["status"]))
        log.info("stripe_event_processed", event_id=event_id, type=begun["type"], **applied)
        return str(applied["status"])

    def _failed(self, begun: Mapping[str, Any], error: Exception) -> str | None:
        """Record a failed attempt. Return received or failed."""
        final = isinstance(error, InvalidInput) or begun["attempts"] >= MAX_ATTEMPTS
        expected = isinstance(error, PixelBloomError)
        reason = (
            error.message if isinstance(error, PixelBloomError) else f"{type(error).__name__}: see the worker's log."
        )
        status = self._store.fail(
            begun["id"],
            begun["token"],
            reason,
            retry_seconds=backoff(FIRST_PAUSE_SECONDS, begun["attempts"]),
            final=final,
        )
        if status is not None:
            self._on_handled(status)
        log.warning(
            "stripe_event_failed",
            event_id=begun["id"],
            type=begun["type"],
            status=status,
            reason=reason,
            exc_info=None if expected else error,
        )
        return status

    def _fetched(self, event_id: str) -> StripeObjectState:
        """Fetch an event that could not be parsed on receipt, and return its state. Raises MalformedObject."""
        state = stripe_state.read(self._stripe.event(event_id))
        if state is None:
            raise MalformedObject("The event's type is no longer handled.")
        return state

    def _ask(self, subscription_id: str) -> None:
        """Resolve conflicting states of the same second by reading Stripe. If that fails, reconciliation does."""
        if not self._stripe.configured:
            return
        try:
            refresh(self._store, self._stripe, subscription_id)
        except PixelBloomError as error:
            log.warning("subscription_not_asked", stripe_subscription_id=subscription_id, reason=error.message)

    def _resolved(self, state: StripeObjectState, kind: str) -> StripeObjectState:
        """Add what the event omits: the subject of a refund or dispute, and the amount due after a trial."""
        if kind == "customer.subscription.trial_will_end":
            return self._with_upcoming(state)
        payment = state["body"].get("payment_intent")
        if state["kind"] not in ("charge", "refund", "dispute") or state["subject"] is not None or payment is None:
            return state
        subject = self._store.checkout_of(payment)
        body = state["body"]
        if subject is None and self._stripe.configured:
            invoice = self._stripe.invoice_of(payment)
            if invoice is not None:
                found = stripe_state.invoice_fetched(invoice)
                subject, body = found["subject"], {**body, "invoice": found["id"]}
        return {**state, "subject": subject, "body": body}

    def _with_upcoming(self, state: StripeObjectState) -> StripeObjectState:
        """Add the total of the upcoming invoice. If Stripe has none, the price less the discounts stays.

        A subscription that ends with its trial has no upcoming invoice. Raises Unavailable and RateLimited, which are
        retried.
        """
        if not self._stripe.configured or state["body"].get("ends_in_trial"):
            return state
        try:
            total, currency = self._stripe.upcoming(state["id"])
        except (Unavailable, RateLimited):
            raise
        except PixelBloomError as error:
            log.warning("upcoming_invoice_unknown", stripe_subscription_id=state["id"], reason=error.message)
            return state
        if currency != state["body"]["currency"]:
            return state
        return {**state, "body": {**state["body"], "notified_amount": total}}
