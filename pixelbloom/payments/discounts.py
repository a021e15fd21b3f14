"""What a subscription's next payment comes to, as far as the subscription itself says."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pixelbloom.payments.money import minor_units
from pixelbloom.payments.values import amount, currency, mapping, optional_moment


def due(item: Mapping[str, Any], price: int, at: int | None) -> int:
    """Return a price in the smallest unit less the discounts of a subscription that hold at that time."""
    found = item.get("discounts") or ([item["discount"]] if item.get("discount") else [])
    coupons = [coupon for discount in found if (coupon := _coupon(discount, at)) is not None]
    if not coupons and any(not isinstance(discount, Mapping) for discount in found):
        # Ids alone: the campaign that our checkout wrote down says what they are.
        coupons = [_campaign(mapping(item.get("metadata")), item)]
    for coupon in coupons:
        price -= min(price, _off(coupon, price, item))
    return price


def _coupon(discount: object, at: int | None) -> dict[str, Any] | None:
    if not isinstance(discount, Mapping):
        return None
    ends = optional_moment(discount.get("end"))
    if ends is not None and at is not None and ends <= at:
        return None
    coupon = discount.get("coupon") or mapping(discount.get("source")).get("coupon")
    return dict(coupon) if isinstance(coupon, Mapping) else None


def _campaign(metadata: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = metadata.get("discount_type"), metadata.get("discount_value")
    if kind == "percentage":
        return {"percent_off": str(value)}
    if kind == "fixed":
        code = currency(item["items"]["data"][0]["price"]["currency"])
        return {"amount_off": minor_units(Decimal(str(value)), code), "currency": code}
    return {}


def _off(coupon: Mapping[str, Any], price: int, item: Mapping[str, Any]) -> int:
    if coupon.get("percent_off") is not None:
        part = Decimal(str(coupon["percent_off"]))
        if not 0 <= part <= 100:
            raise ValueError("not a percentage")
        return int((price * part / 100).quantize(Decimal(1), ROUND_HALF_UP))
    if coupon.get("amount_off") is not None:
        same = currency(coupon["currency"]) == currency(item["items"]["data"][0]["price"]["currency"])
        return amount(coupon["amount_off"]) if same else 0
    return 0
