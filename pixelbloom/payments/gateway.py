"""Calls to Stripe, with timeouts and retries. Its errors are translated into PixelBloom's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import stripe
import structlog

from pixelbloom.config import Settings
from pixelbloom.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    RateLimited,
    Unavailable,
    UpstreamError,
)
from pixelbloom.payments.selling import StripePrice
from pixelbloom.payments.values import (
    MalformedObject,
    address,
    amount,
    currency,
    mapping,
    one_of,
    owed,
    reading,
    reference,
    text,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: Seconds for one request, and how often the library retries one without a response.
TIMEOUT_SECONDS = 10
RETRIES = 2
PAGE = 100


class StripeGateway:
    """The Stripe API. Every method may raise ConfigurationError, Unavailable, UpstreamError or RateLimited."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: stripe.StripeClient | None = None
        self._http: stripe.RequestsClient | None = None

    @property
    def configured(self) -> bool:
        """Whether there is a key."""
        return self._settings.stripe_api_key is not None

    def ready(self) -> None:
        """Raise ConfigurationError if there is no key."""
        self._connected()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._http is not None:
            self._http.close()  # type: ignore[no-untyped-call]
        self._client = self._http = None

    def create_checkout(self, params: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Create a checkout session: {"id", "url"}. The same key returns the same one. Raises InvalidInput."""

        def make(client: stripe.StripeClient, plain: Callable[[Any], Any]) -> Any:
            try:
                return client.v1.checkout.sessions.create(plain(params), {"idempotency_key": key})
            except stripe.InvalidRequestError as error:
                if error.param != "customer" or error.code != "resource_missing":
                    raise
            # The customer was deleted at Stripe: the checkout makes a new one.
            rest = {name: value for name, value in params.items() if name != "customer"}
            return client.v1.checkout.sessions.create(plain(rest), {"idempotency_key": f"{key}:new"})

        made = self._call(make)
        with reading("a checkout session"):
            return {**made, "id": text(made["id"]), "url": address(made["url"])}

    def price(self, price_id: str) -> StripePrice:
        """Return a price's current state at Stripe. Raises NotFound."""
        return StripePrice.read(self._call(lambda client, _: client.v1.prices.retrieve(price_id)))

    def expire_checkout(self, session_id: str) -> Literal["expired", "complete"]:
        """Expire an open checkout session. Return its state: complete if it was paid meanwhile."""

        def expire_or_find(client: stripe.StripeClient, _: Callable[[Any], Any]) -> Any:
            try:
                return client.v1.checkout.sessions.expire(session_id)
            except stripe.InvalidRequestError as error:
                if error.code == "resource_missing":
                    raise
                return client.v1.checkout.sessions.retrieve(session_id)

        try:
            session = self._call(expire_or_find)
        except NotFound:
            # Of another account, or of test mode: it cannot be paid here.
            return "expired"
        with reading("a checkout session"):
            return "complete" if one_of(("expired", "complete"), session["status"]) == "complete" else "expired"

    def coupon(self, coupon_id: str, terms: Callable[[], Mapping[str, Any]]) -> str:
        """Return the id of the coupon, created with these terms if it does not exist."""

        def find_or_make(client: stripe.StripeClient, plain: Callable[[Any], Any]) -> Any:
            try:
                return client.v1.coupons.retrieve(coupon_id)
            except stripe.InvalidRequestError as error:
                if error.code != "resource_missing":
                    raise
            try:
                return client.v1.coupons.create(plain({"id": coupon_id, **terms()}))
            except stripe.InvalidRequestError as error:
                if error.code != "resource_already_exists":
                    raise
                return client.v1.coupons.retrieve(coupon_id)

        found = self._call(find_or_make)
        with reading("a coupon"):
            return text(found["id"])

    def open_portal(self, customer: str, return_url: str) -> str:
        """Return the URL of the billing portal for this customer."""
        params = {"customer": customer, "return_url": return_url}
        made = self._call(lambda client, plain: client.v1.billing_portal.sessions.create(plain(params)))
        with reading("a session of the billing portal"):
            return address(made["url"])

    def subscription(self, subscription_id: str) -> dict[str, Any]:
        """Return a subscription's current state. Raises NotFound."""
        return self._call(lambda client, _: client.v1.subscriptions.retrieve(subscription_id))

    def cancel(self, subscription_id: str, *, at_period_end: bool) -> dict[str, Any]:
        """Cancel a subscription now, or at the end of the paid period; return its new state."""
        if not at_period_end:
            # Otherwise Stripe drops what was used and is not billed yet.
            final = {"invoice_now": True}
            return self._call(lambda client, plain: client.v1.subscriptions.cancel(subscription_id, plain(final)))
        now = self.subscription(subscription_id)
        self._release_schedule(now)
        wanted = {"cancel_at_period_end": True}
        return self._call(lambda client, plain: client.v1.subscriptions.update(subscription_id, plain(wanted)))

    def change(
        self, subscription_id: str, price: str, *, at_period_end: bool, drops: str | None = None
    ) -> dict[str, Any]:
        """Change the price: now, with the difference billed at once, or from the next period on.

        It replaces a change scheduled for the next period.
        Discounts by coupons with the id prefix `drops` end with the current price; all others remain.
        Raises InvalidInput if the difference cannot be collected; the price stays then.
        """
        expanded = {"expand": ["discounts"]}
        now = self._call(lambda client, plain: client.v1.subscriptions.retrieve(subscription_id, plain(expanded)))
        with reading("a subscription"):
            discounts = [(text(found["id"]), _coupon_of(found)) for found in now.get("discounts") or ()]
            item = text(now["items"]["data"][0]["id"])
            by_date = now.get("cancel_at") is not None and not now.get("cancel_at_period_end")
        staying = [name for name, coupon in discounts if drops is None or not coupon.startswith(drops)]
        if at_period_end:
            self._change_later(now, price, [name for name, _ in discounts], staying)
            return self.subscription(subscription_id)
        self._release_schedule(now)
        # Stripe accepts only one of these two parameters in a call.
        goes_on = {"cancel_at": ""} if by_date else {"cancel_at_period_end": False}
        wanted: dict[str, Any] = {
            "items": [{"id": item, "price": price}],
            # On the next invoice, it would be lost with a cancellation before that.
            "proration_behavior": "always_invoice",
            "payment_behavior": "error_if_incomplete",
            **goes_on,
        }
        if len(staying) < len(discounts):
            wanted["discounts"] = _discounts(staying)
        return self._call(lambda client, plain: client.v1.subscriptions.update(subscription_id, plain(wanted)))

    def _release_schedule(self, now: Mapping[str, Any]) -> None:
        """Drop a change scheduled for the next period: it would undo a later one, and Stripe rejects another end."""
        with reading("a subscription"):
            schedule = reference(now.get("schedule"))
        if schedule is not None:
            self._call(lambda client, _: client.v1.subscription_schedules.release(schedule))

    def _change_later(
        self, now: Mapping[str, Any], price: str, discounts: Sequence[str], staying: Sequence[str]
    ) -> None:
        with reading("a subscription"):
            schedule, made = reference(now.get("schedule")), {"from_subscription": text(now["id"])}
            item = now["items"]["data"][0]
            quantity = amount(item.get("quantity") or 1)
            current = {
                "items": [{"price": text(item["price"]["id"]), "quantity": quantity}],
                # A phase without discounts would have only the customer's.
                "discounts": _discounts(discounts),
                "start_date": amount(item["current_period_start"]),
                "end_date": amount(item["current_period_end"]),
            }
            if now.get("status") == "trialing":
                # Without it, the trial would end at once.
                current["trial_end"] = amount(now["trial_end"])
        if schedule is None:
            begun = self._call(lambda client, plain: client.v1.subscription_schedules.create(plain(made)))
            with reading("a subscription schedule"):
                schedule = text(begun["id"])
        phases = [current, {"items": [{"price": price, "quantity": quantity}], "discounts": _discounts(staying)}]
        wanted = {"end_behavior": "release", "phases": phases}
        self._call(lambda client, plain: client.v1.subscription_schedules.update(schedule, plain(wanted)))

    def invoice_of(self, payment_intent: str) -> dict[str, Any] | None:
        """Return the invoice of a payment, or None."""
        params = {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "limit": 1}
        page = self._call(lambda client, plain: client.v1.invoice_payments.list(plain(params)))
        with reading("a list of invoice payments"):
            found = list(page["data"])
            invoice = reference(found[0]["invoice"]) if found else None
        return self._call(lambda client, _: client.v1.invoices.retrieve(invoice)) if invoice else None

    def event(self, event_id: str) -> dict[str, Any]:
        """Return an event; Stripe stores them for 30 days. Raises NotFound."""
        return self._call(lambda client, _: client.v1.events.retrieve(event_id))

    def upcoming(self, subscription_id: str) -> tuple[int, str]:
        """Return the next invoice's amount, in the smallest unit, and its currency. Raises NotFound."""
        params = {"subscription": subscription_id}
        found = self._call(lambda client, plain: client.v1.invoices.create_preview(plain(params)))
        with reading("an upcoming invoice"):
            due = found["amount_due"] if found.get("amount_due") is not None else found["total"]
            return owed(due), currency(found["currency"])

    def subscriptions(self) -> Iterator[dict[str, Any]]:
        """Yield all subscriptions, including ended ones, page by page."""
        after: str | None = None
        while True:
            params = {"status": "all", "limit": PAGE, **({"starting_after": after} if after else {})}
            page = self._call(lambda client, plain, params=params: client.v1.subscriptions.list(plain(params)))
            with reading("a list of subscriptions"):
                items = [mapping(item) for item in page["data"]]
                last = text(items[-1]["id"]) if page["has_more"] else None
            yield from items
            if last is None:
                return
            if last == after:
                raise MalformedObject("The list of subscriptions does not advance.")
            after = last

    def _connected(self) -> stripe.StripeClient:
        if self._client is None:
            settings = self._settings
            if settings.stripe_api_key is None:
                raise ConfigurationError("Payments are not configured: STRIPE_API_KEY is missing.")
            self._http = stripe.RequestsClient(timeout=TIMEOUT_SECONDS)
            self._client = stripe.StripeClient(
                settings.stripe_api_key.get_secret_value(),
                base_addresses={"api": settings.stripe_api_base},
                max_network_retries=RETRIES,
                http_client=self._http,
            )
        return self._client

    def _call(self, call: Callable[..., Any]) -> dict[str, Any]:
        client = self._connected()
        with reading("an object"):
            try:
                return mapping(call(client, _plain).to_dict())
            except stripe.StripeError as error:
                raise _translated(error) from error


def _discounts(names: Sequence[str]) -> Any:
    """Return discounts as request parameters; an empty string for none."""
    return [{"discount": name} for name in names] or ""


def _coupon_of(discount: Mapping[str, Any]) -> str:
    """Return the id of a discount's coupon, in this version of the API and those before 2025-09-30."""
    source = mapping(discount.get("source"))
    return reference(source.get("coupon") or discount.get("coupon")) or ""


def _plain(params: Any) -> Any:
    """Return the parameters without the library's types, because ours are built from data."""
    return dict(params)


def _translated(error: stripe.StripeError) -> Exception:
    """Translate an error of Stripe. Its message is not passed on."""
    log.warning("stripe_refused", kind=type(error).__name__, status=error.http_status, code=error.code)
    match error:
        case stripe.RateLimitError():
            return RateLimited("Stripe's rate limit is reached; try again shortly.", 5)
        case stripe.APIConnectionError():
            return Unavailable("Stripe is unreachable; try again shortly.", 5)
        case stripe.AuthenticationError() | stripe.PermissionError():
            return ConfigurationError("Stripe rejected STRIPE_API_KEY: set it to a key with this permission.")
        case stripe.IdempotencyError():
            return Conflict("This Idempotency-Key was used with another request; use a new key for a new request.")
        case stripe.InvalidRequestError() if error.http_status == 404:
            return NotFound("Not found at Stripe.")
        case stripe.InvalidRequestError():
            return InvalidInput(f"Stripe rejected {error.param or 'the request'}; check its value.")
        case stripe.CardError():
            return InvalidInput("The payment method was declined; use another one.")
    return UpstreamError("Stripe returned an error; try again later.")
