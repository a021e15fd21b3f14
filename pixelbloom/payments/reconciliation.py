"""Compares what is stored with what Stripe has: subscriptions, and code redemptions of unpaid checkouts."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import structlog

from pixelbloom.errors import NotFound, PixelBloomError, Unavailable
from pixelbloom.payments import stripe_state
from pixelbloom.payments.checkout import Checkouts
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.responses import refresh
from pixelbloom.payments.store import PaymentStore
from pixelbloom.payments.stripe_state import StripeObjectState
from pixelbloom.payments.values import MalformedObject, reading
from pixelbloom.pricing.service import PricingService

log = structlog.get_logger(__name__)

#: Rows of one page, of Stripe's or ours.
PAGE = 100
#: `checkout.session.expired` comes long before.
LOST_AFTER = timedelta(minutes=15)


class Reconciliation:
    """Finds what no event reported. `publish` publishes the events of repaired rows."""

    def __init__(
        self,
        store: PaymentStore,
        stripe: StripeGateway,
        pricing: PricingService,
        checkouts: Checkouts,
        publish: Callable[[], None],
    ) -> None:
        self._store = store
        self._stripe = stripe
        self._pricing = pricing
        self._checkouts = checkouts
        self._publish = publish

    def subscriptions(self) -> int:
        """Compare every stored subscription with Stripe, and apply differences. Return the number repaired.

        Stored subscriptions unknown to Stripe are logged and not changed: the key may belong to another account.
        """
        if not self._stripe.configured:
            return 0
        repaired = 0
        seen: set[str] = set()
        listed = self._stripe.subscriptions()
        while page := list(islice(listed, PAGE)):
            found = list(_readable(page))
            seen |= {str(item.get("id")) for item in page}
            known = self._store.known([state["id"] for state in found])
            for state in found:
                if state["id"] not in known or _same(known[state["id"]], state["body"]):
                    continue  # not created by our checkout, or unchanged
                repaired += self._repair(state["id"])
        if repaired:
            self._publish()
        lost = [open_id for open_id in self._open() if open_id not in seen]
        for open_id in lost:
            log.warning("subscription_unknown_to_stripe", stripe_subscription_id=open_id)
        log.info("subscriptions_reconciled", seen=len(seen), repaired=repaired, unknown=len(lost))
        return repaired

    def lost_uses(self) -> int:
        """Release code redemptions of checkouts that expired without an event. Return the number released.

        A known session is looked up at Stripe. A session that was never recorded, because Stripe did not respond,
        cannot be paid.
        """
        released = 0
        for row in self._pricing.overdue_redemptions(datetime.now(UTC) - LOST_AFTER, PAGE):
            try:
                state = self._checkouts.end_redemption(row["redemption_key"], row["stripe_session_id"])
            except PixelBloomError as error:
                log.warning("campaign_use_left", redemption_id=row["id"], reason=error.message)
                if isinstance(error, Unavailable):
                    break
            else:
                released += state == "expired"
                log.info("campaign_use_recorded", redemption_id=row["id"], state=state)
        return released

    def _repair(self, subscription_id: str) -> bool:
        """Read a subscription that differs, which may have changed since the list was read, and store it.

        Return whether it is stored. Raises what StripeGateway raises, except for an unknown or malformed subscription.
        """
        try:
            stored = refresh(self._store, self._stripe, subscription_id)
        except (NotFound, MalformedObject) as error:
            log.warning("subscription_not_repaired", stripe_subscription_id=subscription_id, reason=error.message)
            return False
        if stored:
            log.warning("subscription_repaired", stripe_subscription_id=subscription_id)
        return stored

    def _open(self) -> Iterable[str]:
        after = ""
        while page := self._store.open_subscriptions(PAGE, after):
            yield from page
            after = page[-1]


def _same(known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether two states of a subscription differ at most in the amount of its upcoming invoice."""
    return {**known, "notified_amount": None} == {**found, "notified_amount": None}


def _readable(page: Iterable[dict[str, Any]]) -> Iterable[StripeObjectState]:
    for item in page:
        try:
            with reading("a subscription"):
                state = stripe_state.subscription(item)
        except MalformedObject:
            log.warning("subscription_not_readable", stripe_subscription_id=item.get("id"))
        else:
            yield state
