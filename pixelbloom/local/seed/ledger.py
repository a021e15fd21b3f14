"""The demo's customers: what they subscribed to and paid."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pixelbloom.local.seed.people import Person
from pixelbloom.local.seed.plan import Dice, Plan, Row
from pixelbloom.local.stripe.demo import PRICES
from pixelbloom.payments.money import major_units

MONTH = timedelta(days=30)
#: Customers from before the first leads.
OLD_CUSTOMERS = 40
CHURN_A_MONTH = 0.06
#: Name and features; the prices are those of the stand-in for Stripe.
PACKAGES: tuple[tuple[str, list[str]], ...] = (
    ("Starter", ["One website", "Chat agent", "Email support"]),
    ("Growth", ["Three websites", "All agents", "Campaign reports", "Priority support"]),
    ("Studio", ["Unlimited websites", "All agents", "Workflows of your own", "A person to call"]),
)
TAKEN = {"Starter": 50, "Growth": 38, "Studio": 12}


def packages(plan: Plan) -> list[Row]:
    """The packages."""
    dice = plan.dice("packages")
    return [
        {
            "id": dice.uuid(),
            "name": name,
            "price": _price(name),
            "currency": PRICES[name]["currency"],
            "billing_interval": PRICES[name]["interval"],
            "features": features,
            "position": position,
            "stripe_price_id": PRICES[name]["id"],
        }
        for position, (name, features) in enumerate(PACKAGES)
    ]


def _price(package: str) -> Decimal:
    return major_units(PRICES[package]["unit_amount"], PRICES[package]["currency"])


def campaigns(plan: Plan, package_ids: dict[str, UUID]) -> list[Row]:
    """Campaigns: one for all packages, one that has ended, and one for the large package."""
    dice = plan.dice("campaigns")
    welcome = {"code": "WELCOME20", "discount_type": "percentage", "discount_value": Decimal(20)}
    spring = {"code": "SPRING50", "discount_type": "percentage", "discount_value": Decimal(50)}
    studio = {"code": "STUDIO500", "discount_type": "fixed", "discount_value": Decimal(500)}
    rest: Row = {"currency": "usd", "package_ids": None, "max_uses": None, "ends_at": None, "duration": "forever"}
    return [
        {"id": dice.uuid(), **rest, **welcome, "max_uses": 500},
        {"id": dice.uuid(), **rest, **spring, "ends_at": plan.end - 6 * MONTH},
        {"id": dice.uuid(), **rest, **studio, "package_ids": [package_ids["Studio"]]},
    ]


def ledger(plan: Plan, found: list[Person], package_ids: dict[str, UUID]) -> tuple[list[Row], list[Row]]:
    """Subscriptions and their invoices, of the owner, of converted leads and of older customers."""
    dice = plan.dice("ledger")
    begins: list[tuple[UUID, datetime, str | None]] = [(plan.owner, plan.end - 10 * MONTH, "Growth")]
    begins += [(dice.uuid(), plan.end - dice.within(7 * MONTH, 15 * MONTH), None) for _ in range(OLD_CUSTOMERS)]
    begins += [
        (dice.uuid(), person.row["created_at"] + dice.within(timedelta(days=3), MONTH), None)
        for person in found
        if person.row["status"] == "converted"
    ]
    subscriptions, invoices = [], []
    for customer, begun, wanted in begins:
        if begun < plan.end:
            subscription, paid = _customer(plan, dice, customer, begun, wanted, package_ids)
            subscriptions.append(subscription)
            invoices += paid
    return subscriptions, invoices


def _customer(
    plan: Plan, dice: Dice, customer: UUID, begun: datetime, wanted: str | None, package_ids: dict[str, UUID]
) -> tuple[Row, list[Row]]:
    name = wanted or dice.one_of(TAKEN)
    price, interval = _price(name), PRICES[name]["interval"]
    discount = price / 10 if wanted is None and dice.happens(0.2) else Decimal(0)
    currency = "eur" if wanted is None and dice.happens(0.2) else "usd"
    ends = None if wanted else _end(plan, dice, begun)
    late = ends is None and wanted is None and dice.happens(0.05)
    subscription: Row = {
        "id": dice.uuid(),
        "user_id": customer,
        "package_id": package_ids[name],
        "status": "cancelled" if ends else "past_due" if late else "active",
        "start_date": begun,
        "end_date": ends,
        "currency": currency,
        "original_price": price,
        "discount_amount": discount,
        "final_price": price - discount,
        "billing_interval": interval,
        "created_at": begun,
        "updated_at": ends or begun,
    }
    length = MONTH if interval == "month" else 365 * timedelta(days=1)
    last = min(ends or plan.end, plan.end)
    due = [begun + number * length for number in range(-((begun - last) // length))]
    return subscription, [_invoice(dice, subscription, at, open_=late and at == due[-1]) for at in due]


def _end(plan: Plan, dice: Dice, begun: datetime) -> datetime | None:
    """At the end of a month, or not yet."""
    month = begun + MONTH
    while month < plan.end:
        if dice.happens(CHURN_A_MONTH):
            return month
        month += MONTH
    return None


def _invoice(dice: Dice, subscription: Row, at: datetime, *, open_: bool) -> Row:
    number = dice.uuid()
    row: dict[str, Any] = {
        "id": number,
        "user_id": subscription["user_id"],
        "subscription_id": subscription["id"],
        "status": "open" if open_ else "paid",
        "currency": subscription["currency"],
        "amount_due": subscription["final_price"],
        "amount_paid": 0 if open_ else subscription["final_price"],
        "issued_at": at,
        "paid_at": None if open_ else at + timedelta(minutes=1),
        "created_at": at,
        "updated_at": at,
    }
    return row
