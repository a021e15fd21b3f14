"""Administrators manage packages and campaigns: over REST and with the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error
from tests.integration.payments.checkouts import CHECKOUT, checkout, one
from tests.integration.pricing.rows import added
from tests.servers.stripe import selling, sold_by
from tests.stack import Stack

PRICES = [
    {"id": "price_admin", "name": "Admin", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_dear", "name": "Dear", "unit_amount": 5900, "currency": "usd", "interval": "month"},
]
NEW_PACKAGE = {"price": 49, "features": ["One website"]}
PACKAGES, CAMPAIGNS, REDEMPTIONS = "/api/pricing/packages", "/api/pricing/campaigns", "/api/pricing/redemptions"


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack, shop: StripeServer) -> Iterator[Api]:
    with sold_by(stack, shop, QUOTE_RATE_LIMIT="off") as url:
        yield Api(url, None, stack.settings)


@pytest.fixture
def admin(web: Api) -> Api:
    return web.as_user(admin=True)


def created(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = api.request("POST", path, json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def new_package(api: Api, **columns: Any) -> dict[str, Any]:
    return created(api, PACKAGES, {"name": f"P{uuid4().hex}", **NEW_PACKAGE, **columns})


def new_campaign(api: Api, **columns: Any) -> dict[str, Any]:
    terms = {"code": f"C{uuid4().hex[:12]}", "discount_type": "percentage", "discount_value": 20}
    return created(api, CAMPAIGNS, {**terms, **columns})


def listed(api: Api, path: str) -> dict[str, Any]:
    """Return all packages of a list, page by page, by their ids."""
    found, cursor = {}, None
    while True:
        page = api.get(path, params={"limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        found |= {item["package_id"]: item for item in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def public(api: Api) -> dict[str, Any]:
    return listed(api, PACKAGES)


def test_a_package_from_its_creation_to_its_retirement(admin: Api, web: Api) -> None:
    package = new_package(admin, currency="kwd", price=18.6, billing_interval="year")
    path = f"{PACKAGES}/{package['package_id']}"
    assert (package["price"], package["active"], package["version"]) == (18.6, True, 1)
    assert package["package_id"] in public(web)
    changed = admin.request("PATCH", path, json={"price": 19.5, "description": "Better"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["price"], changed.json()["version"]) == (200, 19.5, 2), changed.text
    is_error(admin.request("PATCH", path, json={"price": 1}, headers={"If-Match": '"1"'}), 409, "CONFLICT")
    retired = web.as_service().request("PATCH", path, json={"active": False})
    assert retired.json()["active"] is False
    assert package["package_id"] not in public(web)
    found = admin.get(path)
    assert (found.headers["ETag"], found.json()) == ('"3"', retired.json())
    assert listed(admin, "/api/pricing/catalogue")[package["package_id"]] == retired.json()


def test_a_campaign_from_its_creation_to_its_retirement(admin: Api, web: Api) -> None:
    package = new_package(admin)
    campaign = new_campaign(
        admin,
        package_ids=[package["package_id"]],
        duration="repeating",
        duration_months=3,
        max_uses=5,
        max_uses_per_user=1,
        ends_at="2999-01-01T00:00:00Z",
    )
    path = f"{CAMPAIGNS}/{campaign['campaign_id']}"
    assert (campaign["uses"], campaign["ends_at"]) == (0, "2999-01-01T00:00:00Z")
    quote = {"package_id": package["package_id"], "campaign_code": campaign["code"]}
    assert web.request("POST", "/api/pricing/quote", json=quote).json()["final_price"] == 39.2
    changed = admin.request("PATCH", path, json={"max_uses": None, "duration": "forever", "duration_months": None})
    assert (changed.json()["max_uses"], changed.json()["duration"]) == (None, "forever"), changed.text
    assert admin.request("PATCH", path, json={"active": False}).json()["version"] == 3
    assert web.request("POST", "/api/pricing/quote", json=quote).json()["campaign"]["reason"] == "inactive"
    assert admin.get(path).json()["active"] is False
    assert campaign["campaign_id"] in [item["campaign_id"] for item in admin.get(CAMPAIGNS).json()["items"]]


def test_only_administrators_and_services_manage_packages_and_campaigns(admin: Api, web: Api) -> None:
    package, campaign = new_package(admin), new_campaign(admin)
    calls = [
        ("GET", "/api/pricing/catalogue", None),
        ("POST", PACKAGES, {"name": "Mine", **NEW_PACKAGE}),
        ("GET", f"{PACKAGES}/{package['package_id']}", None),
        ("PATCH", f"{PACKAGES}/{package['package_id']}", {"price": 0}),
        ("GET", CAMPAIGNS, None),
        ("POST", CAMPAIGNS, {"code": "MINE", "discount_type": "percentage", "discount_value": 100}),
        ("GET", f"{CAMPAIGNS}/{campaign['campaign_id']}", None),
        ("PATCH", f"{CAMPAIGNS}/{campaign['campaign_id']}", {"discount_value": 100}),
        ("GET", REDEMPTIONS, None),
        ("POST", f"{REDEMPTIONS}/{uuid4()}/release", None),
    ]
    for method, path, body in calls:
        is_error(web.as_user().request(method, path, json=body), 403, "FORBIDDEN")
        is_error(web.request(method, path, json=body), 401, "UNAUTHORIZED")
        reader = web.as_user(admin=True, scopes=["leads:read"])
        is_error(reader.request(method, path, json=body), 403, "FORBIDDEN")
    for path in (f"{PACKAGES}/{uuid4()}", f"{CAMPAIGNS}/x", f"{CAMPAIGNS}/{uuid4()}"):
        is_error(admin.get(path), 404, "NOT_FOUND")
        is_error(admin.request("PATCH", path, json={"active": False}), 404, "NOT_FOUND")
    is_error(admin.request("POST", f"{REDEMPTIONS}/{uuid4()}/release"), 404, "NOT_FOUND")


def test_an_invalid_value_is_refused_with_its_field(admin: Api) -> None:
    package, campaign = new_package(admin), new_campaign(admin)
    named = {"name": f"P{uuid4().hex}", **NEW_PACKAGE}
    terms = {"code": f"C{uuid4().hex[:12]}", "discount_type": "percentage", "discount_value": 20}
    for path, body, field in (
        (PACKAGES, {**named, "price": -1}, "price"),
        (PACKAGES, {**named, "price": "49"}, "price"),
        (PACKAGES, {**named, "price": 49.001}, "price"),
        (PACKAGES, {**named, "price": 49.5, "currency": "isk"}, "price"),
        (PACKAGES, {**named, "currency": "USD"}, "currency"),
        (PACKAGES, {**named, "name": ""}, "name"),
        (PACKAGES, {**named, "billing_interval": "week"}, "billing_interval"),
        (PACKAGES, {**named, "stripe_price_id": "price_none"}, "stripe_price_id"),
        (PACKAGES, {**named, "stripe_price_id": "price_dear"}, "stripe_price_id"),
        (PACKAGES, {**named, "discount": 1}, "discount"),
        (CAMPAIGNS, {**terms, "code": "no code"}, "code"),
        (CAMPAIGNS, {**terms, "discount_value": 101}, "discount_value"),
        (CAMPAIGNS, {**terms, "discount_value": 0}, "discount_value"),
        (CAMPAIGNS, {**terms, "discount_type": "fixed"}, "currency"),
        (CAMPAIGNS, {**terms, "discount_type": "fixed", "currency": "jpy", "discount_value": 0.5}, "discount_value"),
        (CAMPAIGNS, {**terms, "duration": "repeating"}, "duration_months"),
        (CAMPAIGNS, {**terms, "duration_months": 3}, "duration_months"),
        (CAMPAIGNS, {**terms, "package_ids": [str(uuid4())]}, "package_ids"),
        (CAMPAIGNS, {**terms, "package_ids": []}, "package_ids"),
        (CAMPAIGNS, {**terms, "max_uses": 0}, "max_uses"),
        (CAMPAIGNS, {**terms, "starts_at": "2027-01-02T00:00:00Z", "ends_at": "2027-01-01T00:00:00Z"}, "ends_at"),
        (CAMPAIGNS, {**terms, "uses": 1}, "uses"),
    ):
        found = is_error(admin.request("POST", path, json=body), 400, "BAD_REQUEST")
        assert {detail["field"].split(".")[0] for detail in found["details"]} == {field}, body
    change = f"{CAMPAIGNS}/{campaign['campaign_id']}"
    is_error(admin.request("PATCH", change, json={"code": "OTHER"}), 400, "BAD_REQUEST")
    is_error(admin.request("PATCH", change, json={"duration": "repeating"}), 400, "BAD_REQUEST")
    is_error(admin.request("POST", PACKAGES, json={**named, "name": package["name"]}), 409, "CONFLICT")
    is_error(admin.request("POST", CAMPAIGNS, json={**terms, "code": campaign["code"].lower()}), 409, "CONFLICT")


def test_a_package_goes_on_sale_only_with_a_matching_price(admin: Api, web: Api) -> None:
    package = new_package(admin)
    body, path = {"metadata": {"package_id": package["package_id"]}}, f"{PACKAGES}/{package['package_id']}"
    is_error(web.as_user().request("POST", CHECKOUT, json=body), 400, "BAD_REQUEST")
    is_error(admin.request("PATCH", path, json={"stripe_price_id": "price_dear"}), 400, "BAD_REQUEST")
    assert admin.request("PATCH", path, json={"stripe_price_id": "price_admin"}).status_code == 200
    assert checkout(web.as_user(), **body)["id"]
    is_error(admin.request("PATCH", path, json={"price": 59}), 400, "BAD_REQUEST")
    assert admin.request("PATCH", path, json={"price": 59, "stripe_price_id": "price_dear"}).status_code == 200
    admin.request("PATCH", path, json={"active": False, "stripe_price_id": None})
    is_error(web.as_user().request("POST", CHECKOUT, json=body), 404, "NOT_FOUND")


def test_the_price_of_a_sold_package_cannot_become_that_of_another(admin: Api, db: psycopg.Connection) -> None:
    sold = new_package(admin, stripe_price_id="price_admin")
    path = f"{PACKAGES}/{sold['package_id']}"
    row = {"package_id": sold["package_id"], "stripe_price_id": "price_admin", "status": "active", "final_price": 49}
    subscription = added(db, "user_subscriptions", row)
    assert admin.request("PATCH", path, json={"price": 59, "stripe_price_id": "price_dear"}).status_code == 200
    body = {"name": f"P{uuid4().hex}", **NEW_PACKAGE, "stripe_price_id": "price_admin"}
    refused = is_error(admin.request("POST", PACKAGES, json=body), 409, "CONFLICT")
    assert "was sold at it" in refused["error"]
    # It may have its own earlier price again; and what was never sold may be given to another.
    assert admin.request("PATCH", path, json={"price": 49, "stripe_price_id": "price_admin"}).status_code == 200
    db.execute("delete from user_subscriptions where id = %s", [subscription])
    assert admin.request("PATCH", path, json={"active": False, "stripe_price_id": None}).status_code == 200
    other = created(admin, PACKAGES, body)
    admin.request("PATCH", f"{PACKAGES}/{other['package_id']}", json={"active": False, "stripe_price_id": None})


def test_an_operator_lists_open_uses_and_releases_one(
    admin: Api, web: Api, shop: StripeServer, db: psycopg.Connection
) -> None:
    package, campaign = new_package(admin, stripe_price_id="price_admin"), new_campaign(admin, max_uses=1)
    body = {"metadata": {"package_id": package["package_id"]}, "campaign_code": campaign["code"]}
    session = checkout(web.as_user(), **body)["id"]

    def uses(state: str) -> list[dict[str, Any]]:
        query = {"campaign_id": campaign["campaign_id"], "state": state}
        items: list[dict[str, Any]] = admin.get(REDEMPTIONS, params=query).json()["items"]
        return items

    [use] = uses("open")
    assert (use["stripe_session_id"], use["package_id"]) == (session, package["package_id"])
    path = f"{REDEMPTIONS}/{use['redemption_id']}/release"
    released = admin.request("POST", path)
    assert (released.status_code, released.json()["state"]) == (200, "released"), released.text
    assert shop.book.get("checkout.session", session)["status"] == "expired"
    assert (uses("open"), [one["redemption_id"] for one in uses("released")]) == ([], [use["redemption_id"]])
    is_error(admin.request("POST", path), 409, "CONFLICT")
    assert one(db, "select uses from pricing_campaigns where id = %s", campaign["campaign_id"]) == 0
    admin.request("PATCH", f"{PACKAGES}/{package['package_id']}", json={"active": False, "stripe_price_id": None})


@pytest.fixture
def command(web: Api, stack: Stack) -> Callable[..., Any]:
    """Run the command line; return what it prints as JSON, or the error's text."""

    def run(*args: str) -> Any:
        env = {**stack.env, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "API_URL": web.url}
        found = subprocess.run(
            [sys.executable, "-m", "pixelbloom", *args],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert "Traceback" not in found.stderr
        return json.loads(found.stdout) if found.returncode == 0 else found.stderr

    return run


def test_the_command_line_manages_packages(command: Callable[..., Any]) -> None:
    name = f"P{uuid4().hex}"
    package = command("packages", "create", f"name={name}", "price=49", "stripe_price_id=price_admin")
    assert (package["name"], package["price"]) == (name, 49)
    assert command("packages", "update", package["package_id"], 'features=["Two"]')["features"] == ["Two"]
    assert command("packages", "retire", package["package_id"])["active"] is False
    listed = {item["package_id"]: item["active"] for item in command("packages", "list")}
    assert listed[package["package_id"]] is False
    command("packages", "update", package["package_id"], "stripe_price_id=null")


def test_the_command_line_manages_campaigns_and_releases_their_uses(
    command: Callable[..., Any], admin: Api, web: Api, shop: StripeServer
) -> None:
    package = new_package(admin, stripe_price_id="price_admin")
    code = f"C{uuid4().hex[:12]}"
    fixed = json.dumps({"code": code, "discount_type": "fixed", "discount_value": 9, "currency": "usd"})
    campaign = command("campaigns", "create", "--input", fixed)
    assert command("campaigns", "update", campaign["campaign_id"], "max_uses=3")["max_uses"] == 3
    assert campaign["campaign_id"] in [item["campaign_id"] for item in command("campaigns", "list")]
    session = checkout(web.as_user(), metadata={"package_id": package["package_id"]}, campaign_code=code)["id"]
    [use] = command("campaigns", "uses", campaign["campaign_id"])
    assert use["redemption_id"] in [item["redemption_id"] for item in command("payments", "redemptions")]
    assert command("payments", "release", use["redemption_id"])["state"] == "released"
    assert shop.book.get("checkout.session", session)["status"] == "expired"
    assert command("campaigns", "retire", campaign["campaign_id"])["active"] is False
    admin.request("PATCH", f"{PACKAGES}/{package['package_id']}", json={"active": False, "stripe_price_id": None})


@pytest.mark.parametrize(
    "args",
    [
        ("packages", "create"),
        ("packages", "create", "price"),
        ("packages", "create", "name=x"),
        ("campaigns", "retire", "x"),
        ("payments", "release", str(UUID(int=7))),
    ],
    ids=" ".join,
)
def test_the_command_line_names_what_is_wrong(command: Callable[..., Any], args: tuple[str, ...]) -> None:
    assert isinstance(command(*args), str)
