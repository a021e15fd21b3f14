"""The calls that we make to Stripe, with bounded time and retries. Its errors become ours here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import stripe
import structlog

from pixelbloom.config import Settings
from pixelbloom.errors import ConfigurationError, InvalidInput, NotFound, RateLimited, Unavailable, UpstreamError

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: Seconds for one request, and how often the library tries one again whose answer did not come.
TIMEOUT_SECONDS = 10
RETRIES = 2
PAGE = 100


class StripeGateway:
    """Stripe as we use it. Every method may raise ConfigurationError, Unavailable, UpstreamError or RateLimited."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: stripe.StripeClient | None = None

    def ready(self) -> None:
        """Raises ConfigurationError where there is no key."""
        self._connected()

    def create_checkout(self, params: Mapping[str, Any], key: str) -> dict[str, Any]:
        """A checkout session: {"id", "url"}. The same key gives the same one. Raises InvalidInput."""
        return self._call(lambda client, ask: client.v1.checkout.sessions.create(ask(params), {"idempotency_key": key}))

    def coupon(self, coupon_id: str, params: Mapping[str, Any]) -> str:
        """The coupon of this id, made where it is not there yet."""

        def find_or_make(client: stripe.StripeClient, ask: Callable[[Any], Any]) -> Any:
            try:
                return client.v1.coupons.retrieve(coupon_id)
            except stripe.InvalidRequestError as error:
                if error.code != "resource_missing":
                    raise
            try:
                return client.v1.coupons.create(ask({"id": coupon_id, **params}))
            except stripe.InvalidRequestError as error:
                if error.code != "resource_already_exists":
                    raise
                return client.v1.coupons.retrieve(coupon_id)

        return str(self._call(find_or_make)["id"])

    def open_portal(self, customer: str, return_url: str) -> str:
        """The address of the billing portal for this customer."""
        params = {"customer": customer, "return_url": return_url}
        return str(self._call(lambda client, ask: client.v1.billing_portal.sessions.create(ask(params)))["url"])

    def subscription(self, subscription_id: str) -> dict[str, Any]:
        """As it is now. Raises NotFound."""
        return self._call(lambda client, _: client.v1.subscriptions.retrieve(subscription_id))

    def cancel(self, subscription_id: str, *, at_period_end: bool) -> dict[str, Any]:
        """End it now, or with the period that is paid for; answers it as it is then."""
        if not at_period_end:
            return self._call(lambda client, _: client.v1.subscriptions.cancel(subscription_id))
        wanted = {"cancel_at_period_end": True}
        return self._call(lambda client, ask: client.v1.subscriptions.update(subscription_id, ask(wanted)))

    def change(self, subscription_id: str, price: str, *, at_period_end: bool) -> dict[str, Any]:
        """Another price, now with the difference put on the next invoice, or from the next period on."""
        now = self.subscription(subscription_id)
        item = now["items"]["data"][0]
        if at_period_end:
            self._change_later(now, item, price)
            return self.subscription(subscription_id)
        wanted = {
            "items": [{"id": item["id"], "price": price}],
            "proration_behavior": "create_prorations",
            "cancel_at_period_end": False,
        }
        return self._call(lambda client, ask: client.v1.subscriptions.update(subscription_id, ask(wanted)))

    def _change_later(self, now: Mapping[str, Any], item: Mapping[str, Any], price: str) -> None:
        schedule = now.get("schedule")
        if schedule is None:
            made = {"from_subscription": now["id"]}
            schedule = self._call(lambda client, ask: client.v1.subscription_schedules.create(ask(made)))["id"]
        quantity = item.get("quantity") or 1
        phases = [
            {
                "items": [{"price": item["price"]["id"], "quantity": quantity}],
                "start_date": item["current_period_start"],
                "end_date": item["current_period_end"],
            },
            {"items": [{"price": price, "quantity": quantity}]},
        ]
        wanted = {"end_behavior": "release", "phases": phases}
        self._call(lambda client, ask: client.v1.subscription_schedules.update(str(schedule), ask(wanted)))

    def invoice_of(self, payment_intent: str) -> dict[str, Any] | None:
        """The invoice that a payment was for; None where it was for none."""
        params = {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "limit": 1}
        found = self._call(lambda client, ask: client.v1.invoice_payments.list(ask(params)))["data"]
        if not found:
            return None
        invoice = found[0]["invoice"]
        return self._call(lambda client, _: client.v1.invoices.retrieve(str(invoice)))

    def subscriptions(self) -> Iterator[dict[str, Any]]:
        """All that there are, ended ones too, page by page."""
        after: str | None = None
        while True:
            params = {"status": "all", "limit": PAGE, **({"starting_after": after} if after else {})}
            page = self._call(lambda client, ask, params=params: client.v1.subscriptions.list(ask(params)))
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    def _connected(self) -> stripe.StripeClient:
        if self._client is None:
            settings = self._settings
            if settings.stripe_api_key is None:
                raise ConfigurationError("Payments are not set up here: STRIPE_API_KEY is missing.")
            self._client = stripe.StripeClient(
                settings.stripe_api_key.get_secret_value(),
                base_addresses={"api": settings.stripe_api_base},
                max_network_retries=RETRIES,
                http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            )
        return self._client

    def _call(self, call: Callable[..., Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = call(self._connected(), _as_given).to_dict()
        except stripe.StripeError as error:
            raise _translated(error) from error
        return answer


def _as_given(params: Any) -> Any:
    """The library's types name every parameter there is; ours are built from data."""
    return dict(params)


def _translated(error: stripe.StripeError) -> Exception:
    """Ours for theirs, whose words stay theirs."""
    log.warning("stripe_refused", kind=type(error).__name__, status=error.http_status, code=error.code)
    match error:
        case stripe.RateLimitError():
            return RateLimited("Stripe takes no more requests now; try again shortly.", 5)
        case stripe.APIConnectionError():
            return Unavailable("Stripe does not answer; try again shortly.", 5)
        case stripe.AuthenticationError() | stripe.PermissionError():
            return ConfigurationError("Stripe refuses our key: set STRIPE_API_KEY to one that may do this.")
        case stripe.IdempotencyError():
            return InvalidInput("This Idempotency-Key was used with another request; use a new key for a new request.")
        case stripe.InvalidRequestError() if error.http_status == 404:
            return NotFound("Stripe does not know it any more.")
        case stripe.InvalidRequestError():
            return InvalidInput(f"Stripe does not take {error.param or 'the request'}; check its value.")
        case stripe.CardError():
            return InvalidInput("The payment method was declined; use another one.")
    return UpstreamError("Stripe answered with an error; try again later.")
