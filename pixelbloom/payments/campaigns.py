"""Campaigns at checkouts: why a code does not apply, and the Stripe coupon of a campaign."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from pixelbloom.errors import FieldError
from pixelbloom.payments.money import charge_digits, minor_units
from pixelbloom.payments.selling import Mode, Package

REFUSAL_REASONS = {
    "unknown": "There is no such code.",
    "inactive": "This code is inactive.",
    "not_started": "This code is not valid yet.",
    "expired": "This code is no longer valid.",
    "used_up": "This code has reached its maximum number of uses.",
    "used_up_by_user": "You have reached the maximum number of uses of this code.",
    "needs_user": "This code is for signed-in users; sign in, or name the user_id.",
    "wrong_package": "This code is not for this package.",
    "wrong_currency": "This code is not for prices in this currency.",
}
#: Prefix of our coupons' ids; coupons created manually at Stripe are not touched.
COUPON_PREFIX = "pb_"


def check_campaign(row: Mapping[str, Any], packages: Collection[str]) -> list[FieldError]:
    """Return the errors of a campaign to be stored; `packages` are the existing ids."""
    return [FieldError(field, message) for field, message in _errors(row, packages)]


def _errors(row: Mapping[str, Any], packages: Collection[str]) -> Iterator[tuple[str, str]]:
    value, code = Decimal(str(row["discount_value"])), row["currency"]
    if row["discount_type"] == "percentage":
        if value > 100 or value != round(value, 2):
            yield "discount_value", "must be a percentage of at most 100, with at most 2 decimals"
    elif code is None:
        yield "currency", "is required for a fixed discount"
    elif value != round(value, charge_digits(code)):
        yield "discount_value", f"cannot be charged in {code}: use at most {charge_digits(code)} decimals"
    if (row["duration"] == "repeating") != (row["duration_months"] is not None):
        yield "duration_months", "is required with a duration of repeating, and only then"
    if row["max_uses"] is not None and row["max_uses"] < row["uses"]:
        yield "max_uses", f"must be at least the {row['uses']} existing uses"
    starts, ends = (row[name] and datetime.fromisoformat(row[name]) for name in ("starts_at", "ends_at"))
    if starts and ends and ends <= starts:
        yield "ends_at", "must be after starts_at"
    if unknown := sorted(set(row["package_ids"] or ()) - set(packages)):
        yield "package_ids", f"names packages that do not exist: {', '.join(unknown)}"


def covers(package_ids: Collection[str] | None, package: Package | None) -> bool:
    """Return whether a discount that was granted for these packages, None for all, applies to this one.

    The present scope, dates and limits of the campaign do not matter; a price without a package has no discounts.
    """
    return package is not None and (package_ids is None or str(package.id) in package_ids)


@dataclass(frozen=True)
class Campaign:
    """The discount of a campaign; `value` in percent, or in major units of its currency."""

    id: UUID
    code: str
    discount_type: str
    value: Decimal
    currency: str | None
    duration: str
    duration_months: int | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            id=UUID(row["id"]),
            code=row["code"],
            discount_type=row["discount_type"],
            value=Decimal(str(row["discount_value"])),
            currency=row["currency"],
            duration=row["duration"],
            duration_months=row["duration_months"],
        )

    def coupon_id(self, mode: Mode, applies_to: Sequence[str]) -> str:
        """Return the id of the coupon for these terms and prices; others have a different id."""
        parts = (
            self.id,
            self.discount_type,
            self.value.normalize(),
            self.currency,
            *self.discount_duration(mode),
            *applies_to,
        )
        return COUPON_PREFIX + hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:24]

    def coupon(self, mode: Mode, products: Sequence[str]) -> dict[str, Any]:
        """Return the terms of the coupon, limited to these products if any are given."""
        duration, months = self.discount_duration(mode)
        terms: dict[str, Any] = {"percent_off": float(self.value), "duration": duration, "name": self.code[:40]}
        if self.discount_type == "fixed" and self.currency is not None:
            del terms["percent_off"]
            terms |= {"amount_off": minor_units(self.value, self.currency), "currency": self.currency}
        if months is not None:
            terms["duration_in_months"] = months
        if products:
            terms["applies_to"] = {"products": list(products)}
        return terms

    def discount_duration(self, mode: Mode) -> tuple[str, int | None]:
        """Return the duration and its months; a one-time payment has a single invoice."""
        return ("once", None) if mode == "payment" else (self.duration, self.duration_months)
