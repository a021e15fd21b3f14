"""Whatever is asked for, nothing is sold below its package's price less the discount of a campaign that is for it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pixelbloom.container import Container
from pixelbloom.errors import Conflict, InvalidInput, NotFound
from pixelbloom.local.stripe.server import API_KEY, StripeServer
from pixelbloom.payments.checkout import Checkouts
from pixelbloom.payments.orders import Order
from pixelbloom.payments.selling import Wanted
from tests.integration.pricing.rows import added
from tests.stack import Stack

#: Currencies, how many of Stripe's units one of them is, and the smallest step that is charged.
UNITS = {"usd": (100, 1), "jpy": (1, 1), "kwd": (1000, 10), "isk": (100, 100)}
LISTED = "price_listed"


@dataclass(frozen=True)
class Seller:
    """What is bought from, and where it is sold at Stripe."""

    checkouts: Checkouts
    shop: StripeServer
    db: psycopg.Connection


@pytest.fixture(scope="module")
def seller(stack: Stack) -> Iterator[Seller]:
    with StripeServer() as shop, psycopg.connect(stack.database_url, autocommit=True) as db:
        shop.offer(
            [
                {"id": LISTED, "name": "Listed", "unit_amount": 1, "currency": "usd", "interval": "month"},
                {"id": "price_cent", "name": "Cent", "unit_amount": 1, "currency": "usd", "interval": "month"},
            ]
        )
        config = stack.settings_with(
            stripe_api_key=API_KEY, stripe_api_base=shop.url, stripe_extra_price_ids=LISTED, stripe_price_id=None
        )
        parts = Container(config)
        yield Seller(parts.checkouts, shop, db)
        parts.stripe.close()
        parts.gateway.close()


@dataclass(frozen=True)
class Offered:
    """A package, and its price at Stripe, which may be another one by mistake."""

    currency: str
    #: In steps of what can be charged.
    steps: int
    interval: str
    active: bool
    mistake: str | None

    @property
    def minor(self) -> int:
        return self.steps * UNITS[self.currency][1]

    @property
    def price(self) -> Decimal:
        return Decimal(self.minor) / UNITS[self.currency][0]


@dataclass(frozen=True)
class Discount:
    kind: str
    #: In hundredths of a percent, or in steps of the currency.
    value: int
    currency: str | None
    #: Which packages it is for; None for all.
    packages: tuple[int, ...] | None
    duration: str
    active: bool

    def left_of(self, package: Offered, which: int) -> Fraction:
        """The least for which the package may be sold with this."""
        if not self.active or (self.packages is not None and which not in self.packages):
            return Fraction(package.minor)
        if self.kind == "percentage":
            return Fraction(package.minor * (10_000 - self.value), 10_000)
        off = self.value * UNITS[package.currency][1] if self.currency == package.currency else 0
        return Fraction(max(package.minor - off, 0))


CURRENCIES = st.sampled_from(sorted(UNITS))
PACKAGES = st.builds(
    Offered,
    currency=CURRENCIES,
    steps=st.sampled_from([0, 1, 3, 333, 990_000]),
    interval=st.sampled_from(["once", "month", "year"]),
    active=st.sampled_from([True] * 9 + [False]),
    mistake=st.sampled_from([*[None] * 8, "cheaper", "currency", "missing", "none"]),
)
DISCOUNTS = st.builds(
    Discount,
    kind=st.just("percentage"),
    value=st.sampled_from([1, 1250, 3333, 10_000]),
    currency=st.none(),
    packages=st.sampled_from([None, None, (0,), (0, 1), (1,), ()]),
    duration=st.sampled_from(["once", "repeating", "forever"]),
    active=st.sampled_from([True] * 9 + [False]),
).flatmap(
    lambda found: st.one_of(
        st.just(found),
        st.builds(
            replace,
            st.just(found),
            kind=st.just("fixed"),
            value=st.sampled_from([1, 2, 400, 2_000_000]),
            currency=CURRENCIES,
        ),
    )
)


def stored(seller: Seller, offered: Offered) -> tuple[UUID, str | None]:
    """The id of the package and its price at Stripe."""
    price_id: str | None = f"price_{uuid4().hex}"
    if offered.mistake == "none":
        price_id = None
    elif offered.mistake != "missing":
        cheaper, other = offered.mistake == "cheaper", offered.mistake == "currency"
        price: dict[str, Any] = {
            "id": price_id,
            "name": "P",
            "unit_amount": max(offered.minor - 1, 0) if cheaper else offered.minor,
            "currency": next(name for name in UNITS if name != offered.currency) if other else offered.currency,
            "interval": None if offered.interval == "once" else offered.interval,
        }
        seller.shop.offer([price])
    row = {
        "name": f"P{uuid4().hex}",
        "price": offered.price,
        "currency": offered.currency,
        "billing_interval": offered.interval,
        "stripe_price_id": price_id,
        "active": offered.active,
    }
    return added(seller.db, "pricing_packages", row), price_id


def granted(seller: Seller, discount: Discount, ids: list[UUID]) -> str:
    """The code of the campaign."""
    percent = discount.kind == "percentage"
    unit, step = (100, 1) if percent else UNITS[str(discount.currency)]
    row = {
        "code": f"C{uuid4().hex[:12]}",
        "discount_type": discount.kind,
        "discount_value": Decimal(discount.value * step) / unit,
        "currency": discount.currency,
        "package_ids": None if discount.packages is None else [ids[n] for n in discount.packages],
        "duration": discount.duration,
        "duration_months": 3 if discount.duration == "repeating" else None,
        "active": discount.active,
    }
    added(seller.db, "pricing_campaigns", row)
    return str(row["code"])


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    packages=st.tuples(PACKAGES, PACKAGES),
    discount=DISCOUNTS,
    package=st.sampled_from([0, 0, 0, 0, 1, None]),
    price=st.sampled_from([*[None] * 6, 0, 0, 1, LISTED, "price_cent"]),
    mode=st.sampled_from([*[None] * 6, "payment", "subscription"]),
    coded=st.sampled_from([True, True, True, False]),
)
def test_nothing_is_sold_below_the_price_of_its_package_less_the_discount(
    seller: Seller,
    packages: tuple[Offered, Offered],
    discount: Discount,
    package: int | None,
    price: int | str | None,
    mode: Any,
    coded: bool,
) -> None:
    found = [stored(seller, offered) for offered in packages]
    ids = [one for one, _ in found]
    code = granted(seller, discount, ids)
    order = Order(
        key=uuid4().hex,
        wanted=Wanted(
            None if package is None else ids[package], found[price][1] if isinstance(price, int) else price, mode
        ),
        user_id=uuid4(),
        stripe_customer=None,
        customer_email=None,
        success_url="https://app.example.com/done",
        cancel_url="https://app.example.com/cancelled",
        metadata={},
        campaign_code=code if coded else None,
    )
    try:
        session = seller.shop.book.get("checkout.session", seller.checkouts.begin(order)["id"])
    except (InvalidInput, NotFound, Conflict) as error:
        event(f"refused: {type(error).__name__}")
        return
    finally:
        seller.db.execute("update pricing_packages set active = false where id = any(%s)", [ids])
    [line] = session["line_items"]
    sold = next((n for n, (_, price_id) in enumerate(found) if price_id == line["price"]), None)
    if sold is None:
        event("sold: a listed price")
        assert line["price"] == LISTED
        assert (package, session["amount_total"], session["discounts"]) == (None, 1, [])
        return
    event("sold: a package, with a code" if coded else "sold: a package")
    offered = packages[sold]
    assert package in (None, sold)
    assert (offered.active, offered.mistake in (None, "cheaper")) == (True, True)
    assert (session["metadata"]["package_id"], session["currency"]) == (str(ids[sold]), offered.currency)
    assert session["amount_subtotal"] == offered.minor
    least = discount.left_of(offered, sold) if coded else Fraction(offered.minor)
    # Stripe rounds to its smallest unit.
    assert abs(session["amount_total"] - least) < 1
