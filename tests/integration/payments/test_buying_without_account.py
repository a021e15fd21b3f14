"""Buying without an account: what is for sale, who may buy, and who gets the purchase."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api, is_error
from tests.integration.payments.buyers import STATUS, account, address, claiming, paid, visitor
from tests.integration.payments.checkouts import CHECKOUT, SUBSCRIPTION, checkout, control, one, posted
from tests.integration.pricing.rows import campaign
from tests.servers.stripe import ENV, History, selling, sold_by
from tests.stack import Stack, stop_all
from tests.waiting import SECONDS, until

PRICES = [
    {"id": "price_open", "name": "Open", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_retired", "name": "Retired", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_late", "name": "Late", "unit_amount": 100, "currency": "usd", "interval": None},
]
OWNER = "select user_id from user_subscriptions where stripe_checkout_session_id = %s"


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def packages(stack: Stack) -> Iterator[dict[str, str]]:
    """The ids of a package on sale and of a retired one."""
    found = {"open": str(uuid4()), "retired": str(uuid4())}
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for name, package_id in found.items():
            db.execute(
                "insert into pricing_packages (id, name, price, stripe_price_id, active) values (%s, %s, 49, %s, %s)",
                [package_id, f"{name} {package_id}", f"price_{name}", name == "open"],
            )
        yield found
        db.execute("delete from pricing_packages where id = any(%s)", [list(found.values())])


@pytest.fixture(scope="module")
def web(stack: Stack, shop: StripeServer, packages: dict[str, str]) -> Iterator[Api]:
    with sold_by(
        stack,
        shop,
        STRIPE_PRICE_ID="price_late",
        QUOTE_RATE_LIMIT="off",
        VISITOR_SESSION_LIMIT="off",
        CHECKOUT_RATE_LIMIT="off",
    ) as url:
        yield Api(url, None, stack.settings)


def refused(web: Api, field: str, **body: Any) -> None:
    error = is_error(web.request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")
    assert field in error["error"], error


def test_only_packages_are_sold_to_a_named_address(web: Api, packages: dict[str, str]) -> None:
    email = address()
    for caller in (web, visitor(web)):
        refused(caller, "price_id", customer_email=email)  # STRIPE_PRICE_ID belongs to no package
        for price in ("price_late", "price_retired", "price_none"):
            refused(caller, "price_id", price_id=price, customer_email=email)
        retired = {"metadata": {"package_id": packages["retired"]}, "customer_email": email}
        is_error(caller.request("POST", CHECKOUT, json=retired), 404, "NOT_FOUND")
        for invalid in (
            {},
            {"customer_email": None},
            {"customer_email": "ada@localhost"},
            {"customer_email": "ä@ö.de"},
        ):
            refused(caller, "customer_email", price_id="price_open", **invalid)
        assert checkout(caller, price_id="price_open", customer_email=email)["url"]
        assert checkout(caller, metadata={"package_id": packages["open"]}, customer_email=email)["url"]


def test_nobody_buys_in_the_name_of_a_user_without_their_token(web: Api, shop: StripeServer) -> None:
    email, victim = address(), uuid4()
    body = {"price_id": "price_open", "customer_email": email, "user_id": str(victim)}
    is_error(web.request("POST", CHECKOUT, json=body), 401, "UNAUTHORIZED")
    is_error(visitor(web).request("POST", CHECKOUT, json=body), 403, "FORBIDDEN")
    is_error(web.as_user().request("POST", CHECKOUT, json=body), 403, "FORBIDDEN")
    is_error(
        web.with_token("not.a.token").request("POST", CHECKOUT, json=body | {"user_id": None}), 401, "UNAUTHORIZED"
    )
    made = checkout(web, price_id="price_open", customer_email=email, metadata={"user_id": str(victim), "note": "x"})
    session = shop.book.get("checkout.session", made["id"])
    assert session["metadata"].get("user_id") is None
    assert session["client_reference_id"] is None
    for path in (SUBSCRIPTION, f"{SUBSCRIPTION}/cancel", "/api/payments/portal-session"):
        method = "GET" if path == SUBSCRIPTION else "POST"
        is_error(web.request(method, path, **({} if method == "GET" else {"json": {}})), 401, "UNAUTHORIZED")


def test_a_purchase_belongs_to_the_account_with_that_verified_address(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    email = address()
    owner = account(db, email)
    session = paid(web, shop, db, email.upper())
    assert one(db, OWNER, session) == owner
    assert web.as_user(owner).get(SUBSCRIPTION).json()["status"] == "active"


def test_an_account_gets_its_purchases_when_it_first_signs_in(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    email = address()
    sessions = [paid(web, shop, db, email), paid(visitor(web), shop, db, email.upper())]
    assert [one(db, OWNER, session) for session in sessions] == [None, None]
    owner = account(db, email)
    user = web.as_user(owner)
    assert user.get("/api/notifications").status_code == 200

    until(lambda: [one(db, OWNER, session) for session in sessions] == [owner, owner])
    money = "select count(*), coalesce(sum(amount), 0)::integer from money_movements where user_id = %s"
    until(lambda: db.execute(money, [owner]).fetchone() == (2, 98))
    assert one(db, "select count(*) from user_subscriptions where user_id = %s", owner) == 2
    assert one(db, "select count(*) from invoices where user_id = %s", owner) == 2
    kinds = [item["notification_type"] for item in user.get("/api/notifications").json()["items"]]
    assert kinds == ["payment_succeeded"] * 2
    assert user.get(SUBSCRIPTION).json()["status"] == "active"


def test_an_address_that_is_verified_later_is_claimed_when_the_subscription_is_read(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    email = address()
    session = paid(web, shop, db, email)
    owner = account(db, email, verified=False)
    user = web.as_user(owner)
    is_error(user.get(SUBSCRIPTION), 404, "NOT_FOUND")
    db.execute("update auth.users set email_confirmed_at = now() where id = %s", [owner])
    assert user.get(SUBSCRIPTION).json()["status"] == "active"
    assert one(db, OWNER, session) == owner


@pytest.mark.parametrize(
    ("verified", "columns"),
    [
        (False, {}),
        (True, {"is_sso_user": True}),
        (True, {"deleted_at": "2026-01-01T00:00:00Z"}),
        (True, {"is_anonymous": True}),
    ],
    ids=["unverified", "asserted by a provider", "deleted", "anonymous"],
)
def test_an_account_with_an_unverified_address_claims_nothing(
    web: Api, shop: StripeServer, db: psycopg.Connection, verified: bool, columns: dict[str, Any]
) -> None:
    email = address()
    before = paid(web, shop, db, email)
    thief = account(db, email, verified=verified, **columns)
    user = claiming(web, thief, email)
    is_error(user.get(SUBSCRIPTION), 404, "NOT_FOUND")
    after = paid(web, shop, db, email)
    is_error(user.get(SUBSCRIPTION), 404, "NOT_FOUND")
    assert [one(db, OWNER, session) for session in (before, after)] == [None, None]
    db.execute("delete from auth.users where id = %s", [thief])


def test_a_claim_of_a_token_that_the_database_does_not_confirm_claims_nothing(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    email = address()
    session = paid(web, shop, db, email)
    for user_id in (uuid4(), account(db, address())):
        is_error(claiming(web, user_id, email).get(SUBSCRIPTION), 404, "NOT_FOUND")
    # A user of Supabase's anonymous sign-in, and a visitor.
    signup = httpx.post(f"{web.settings.supabase_url}/auth/v1/signup", json={}, trust_env=False, timeout=SECONDS)
    is_error(web.with_token(signup.json()["access_token"]).get(SUBSCRIPTION), 404, "NOT_FOUND")
    is_error(visitor(web).get(SUBSCRIPTION), 401, "UNAUTHORIZED")
    assert one(db, OWNER, session) is None


def test_a_second_account_with_the_address_gets_no_purchases_of_the_first(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    email = address()
    session = paid(web, shop, db, email)
    first = account(db, email)
    assert web.as_user(first).get(SUBSCRIPTION).status_code == 200
    db.execute("update auth.users set email = %s where id = %s", [address(), first])
    second = account(db, email)
    is_error(web.as_user(second).get(SUBSCRIPTION), 404, "NOT_FOUND")
    subscription = one(
        db, "select stripe_subscription_id from user_subscriptions where stripe_checkout_session_id = %s", session
    )
    control(shop, "renew", subscription=subscription, outcome="failed")
    until(lambda: one(db, STATUS, session) == "past_due")
    assert one(db, OWNER, session) == first
    is_error(web.as_user(second).get(SUBSCRIPTION), 404, "NOT_FOUND")


def test_a_checkout_without_a_user_is_matched_only_by_verified_address(web: Api, db: psycopg.Connection) -> None:
    email = address()
    account(db, email, verified=False)
    history = History(None)
    history.session["customer_details"]["email"] = email
    history.book.emit("checkout.session.completed", history.session)
    *_, completed = (item for item in history.at(1_800_000_000, apart=0) if item["type"].startswith("checkout."))
    assert posted(web, completed).status_code == 200
    until(lambda: one(db, STATUS, history.session["id"]) == "active")
    assert one(db, OWNER, history.session["id"]) is None


def test_a_code_is_counted_by_address_in_any_spelling_and_with_its_account(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    code, email = campaign(db, max_uses_per_user=1), address()
    body = {"price_id": "price_open", "campaign_code": code}
    paid(web, shop, db, email, campaign_code=code)
    for caller, spelling in ((web, email), (web, email.upper()), (visitor(web), email.title())):
        error = caller.request("POST", CHECKOUT, json={**body, "customer_email": spelling})
        assert "You have reached the maximum number of uses" in is_error(error, 400, "BAD_REQUEST")["error"]
    owner = web.as_user(account(db, email))
    assert (
        "You have reached the maximum number of uses"
        in is_error(owner.request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")["error"]
    )
    stranger = web.as_user(account(db, email.replace("@", "+x@"), verified=False))
    assert stranger.request("POST", CHECKOUT, json=body).status_code == 201


def test_a_code_used_by_an_account_is_used_for_its_address_and_its_open_checkout_stays(
    web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    code, email = campaign(db, max_uses_per_user=1), address()
    body = {"price_id": "price_open", "campaign_code": code}
    user = web.as_user(account(db, email))
    own = checkout(user, **body)["id"]
    by_address = web.request("POST", CHECKOUT, json={**body, "customer_email": email})
    assert "You have reached the maximum number of uses" in is_error(by_address, 400, "BAD_REQUEST")["error"]
    assert shop.book.get("checkout.session", own)["status"] == "open"

    other, email = campaign(db, max_uses_per_user=1), address()
    body["campaign_code"] = other
    begun = checkout(web, **body, customer_email=email)["id"]
    checkout(web.as_user(account(db, email)), **body)
    assert shop.book.get("checkout.session", begun)["status"] == "expired"


def test_the_last_use_of_a_code_is_one_use_for_buyers_without_an_account(web: Api, db: psycopg.Connection) -> None:
    code = campaign(db, max_uses=1)
    body = {"price_id": "price_open", "campaign_code": code}
    checkout(web, **body, customer_email=address())
    again = web.request("POST", CHECKOUT, json={**body, "customer_email": address()})
    assert "has reached its maximum number of uses" in is_error(again, 400, "BAD_REQUEST")["error"]


def test_an_idempotency_key_belongs_to_its_buyer(web: Api) -> None:
    key, email = {"Idempotency-Key": uuid4().hex}, address()
    body = {"price_id": "price_open", "customer_email": email}
    first = web.request("POST", CHECKOUT, json=body, headers=key).json()["id"]
    assert web.request("POST", CHECKOUT, json=body, headers=key).json()["id"] == first
    others = [(web, body | {"customer_email": address()}), (visitor(web), body), (web.as_user(), body)]
    made = {caller.request("POST", CHECKOUT, json=sent, headers=key).json()["id"] for caller, sent in others}
    assert len(made | {first}) == 4
    changed = body | {"metadata": {"note": "x"}}
    is_error(web.request("POST", CHECKOUT, json=changed, headers=key), 409, "CONFLICT")


def test_purchases_are_limited_by_address_and_need_a_token_where_visitors_are_off(
    stack: Stack, shop: StripeServer, packages: dict[str, str]
) -> None:
    body = {"price_id": "price_open", "customer_email": address()}
    env = {**ENV, "STRIPE_API_BASE": shop.url}
    started = [stack.start("web", env={**env, "CHECKOUT_RATE_LIMIT": "2/day", "TRUSTED_PROXIES": "1"})]
    try:
        web = Api(started[0].url, None, stack.settings)
        here, there = ({"X-Forwarded-For": f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"} for _ in range(2))
        anybody = [web, visitor(web), web]
        found = [caller.request("POST", CHECKOUT, json=body, headers=here).status_code for caller in anybody]
        assert found == [201, 201, 429]
        assert web.request("POST", CHECKOUT, json=body, headers=there).status_code == 201
        user = web.as_user()
        assert [user.request("POST", CHECKOUT, json=body, headers=here).status_code for _ in range(3)] == [201] * 3
        started.append(stack.start("web", env={**env, "VISITORS": "false"}))
        closed = Api(started[1].url, None, stack.settings)
        is_error(closed.request("POST", CHECKOUT, json=body), 401, "UNAUTHORIZED")
    finally:
        stop_all(started)


def test_what_somebody_buys_for_an_address_hides_nothing_of_its_account(
    web: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection, packages: dict[str, str]
) -> None:
    email = address()
    owner = web.as_user(account(db, email))
    control(shop, "pay_session", session=checkout(owner, metadata={"package_id": packages["open"]})["id"])
    stack.wait_for(lambda: owner.get(SUBSCRIPTION).status_code == 200)
    own = owner.get(SUBSCRIPTION).json()["subscription_id"]
    gift = paid(web, shop, db, email)
    assert one(db, OWNER, gift) == owner.user_id

    assert owner.get(SUBSCRIPTION).json()["subscription_id"] == own
    cancelled = owner.request("POST", f"{SUBSCRIPTION}/cancel", json={"at_period_end": False}).json()
    assert (cancelled["subscription_id"], cancelled["status"]) == (own, "cancelled")
    # Without an active one of its own, the account has what was bought for it.
    after = owner.get(SUBSCRIPTION).json()
    assert (after["subscription_id"] == own, after["status"]) == (False, "active")
