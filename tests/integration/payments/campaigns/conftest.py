"""A shop with packages, and the web process that sells them."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.local.stripe.server import StripeServer
from tests.integration.http import Api
from tests.servers.stripe import selling, sold_by
from tests.stack import Stack

PRICES = [
    {"id": "price_small", "name": "Small", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_large", "name": "Large", "unit_amount": 990000, "currency": "usd", "interval": "month"},
    {"id": "price_single", "name": "Single", "unit_amount": 10000, "currency": "usd", "interval": None},
]


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
