"""Packages and their prices with campaigns: over HTTP, and a campaign's uses in the database."""

import itertools
import json
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.payments.money import charge_digits, currency_digits, major_units
from tests.integration.http import Api, is_error
from tests.integration.pricing.rows import campaign, package, uses
from tests.stack import Stack

PACKAGES, QUOTE = "/api/pricing/packages", "/api/pricing/quote"


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    started = stack.start("web", env={"QUOTE_RATE_LIMIT": "off"})
    yield Api(started.url, None, stack.settings)
    started.kill()


def quoted(web: Api, package_id: UUID, code: str | None = None) -> dict[str, Any]:
    body = {"package_id": str(package_id), **({"campaign_code": code} if code else {})}
    response = web.request("POST", QUOTE, json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_packages_on_offer_are_public_and_in_their_order(web: Api, db: psycopg.Connection) -> None:
    ids = [str(package(db, position=-n, features='["One", "Two"]')) for n in (1, 2)]
    package(db, position=-3, active=False)
    response = web.get(PACKAGES)

    assert [item["package_id"] for item in response.json()["items"]][:2] == ids[::-1]
    assert response.json()["items"][0]["price"] == 49
    assert response.json()["items"][0]["features"] == ["One", "Two"]
    assert response.json()["next_cursor"] is None
    assert response.headers["Cache-Control"] == "public, max-age=60"
    assert web.as_user().get(PACKAGES).json() == response.json()


def test_a_quote_without_and_with_a_code(web: Api, db: psycopg.Connection) -> None:
    plain = package(db)
    code = campaign(db)

    assert quoted(web, plain)["campaign"] is None
    assert quoted(web, plain)["final_price"] == 49
    found = quoted(web, plain, code.lower())
    assert (found["original_price"], found["discount_amount"], found["final_price"]) == (49, 9.8, 39.2)
    assert (found["campaign"]["code"], found["campaign"]["applies"]) == (code, True)
    assert (found["campaign"]["reason"], found["campaign"]["message"]) == (None, None)
    assert uses(db, code) == 0


@pytest.mark.parametrize(
    ("reason", "columns"),
    [
        ("inactive", {"active": False}),
        ("not_started", {"starts_at": "2999-01-01T00:00:00Z"}),
        ("expired", {"ends_at": "2001-01-01T00:00:00Z"}),
        ("used_up", {"max_uses": 2, "uses": 2}),
        ("wrong_package", {"package_ids": []}),
        ("wrong_currency", {"discount_type": "fixed", "currency": "eur"}),
    ],
)
def test_a_code_that_does_not_apply_says_why(web: Api, db: psycopg.Connection, reason: str, columns: Any) -> None:
    found = quoted(web, package(db), campaign(db, **columns))

    assert (found["discount_amount"], found["final_price"]) == (0, 49)
    assert (found["campaign"]["applies"], found["campaign"]["reason"]) == (False, reason)
    assert found["campaign"]["message"].startswith("This code")


def test_an_unknown_code_gives_no_details(web: Api, db: psycopg.Connection) -> None:
    found = quoted(web, package(db), "no such thing")["campaign"]

    assert found == {
        "code": "no such thing",
        "applies": False,
        "reason": "unknown",
        "message": "There is no such code.",
        "discount_type": None,
        "discount_value": None,
        "duration": None,
        "duration_months": None,
    }


def test_a_code_for_this_package_applies_to_it(web: Api, db: psycopg.Connection) -> None:
    this, other = package(db), package(db)
    code = campaign(db, package_ids=[this], max_uses=1, starts_at="2001-01-01", ends_at="2999-01-01")

    assert quoted(web, this, code)["campaign"]["applies"]
    assert quoted(web, other, code)["campaign"]["reason"] == "wrong_package"


def test_a_discount_is_rounded_to_the_currency_and_never_exceeds_the_price(web: Api, db) -> None:
    tenth = campaign(db, discount_value=Decimal("33.33"))
    yen, dollars = package(db, "999", currency="jpy"), package(db, "0.05")
    large = campaign(db, discount_type="fixed", currency="usd", discount_value=1000)

    assert quoted(web, yen, tenth)["discount_amount"] == 333
    assert quoted(web, dollars, tenth)["discount_amount"] == 0.02
    assert quoted(web, dollars, large)["final_price"] == 0
    assert quoted(web, dollars, large)["discount_amount"] == 0.05


@given(
    price=st.decimals(0, 99_999_999, places=2),
    percent=st.decimals(Decimal("0.01"), 100, places=2),
    fixed=st.booleans(),
    currency=st.sampled_from(["usd", "jpy", "kwd", "isk"]),
)
@settings(deadline=None, max_examples=60)
def test_the_price_matches_decimal_arithmetic(stack: Stack, price, percent, fixed, currency) -> None:
    if charge_digits(currency) == 0:
        price, percent = price.to_integral_value(), percent if not fixed else percent.to_integral_value() + 1
    with psycopg.connect(stack.database_url) as db:
        package_id = package(db, str(price), currency=currency)
        kind = {"discount_type": "fixed", "currency": currency} if fixed else {"discount_type": "percentage"}
        code = campaign(db, discount_value=min(percent, 100), **kind)
        row = db.execute("select quote_package(%s, %s)::text", [package_id, code]).fetchone()
        db.rollback()
    assert row is not None
    found = json.loads(row[0], parse_float=Decimal, parse_int=Decimal)
    smallest = Decimal(1).scaleb(-charge_digits(currency))
    value = min(percent, Decimal(100))
    off = min(value, price) if fixed else (price * value / 100).quantize(smallest, ROUND_HALF_UP)
    assert (found["original_price"], found["discount_amount"], found["final_price"]) == (price, off, price - off)


def test_an_invalid_request_names_its_field(web: Api, db: psycopg.Connection) -> None:
    some = str(package(db))
    for body, field in (
        ({}, "package_id"),
        ({"package_id": "x"}, "package_id"),
        ({"package_id": some, "campaign_code": ""}, "campaign_code"),
        ({"package_id": some, "campaign_code": "x" * 51}, "campaign_code"),
        ({"package_id": some, "campaign_code": 7}, "campaign_code"),
        ({"package_id": some, "price": 1}, "price"),
    ):
        found = is_error(web.request("POST", QUOTE, json=body), 400, "BAD_REQUEST")
        assert [detail["field"] for detail in found["details"]] == [field]
    is_error(web.request("POST", QUOTE, json={"package_id": str(uuid4())}), 404, "NOT_FOUND")
    gone = {"package_id": str(package(db, active=False))}
    is_error(web.request("POST", QUOTE, json=gone), 404, "NOT_FOUND")
    for method, path in (("GET", PACKAGES), ("POST", QUOTE)):
        is_error(web.with_token("x").request(method, path, json=gone), 401, "UNAUTHORIZED")


def test_quotes_are_limited_by_user_and_by_address(stack: Stack, db: psycopg.Connection) -> None:
    handle = stack.start("web", env={"QUOTE_RATE_LIMIT": "2/hour", "TRUSTED_PROXIES": "1"})
    web = Api(handle.url, None, stack.settings)
    body = {"package_id": str(package(db))}
    home = {"X-Forwarded-For": f"203.0.113.{uuid4().int % 250}"}
    try:
        for api, headers in ((web, home), (web.as_user(), home)):
            responses = [api.request("POST", QUOTE, json=body, headers=headers) for _ in range(3)]
            assert [response.status_code for response in responses] == [200, 200, 429]
            is_error(responses[2], 429, "RATE_LIMITED")
            assert int(responses[2].headers["Retry-After"]) > 0
        away = {"X-Forwarded-For": f"198.51.100.{uuid4().int % 250}"}
        users = [web.as_anonymous() for _ in range(3)]
        assert [api.request("POST", QUOTE, json=body, headers=away).status_code for api in users] == [200, 200, 429]
    finally:
        handle.kill()


@pytest.mark.parametrize(
    ("interval", "terms", "periods"),
    [
        ("month", {"duration": "once"}, [(1, 1, 80), (2, None, 100)]),
        ("month", {"duration": "repeating", "duration_months": 3}, [(1, 3, 80), (4, None, 100)]),
        ("month", {"duration": "forever"}, [(1, None, 80)]),
        ("year", {"duration": "repeating", "duration_months": 3}, [(1, 1, 80), (2, None, 100)]),
        ("year", {"duration": "repeating", "duration_months": 13}, [(1, 2, 80), (3, None, 100)]),
        ("once", {"duration": "forever"}, [(1, 1, 80)]),
        ("month", {"active": False}, [(1, None, 100)]),
    ],
)
def test_a_quote_has_the_price_of_each_period(
    web: Api, db: psycopg.Connection, interval: str, terms: dict[str, Any], periods: list[tuple[int, int | None, int]]
) -> None:
    found = quoted(web, package(db, "100", billing_interval=interval), campaign(db, **terms))

    assert [(one["first"], one["last"], one["price"]) for one in found["periods"]] == periods


def test_the_database_and_the_code_have_the_same_table_of_currencies(db: psycopg.Connection) -> None:
    three = itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3)
    every = ["".join(letters) for letters in three]
    rows = db.execute(
        "select c, internal.currency_digits(c), internal.charge_digits(c), internal.major_units('12340', c)"
        " from unnest(%s::text[]) as c",
        [every],
    ).fetchall()

    invalid = [
        row for row in rows if row[1:] != (currency_digits(row[0]), charge_digits(row[0]), major_units(12340, row[0]))
    ]
    assert invalid == []
    assert len(rows) == 26**3


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (18600, "kwd", "18.600 KWD"),
        (123450, "usd", "1,234.50 USD"),
        (4900, "jpy", "4,900 JPY"),
        (490000, "isk", "4,900 ISK"),
        (0, "eur", "0.00 EUR"),
    ],
)
def test_amounts_in_notifications_have_the_decimals_of_their_currency(
    db: psycopg.Connection, amount: int, currency: str, text: str
) -> None:
    row = db.execute(
        "select internal.money_text(internal.major_units(%s, %s), %s)", [json.dumps(amount), currency, currency]
    ).fetchone()

    assert row == (text,)


@pytest.mark.parametrize(("price", "currency"), [("18.605", "kwd"), ("0.5", "jpy"), ("10.5", "isk"), ("0.001", "usd")])
def test_no_package_has_a_price_that_cannot_be_charged(db: psycopg.Connection, price: str, currency: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        package(db, price, currency=currency)
    db.rollback()


def test_every_column_of_money_holds_three_decimals(db: psycopg.Connection) -> None:
    rows = db.execute(
        """
        select table_name || '.' || column_name from information_schema.columns
        where table_schema = 'public' and data_type = 'numeric' and numeric_scale = 2
        """
    ).fetchall()

    assert rows == []
