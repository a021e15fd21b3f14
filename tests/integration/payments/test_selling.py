"""What may be bought and changed to, over HTTP, with a stand-in for Stripe."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api, is_error
from tests.integration.payments.checkouts import CHECKOUT, SUBSCRIPTION, becomes, checkout, control
from tests.servers.stripe import selling, sold_by
from tests.stack import Stack

PRICES = [
    {"id": "price_starter", "name": "Starter", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_larger", "name": "Larger", "unit_amount": 990000, "currency": "usd", "interval": "month"},
    {"id": "price_cent", "name": "Cent", "unit_amount": 1, "currency": "usd", "interval": "month"},
    {"id": "price_dime", "name": "Dime", "unit_amount": 10, "currency": "usd", "interval": "month"},
    {"id": "price_listed", "name": "Listed", "unit_amount": 100, "currency": "usd", "interval": "month"},
    {"id": "price_retired", "name": "Retired", "unit_amount": 100, "currency": "usd", "interval": "month"},
    {"id": "price_audit", "name": "Audit", "unit_amount": 9900, "currency": "usd", "interval": None},
    {"id": "price_euro", "name": "Euro", "unit_amount": 4900, "currency": "eur", "interval": "month"},
    {"id": "price_raised", "name": "Raised", "unit_amount": 990000, "currency": "usd", "interval": "month"},
    {"id": "price_before", "name": "Before", "unit_amount": 100, "currency": "usd", "interval": "month"},
    {"id": "price_gone", "name": "Gone", "unit_amount": 100, "currency": "usd", "interval": "month"},
    {"id": "price_wrong", "name": "Wrong", "unit_amount": 4900, "currency": "eur", "interval": "month"},
]
#: Without packages, but for those that a package has or had.
EXTRA = "price_listed,price_retired,price_before,price_gone"


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def packages(stack: Stack) -> Iterator[dict[str, UUID]]:
    """Packages by name; `None` where Stripe has no price for it."""
    rows = {
        "Starter": (49, "usd", "month", "price_starter", True),
        "Larger": (9900, "usd", "month", "price_larger", True),
        "Priceless": (9900, "usd", "month", None, True),
        "Retired": (1, "usd", "month", "price_retired", False),
        "Audit": (99, "usd", "once", "price_audit", True),
        "Euro": (49, "eur", "month", "price_euro", True),
        "Wrong": (49, "usd", "month", "price_wrong", True),
        "Lost": (49, "usd", "month", "price_lost", True),
        "Dime": (0.1, "usd", "month", "price_dime", True),
        "Raised": (1, "usd", "month", "price_before", True),
        "Gone": (1, "usd", "month", "price_gone", True),
    }
    found = {}
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for name, row in rows.items():
            found[name] = uuid4()
            db.execute(
                "insert into pricing_packages (id, name, price, currency, billing_interval, stripe_price_id, active)"
                " values (%s, %s, %s, %s, %s, %s, %s)",
                [found[name], f"{name} {uuid4().hex}", *row],
            )
        # As an administrator raises a price, and retires a package.
        for package, price, price_id, active in (("Raised", 9900, "price_raised", True), ("Gone", 1, None, False)):
            db.execute(
                "update pricing_packages set price = %s, stripe_price_id = %s, active = %s where id = %s",
                [price, price_id, active, found[package]],
            )
        yield found
        db.execute("delete from pricing_packages where id = any(%s)", [list(found.values())])


@pytest.fixture(scope="module")
def web(stack: Stack, shop: StripeServer, packages: dict[str, UUID]) -> Iterator[Api]:
    with sold_by(stack, shop, STRIPE_PRICE_ID="price_before", STRIPE_EXTRA_PRICE_IDS=EXTRA) as url:
        yield Api(url, None, stack.settings)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def order(packages: dict[str, UUID], package: str | None, **body: Any) -> dict[str, Any]:
    return {**body, **({"metadata": {"package_id": str(packages[package])}} if package else {})}


REFUSED = [
    # A package without a price at Stripe, with the cheapest price that there is.
    ("Priceless", {"price_id": "price_cent"}, 400, "metadata.package_id"),
    ("Priceless", {"price_id": "price_listed"}, 400, "metadata.package_id"),
    ("Priceless", {}, 400, "metadata.package_id"),
    ("Larger", {"price_id": "price_starter"}, 400, "price_id"),
    ("Larger", {"price_id": "price_listed"}, 400, "price_id"),
    (None, {"price_id": "price_cent"}, 400, "price_id"),
    (None, {"price_id": "price_nowhere"}, 400, "price_id"),
    # Retired, although the settings list its price.
    ("Retired", {}, 404, None),
    (None, {"price_id": "price_retired"}, 400, "price_id"),
    # What a package cost before, although it is STRIPE_PRICE_ID, or listed.
    (None, {}, 400, "price_id"),
    (None, {"price_id": "price_before"}, 400, "price_id"),
    (None, {"price_id": "price_gone"}, 400, "price_id"),
    ("Audit", {"mode": "subscription"}, 400, "mode"),
    ("Larger", {"mode": "payment"}, 400, "mode"),
    (None, {"price_id": "price_listed", "mode": "payment"}, 400, "mode"),
    ("Wrong", {}, 409, None),
    ("Lost", {}, 409, None),
]
CODES = {400: "BAD_REQUEST", 404: "NOT_FOUND", 409: "CONFLICT"}


@pytest.mark.parametrize(("package", "body", "status", "field"), REFUSED)
def test_only_packages_at_their_own_price_and_listed_prices_are_sold(
    user: Api,
    shop: StripeServer,
    packages: dict[str, UUID],
    package: str | None,
    body: dict[str, Any],
    status: int,
    field: str | None,
) -> None:
    before = len(shop.book.objects["checkout.session"])
    found = is_error(user.request("POST", CHECKOUT, json=order(packages, package, **body)), status, CODES[status])

    assert [detail["field"] for detail in found.get("details", [])] == ([field] if field else [])
    assert len(shop.book.objects["checkout.session"]) == before


@pytest.mark.parametrize(
    ("package", "body", "price", "mode"),
    [
        ("Larger", {}, "price_larger", "subscription"),
        ("Larger", {"price_id": "price_larger", "mode": "subscription"}, "price_larger", "subscription"),
        ("Audit", {}, "price_audit", "payment"),
        (None, {"price_id": "price_audit"}, "price_audit", "payment"),
        (None, {"price_id": "price_listed"}, "price_listed", "subscription"),
    ],
)
def test_a_price_is_sold_in_its_own_mode(
    user: Api,
    shop: StripeServer,
    packages: dict[str, UUID],
    package: str | None,
    body: dict[str, Any],
    price: str,
    mode: str,
) -> None:
    session = shop.book.get("checkout.session", checkout(user, **order(packages, package, **body))["id"])

    assert (session["line_items"][0]["price"], session["mode"]) == (price, mode)


def test_a_change_follows_the_rules_of_selling(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, UUID]
) -> None:
    session = checkout(user, **order(packages, "Starter"))
    control(shop, "pay_session", session=session["id"])
    first = becomes(user, stack, status="active")
    for package, price, status, field in (
        ("Priceless", None, 400, "package_id"),
        ("Priceless", "price_cent", 400, "package_id"),
        ("Larger", "price_cent", 400, "price_id"),
        (None, "price_cent", 400, "price_id"),
        (None, "price_retired", 400, "price_id"),
        (None, "price_before", 400, "price_id"),
        (None, "price_gone", 400, "price_id"),
        ("Retired", None, 404, None),
        ("Audit", None, 400, "mode"),
        ("Euro", None, 400, "price_id"),
        ("Wrong", None, 409, None),
        ("Starter", None, 409, None),
    ):
        named = {"package_id": str(packages[package]) if package else None, "price_id": price}
        for at_period_end in (False, True):
            body = {name: value for name, value in named.items() if value} | {"at_period_end": at_period_end}
            found = is_error(user.request("POST", f"{SUBSCRIPTION}/change", json=body), status, CODES[status])
            assert [detail["field"] for detail in found.get("details", [])] == ([field] if field else []), body
    subscription = shop.book.get("subscription", first["stripe_subscription_id"])
    assert subscription["items"]["data"][0]["price"]["id"] == "price_starter"
    assert subscription["schedule"] is None
    body = {"package_id": str(packages["Larger"]), "price_id": "price_larger"}
    changed = user.request("POST", f"{SUBSCRIPTION}/change", json=body)
    assert (changed.status_code, changed.json()["final_price"]) == (200, 9900), changed.text


def test_a_change_now_is_billed_at_once_or_declined(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, UUID]
) -> None:
    control(shop, "pay_session", session=checkout(user, **order(packages, "Starter"))["id"])
    subscription = becomes(user, stack, status="active")["stripe_subscription_id"]
    body = {"package_id": str(packages["Larger"])}

    control(shop, "decline", subscription=subscription)
    declined = is_error(user.request("POST", f"{SUBSCRIPTION}/change", json=body), 400, "BAD_REQUEST")
    assert "declined" in declined["error"]
    assert user.get(SUBSCRIPTION).json()["final_price"] == 49
    shop.book.declining.clear()

    assert user.request("POST", f"{SUBSCRIPTION}/change", json=body).json()["final_price"] == 9900
    billed = shop.book.get("invoice", shop.book.get("subscription", subscription)["latest_invoice"])
    assert (billed["billing_reason"], billed["status"]) == ("subscription_update", "paid")
    # Less what passed of the month since the purchase.
    assert 985_100 * 0.99 < billed["amount_paid"] <= 985_100


def test_what_is_not_billed_yet_is_billed_with_a_cancellation(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, UUID]
) -> None:
    control(shop, "pay_session", session=checkout(user, **order(packages, "Starter"))["id"])
    subscription = shop.book.get("subscription", becomes(user, stack, status="active")["stripe_subscription_id"])
    # As Stripe's portal changes a price.
    change = {"items": [{"price": "price_larger"}], "proration_behavior": "create_prorations"}
    shop.book.update(subscription, change)
    becomes(user, stack, final_price=9900)
    ended = user.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": False})
    assert ended.json()["status"] == "cancelled", ended.text
    assert 9752 < shop.book.get("invoice", subscription["latest_invoice"])["amount_paid"] / 100 <= 9851


def test_a_change_replaces_a_pending_one(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, UUID]
) -> None:
    session = checkout(user, **order(packages, "Starter"))
    control(shop, "pay_session", session=session["id"])
    subscription = becomes(user, stack, status="active")["stripe_subscription_id"]

    def changed(package: str, *, at_period_end: bool) -> None:
        body = {"package_id": str(packages[package]), "at_period_end": at_period_end}
        response = user.request("POST", f"{SUBSCRIPTION}/change", json=body)
        assert response.status_code == 200, response.text

    changed("Dime", at_period_end=True)
    changed("Larger", at_period_end=False)
    assert control(shop, "renew", subscription=subscription)["amount_due"] == 990_000
    changed("Dime", at_period_end=True)
    changed("Starter", at_period_end=True)
    assert control(shop, "renew", subscription=subscription)["amount_due"] == 4900
    becomes(user, stack, final_price=49)
    changed("Larger", at_period_end=True)
    ended = user.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": True})
    assert (ended.status_code, ended.json()["cancel_at_period_end"]) == (200, True), ended.text
    assert control(shop, "renew", subscription=subscription)["status"] == "canceled"
