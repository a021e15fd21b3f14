"""Strict parsing of Stripe objects: anything unexpected raises MalformedObject or ValueError."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pixelbloom.errors import PixelBloomError, UpstreamError

_CURRENCY = re.compile(r"[a-z]{3}")
_MAX_AMOUNT = 10**12
#: The first second after the year 9999, the last year of Python and ISO 8601.
_LAST_SECOND = 253_402_300_800


class MalformedObject(UpstreamError):
    """An object of Stripe that cannot be parsed."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Parse an object of Stripe in this context. Any error in it raises MalformedObject, which names `what`."""
    try:
        yield
    except PixelBloomError:
        raise
    except Exception as error:
        raise MalformedObject(f"Malformed Stripe object: expected {what}.") from error


def amount(value: object) -> int:
    """Return an amount in the smallest unit, or another count that is not negative. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_AMOUNT:
        raise ValueError("not an amount")
    return value


def owed(value: object) -> int:
    """Return an amount in the smallest unit; 0 for a customer's credit. Raises ValueError."""
    return 0 if isinstance(value, int) and -_MAX_AMOUNT <= value < 0 else amount(value)


def moment(value: object) -> int:
    """Return seconds since 1970, up to the year 9999. Raises ValueError."""
    seconds = amount(value)
    if seconds >= _LAST_SECOND:
        raise ValueError("not a time")
    return seconds


def optional_moment(value: object) -> int | None:
    return None if value is None else moment(value)


def currency(value: Any) -> str:
    """Return a currency's code in lower case. Raises ValueError."""
    found = str(value.lower())
    if not _CURRENCY.fullmatch(found):
        raise ValueError("not a currency")
    return found


def one_of(known: Sequence[str], value: object) -> str:
    """Return the value if it is known. Raises ValueError."""
    if not isinstance(value, str) or value not in known:
        raise ValueError("unknown value")
    return value


def text(value: object) -> str:
    """Return an id, or another short string of visible ASCII characters. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,255}", value):
        raise ValueError("not an id")
    return value


def address(value: object) -> str:
    """Return a URL of Stripe's pages. Raises ValueError."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[!-~]{1,4000}", value):
        raise ValueError("not an address")
    return value


def reference(value: object) -> str | None:
    """Return an id, or the id of an expanded object. Raises ValueError."""
    if isinstance(value, Mapping):
        value = value["id"]
    return None if value is None else text(value)


def mapping(value: object) -> dict[str, Any]:
    """Return an object; an absent one is empty. Raises ValueError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("not an object")
    return dict(value)


def invoiced_price(lines: object) -> str | None:
    """Return the price that the lines of an invoice are for, None if they name none. Raises ValueError.

    It is that of the subscription's first item; an invoice of prorations alone is for the price that it charges.
    """
    regular, charged = [], []
    for line in map(mapping, mapping(lines).get("data") or ()):
        parent = mapping(line.get("parent"))
        # In versions of the API before 2025-03-31, all is in the line.
        item = mapping(parent.get("subscription_item_details") or parent.get("invoice_item_details")) or line
        price = reference(mapping(mapping(line.get("pricing")).get("price_details")).get("price") or line.get("price"))
        if price is not None and item.get("subscription_item") and not item.get("proration"):
            regular.append(price)
        elif price is not None and line["amount"] > 0:
            charged.append(price)
    # Stripe lists the items of a subscription from the newest to the oldest, and so its prorations.
    return regular[-1] if regular else charged[0] if charged else None


def _packs(quantity: int, price: Mapping[str, Any]) -> int:
    """Return for how many packs a quantity is charged, where the price is for packs of several."""
    packs = mapping(price.get("transform_quantity"))
    if not packs:
        return quantity
    size = amount(packs["divide_by"])
    return -(-quantity // size) if one_of(("up", "down"), packs["round"]) == "up" else quantity // size


_INTERVALS = ("day", "week", "month", "year")
_MAX_INTERVALS = 1200


def priced(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's {"amount", "interval", "interval_count"}; an amount of None is unknown. Raises ValueError.

    A metered item costs 0: its invoices have the usage.
    """
    price, quantity = part["price"], part.get("quantity")
    recurring = mapping(price.get("recurring"))
    unit, count = price.get("unit_amount"), _packs(1 if quantity is None else amount(quantity), price)
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
