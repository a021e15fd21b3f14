"""Subscriptions from checkout to their end: renewed, changed, on trial, cancelled."""

import os
import subprocess
import sys
from uuid import UUID

import httpx
import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error
from tests.integration.payments.checkouts import (
    SUBSCRIPTION,
    becomes,
    bought,
    checkout,
    control,
    notification_types,
    one,
)
from tests.servers.stripe import ENV, next_second
from tests.stack import Stack
from tests.waiting import SECONDS


@pytest.mark.parametrize("after", [0, 1])
def test_a_change_with_the_next_period_does_not_end_a_trial(
    user: Api, shop: StripeServer, stack: Stack, after: int
) -> None:
    found = bought(user, shop, stack)
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    end = subscription["items"]["data"][0]["current_period_end"]
    next_second()
    subscription |= {"status": "trialing", "trial_start": subscription["start_date"] + after, "trial_end": end}
    shop.book.update(subscription, {})
    becomes(user, stack, status="trialing")
    response = user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_studio", "at_period_end": True})

    assert (response.json()["status"], response.json()["plan"]) == ("trialing", "Growth"), response.text
    assert (subscription["status"], subscription["trial_end"]) == ("trialing", end)
    control(shop, "renew", subscription=subscription["id"])
    becomes(user, stack, status="active", plan="Studio")


