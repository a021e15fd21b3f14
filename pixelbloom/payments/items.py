"""The price and interval of one subscription item."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pixelbloom.payments.values import amount, mapping, one_of

_INTERVALS = ("day", "week", "month", "year")
_MAX_INTERVALS = 1200


def priced(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's {"amount", "interval", "interval_count"}; an amount of None is unknown. Raises ValueError.

    A metered item costs 0: its invoices have the usage.
    """
    price, quantity = part["price"], part.get("quantity")
    recurring = mapping(price.get("recurring"))
    unit, count = price.get("unit_amount"), 1 if quantity is None else amount(quantity)
    total: int | None
    if recurring.get("usage_type") == "metered":
        total = 0
    elif unit is not None:
        total = amount(unit) * count
    elif price.get("unit_amount_decimal") is not None and quantity is not None:
        total = int((Decimal(str(price["unit_amount_decimal"])) * count).quantize(Decimal(1), ROUND_HALF_UP))
    else:
        total = None
    interval_count = amount(recurring.get("interval_count", 1))
    if not 1 <= interval_count <= _MAX_INTERVALS:
        raise ValueError("not a number of intervals")
    return {
        "amount": None if total is None else amount(total),
        "interval": one_of(_INTERVALS, recurring.get("interval", "month")),
        "interval_count": interval_count,
    }
