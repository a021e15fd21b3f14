"""The rules of selling: which price may be sold, and whether Stripe's price matches the package. Pure functions.

A package is sold only at its own price, not at a former one. A price that no package has or had is sold only if the
settings name it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol, Self
from uuid import UUID

from pixelbloom.core.statuses import PackageInterval
from pixelbloom.errors import Conflict, FieldError, InvalidInput, NotFound
from pixelbloom.payments.money import charge_digits, minor_units
from pixelbloom.payments.values import amount, currency, reading, reference, text

Mode = Literal["subscription", "payment"]


@dataclass(frozen=True)
class Package:
    """A package as it is stored; `price` in major units."""

    id: UUID
    name: str
    price: Decimal
    currency: str
    billing_interval: PackageInterval
    stripe_price_id: str | None
    active: bool

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            id=UUID(row["id"]),
            name=row["name"],
            price=Decimal(str(row["price"])),
            currency=row["currency"],
            billing_interval=row["billing_interval"],
            stripe_price_id=row["stripe_price_id"],
            active=row["active"],
        )


@dataclass(frozen=True)
class StripePrice:
    """A price at Stripe; `amount` in the currency's smallest unit, None if it depends on the quantity."""

    id: str
    product: str
    currency: str
    amount: int | None
    #: `month`, `year` ... and their number per period; None for a one-time price.
    interval: str | None
    interval_count: int
    active: bool

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> Self:
        """Parse an object of Stripe. Raises MalformedObject."""
        with reading("a price"):
            recurring = item["recurring"]
            return cls(
                id=text(item["id"]),
                product=text(reference(item["product"])),
                currency=currency(item["currency"]),
                amount=None if item["unit_amount"] is None else amount(item["unit_amount"]),
                interval=None if recurring is None else text(recurring["interval"]),
                interval_count=1 if recurring is None else amount(recurring["interval_count"]),
                active=item["active"] is True,
            )

    @property
    def mode(self) -> Mode:
        """The only mode of a checkout in which this price can be sold."""
        return "payment" if self.interval is None else "subscription"


@dataclass(frozen=True)
class Wanted:
    """A caller's choice; `package_field` is the name of the package's field in the request."""

    package_id: UUID | None
    price_id: str | None
    mode: Mode | None = None
    package_field: str = "package_id"


@dataclass(frozen=True)
class Offer:
    """What is sold: a price of Stripe, and its package, if any."""

    price_id: str
    package: Package | None


class Catalogue(Protocol):
    """Finds packages, including retired ones. Implemented by `pixelbloom.payments.checkout`."""

    def package(self, package_id: UUID) -> Package | None:
        """Return the package of this id."""

    def package_of(self, price_id: str) -> Package | None:
        """Return the package that has this price at Stripe, else the one that had it."""


def choose(wanted: Wanted, catalogue: Catalogue, *, default: str | None, extra: Collection[str]) -> Offer:
    """Return the offer for a choice.

    `default` is sold if nothing is chosen; it and `extra` are the prices that need no package. Raises NotFound for a
    package that does not exist or is retired, and InvalidInput for a price that is not on sale.
    """
    if wanted.package_id is not None:
        package = catalogue.package(wanted.package_id)
        if package is None or not package.active:
            raise NotFound("There is no such package; GET /api/pricing/packages lists them.")
        if package.stripe_price_id is None:
            raise invalid(wanted.package_field, "names a package that has no price at Stripe yet, so it is not on sale")
        if wanted.price_id not in (None, package.stripe_price_id):
            raise invalid("price_id", "is not the price of that package; omit one of them")
        return Offer(package.stripe_price_id, package)
    price_id = wanted.price_id or default
    if price_id is None:
        raise invalid("price_id", "is required, because STRIPE_PRICE_ID is not set")
    package = catalogue.package_of(price_id)
    if package is not None and package.active and package.stripe_price_id == price_id:
        return Offer(price_id, package)
    # A purchase at a former price is one of that package, so it is not sold as a price without a package.
    if package is not None or (price_id != default and price_id not in extra):
        raise invalid("price_id", "is not on sale; GET /api/pricing/packages lists what is")
    return Offer(price_id, None)


def check_price(offer: Offer, price: StripePrice, mode: Mode | None, default_mode: Mode | None) -> Mode:
    """Check Stripe's price, and return the mode in which the offer is sold.

    `default_mode` is that of prices without a package. Raises Conflict if the package and its price differ, and
    InvalidInput if the price cannot be sold in the wanted mode.
    """
    if offer.package is not None and (difference := difference_of(offer.package, price)):
        raise Conflict(
            f"{offer.package.name} cannot be sold now: its price at Stripe {difference}. "
            "An administrator must correct the package or its stripe_price_id."
        )
    if not price.active:
        raise invalid("price_id", "is archived at Stripe and cannot be sold")
    requested = mode or (default_mode if offer.package is None else None)
    if requested not in (None, price.mode):
        kind = "is paid once" if price.mode == "payment" else "recurs"
        raise invalid("mode", f"must be {price.mode}, as the price {kind}")
    return price.mode


def check_package(row: Mapping[str, Any]) -> list[FieldError]:
    """Return the errors of a package to be stored."""
    price, code = Decimal(str(row["price"])), row["currency"]
    digits = charge_digits(code)
    if price != round(price, digits):
        return [FieldError("price", f"cannot be charged in {code}: use at most {digits} decimals")]
    return []


def difference_of(package: Package, price: StripePrice) -> str | None:
    """Return how a package's price at Stripe differs from the package; None if it matches."""
    if not price.active:
        return "is archived"
    if price.currency != package.currency:
        return f"is in {price.currency}, not in {package.currency}"
    recurs = {"once": None}.get(package.billing_interval, package.billing_interval)
    if (price.interval, price.interval_count) != (recurs, 1):
        return f"does not have the package's interval ({package.billing_interval})"
    if price.amount != minor_units(package.price, package.currency):
        return "is another amount"
    return None


def invalid(field: str, message: str) -> InvalidInput:
    """Return an error about one field of the request."""
    return InvalidInput.of([FieldError(field, message)])