def test_a_purchase_an_upgrade_a_failed_renewal_and_the_end(
    user: Api, shop: StripeServer, stack: Stack, growth: UUID, db: psycopg.Connection
) -> None:
    is_error(user.get(SUBSCRIPTION), 404, "NOT_FOUND")
    session = checkout(user, metadata={"package_id": str(growth), "source": "page"}, customer_email="a@example.com")
    assert session["url"] == f"{shop.url}/c/pay/{session['id']}"
    page = httpx.get(session["url"], trust_env=False, timeout=SECONDS).text
    assert "149.00 USD" in page
    paid = httpx.post(session["url"], data={"do": "paid"}, trust_env=False, timeout=SECONDS)
    assert paid.headers["Location"] == f"https://app.example.com/done?session={session['id']}"

    first = becomes(user, stack, status="active")
    assert (first["plan"], first["final_price"], first["currency"]) == ("Growth", 149, "usd")
    assert (first["billing_interval"], first["cancel_at_period_end"]) == ("month", False)
    stack.wait_for(lambda: notification_types(user) == ["payment_succeeded"])
    changed = user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_studio"})
    assert (changed.json()["plan"], changed.json()["final_price"]) == ("Studio", 4990), changed.text
    assert changed.json()["billing_interval"] == "year"
    control(shop, "renew", subscription=first["stripe_subscription_id"], outcome="failed")
    becomes(user, stack, status="past_due")
    stack.wait_for(lambda: "payment_failed" in notification_types(user))
    ending = user.request("POST", f"{SUBSCRIPTION}/cancel", json={})
    assert (ending.json()["status"], ending.json()["cancel_at_period_end"]) == ("past_due", True)
    ended = user.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": False})
    assert ended.json()["status"] == "cancelled"
    assert ended.json()["end_date"] is not None
    is_error(user.request("POST", f"{SUBSCRIPTION}/cancel", json={}), 409, "CONFLICT")
    is_error(user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_yen"}), 409, "CONFLICT")
    stack.wait_for(lambda: "subscription_ended" in notification_types(user))
    kinds = db.execute(
        "select type from event_outbox where user_id = %s and type like 'subscription%%'", [user.user_id]
    ).fetchall()
    assert {kind for (kind,) in kinds} == {"subscription_created", "subscription_updated"}
    amounts = "select array_agg(amount_paid order by created_at) from invoices where user_id = %s"
    # The year, less the month that had just begun: a second later it is less by a part of a cent.
    first_month, difference, renewal = map(float, one(db, amounts, user.user_id))
    assert (first_month, difference, renewal) == (149, pytest.approx(4990 - 149, abs=1), 0)


def test_a_change_and_the_end_with_the_period(user: Api, shop: StripeServer, stack: Stack, growth: UUID) -> None:
    older = bought(user, shop, stack)
    next_second()
    session = checkout(user, price_id="price_growth")
    control(shop, "pay_session", session=session["id"])
    stack.wait_for(lambda: user.get(SUBSCRIPTION).json()["subscription_id"] != older["subscription_id"])
    first = user.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": False}).json()
    assert (first["subscription_id"] != older["subscription_id"], first["status"]) == (True, "cancelled")
    found = becomes(user, stack, subscription_id=older["subscription_id"])
    later = user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_studio", "at_period_end": True})
    assert (later.status_code, later.json()["plan"]) == (200, "Growth"), later.text
    is_error(user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_growth"}), 409, "CONFLICT")
    control(shop, "renew", subscription=found["stripe_subscription_id"])
    becomes(user, stack, plan="Studio", status="active")
    portal = user.request("POST", "/api/payments/portal-session", json={})
    assert portal.status_code == 201
    form = {"do": "later", "subscription": found["stripe_subscription_id"]}
    assert "ends with its period" in httpx.post(portal.json()["url"], data=form, trust_env=False, timeout=SECONDS).text
    becomes(user, stack, cancel_at_period_end=True)
    control(shop, "renew", subscription=found["stripe_subscription_id"])
    becomes(user, stack, status="cancelled")


def test_the_end_of_a_trial_names_the_amount_due_with_the_discount(
    user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    found = bought(user, shop, stack)
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    coupon = shop.book.add("coupon", {"percent_off": 20.0, "amount_off": None, "duration": "forever"})
    shop.book.update(subscription, {"discounts": [{"coupon": coupon["id"]}]})
    messages = "select array_agg(message) from notifications where user_id = %s and notification_type = 'trial_ending'"
    control(shop, "trial_will_end", subscription=subscription["id"])
    stack.wait_for(lambda: one(db, messages, user.user_id) == ["After it, 119.20 USD is due."])
    subscription["discounts"] = [{"coupon": {"percent_off": 50.0}}]
    # No preview; the subscription itself says it.
    shop.failures.append({"status": 400, "path": "invoices/create_preview"})
    control(shop, "trial_will_end", subscription=subscription["id"])
    both = {"After it, 119.20 USD is due.", "After it, 74.50 USD is due."}
    stack.wait_for(lambda: set(one(db, messages, user.user_id)) == both)


def test_the_end_of_a_trial_says_when_nothing_or_an_unknown_amount_is_due(
    user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    found = bought(user, shop, stack)
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    item = subscription["items"]["data"][0]
    messages = "select array_agg(message) from notifications where user_id = %s and notification_type = 'trial_ending'"
    subscription |= {"trial_end": item["current_period_end"], "cancel_at_period_end": True}
    control(shop, "trial_will_end", subscription=subscription["id"])
    ends = "Your subscription ends with it; nothing is due."
    stack.wait_for(lambda: one(db, messages, user.user_id) == [ends])
    subscription["cancel_at_period_end"] = False
    item["price"] = {**item["price"], "unit_amount": None, "unit_amount_decimal": None}
    shop.failures.append({"status": 400, "path": "invoices/create_preview"})  # no preview either
    control(shop, "trial_will_end", subscription=subscription["id"])
    unknown = "After it, the price of your subscription is due."
    stack.wait_for(lambda: set(one(db, messages, user.user_id)) == {ends, unknown})


def test_a_scheduled_cancellation_is_shown_and_can_be_withdrawn(user: Api, shop: StripeServer, stack: Stack) -> None:
    found = bought(user, shop, stack)
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    assert found["cancel_at"] is None
    shop.book.update(subscription, {"cancel_at": "1900000000"})
    ending = becomes(user, stack, cancel_at="2030-03-17T17:46:40.000000Z")
    assert (ending["status"], ending["cancel_at_period_end"], ending["end_date"]) == ("active", False, None)
    shop.book.update(subscription, {"cancel_at": ""})
    assert becomes(user, stack, cancel_at=None)["status"] == "active"


def test_a_change_withdraws_a_scheduled_cancellation(user: Api, shop: StripeServer, stack: Stack) -> None:
    found = bought(user, shop, stack)
    subscription = shop.book.get("subscription", found["stripe_subscription_id"])
    shop.book.update(subscription, {"cancel_at": "1900000000"})
    becomes(user, stack, cancel_at="2030-03-17T17:46:40.000000Z")
    changed = user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_studio"})
    assert (changed.status_code, changed.json()["cancel_at"]) == (200, None), changed.text
    assert subscription["cancel_at"] is None
    user.request("POST", f"{SUBSCRIPTION}/cancel", json={})
    back = user.request("POST", f"{SUBSCRIPTION}/change", json={"price_id": "price_growth"})
    assert (back.json()["cancel_at"], back.json()["cancel_at_period_end"]) == (None, False), back.text


def test_the_nightly_comparison_repairs_what_no_event_reported(
    user: Api, web: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = bought(user, shop, stack)
    db.execute(
        "insert into user_subscriptions (status, final_price, stripe_subscription_id) values ('active', 1, 'sub_lost')"
    )
    url, shop.deliveries.url = shop.deliveries.url, None
    control(shop, "renew", subscription=found["stripe_subscription_id"], outcome="failed")
    next_second()  # the comparison must be later than the changes
    shop.deliveries.url = url
    for name, value in {**stack.env, **ENV, "STRIPE_API_BASE": shop.url}.items():
        monkeypatch.setenv(name, value)
    code = "from pixelbloom.tasks.payments import reconcile_subscriptions as look; print(look(), look())"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    looked = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=False
    )

    db.execute("delete from user_subscriptions where stripe_subscription_id = 'sub_lost'")
    assert "stripe_subscription_id=sub_lost" in looked.stdout
    first, second = looked.stdout.split("\n")[-2].split()
    assert (int(first) >= 1, int(second)) == (True, 0), looked.stdout + looked.stderr
    assert becomes(user, stack, status="past_due")["stripe_subscription_id"] == found["stripe_subscription_id"]
