"""The discount of a campaign, from its code to the last discounted invoice."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api
from tests.integration.payments.campaigns.orders import bought, changed, order
from tests.integration.payments.checkouts import becomes, checkout, control, one
from tests.integration.pricing.rows import added, campaign, package, uses
from tests.servers.stripe import next_second
from tests.stack import Stack
from tests.waiting import SECONDS


def test_a_discount_of_one_package_does_not_apply_to_another(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, discount_value=100, duration="forever", package_ids=[UUID(packages["small"])])
    free = bought(user, shop, stack, order(packages, "small", code))
    assert free["final_price"] == 0
    large = changed(user, packages, "large")
    assert (large["original_price"], large["discount_amount"], large["final_price"]) == (9900, 0, 9900)
    assert shop.book.get("subscription", free["stripe_subscription_id"])["discounts"] == []
    renewed = control(shop, "renew", subscription=free["stripe_subscription_id"])
    assert renewed["amount_due"] == 990_000
    assert uses(db, code) == 1


def test_a_discount_of_one_package_ends_with_its_last_period(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, discount_value=50, duration="forever", package_ids=[UUID(packages["small"])])
    found = bought(user, shop, stack, order(packages, "small", code))
    assert changed(user, packages, "large", at_period_end=True)["final_price"] == 24.5
    schedule = shop.book.get("subscription", found["stripe_subscription_id"])["schedule"]
    first, second = shop.book.get("subscription_schedule", schedule)["phases"]
    assert len(first["discounts"]) == 1
    assert second["discounts"] == ""
    assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 990_000
    assert becomes(user, stack, original_price=9900)["final_price"] == 9900


@pytest.mark.parametrize("at_period_end", [False, True])
def test_a_general_discount_and_foreign_discounts_survive_a_change(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection, at_period_end: bool
) -> None:
    code = campaign(db, duration="forever")
    found = bought(user, shop, stack, order(packages, "small", code))
    # It has ended, but was granted for good.
    db.execute("update pricing_campaigns set active = false where code = %s", [code])
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    changed(user, packages, "large", at_period_end=at_period_end)
    assert control(shop, "renew", subscription=subscription["id"])["amount_due"] == 792_000
    assert becomes(user, stack, original_price=9900)["final_price"] == 7920


@pytest.mark.parametrize("at_period_end", [False, True])
def test_a_foreign_discount_survives_the_end_of_a_campaigns(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection, at_period_end: bool
) -> None:
    code = campaign(db, duration="forever", package_ids=[UUID(packages["small"])])
    found = bought(user, shop, stack, order(packages, "small", code))
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    coupon = shop.book.add("coupon", {"percent_off": None, "amount_off": 100, "duration": "forever"})
    shop.book.update(
        subscription, {"discounts": [{"discount": subscription["discounts"][0]}, {"coupon": coupon["id"]}]}
    )
    changed(user, packages, "large", at_period_end=at_period_end)
    assert control(shop, "renew", subscription=subscription["id"])["amount_due"] == 989_900


def test_a_granted_discount_does_not_follow_its_campaign_to_other_packages(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, discount_value=100, duration="forever", package_ids=[UUID(packages["small"])])
    found = bought(user, shop, stack, order(packages, "small", code))
    both = [UUID(packages[name]) for name in ("small", "large")]
    db.execute("update pricing_campaigns set package_ids = %s where code = %s", [both, code])
    large = changed(user, packages, "large")

    assert (large["discount_amount"], large["final_price"]) == (0, 9900)
    assert shop.book.get("subscription", found["stripe_subscription_id"])["discounts"] == []
    assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 990_000


def test_a_package_that_gets_its_price_later_is_not_covered_by_a_granted_discount(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    later = package(db, "149", stripe_price_id=None)
    code = campaign(db, discount_value=50, duration="forever", package_ids=[UUID(packages["small"]), later])
    found = bought(user, shop, stack, order(packages, "small", code))
    price = f"price_{uuid4().hex}"  # the package stays
    shop.offer([{"id": price, "name": "Late", "unit_amount": 14_900, "currency": "usd", "interval": "month"}])
    db.execute("update pricing_packages set stripe_price_id = %s where id = %s", [price, later])
    # The coupon at Stripe is limited to the products that had prices.
    after = changed(user, {"late": str(later)}, "late")

    assert (after["discount_amount"], after["final_price"]) == (0, 149)
    assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 14_900
    assert becomes(user, stack, original_price=149)["final_price"] == 149


def test_a_redemption_covers_no_package_rather_than_all(db: psycopg.Connection) -> None:
    priceless = package(db, stripe_price_id=None)
    campaign_id = added(
        db, "pricing_campaigns", {"code": uuid4().hex, "discount_type": "percentage", "discount_value": 5}
    )
    row = {"campaign_id": campaign_id, "redemption_key": uuid4().hex, "covered_package_ids": [priceless]}
    redemption = added(db, "campaign_redemptions", row)
    assert one(db, "select covered_package_ids from campaign_redemptions where id = %s", redemption) == []


def test_a_granted_discount_remains_when_its_campaign_is_narrowed(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, duration="forever")
    found = bought(user, shop, stack, order(packages, "small", code))
    db.execute("update pricing_campaigns set package_ids = %s where code = %s", [[UUID(packages["single"])], code])
    assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 3920
    assert becomes(user, stack, final_price=39.2)["discount_amount"] == 9.8
    large = changed(user, packages, "large")
    assert (large["discount_amount"], large["final_price"]) == (1980, 7920)
    assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 792_000


def test_a_subscription_remains_with_its_package_and_discount_when_that_gets_another_price(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, duration="forever")
    found = bought(user, shop, stack, order(packages, "small", code))
    changed(user, packages, "large")
    shop.offer([{"id": "price_dear", "name": "Dear", "unit_amount": 1_200_000, "currency": "usd", "interval": "month"}])
    db.execute(
        "update pricing_packages set price = 12000, stripe_price_id = 'price_dear' where id = %s", [packages["large"]]
    )
    try:
        next_second()
        assert control(shop, "renew", subscription=found["stripe_subscription_id"])["amount_due"] == 792_000
        subscription = shop.book.get("subscription", found["stripe_subscription_id"])
        shop.book.update(subscription, {"cancel_at_period_end": "true"})
        after = becomes(user, stack, cancel_at_period_end=True)
    finally:
        db.execute(
            "update pricing_packages set price = 9900, stripe_price_id = 'price_large' where id = %s",
            [packages["large"]],
        )
    assert (after["package_id"], after["original_price"], after["final_price"]) == (packages["large"], 9900, 7920)


def test_a_change_made_at_stripe_does_not_carry_the_discount_over(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, discount_value=100, duration="forever", package_ids=[UUID(packages["small"])])
    found = bought(user, shop, stack, order(packages, "small", code))
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    next_second()
    shop.book.update(subscription, {"items": [{"price": "price_large"}]})  # as the billing portal does

    assert becomes(user, stack, original_price=9900)["final_price"] == 9900
    assert control(shop, "renew", subscription=subscription["id"])["amount_due"] == 990_000


@pytest.mark.parametrize(
    ("terms", "invoices", "lasting"),
    [
        ({"duration": "once"}, [4900, 4900, 4900], 49),
        ({"duration": "repeating", "duration_months": 2}, [3920, 4900, 4900], 39.2),
        ({"duration": "forever"}, [3920, 3920, 3920], 39.2),
    ],
)
def test_a_discount_lasts_as_long_as_its_campaign_says(
    user: Api,
    shop: StripeServer,
    stack: Stack,
    packages: dict[str, str],
    db: psycopg.Connection,
    terms: dict[str, Any],
    invoices: list[int],
    lasting: float,
) -> None:
    session = checkout(user, **order(packages, "small", campaign(db, **terms)))
    assert "39.20 USD" in httpx.get(session["url"], trust_env=False, timeout=SECONDS).text
    control(shop, "pay_session", session=session["id"])
    found = becomes(user, stack, status="active", final_price=lasting)
    renewals = [control(shop, "renew", subscription=found["stripe_subscription_id"]) for _ in invoices]

    assert [invoice["amount_due"] for invoice in renewals] == invoices
    becomes(user, stack, final_price=invoices[-1] / 100)


def test_a_single_purchase_has_its_discount_once(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, duration="repeating", duration_months=3)
    found = bought(user, shop, stack, order(packages, "single", code))

    assert (found["original_price"], found["final_price"], found["billing_interval"]) == (100, 80, "once")
