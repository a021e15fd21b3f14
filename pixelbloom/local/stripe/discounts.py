"""Discounts of the stand-in for Stripe."""

import time
from typing import Any

from pixelbloom.local.stripe.charges import Charges
from pixelbloom.local.stripe.objects import Obj

PERIODS = {"day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}


class Discounts(Charges):
    """What a subscription costs less its discounts, and how long these last."""

    def due(self, subscription: Obj) -> int:
        """Return the price of a period of a subscription."""
        coupons = [self.get("discount", name)["source"] for name in subscription["discounts"]]
        product = subscription["items"]["data"][0]["price"]["product"]
        return self.discounted(price_of(subscription), coupons, product)

    def discounted(self, amount: int, discounts: list[Obj], product: str) -> int:
        """Return an amount for a product after discounts, rounded half up."""
        for discount in discounts:
            coupon = self.get("coupon", discount["coupon"], "discounts[0][coupon]")
            if product not in (coupon.get("applies_to") or {"products": [product]})["products"]:
                continue
            if coupon["percent_off"] is not None:
                hundredths = round(coupon["percent_off"] * 100)
                amount -= (amount * hundredths + 5000) // 10_000
            else:
                amount -= min(amount, coupon["amount_off"])
        return amount

    def _discount(self, subscription: Obj, wanted: Any) -> None:
        """Set the discounts of a subscription: by coupon, or by the id of an existing one."""
        names = []
        for each in wanted or ():
            if "discount" in each:
                names.append(self.get("discount", each["discount"], "discounts[0][discount]")["id"])
                continue
            coupon, now = self.get("coupon", each["coupon"], "discounts[0][coupon]"), int(time.time())
            months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
            values = {
                "source": {"type": "coupon", "coupon": coupon["id"]},
                "subscription": subscription["id"],
                "start": now,
                "end": now + months * PERIODS["month"] if months else None,
            }
            names.append(self.add("discount", values)["id"])
        subscription["discounts"] = names

    def _end_discounts(self, subscription: Obj, *, billed: bool = True) -> None:
        """Drop ended discounts: those for one invoice, and those with their months before this period."""
        start = subscription["items"]["data"][0]["current_period_start"]

        def lasts(name: str) -> bool:
            discount = self.get("discount", name)
            once = self.get("coupon", discount["source"]["coupon"])["duration"] == "once"
            return not (once and billed) and (discount["end"] is None or discount["end"] > start)

        subscription["discounts"] = [name for name in subscription["discounts"] if lasts(name)]


def price_of(subscription: Obj) -> int:
    return sum(item["price"]["unit_amount"] * item["quantity"] for item in subscription["items"]["data"])
