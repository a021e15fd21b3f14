"""Campaigns from the code to the last discounted invoice, with a stand-in for Stripe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error
from tests.integration.payments.checkouts import CHECKOUT, SUBSCRIPTION, becomes, checkout, control, one
from tests.integration.pricing.rows import campaign, uses
from tests.servers.stripe import ENV, next_second, selling, sold_by
from tests.stack import Stack

PRICES = [
    {"id": "price_small", "name": "Small", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_large", "name": "Large", "unit_amount": 990000, "currency": "usd", "interval": "month"},
    {"id": "price_single", "name": "Single", "unit_amount": 10000, "currency": "usd", "interval": None},
]
USE_OF = """
    select {} from campaign_redemptions as r inner join pricing_campaigns as c on c.id = r.campaign_id
    where c.code = %s and r.released_at is null
"""
SESSION_OF, COMPLETED = USE_OF.format("r.stripe_session_id"), USE_OF.format("r.completed_at")
OVERDUE = """
    update campaign_redemptions as r set expires_at = now() - interval '16 minutes'
    from pricing_campaigns as c where c.id = r.campaign_id and c.code = any(%s)
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def packages(stack: Stack) -> Iterator[dict[str, str]]:
    """The ids of packages by name."""
    found = {}
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for name, price, interval in (("small", 49, "month"), ("large", 9900, "month"), ("single", 100, "once")):
            found[name] = str(uuid4())
            db.execute(
                "insert into pricing_packages (id, name, price, billing_interval, stripe_price_id)"
                " values (%s, %s, %s, %s, %s)",
                [found[name], f"{name} {uuid4().hex}", price, interval, f"price_{name}"],
            )
        yield found
        db.execute("delete from pricing_packages where id = any(%s)", [list(found.values())])


@pytest.fixture(scope="module")
def web(stack: Stack, shop: StripeServer, packages: dict[str, str]) -> Iterator[Api]:
    with sold_by(stack, shop, QUOTE_RATE_LIMIT="off") as url:
        yield Api(url, None, stack.settings)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def order(packages: dict[str, str], package: str, code: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"metadata": {"package_id": packages[package]}}
    return {**body, "campaign_code": code} if code else body


