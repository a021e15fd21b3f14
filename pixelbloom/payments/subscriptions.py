"""A user's own subscription: reading it, cancelling it, changing its price."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pixelbloom.errors import Conflict, NotFound
from pixelbloom.payments.checkout import Checkouts
from pixelbloom.payments.claims import Claims
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.responses import store_response
from pixelbloom.payments.selling import Wanted
from pixelbloom.payments.store import PaymentStore

_NONE = "You have no subscription; POST /api/payments/create-checkout-session starts one."


class Subscriptions:
    """The subscriptions of users; a `user_id` of None has none. Methods may raise what StripeGateway raises.

    `publish` publishes the events of changes to subscriptions.
    """

    def __init__(
        self,
        store: PaymentStore,
        stripe: StripeGateway,
        checkouts: Checkouts,
        claims: Claims,
        publish: Callable[[], None],
    ) -> None:
        self._store = store
        self._stripe = stripe
        self._checkouts = checkouts
        self._claims = claims
        self._publish = publish

    def current(self, user_id: UUID | None, subscription_id: UUID | None = None) -> dict[str, Any]:
        """Return the user's newest active subscription, else the newest of all; or the one of this id.

        Purchases made without the account, with its verified address, count. Raises NotFound.
        """
        found = self._store.current(user_id, subscription_id) if user_id is not None else None
        if found is None and user_id is not None and self._claims.claim(user_id):
            found = self._store.current(user_id, subscription_id)
        if found is None:
            raise NotFound(_NONE)
        return found

    def customer(self, user_id: UUID | None) -> str:
        """Return the user's customer id at Stripe. Raises NotFound."""
        customer: str | None = self.current(user_id)["stripe_customer_id"]
        if customer is None:
            raise NotFound(_NONE)
        return customer

    def cancel(self, user_id: UUID | None, *, at_period_end: bool) -> dict[str, Any]:
        """Cancel at the end of the paid period, or now, and return the subscription. Raises NotFound and Conflict."""
        found = self._running(user_id)
        stripe_id = found["stripe_subscription_id"]
        return self._apply(found, lambda: self._stripe.cancel(stripe_id, at_period_end=at_period_end))

    def change(self, user_id: UUID | None, wanted: Wanted, *, at_period_end: bool) -> dict[str, Any]:
        """Change the price, and return the subscription. Raises as `Checkouts.change`, and NotFound without one."""
        found = self._running(user_id)
        return self._apply(found, lambda: self._checkouts.change(found, wanted, at_period_end=at_period_end))

    def _running(self, user_id: UUID | None) -> dict[str, Any]:
        found = self.current(user_id)
        if found["stripe_subscription_id"] is None:
            raise NotFound(_NONE)
        if found["status"] == "cancelled":
            raise Conflict("The subscription has ended; start a new one.")
        return found

    def _apply(self, found: Mapping[str, Any], request: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Make a request of Stripe and apply its response at once; its event has the same state later."""
        store_response(self._store, self._stripe, found["stripe_subscription_id"], request)
        self._publish()
        return self.current(UUID(found["user_id"]), UUID(found["subscription_id"]))
