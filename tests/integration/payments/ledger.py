"""An independent ledger of the money in events of Stripe."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pixelbloom.payments.money import major_units
from tests.servers.stripe import Event


@dataclass(frozen=True)
class Movement:
    """Money that moved on a day, in the smallest unit; returned money is negative."""

    day: date
    currency: str
    amount: int


DAY = 86_400
#: An hour into a day a year ago, so that rows with the current time are outside of the ranges.
A_YEAR_AGO = 1_750_000_000 // DAY * DAY + 3600


def day_of(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def ledger(events: Sequence[Event], *, style: str) -> list[Movement]:
    """Return the movements of the ordered events."""
    found: list[Movement] = []
    returned: list[Movement] = []
    disputed: dict[str, Movement] = {}
    paid: dict[str, int] = defaultdict(int)
    for event in events:
        item, day = event["data"]["object"], day_of(event["created"])
        match event["type"]:
            case "invoice.paid" | "invoice.updated" if item["amount_paid"] > paid[item["id"]]:
                found.append(Movement(day, item["currency"], item["amount_paid"] - paid[item["id"]]))
                paid[item["id"]] = item["amount_paid"]
            case "checkout.session.completed" if item["mode"] == "payment" and item["payment_status"] == "paid":
                found.append(Movement(day, item["currency"], item["amount_total"]))
            case "checkout.session.async_payment_succeeded" if item["mode"] == "payment":
                found.append(Movement(day, item["currency"], item["amount_total"]))
            case "refund.created":
                returned.append(Movement(day, item["currency"], -item["amount"]))
            case "charge.refunded" if style == "charges":
                more = item["amount_refunded"] - event["data"]["previous_attributes"]["amount_refunded"]
                returned.append(Movement(day, item["currency"], -more))
            case "refund.failed":
                returned.pop()
            case "charge.refund.updated" if style == "charges":
                returned.pop()
            case "charge.dispute.funds_withdrawn":
                disputed[item["id"]] = Movement(day, item["currency"], -item["amount"])
            case "charge.dispute.funds_reinstated":
                del disputed[item["id"]]
    return [*found, *returned, *disputed.values()]


def major(amount: int, currency: str) -> float:
    sign = -1 if amount < 0 else 1
    return sign * float(major_units(abs(amount), currency))


def signed(movements: Sequence[Movement]) -> dict[str, float]:
    totals: dict[str, int] = defaultdict(int)
    for movement in movements:
        totals[movement.currency] += movement.amount
    return {currency: major(amount, currency) for currency, amount in totals.items()}
