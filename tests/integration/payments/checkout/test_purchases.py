"""Checkouts: which are refused, what is paid, and what is returned."""

from uuid import UUID, uuid4

import psycopg

from pixelbloom.local.stripe.server import API_KEY, StripeServer
from tests.integration.http import Api, is_error
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
from tests.integration.pricing.rows import package
from tests.servers.stripe import next_second
from tests.stack import Stack


def test_yen_have_no_cents(user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection) -> None:
    assert bought(user, shop, stack, price_id="price_yen")["final_price"] == 4900
    stack.wait_for(lambda: one(db, "select amount_paid from invoices where user_id = %s", user.user_id) == 4900)
    message = one(db, "select message from notifications where user_id = %s", user.user_id)
    assert message == "We received 4,900 JPY. Thank you!"


def test_a_price_with_other_currencies_is_sold_in_that_of_its_package(
    user: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    package_id = str(package(db, "99.00", stripe_price_id="price_world"))
    found = bought(user, shop, stack, price_id=None, metadata={"package_id": package_id})
    assert (found["package_id"], found["final_price"], found["currency"]) == (package_id, 99, "usd")
    invoice = "select amount_paid from invoices where user_id = %s and currency = 'usd'"
    stack.wait_for(lambda: one(db, invoice, user.user_id) == 99)


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


def test_a_user_whose_customer_was_deleted_at_stripe_buys_again(
    user: Api, shop: StripeServer, stack: Stack, growth: UUID
) -> None:
    body = {"metadata": {"package_id": str(growth)}}
    customer = bought(user, shop, stack, **body)["stripe_customer_id"]
    control(shop, "expire_session", session=checkout(user, **body)["id"])
    del shop.book.objects["customer"][customer]
    session = checkout(user, **body)
    next_second()  # the newest subscription is shown
    control(shop, "pay_session", session=session["id"])
    stack.wait_for(lambda: user.get(SUBSCRIPTION).json()["stripe_customer_id"] not in (None, customer))


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
    shop.failures.extend([{"status": 500, "path": "coupons"}] * 3)
    assert web.as_user().request("POST", CHECKOUT, json=body).status_code == 502
    assert one(db, uses, code) == 0
    shop.failures.extend([{"drop": True, "path": "coupons"}] * 3)
    assert web.as_user().request("POST", CHECKOUT, json=body).status_code == 503
    shop.failures.clear()
    assert one(db, uses, code) == 0  # only the coupon was requested from Stripe
    found = bought(user, shop, stack, **body)
    assert (found["original_price"], found["discount_amount"], found["final_price"]) == (149, 29.8, 119.2)
    renewed = control(shop, "renew", subscription=found["stripe_subscription_id"])
    assert renewed["amount_due"] == 11920
    assert one(db, uses, code) == 1


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
    invoice = "select stripe_invoice_id from invoices where user_id = %s and status = 'paid'"
    stack.wait_for(lambda: one(db, invoice, user.user_id))
    paid = one(db, invoice, user.user_id)
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
        # Events of earlier tests may still make requests of their own.
        shop.failures.extend({**failure, "path": "checkout/sessions"} for failure in failures)
        found = is_error(user.request("POST", CHECKOUT, json={"price_id": "price_growth"}), status, code)
        assert API_KEY not in found["error"]
        shop.failures.clear()
    before = len(shop.book.objects["checkout.session"])
    shop.failures.append({"status": 500, "path": "checkout/sessions"})
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
        handle.kill()
