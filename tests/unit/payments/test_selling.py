"""What may be sold, for every catalogue and every request."""

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pixelbloom.errors import Conflict, InvalidInput, NotFound, PixelBloomError, UpstreamError
from pixelbloom.payments.money import minor_units
from pixelbloom.payments.orders import Order
from pixelbloom.payments.selling import Offer, Package, StripePrice, Wanted, check_price, choose

IDS = [UUID(int=number) for number in range(1, 5)]
PRICES = [f"price_{number}" for number in range(5)]
INTERVALS = {"once": None, "month": "month", "year": "year"}
AUDIT = Package(IDS[0], "Audit", Decimal("9900"), "usd", "once", "price_0", True)
PAID_ONCE = StripePrice("price_0", "prod_0", "usd", 990_000, None, 1, True)


@dataclass(frozen=True)
class Shelf:
    """A catalogue in memory."""

    packages: tuple[Package, ...]

    def package(self, package_id: UUID) -> Package | None:
        return next((one for one in self.packages if one.id == package_id), None)

    def package_of(self, price_id: str) -> Package | None:
        return next((one for one in self.packages if one.stripe_price_id == price_id), None)


def _package(package_id: UUID) -> st.SearchStrategy[Package]:
    return st.builds(
        Package,
        id=st.just(package_id),
        name=st.just("P"),
        price=st.sampled_from([Decimal(0), Decimal("49"), Decimal("9900")]),
        currency=st.sampled_from(["usd", "jpy"]),
        billing_interval=st.sampled_from(["once", "month", "year"]),
        stripe_price_id=st.sampled_from([None, *PRICES]),
        active=st.booleans(),
    )


SHELVES = (
    st.tuples(*map(_package, IDS))
    .filter(
        lambda found: (
            len({one.stripe_price_id for one in found if one.stripe_price_id})
            == sum(one.stripe_price_id is not None for one in found)
        )
    )
    .map(Shelf)
)
STRIPE_PRICES = st.builds(
    StripePrice,
    id=st.just("price_0"),
    product=st.just("prod_0"),
    currency=st.sampled_from(["usd", "jpy"]),
    amount=st.sampled_from([None, 0, 1, 49, 4900, 9900, 990_000]),
    interval=st.sampled_from([None, "week", "month", "year"]),
    interval_count=st.sampled_from([1, 3]),
    active=st.booleans(),
)
MODES = st.sampled_from([None, "payment", "subscription"])


@given(
    shelf=SHELVES,
    package_id=st.sampled_from([None, UUID(int=99), *IDS]),
    price_id=st.sampled_from([None, *PRICES, "price_other"]),
    default=st.sampled_from([None, *PRICES]),
    extra=st.sets(st.sampled_from(PRICES)),
)
def test_a_package_is_sold_at_its_own_price_and_no_other_price_unless_it_is_listed(
    shelf: Shelf, package_id: UUID | None, price_id: str | None, default: str | None, extra: set[str]
) -> None:
    try:
        offer = choose(Wanted(package_id, price_id), shelf, default=default, extra=extra)
    except (InvalidInput, NotFound):
        assume(package_id is not None)
        package = shelf.package(package_id) if package_id else None
        sold = package is not None and package.active and package.stripe_price_id is not None
        assert not (sold and price_id in (None, package.stripe_price_id if package else None))
        return

    if offer.package is not None:
        assert offer.package.active
        assert offer.package.stripe_price_id == offer.price_id
    else:
        assert offer.price_id in {default, *extra}
        assert shelf.package_of(offer.price_id) is None
    assert package_id in (None, offer.package.id if offer.package else None)
    assert price_id in (None, offer.price_id)


@given(shelf=SHELVES, price=STRIPE_PRICES, mode=MODES, default_mode=MODES, listed=st.booleans())
def test_what_is_sold_costs_what_the_package_says_in_its_currency_and_mode(
    shelf: Shelf, price: StripePrice, mode, default_mode, listed: bool
) -> None:
    package = None if listed else shelf.packages[0]
    try:
        sold = check_price(Offer("price_0", package), price, mode, default_mode)
    except PixelBloomError:
        if package is not None:
            assert mode not in (None, price.mode) or (
                price.currency,
                price.amount,
                price.interval,
                price.interval_count,
                price.active,
            ) != (
                package.currency,
                minor_units(package.price, package.currency),
                INTERVALS[package.billing_interval],
                1,
                True,
            )
        return

    assert price.active
    assert sold == ("payment" if price.interval is None else "subscription")
    assert mode in (None, sold)
    if package is None:
        assert (mode or default_mode) in (None, sold)
    else:
        assert price.amount == minor_units(package.price, package.currency)
        assert price.currency == package.currency
        assert (price.interval, price.interval_count) == (INTERVALS[package.billing_interval], 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"active": False}, "is archived"),
        ({"currency": "eur"}, "is in eur, not in usd"),
        ({"interval": "month"}, "does not have the package's interval"),
        ({"amount": 1}, "is another amount"),
        ({"amount": None}, "is another amount"),
    ],
)
def test_a_package_whose_price_at_stripe_differs_is_not_sold(changes, words: str) -> None:
    assert check_price(Offer("price_0", AUDIT), PAID_ONCE, None, "subscription") == "payment"
    with pytest.raises(Conflict, match=words):
        check_price(Offer("price_0", AUDIT), replace(PAID_ONCE, **changes), None, "subscription")


def test_a_price_of_stripe_of_an_unknown_format_is_an_error_of_stripe() -> None:
    good = {"id": "price_0", "product": {"id": "prod_0"}, "currency": "USD", "unit_amount": 990_000, "active": True}
    assert StripePrice.read({**good, "recurring": None}) == PAID_ONCE
    for broken in (good, {**good, "recurring": {}}, {**good, "recurring": None, "unit_amount": "x"}):
        with pytest.raises(UpstreamError):
            StripePrice.read(broken)


def test_uses_of_a_code_are_counted_by_user_or_by_address_and_a_digest_names_all_of_a_request() -> None:
    first = Order(
        key="key",
        wanted=Wanted(IDS[0], None),
        user_id=None,
        stripe_customer=None,
        customer_email="Somebody@Example.com",
        success_url="https://app.example.com/done",
        cancel_url="https://app.example.com/cancelled",
        metadata={"package_id": str(IDS[0])},
        campaign_code="CODE",
    )
    assert first.customer == replace(first, customer_email="somebody@example.COM").customer
    assert replace(first, user_id=IDS[1]).customer == str(IDS[1])
    assert replace(first, customer_email=None).customer is None
    # Of the customer at Stripe a request says nothing; the key stands beside it.
    assert replace(first, key="other", stripe_customer="cus_1").digest == first.digest
    others = [
        replace(first, wanted=Wanted(IDS[1], None)),
        replace(first, wanted=Wanted(IDS[0], "price_0")),
        replace(first, wanted=Wanted(IDS[0], None, "payment")),
        replace(first, user_id=IDS[1]),
        replace(first, customer_email=None),
        replace(first, success_url="https://app.example.com/else"),
        replace(first, cancel_url="https://app.example.com/else"),
        replace(first, metadata={}),
        replace(first, campaign_code=None),
    ]
    assert len({order.digest for order in (first, *others)}) == len(others) + 1
