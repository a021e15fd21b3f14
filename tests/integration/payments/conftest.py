"""The payments' own storage, and a stand-in for Stripe that sells nothing yet."""

from collections.abc import Iterator

import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.local.stripe.server import API_KEY, StripeServer
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.store import PaymentStore
from tests.stack import Stack


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[PaymentStore]:
    gateway = Gateway(stack.settings)
    yield PaymentStore(gateway)
    gateway.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def gateway(stack: Stack, shop: StripeServer) -> Iterator[StripeGateway]:
    made = StripeGateway(stack.settings_with(stripe_api_key=API_KEY, stripe_api_base=shop.url))
    yield made
    made.close()
    shop.failures.clear()
