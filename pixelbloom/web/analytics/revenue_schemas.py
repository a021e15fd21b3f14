"""The schemas of figures of revenue and subscriptions in the OpenAPI document."""

from typing import Any

from pydantic import Field

from pixelbloom.core.statuses import BillingInterval, SubscriptionStatus
from pixelbloom.web.analytics.figures import (
    AT,
    PACKAGE_ID,
    RANGE,
    Amount,
    Figure,
    MoneyFigure,
    Point,
    Ranged,
    figure,
    money,
)
from pixelbloom.web.http.rendering import Body, Number, Page, Time, Uuid
from pixelbloom.web.http.schemas import USER_ID, example

REVENUE: dict[str, Any] = {
    "range": RANGE,
    "revenue": money(10234, 3.3),
    "mrr": money(4900, 2.1),
    "arr": money(58800, 2.1),
    "active_subscriptions": figure(100, 2),
    "new_subscriptions": figure(7, 16.7),
    "ended_subscriptions": figure(5, None),
    "churn_rate": figure(5.1, None),
}

PACKAGES: dict[str, Any] = {
    "range": RANGE,
    "data": [
        {
            "package_id": PACKAGE_ID,
            "package": "Growth",
            "currency": "usd",
            "revenue": 5880,
            "payments": 120,
            "active_subscriptions": 60,
            "mrr": 2940,
        }
    ],
}

SUBSCRIPTION_TREND: dict[str, Any] = {
    "range": RANGE,
    "data": [
        {"date": "2026-01-30", "value": 99, "started": 3, "ended": 2},
        {"date": "2026-01-31", "value": 100, "started": 4, "ended": 3},
    ],
}

CUSTOMERS: dict[str, Any] = {
    "range": RANGE,
    "customers": 40,
    "average": {"currency": "usd", "value": 612.5},
    "by_currency": [{"currency": "usd", "customers": 40, "average": 612.5, "median": 490, "highest": 2450}],
    "top": [
        {
            "user_id": USER_ID,
            "currency": "usd",
            "value": 2450,
            "payments": 50,
            "first_payment_at": "2022-01-15T09:30:00.000000Z",
            "last_payment_at": AT,
        }
    ],
}

SUBSCRIPTION: dict[str, Any] = {
    "id": "b7a3a9de-5f0e-4c52-8c34-92b76a3dbd0a",
    "user_id": USER_ID,
    "package_id": PACKAGE_ID,
    "package": "Growth",
    "status": "active",
    "start_date": AT,
    "end_date": None,
    "currency": "usd",
    "original_price": 49,
    "discount_amount": 0,
    "final_price": 49,
    "billing_interval": "month",
    "billing_interval_count": 1,
}


class RevenueSummaryBody(Ranged):
    """Money and subscriptions."""

    model_config = example(REVENUE)

    revenue: MoneyFigure = Field(description="Money received.")
    mrr: MoneyFigure = Field(description="Monthly recurring revenue at the end of the range, against its beginning.")
    arr: MoneyFigure = Field(description="Twelve times that.")
    active_subscriptions: Figure = Field(description="At the end of the range, against its beginning.")
    new_subscriptions: Figure
    ended_subscriptions: Figure
    churn_rate: Figure = Field(description="The share of the subscriptions at its beginning that ended in the range.")


class PackageRevenue(Body):
    """A package in one currency."""

    package_id: Uuid | None
    package: str | None = Field(description="Null for sales without a package.")
    currency: str
    revenue: Number
    payments: int
    active_subscriptions: int
    mrr: Number


class PackagesBody(Ranged):
    """Packages, those of the most payments first."""

    model_config = example(PACKAGES)

    data: list[PackageRevenue]


class SubscriptionPoint(Point):
    """Subscriptions at the end of a period, and what changed in it."""

    started: int
    ended: int


class SubscriptionTrendBody(Ranged):
    """Subscriptions over time."""

    model_config = example(SUBSCRIPTION_TREND)

    data: list[SubscriptionPoint]


class CurrencyValue(Body):
    """The totals paid by customers in one currency."""

    currency: str
    customers: int
    average: Number
    median: Number
    highest: Number


class CustomerValue(Body):
    """The total paid by one customer."""

    user_id: Uuid
    currency: str
    value: Number
    payments: int
    first_payment_at: Time
    last_payment_at: Time


class CustomerValueBody(Ranged):
    """The totals that customers who paid in the range have paid until its end."""

    model_config = example(CUSTOMERS)

    customers: int
    average: Amount = Field(description="In the currency of the most customers.")
    by_currency: list[CurrencyValue]
    top: list[CustomerValue] = Field(description="The ten who paid most, of each currency.")


class SubscriptionItem(Body):
    """A subscription or a purchase."""

    model_config = example(SUBSCRIPTION)

    id: Uuid
    user_id: Uuid | None
    package_id: Uuid | None
    package: str | None
    status: SubscriptionStatus
    start_date: Time
    end_date: Time | None
    currency: str
    original_price: Number | None
    discount_amount: Number
    final_price: Number
    billing_interval: BillingInterval
    billing_interval_count: int


class SubscriptionPage(Page[SubscriptionItem]):
    """Subscriptions, newest first."""
