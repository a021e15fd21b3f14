"""The schemas of requests and responses about payments in the OpenAPI document."""

from typing import Annotated, Any, Literal

from pydantic import Field

from pixelbloom.agents.knowledge.described import EMAIL
from pixelbloom.core.statuses import BillingInterval, StripeEventStatus, SubscriptionStatus
from pixelbloom.database.cursors import PAIR_PATTERN, read_received_cursor
from pixelbloom.web.http.rendering import Body, Number, Page, Time, Uuid, column
from pixelbloom.web.http.schemas import USER_ID, Limit, Shape, UserId, example

CHECKOUT: dict[str, Any] = {"id": "cs_test_a1b2c3", "url": "https://checkout.stripe.com/c/pay/cs_test_a1b2c3"}
WANTED: dict[str, Any] = {
    "price_id": "price_123",
    "mode": "subscription",
    "success_url": "https://app.example.com/payments/success",
    "cancel_url": "https://app.example.com/payments/cancel",
    "customer_email": "user@example.com",
    "metadata": {"package_id": "7f1d3c5a-8f2e-4a6b-9c0d-1e2f3a4b5c6d"},
}
PORTAL: dict[str, Any] = {"url": "https://billing.stripe.com/p/session/test_a1b2c3"}
SUBSCRIPTION: dict[str, Any] = {
    "id": "2d7e9c1a-4b3f-4e5d-8c6b-7a8f9e0d1c2b",
    "subscription_id": "2d7e9c1a-4b3f-4e5d-8c6b-7a8f9e0d1c2b",
    "user_id": USER_ID,
    "package_id": "7f1d3c5a-8f2e-4a6b-9c0d-1e2f3a4b5c6d",
    "plan": "Growth",
    "status": "active",
    "start_date": "2026-01-31T12:00:00.000000Z",
    "end_date": None,
    "current_period_end": "2026-02-28T12:00:00.000000Z",
    "cancel_at_period_end": False,
    "cancel_at": None,
    "currency": "usd",
    "original_price": 149,
    "discount_amount": 29.8,
    "final_price": 119.2,
    "billing_interval": "month",
    "billing_interval_count": 1,
    "stripe_customer_id": "cus_a1b2c3",
    "stripe_subscription_id": "sub_a1b2c3",
    "stripe_price_id": "price_123",
}
EVENT: dict[str, Any] = {
    "id": "evt_123",
    "type": "invoice.paid",
    "subject": "sub_a1b2c3",
    "status": "failed",
    "attempts": 12,
    "error": "Malformed Stripe object: expected invoice.paid.",
    "occurred_at": "2026-01-31T12:00:00.000000Z",
    "received_at": "2026-01-31T12:00:01.000000Z",
    "processed_at": None,
}

_VISIBLE = r"^[!-~]+$"
PriceId = Annotated[str, Field(min_length=1, max_length=255, pattern=_VISIBLE)]
Url = Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://[!-~]+$")]
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_-]+$")]


class CheckoutRequest(Shape):
    """The purchase; omitted fields have defaults from the settings."""

    model_config = example(WANTED, extra="forbid")

    price_id: PriceId | None = Field(
        None,
        description="The price of an active package, or one of STRIPE_EXTRA_PRICE_IDS; by default STRIPE_PRICE_ID.",
    )
    mode: Literal["subscription", "payment"] | None = Field(
        None,
        description="Must fit the price. By default that of the package; without a package STRIPE_MODE.",
    )
    success_url: Url | None = Field(None, description="By default STRIPE_SUCCESS_URL.")
    cancel_url: Url | None = Field(None, description="By default STRIPE_CANCEL_URL.")
    customer_email: Annotated[str, Field(max_length=320, pattern=EMAIL)] | None = Field(
        None, description="The buyer's address; required without an account."
    )
    metadata: dict[Key, Text] = Field(
        default={}, max_length=30, description="`package_id` names the package that is bought."
    )
    campaign_code: Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="Of a campaign; if it does not apply, the response is 400 with the reason."
    )
    user_id: UserId = Field(None, description="Who buys; for services. Users buy for themselves.")


class CheckoutBody(Body):
    """The checkout session."""

    model_config = example(CHECKOUT)

    id: str
    url: str = Field(description="Where to send the browser.")


class PortalRequest(Shape):
    """The return URL of the billing portal."""

    model_config = example({"return_url": "https://app.example.com/billing"}, extra="forbid")

    return_url: Url | None = Field(None, description="By default STRIPE_SUCCESS_URL.")


class PortalBody(Body):
    """The billing portal."""

    model_config = example(PORTAL)

    url: str = Field(description="Where to send the browser; valid for some minutes.")


class CancelRequest(Shape):
    """When the subscription ends."""

    model_config = example({"at_period_end": True}, extra="forbid")

    at_period_end: bool = Field(True, strict=True, description="At the end of the paid period, or now.")


class ChangeRequest(Shape):
    """The new price, and when it applies."""

    model_config = example({"price_id": "price_456"}, extra="forbid")

    price_id: PriceId | None = Field(None, description="The price of an active package, or one in the settings.")
    package_id: UserId = Field(None, description="An active package that has a price at Stripe.")
    at_period_end: bool = Field(
        False, strict=True, description="From the next period on, or now with the difference billed at once."
    )


class SubscriptionBody(Body):
    """A user's subscription."""

    model_config = example(SUBSCRIPTION)

    id: Uuid = column("subscription_id")
    subscription_id: Uuid
    user_id: Uuid | None
    package_id: Uuid | None
    plan: str = Field(description="The package's name, or the price id if there is no package.")
    status: SubscriptionStatus
    start_date: Time
    end_date: Time | None
    current_period_end: Time | None
    cancel_at_period_end: bool
    cancel_at: Time | None = Field(description="When it will end, if known; null while it continues.")
    currency: str
    original_price: Number | None
    discount_amount: Number
    final_price: Number
    billing_interval: BillingInterval
    billing_interval_count: int = Field(description="The number of intervals per payment: 3 months.")
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    stripe_price_id: str | None


class ReceivedBody(Body):
    """The event is stored."""

    model_config = example({"received": True})

    received: bool


class EventsQuery(Shape):
    """Which events of Stripe."""

    status: StripeEventStatus | None = Field(None, description="`failed` events are dead-lettered.")
    limit: Limit = Field(50, ge=1, le=200, description="How many at most.")
    cursor: str | None = Field(None, pattern=PAIR_PATTERN, description="From `next_cursor`.")

    @property
    def before(self) -> tuple[str, str] | None:
        """The time of receipt and the id of the last event that was read."""
        return read_received_cursor(self.cursor) if self.cursor else None


class EventPath(Shape):
    """An event's address."""

    event_id: str = Field(min_length=1, max_length=255, pattern=_VISIBLE, description="Stripe's id, evt_...")


class EventBody(Body):
    """An event of Stripe, and its processing state."""

    model_config = example(EVENT)

    id: str
    type: str
    subject: str | None = Field(description="The subscription or checkout session that it is about, if known.")
    status: StripeEventStatus
    attempts: int
    error: str | None = Field(description="Why the last attempt failed.")
    occurred_at: Time
    received_at: Time
    processed_at: Time | None


class EventsBody(Page[EventBody]):
    """Events of Stripe, the newest first."""


class ReplayedBody(Body):
    """The event will be processed again."""

    model_config = example({"id": "evt_123", "status_before": "failed"})

    id: str
    status_before: StripeEventStatus
