"""A shop with packages, and the web process that sells them."""

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api
from tests.servers.stripe import selling, sold_by
from tests.stack import Stack

PRICES = [
    {"id": "price_growth", "name": "Growth", "unit_amount": 14900, "currency": "usd", "interval": "month"},
    {"id": "price_studio", "name": "Studio", "unit_amount": 499000, "currency": "usd", "interval": "year"},
    {"id": "price_yen", "name": "Yen", "unit_amount": 4900, "currency": "jpy", "interval": "month"},
    {
        "id": "price_world",
        "name": "World",
        "unit_amount": 9900,
        "currency": "usd",
        "interval": "month",
        "currency_options": {"inr": {"unit_amount": "10000"}},
    },
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
