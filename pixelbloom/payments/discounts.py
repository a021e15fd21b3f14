"""The amount of a subscription's next payment, computed from the subscription itself."""

from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pixelbloom.payments.money import minor_units
from pixelbloom.payments.values import amount, currency, mapping, moment, optional_moment, reference, text

MONTHS_A_YEAR = 12


def due(item: Mapping[str, Any], prices: Sequence[int], at: int | None) -> int | None:
    """Return the total of a subscription's items at a time, less the discounts valid then, in the smallest unit.

    `prices` are those of its items, in the smallest unit. None if the metadata of our checkout was edited at Stripe.
    """
    found = item.get("discounts") or ([item["discount"]] if item.get("discount") else [])
    coupons = [coupon for discount in found if (coupon := _coupon(discount, at)) is not None]
    terms = [coupon for coupon in coupons if isinstance(coupon, dict)]
    if len(terms) < len(coupons):
        # Only ids: use the campaign that our checkout stored in the metadata.
        try:
            terms.append(_campaign(mapping(item.get("metadata")), item, at))
        except (ArithmeticError, ValueError):
            return None
    left = list(prices)
    for coupon in terms:
        _subtract(left, coupon, item)
    return sum(left)


def _coupon(discount: object, at: int | None) -> dict[str, Any] | str | None:
    """Return the terms of a discount's coupon, or an id if there are no terms; None if the discount has ended.

    A discount for a single invoice is removed after it, so a present one applies to the next invoice.
    """
    if not isinstance(discount, Mapping):
        return str(discount)
    ends = optional_moment(discount.get("end"))
    if ends is not None and at is not None and ends <= at:
        return None
    coupon = discount.get("coupon") or mapping(discount.get("source")).get("coupon")
    return dict(coupon) if isinstance(coupon, Mapping) else reference(coupon)


def _campaign(metadata: Mapping[str, Any], item: Mapping[str, Any], at: int | None) -> dict[str, Any]:
    kind, value, months = (metadata.get(f"discount_{name}") for name in ("type", "value", "months"))
    if months is not None and at is not None and at >= _after(moment(item["start_date"]), int(months)):
        return {}
    if kind == "percentage":
        return {"percent_off": _percentage(value)}
    if kind == "fixed":
        code = currency(item["items"]["data"][0]["price"]["currency"])
        return {"amount_off": minor_units(Decimal(str(value)), code), "currency": code}
    return {}


def _after(start: int, months: int) -> int:
    """Return the same day `months` later, or the last day of a shorter month."""
    begun = datetime.fromtimestamp(start, UTC)
    years, month = divmod(begun.month - 1 + months, MONTHS_A_YEAR)
    year, month = begun.year + years, month + 1
    return int(begun.replace(year=year, month=month, day=min(begun.day, monthrange(year, month)[1])).timestamp())


def _subtract(left: list[int], coupon: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    """Subtract a coupon, which may cover only some products, from what is left of the items' prices."""
    products = mapping(coupon.get("applies_to")).get("products")
    covered = [n for n, part in enumerate(item["items"]["data"]) if _covers(products, part)]
    off = _discount_amount(coupon, sum(left[n] for n in covered), item)
    for n in covered:
        part = min(left[n], off)
        left[n] -= part
        off -= part


def _covers(products: Collection[str] | None, part: Mapping[str, Any]) -> bool:
    return products is None or text(reference(part["price"]["product"])) in products


def _percentage(value: object) -> Decimal:
    part = Decimal(str(value))
    if not 0 <= part <= 100:
        raise ValueError("not a percentage")
    return part


def _discount_amount(coupon: Mapping[str, Any], price: int, item: Mapping[str, Any]) -> int:
    if coupon.get("percent_off") is not None:
        return int((price * _percentage(coupon["percent_off"]) / 100).quantize(Decimal(1), ROUND_HALF_UP))
    if coupon.get("amount_off") is not None:
        same = currency(coupon["currency"]) == currency(item["items"]["data"][0]["price"]["currency"])
        return amount(coupon["amount_off"]) if same else 0
    return 0
