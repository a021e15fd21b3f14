"""The uses of a campaign: counted once a checkout, completed with its payment, released without one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from pixelbloom.local.stripe.server import StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error
from tests.integration.payments.buyers import address, visitor
from tests.integration.payments.campaigns.orders import bought, order
from tests.integration.payments.checkouts import CHECKOUT, checkout, control, one
from tests.integration.pricing.rows import campaign, uses
from tests.servers.stripe import ENV
from tests.stack import Stack

USE_OF = """
    select {} from campaign_redemptions as r inner join pricing_campaigns as c on c.id = r.campaign_id
    where c.code = %s and r.released_at is null
"""
SESSION_OF, COMPLETED = USE_OF.format("r.stripe_session_id"), USE_OF.format("r.completed_at")
OVERDUE = """
    update campaign_redemptions as r set expires_at = now() - interval '16 minutes'
    from pricing_campaigns as c where c.id = r.campaign_id and c.code = any(%s)
"""


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
        # Each guess in a new session of a visitor.
        guess = {**order(packages, "small", "GUESS"), "customer_email": address()}
        guesses = [visitor(web).request("POST", CHECKOUT, json=guess).status_code for _ in range(6)]
        assert guesses == [400] * 5 + [429]
    finally:
        handle.kill()


def test_a_refused_checkout_releases_the_use_and_an_unknown_outcome_does_not(
    user: Api, shop: StripeServer, packages: dict[str, str], db: psycopg.Connection
) -> None:
    code, headers = campaign(db, max_uses=1), {"Idempotency-Key": uuid4().hex}
    body = order(packages, "small", code)
    shop.failures.append({"status": 429, "path": "checkout/sessions"})
    is_error(user.request("POST", CHECKOUT, json=body, headers=headers), 429, "RATE_LIMITED")
    assert uses(db, code) == 0
    shop.failures.extend([{"drop": True, "path": "checkout/sessions"}] * 3)
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
        shop.failures.extend([{"lose": True, "path": "checkout/sessions"}] * 3)  # the library tries three times
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