def bought(api: Api, shop: StripeServer, stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    session = checkout(api, **body)
    control(shop, "pay_session", session=session["id"])
    return becomes(api, stack, status="active")


def changed(api: Api, packages: dict[str, str], package: str, **body: Any) -> dict[str, Any]:
    wanted = {"package_id": packages[package], **body}
    response = api.request("POST", f"{SUBSCRIPTION}/change", json=wanted)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


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

    db.execute("update pricing_campaigns set package_ids = %s where code = %s", [[UUID(packages["large"])], code])
    coupon = shop.book.add("coupon", {"percent_off": None, "amount_off": 100, "duration": "forever"})
    shop.book.update(
        subscription, {"discounts": [{"discount": subscription["discounts"][0]}, {"coupon": coupon["id"]}]}
    )
    changed(user, packages, "small", at_period_end=at_period_end)
    assert control(shop, "renew", subscription=subscription["id"])["amount_due"] == 4800


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
    assert "39.20 USD" in httpx.get(session["url"], trust_env=False).text
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


def test_a_key_returns_only_the_checkout_of_its_request(
    user: Api, web: Api, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code, other = campaign(db, max_uses=1), campaign(db)
    headers = {"Idempotency-Key": uuid4().hex}
    body = order(packages, "small", code)

    def asked(api: Api, wanted: dict[str, Any]) -> httpx.Response:
        return api.request("POST", CHECKOUT, json=wanted, headers=headers)

    first = asked(user, body)
    assert first.status_code == 201, first.text
    for wanted in (
        order(packages, "large", code),
        order(packages, "small", other),
        order(packages, "small"),
        {**body, "customer_email": "a@example.com"},
        {**body, "success_url": "https://app.example.com/else"},
    ):
        is_error(asked(user, wanted), 409, "CONFLICT")
    # Another user's key is another key.
    assert "has reached its maximum number of uses" in is_error(asked(web.as_user(), body), 400, "BAD_REQUEST")["error"]
    db.execute("update pricing_campaigns set active = false where code = %s", [code])
    again = asked(user, body)
    assert (again.status_code, again.json()) == (201, first.json())
    is_error(user.request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")
    assert (uses(db, code), uses(db, other)) == (1, 0)


def test_a_key_of_a_checkout_without_a_code_conflicts_with_one_with_a_code(
    user: Api, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code, headers = campaign(db), {"Idempotency-Key": uuid4().hex}
    assert user.request("POST", CHECKOUT, json=order(packages, "small"), headers=headers).status_code == 201
    is_error(user.request("POST", CHECKOUT, json=order(packages, "small", code), headers=headers), 409, "CONFLICT")
    assert uses(db, code) == 0


def test_requests_with_one_key_at_once_make_one_checkout_and_use_the_code_once(
    user: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code, headers = campaign(db, max_uses=1), {"Idempotency-Key": uuid4().hex}
    body = order(packages, "small", code)
    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda _: user.request("POST", CHECKOUT, json=body, headers=headers), range(6)))

    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1
    assert uses(db, code) == 1


def test_twenty_unpaid_checkouts_of_one_user_use_a_campaign_once(
    user: Api, web: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, max_uses=2)
    sessions = [checkout(user, **order(packages, "small", code))["id"] for _ in range(20)]

    states = [shop.book.get("checkout.session", session)["status"] for session in sessions]
    assert states == [*["expired"] * 19, "open"]
    assert uses(db, code) == 1
    assert checkout(web.as_user(), **order(packages, "small", code))


def test_a_use_paid_in_another_tab_is_not_released(
    user: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, max_uses_per_user=1)
    url, shop.deliveries.url = shop.deliveries.url, None
    try:
        session = checkout(user, **order(packages, "small", code))
        control(shop, "pay_session", session=session["id"])  # and no event has come yet
        found = is_error(user.request("POST", CHECKOUT, json=order(packages, "large", code)), 400, "BAD_REQUEST")
    finally:
        shop.deliveries.url = url
    assert "You have reached the maximum number of uses" in found["error"]
    assert uses(db, code) == 1


def test_a_checkout_with_a_code_expires_soon_and_releases_its_use(
    user: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code = campaign(db, max_uses=1)
    plain = shop.book.get("checkout.session", checkout(user, **order(packages, "small"))["id"])
    session = shop.book.get("checkout.session", checkout(user, **order(packages, "small", code))["id"])
    assert 30 * 60 <= session["expires_at"] - session["created"] <= 36 * 60
    assert plain["expires_at"] - plain["created"] == 24 * 3600
    control(shop, "expire_session", session=session["id"])
    stack.wait_for(lambda: uses(db, code) == 0)
    assert bought(user, shop, stack, order(packages, "small", code))["status"] == "active"
    assert one(db, COMPLETED, code) is not None


def test_codes_cannot_be_guessed_through_checkout(
    stack: Stack, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    env = {**ENV, "STRIPE_API_BASE": shop.url, "QUOTE_RATE_LIMIT": "5/hour"}
    handle = stack.start("web", env=env)
    web = Api(handle.url, None, stack.settings)
    try:
        user, body = web.as_user(), {"package_id": packages["small"], "campaign_code": "GUESS"}
        quotes = [user.request("POST", "/api/pricing/quote", json=body) for _ in range(2)]
        responses = [user.request("POST", CHECKOUT, json=order(packages, "small", f"GUESS{n}")) for n in range(4)]
        assert [response.status_code for response in (*quotes, *responses)] == [200, 200, 400, 400, 400, 429]
        assert user.request("POST", "/api/pricing/quote", json=body).status_code == 429
        # A checkout without a code guesses nothing; a service may try for its users.
        assert checkout(user, **order(packages, "small"))
        service = {**order(packages, "small", "GUESS"), "user_id": str(user.user_id)}
        assert web.as_service().request("POST", CHECKOUT, json=service).status_code == 429
    finally:
        handle.stop()


def test_a_refused_checkout_releases_the_use_and_an_unknown_outcome_does_not(
    user: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code, headers = campaign(db, max_uses=1), {"Idempotency-Key": uuid4().hex}
    body = order(packages, "small", code)
    good = [{"seconds": 0}]
    # The calls are: the price, the coupon, its creation if it is missing, and the session.
    shop.failures.extend([*good * 3, {"status": 429}])
    is_error(user.request("POST", CHECKOUT, json=body, headers=headers), 429, "RATE_LIMITED")
    assert uses(db, code) == 0
    shop.failures.extend([*good * 2, *[{"drop": True}] * 3])
    is_error(user.request("POST", CHECKOUT, json=body, headers=headers), 503, "UNAVAILABLE")
    shop.failures.clear()
    assert uses(db, code) == 1
    again = user.request("POST", CHECKOUT, json=body, headers=headers)
    assert again.status_code == 201, again.text
    assert uses(db, code) == 1


def test_a_repeat_returns_the_session_made_and_a_late_repeat_a_new_one(
    web: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    for late in (False, True):
        user, code = web.as_user(), campaign(db, max_uses=1)
        body = order(packages, "small", code)
        headers, made = {"Idempotency-Key": uuid4().hex}, set(shop.book.objects["checkout.session"])
        # The calls are: the price, the coupon, its creation, and the session, which the library tries three times.
        shop.failures.extend([*[{"seconds": 0}] * 3, *[{"lose": True}] * 3])
        is_error(user.request("POST", CHECKOUT, json=body, headers=headers), 503, "UNAVAILABLE")
        [lost] = set(shop.book.objects["checkout.session"]) - made
        if late:
            db.execute(
                "update campaign_redemptions set expires_at = now() + interval '20 minutes' where stripe_session_id is"
                " null and released_at is null and campaign_id = (select id from pricing_campaigns where code = %s)",
                [code],
            )
        again = user.request("POST", CHECKOUT, json=body, headers=headers)
        assert again.status_code == 201, again.text
        assert (again.json()["id"] == lost) == (not late)
        assert (uses(db, code), one(db, SESSION_OF, code)) == (1, again.json()["id"])


def test_uses_of_checkouts_expired_without_an_event_are_released_soon(
    web: Api, shop: StripeServer, stack: Stack, packages: dict[str, str], db: psycopg.Connection
) -> None:
    codes = {name: campaign(db) for name in ("lost", "young", "expired", "paid")}
    url, shop.deliveries.url = shop.deliveries.url, None
    try:
        sessions = {name: checkout(web.as_user(), **order(packages, "small", code)) for name, code in codes.items()}
        control(shop, "expire_session", session=sessions["expired"]["id"])
        control(shop, "pay_session", session=sessions["paid"]["id"])
    finally:
        shop.deliveries.url = url
    db.execute(OVERDUE, [[code for name, code in codes.items() if name != "young"]])
    db.execute(
        "update campaign_redemptions as r set stripe_session_id = null from pricing_campaigns as c"
        " where c.id = r.campaign_id and c.code = %s",
        [codes["lost"]],
    )
    looked = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pixelbloom.tasks.payments import release_lost_uses as look; print(look(), look())",
        ],
        env={**os.environ, **stack.env, **ENV, "STRIPE_API_BASE": shop.url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = {name: uses(db, code) for name, code in codes.items()}
    assert found == {"lost": 0, "young": 1, "expired": 0, "paid": 1}, looked.stdout + looked.stderr
    assert int(looked.stdout.split("\n")[-2].split()[-1]) == 0
    assert one(db, COMPLETED, codes["paid"]) is not None
