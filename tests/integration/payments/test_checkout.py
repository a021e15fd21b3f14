"""Payments from checkout to the last invoice, with a stand-in that speaks Stripe's protocol to Stripe's own library."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import stripe
from websockets.sync.client import connect

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.stripe.server import API_KEY, SECRET, StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error, raw
from tests.integration.payments.checkouts import (
    CHECKOUT,
    SUBSCRIPTION,
    becomes,
    bought,
    checkout,
    control,
    event,
    notification_types,
    one,
    posted,
)
from tests.servers.stripe import ENV, WEBHOOK, History, next_second, selling, sold_by
from tests.stack import Stack
from tests.waiting import SECONDS, until

PRICES = [
    {"id": "price_growth", "name": "Growth", "unit_amount": 14900, "currency": "usd", "interval": "month"},
    {"id": "price_studio", "name": "Studio", "unit_amount": 499000, "currency": "usd", "interval": "year"},
    {"id": "price_yen", "name": "Yen", "unit_amount": 4900, "currency": "jpy", "interval": "month"},
    {"id": "price_once", "name": "Audit", "unit_amount": 9900, "currency": "usd", "interval": None},
]


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, shop: StripeServer, growth: UUID) -> Iterator[Api]:
    with sold_by(stack, shop) as url:
        yield Api(url, None, stack.settings)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


@pytest.fixture(scope="module")
def growth(stack: Stack) -> UUID:
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for name, price, cost, interval in (
            ("Growth", "price_growth", 149, "month"),
            ("Studio", "price_studio", 4990, "year"),
        ):
            db.execute(
                "insert into pricing_packages (name, price, stripe_price_id, billing_interval) values (%s, %s, %s, %s)"
                " on conflict (name) do update set stripe_price_id = excluded.stripe_price_id,"
                " price = excluded.price, billing_interval = excluded.billing_interval",
                [name, cost, price, interval],
            )
        row = db.execute("select id from pricing_packages where name = 'Growth'").fetchone()
    assert row is not None
    return UUID(str(row[0]))


def test_a_purchase_an_upgrade_a_failed_renewal_and_the_end(
    user: Api, shop: StripeServer, stack: Stack, growth: UUID, db: psycopg.Connection
) -> None:
    is_error(user.get(SUBSCRIPTION), 404, "NOT_FOUND")
    session = checkout(user, metadata={"package_id": str(growth), "source": "page"}, customer_email="a@example.com")
    assert session["url"] == f"{shop.url}/c/pay/{session['id']}"
    page = httpx.get(session["url"], trust_env=False).text
    assert "149.00 USD" in page
    paid = httpx.post(session["url"], data={"do": "paid"}, trust_env=False)
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
    assert [float(amount) for amount in one(db, amounts, user.user_id)] == [149, 0]


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
    assert "ends with its period" in httpx.post(portal.json()["url"], data=form, trust_env=False).text
    becomes(user, stack, cancel_at_period_end=True)
    control(shop, "renew", subscription=found["stripe_subscription_id"])
    becomes(user, stack, status="cancelled")


def test_yen_have_no_cents(user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection) -> None:
    assert bought(user, shop, stack, price_id="price_yen")["final_price"] == 4900
    stack.wait_for(lambda: one(db, "select amount_paid from invoices where user_id = %s", user.user_id) is not None)
    assert one(db, "select amount_paid from invoices where user_id = %s", user.user_id) == 4900
    message = one(db, "select message from notifications where user_id = %s", user.user_id)
    assert message == "We received 4,900 JPY. Thank you!"


def test_a_single_purchase_has_no_subscription(user: Api, shop: StripeServer, stack: Stack) -> None:
    session = checkout(user, price_id="price_once", mode="payment")
    control(shop, "pay_session", session=session["id"], outcome="async")
    becomes(user, stack, status="incomplete")
    control(shop, "pay_session", session=session["id"], outcome="async_paid")
    found = becomes(user, stack, status="active", billing_interval="once")
    assert (found["final_price"], found["stripe_subscription_id"]) == (99, None)
    is_error(user.request("POST", f"{SUBSCRIPTION}/cancel", json={}), 404, "NOT_FOUND")
    control(shop, "refund", of=session["id"])
    becomes(user, stack, status="cancelled")
    stack.wait_for(lambda: notification_types(user) == ["payment_refunded", "payment_succeeded"])


def test_refunds_find_their_invoice_and_disputes_reach_administrators(
    user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    admin = uuid4()
    db.execute("insert into user_profiles (user_id, role) values (%s, 'admin')", [admin])
    bought(user, shop, stack)
    invoice = "select {} from invoices where user_id = %s"
    stack.wait_for(lambda: one(db, invoice.format("status"), user.user_id) == "paid")
    stripe_id = one(db, invoice.format("stripe_invoice_id"), user.user_id)
    control(shop, "refund", of=stripe_id, amount=4900)
    stack.wait_for(lambda: one(db, invoice.format("amount_refunded"), user.user_id) == 49)
    assert one(db, invoice.format("status"), user.user_id) == "paid"
    assert one(db, "select sum(amount) from money_movements where user_id = %s", user.user_id) == 100
    control(shop, "refund", of=stripe_id, amount=10000)
    stack.wait_for(lambda: one(db, invoice.format("status"), user.user_id) == "refunded")
    control(shop, "dispute", of=stripe_id)
    disputed = "select count(*) from notifications where user_id = %s and notification_type = 'payment_disputed'"
    stack.wait_for(lambda: one(db, disputed, admin) == 1)
    assert one(db, disputed, user.user_id) == 0
    db.execute("delete from user_profiles where user_id = %s", [admin])


def test_a_campaign_lowers_the_price_and_its_use_is_released_without_a_purchase(
    user: Api, web: Api, shop: StripeServer, stack: Stack, growth: UUID, db: psycopg.Connection
) -> None:
    code = f"C{uuid4().hex[:8]}"
    db.execute(
        "insert into pricing_campaigns (code, discount_type, discount_value, duration, max_uses)"
        " values (%s, 'percentage', 20, 'forever', 1)",
        [code],
    )
    body = {"metadata": {"package_id": str(growth)}, "campaign_code": code}
    uses = "select uses from pricing_campaigns where code = %s"
    session = checkout(user, **body)
    assert one(db, uses, code) == 1
    refused = is_error(web.as_user().request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")
    assert "has reached its maximum number of uses" in refused["error"]
    control(shop, "expire_session", session=session["id"])
    stack.wait_for(lambda: one(db, uses, code) == 0)
    shop.failures.extend([{"status": 500}] * 3)
    assert web.as_user().request("POST", CHECKOUT, json=body).status_code == 502
    assert one(db, uses, code) == 0
    shop.failures.extend([{"drop": True}] * 3)
    assert web.as_user().request("POST", CHECKOUT, json=body).status_code == 503
    shop.failures.clear()
    assert one(db, uses, code) == 0  # only the coupon was requested from Stripe
    found = bought(user, shop, stack, **body)
    assert (found["original_price"], found["discount_amount"], found["final_price"]) == (149, 29.8, 119.2)
    renewed = control(shop, "renew", subscription=found["stripe_subscription_id"])
    assert renewed["amount_due"] == 11920
    assert one(db, uses, code) == 1


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
    shop.failures.append({"status": 400})  # no preview; the subscription itself says it
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
    shop.failures.append({"status": 400})  # no preview either
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


def test_unpaid_invoices_do_not_stay_open(user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection) -> None:
    found = bought(user, shop, stack)
    state = "select status from invoices where stripe_invoice_id = %s"
    for action, status in (("void_invoice", "void"), ("give_up_invoice", "uncollectible")):
        invoice = control(shop, "renew", subscription=found["stripe_subscription_id"], outcome="failed")["id"]
        stack.wait_for(lambda invoice=invoice: one(db, state, invoice) == "open")
        control(shop, action, invoice=invoice)
        stack.wait_for(lambda invoice=invoice, status=status: one(db, state, invoice) == status)
    draft = shop.book.draft(shop.book.get("subscription", found["stripe_subscription_id"]), 700)
    stack.wait_for(lambda: one(db, state, draft["id"]) == "draft")
    shop.book.delete_draft(draft)
    stack.wait_for(lambda: one(db, state, draft["id"]) is None)


def test_a_refund_that_fails_is_taken_back(user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection) -> None:
    bought(user, shop, stack)
    state = "select status from invoices where stripe_invoice_id = %s"
    paid = one(db, "select stripe_invoice_id from invoices where user_id = %s and status = 'paid'", user.user_id)
    received = "select sum(amount) from money_movements where user_id = %s"
    charge = control(shop, "refund", of=paid)
    stack.wait_for(lambda: one(db, state, paid) == "refunded" and one(db, received, user.user_id) == 0)
    [refund] = [item for item in shop.book.objects["refund"].values() if item["charge"] == charge["id"]]
    control(shop, "fail_refund", refund=refund["id"])
    stack.wait_for(lambda: one(db, state, paid) == "paid" and one(db, received, user.user_id) == 149)
    assert one(db, "select amount_refunded from invoices where stripe_invoice_id = %s", paid) == 0


def test_the_same_key_gives_the_same_checkout(user: Api) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    body = {"price_id": "price_growth"}
    first, again = (user.request("POST", CHECKOUT, json=body, headers=headers) for _ in range(2))
    other = user.request("POST", CHECKOUT, json={"price_id": "price_yen"}, headers=headers)

    assert first.json() == again.json()
    assert checkout(user, **body)["id"] != first.json()["id"]
    is_error(other, 409, "CONFLICT")


def test_a_checkout_for_another_user_is_refused(user: Api, web: Api, shop: StripeServer) -> None:
    session = checkout(user, price_id="price_growth", metadata={"user_id": str(uuid4()), "campaign_id": str(uuid4())})
    stored = shop.book.get("checkout.session", session["id"])
    assert stored["client_reference_id"] == stored["metadata"]["user_id"] == str(user.user_id)
    assert "campaign_id" not in stored["metadata"]
    body = {"price_id": "price_growth", "user_id": str(uuid4())}
    is_error(user.request("POST", CHECKOUT, json=body), 403, "FORBIDDEN")
    named = shop.book.get("checkout.session", checkout(web.as_service(), **body)["id"])
    assert named["client_reference_id"] == body["user_id"]
    is_error(web.request("POST", CHECKOUT, json=body), 401, "UNAUTHORIZED")


def test_a_checkout_to_a_foreign_url_is_refused(user: Api) -> None:
    for url in (
        "https://evil.example.com/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "https://evil.example\\@app.example.com/",
        "http://app.example.com/",
        "javascript:alert(1)",
        "//app.example.com/",
    ):
        for field in ("success_url", "cancel_url"):
            found = is_error(
                user.request("POST", CHECKOUT, json={"price_id": "price_growth", field: url}), 400, "BAD_REQUEST"
            )
            assert [detail["field"] for detail in found["details"]] == [field]
    assert checkout(user, price_id="price_growth", success_url="https://app.example.com/else")["id"]


def test_an_invalid_request_names_its_field(user: Api, growth: UUID) -> None:
    for body, field in (
        ({}, "price_id"),
        ({"price_id": ""}, "price_id"),
        ({"price_id": "price_growth", "mode": "rent"}, "mode"),
        ({"metadata": {"package_id": "x"}}, "metadata.package_id"),
        ({"price_id": "price_growth", "customer_email": "x"}, "customer_email"),
        ({"price_id": "price_once", "mode": "payment", "campaign_code": "X"}, "campaign_code"),
        ({"price_id": "price_growth", "amount": 1}, "amount"),
        ({"price_id": "price_none"}, "price_id"),
        ({"price_id": "price_late"}, "price_id"),
        ({"price_id": "price_once"}, "mode"),
        ({"price_id": "price_growth", "mode": "payment"}, "mode"),
    ):
        found = is_error(user.request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")
        assert [detail["field"] for detail in found["details"]] == [field], found
    is_error(user.request("POST", CHECKOUT, json={"metadata": {"package_id": str(uuid4())}}), 404, "NOT_FOUND")
    cheap = {"price_id": "price_yen", "metadata": {"package_id": str(growth)}}
    found = is_error(user.request("POST", CHECKOUT, json=cheap), 400, "BAD_REQUEST")
    assert [detail["field"] for detail in found["details"]] == ["price_id"]
    is_error(user.request("POST", f"{SUBSCRIPTION}/change", json={}), 400, "BAD_REQUEST")
    is_error(user.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": "no"}), 400, "BAD_REQUEST")
    for path in (f"{SUBSCRIPTION}/cancel", "/api/payments/portal-session"):
        is_error(user.request("POST", path, json={}), 404, "NOT_FOUND")


def test_an_unreachable_refusing_or_slow_stripe_gives_a_plain_error(user: Api, shop: StripeServer) -> None:
    for failures, status, code in (
        ([{"status": 500}] * 3, 502, "UPSTREAM_ERROR"),
        ([{"drop": True}] * 3, 503, "UNAVAILABLE"),
        ([{"status": 429}], 429, "RATE_LIMITED"),
        ([{"status": 401}], 503, "UNAVAILABLE"),
    ):
        shop.failures.extend(failures)
        found = is_error(user.request("POST", CHECKOUT, json={"price_id": "price_growth"}), status, code)
        assert API_KEY not in found["error"]
        shop.failures.clear()
    before = len(shop.book.objects["checkout.session"])
    shop.failures.append({"status": 500})
    checkout(user, price_id="price_growth")  # a single error is retried
    assert len(shop.book.objects["checkout.session"]) == before + 1


def test_without_keys_payments_are_unavailable(stack: Stack) -> None:
    handle = stack.start("web")
    web = Api(handle.url, None, stack.settings)
    urls = {"success_url": "http://localhost:3000/", "cancel_url": "http://localhost:3000/"}
    try:
        body = {"price_id": "price_growth", **urls}
        is_error(web.as_user().request("POST", CHECKOUT, json=body), 503, "UNAVAILABLE")
        is_error(posted(web, event()), 503, "UNAVAILABLE")
    finally:
        handle.stop()


def test_webhooks_signed_with_any_secret_are_stored_once(web: Api, db: psycopg.Connection) -> None:
    status = "select array_agg(status) from stripe_events where id = %s"
    for secret in (SECRET, "whsec_next"):
        other = event("product.created")
        assert posted(web, other, secret).json() == {"received": True}
        assert posted(web, other, secret).json() == {"received": True}
        assert one(db, status, other["id"]) == ["ignored"]
    malformed = event("invoice.paid", data={"object": {"id": "in_1"}})
    assert posted(web, malformed).status_code == 200
    assert one(db, status, malformed["id"]) == ["failed"]
    reason = one(db, "select error from stripe_events where id = %s", malformed["id"])
    assert reason == "Malformed Stripe object: expected invoice.paid."
    db.execute("delete from stripe_events where id = %s", [malformed["id"]])


def stored(db: psycopg.Connection, content: bytes) -> int:
    """The number of stored events with the id in `content`."""
    return int(one(db, "select count(*) from stripe_events where id = %s", json.loads(content)["id"]))


def test_webhooks_with_invalid_signatures_are_refused_and_not_stored(web: Api, db: psycopg.Connection) -> None:
    good = json.dumps(event()).encode()
    changed = good.replace(b"invoice.paid", b"invoice.paiD")
    old = int(time.time()) - 400
    for response in (
        posted(web, good, "whsec_other"),
        posted(web, good, at=old),
        posted(web, good, sent=changed),
        posted(web, good, sent=good + b" "),
        web.request("POST", WEBHOOK, content=good),
        web.request("POST", WEBHOOK, content=good, headers={"Stripe-Signature": "t=x,v1=y"}),
        web.request("POST", WEBHOOK, content=good, headers={"Stripe-Signature": f"t={int(time.time())}"}),
    ):
        is_error(response, 400, "BAD_REQUEST")
    assert not stored(db, good)


@pytest.mark.parametrize(
    "content",
    [b"not json", b"[]", event(id=None), event(created="now"), event("a\x00b")],
    ids=["text", "list", "id", "created", "type"],
)
def test_signed_webhooks_that_are_no_event_are_refused(web: Api, content: bytes | dict[str, Any]) -> None:
    is_error(posted(web, content), 400, "BAD_REQUEST")


def test_webhooks_with_malformed_signature_headers_are_refused_and_not_stored(web: Api, db: psycopg.Connection) -> None:
    good = json.dumps(event()).encode()
    now = int(time.time())
    signature = stripe.WebhookSignature.generate_signature_header(good.decode(), SECRET, now)
    for header in (
        *(
            "t=1,v1=é",
            f"{signature}é",
            f"t={now},v1=é",
            f"t={'9' * 13},v1=0",
            f"t={'9' * 5000},v1=0",
            "",
            ",",
            "=",
        ),
        *(f"{signature},t={now}", f"{signature},{signature}", f"t={now},{'v1=0,' * 400}v1=0"),
    ):
        sent = {"Stripe-Signature": header.encode()}
        is_error(web.request("POST", WEBHOOK, content=good, headers=sent), 400, "BAD_REQUEST")  # type: ignore[arg-type]
    lines = (b"Content-Length: %d\r\n" % len(good)) + b"Connection: close\r\n"
    for repeated in (signature.encode(), b"t=1,v1=0"):
        again = b"Stripe-Signature: %s\r\nStripe-Signature: %s\r\n" % (signature.encode(), repeated)
        head = b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\n" + lines + again
        assert raw(web.url, head + b"\r\n" + good)[0] == 400
    for odd in (b"\x01", b"\x00", b"\x7f"):
        head = b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\n" + lines
        assert raw(web.url, head + b"Stripe-Signature: t=1,v1=" + odd + b"\r\n\r\n" + good)[0] == 400
    bytes_only = (
        b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nStripe-Signature: t=1,v1=\xff\r\n"
    )
    assert raw(web.url, bytes_only + b"Connection: close\r\n\r\n\xff\xff")[0] == 400
    assert not stored(db, good)


def test_a_webhook_that_is_too_large_is_refused(web: Api) -> None:
    is_error(posted(web, b" " * (1024 * 1024 + 1)), 413, "PAYLOAD_TOO_LARGE")


def test_the_changes_of_an_event_reach_the_sockets_without_beat(
    user: Api, web: Api, shop: StripeServer, running: Stack
) -> None:
    running.start("events")
    token = mint_user(running.settings, user.user_id)
    with connect(f"{web.url.replace('http', 'ws')}/api/ws/analytics?token={token}", proxy=None) as socket:
        session = checkout(user, price_id="price_growth")
        control(shop, "pay_session", session=session["id"])
        until(lambda: json.loads(socket.recv(timeout=SECONDS))["type"] == "subscription_created", pause=0)


def refunded_elsewhere() -> dict[str, Any]:
    """An event about a charge of no known user, which is processed by asking Stripe and then ignored."""
    refund = {
        "id": f"ch_{uuid4().hex}",
        "currency": "usd",
        "amount": 100,
        "amount_refunded": 100,
        "refunded": True,
        "payment_intent": f"pi_{uuid4().hex}",
    }
    return event("charge.refunded", data={"object": refund})


def test_an_event_that_cannot_be_processed_waits_and_can_be_replayed(
    web: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    posted_event = refunded_elsewhere()
    db.execute("delete from stripe_events where status = 'failed'")  # those of other tests
    shop.failures.extend([{"status": 500}] * 3)
    assert posted(web, posted_event).status_code == 200
    find = "select {} from stripe_events where id = %s"
    stack.wait_for(lambda: one(db, find.format("error"), posted_event["id"]) is not None)
    shop.failures.clear()
    assert one(db, find.format("status"), posted_event["id"]) == "received"
    assert one(db, find.format("next_attempt_at > now()"), posted_event["id"])
    db.execute("update stripe_events set attempts = 11, next_attempt_at = now() where id = %s", [posted_event["id"]])
    shop.failures.extend([{"status": 500}] * 3)
    beat = stack.start("beat")
    try:
        stack.wait_for(lambda: one(db, find.format("status"), posted_event["id"]) == "failed")
        shop.failures.clear()
        listed = command(stack, "payments", "events", "--status", "failed")
        assert [row["id"] for row in json.loads(listed.stdout)] == [posted_event["id"]]
        assert json.loads(command(stack, "payments", "replay", "--failed").stdout) == [posted_event["id"]]
        stack.wait_for(lambda: one(db, find.format("status"), posted_event["id"]) == "ignored")
    finally:
        beat.stop()
    assert (
        one(db, find.format("error"), posted_event["id"]),
        one(db, find.format("attempts"), posted_event["id"]),
    ) == (None, 1)


def test_administrators_and_services_list_and_replay_events(web: Api, stack: Stack, db: psycopg.Connection) -> None:
    posted_event = refunded_elsewhere()
    assert posted(web, posted_event).status_code == 200
    stack.wait_for(lambda: one(db, "select status from stripe_events where id = %s", posted_event["id"]) == "ignored")
    admin, service = web.as_user(admin=True), web.as_service()
    for caller in (admin, service):
        items = caller.get("/api/payments/events", params={"status": "ignored", "limit": 200}).json()["items"]
        [item] = [item for item in items if item["id"] == posted_event["id"]]
        assert (item["type"], item["error"], item["attempts"]) == ("charge.refunded", None, 1)
    again = admin.request("POST", f"/api/payments/events/{posted_event['id']}/replay")
    assert (again.status_code, again.json()) == (202, {"id": posted_event["id"], "status_before": "ignored"})
    is_error(admin.request("POST", "/api/payments/events/evt_none/replay"), 404, "NOT_FOUND")


def test_users_neither_list_nor_replay_events(user: Api, web: Api) -> None:
    posted_event = event("product.created")
    assert posted(web, posted_event).status_code == 200
    is_error(user.get("/api/payments/events"), 403, "FORBIDDEN")
    is_error(user.request("POST", f"/api/payments/events/{posted_event['id']}/replay"), 403, "FORBIDDEN")
    is_error(web.get("/api/payments/events"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("invalid", ["replay", "replay evt_none", "events --status lost", "events --limit 0"])
def test_an_invalid_command_about_events_is_refused(stack: Stack, invalid: str) -> None:
    found = command(stack, "payments", *invalid.split())
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr


def command(stack: Stack, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**stack.env, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "pixelbloom", *args], env=env, capture_output=True, text=True, timeout=300, check=False
    )


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


def test_events_of_a_subscription_made_elsewhere_are_stored_and_ignored(web: Api, db: psycopg.Connection) -> None:
    history = History(None)
    foreign = [one for one in history.at(int(time.time()), apart=0) if one["type"].startswith("customer.")]
    assert [posted(web, posted_event).status_code for posted_event in foreign * 2] == [200, 200]
    status = "select status from stripe_events where id = %s"
    until(lambda: one(db, status, foreign[0]["id"]) == "ignored")
    made = "select count(*) from user_subscriptions where stripe_subscription_id = %s"
    assert one(db, made, history.subscription_id) == 0


def test_a_checkout_of_an_unknown_address_has_no_user_until_the_address_is_known(
    web: Api, stack: Stack, db: psycopg.Connection
) -> None:
    known = uuid4()
    email = f"{known.hex}@example.com"
    history = History(None)
    history.session["customer_details"]["email"] = email.upper()
    history.book.emit("checkout.session.completed", history.session)
    events = [event for event in history.at(int(time.time()), apart=0) if event["type"].startswith("checkout.")]
    find = "select {} from user_subscriptions where stripe_subscription_id = %s"
    assert posted(web, events[0]).status_code == 200
    stack.wait_for(lambda: one(db, find.format("status"), history.subscription_id) == "active")
    assert one(db, find.format("user_id"), history.subscription_id) is None
    db.execute("insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())", [known, email])
    assert posted(web, {**events[1], "created": events[1]["created"] + 1}).status_code == 200
    stack.wait_for(lambda: one(db, find.format("user_id"), history.subscription_id) == known)
