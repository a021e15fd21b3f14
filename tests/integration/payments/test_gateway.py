"""What the gateway to Stripe reads, and how long it waits, with the stand-in for Stripe."""

from collections.abc import Iterator

import pytest

from pixelbloom.errors import NotFound, Unavailable
from pixelbloom.local.stripe.server import API_KEY, StripeServer
from pixelbloom.payments import gateway as gateway_module
from pixelbloom.payments.gateway import StripeGateway
from tests.stack import Stack
from tests.waiting import until


@pytest.fixture
def shop() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def gateway(shop: StripeServer, stack: Stack) -> StripeGateway:
    return StripeGateway(stack.settings_with(stripe_api_key=API_KEY, stripe_api_base=shop.url))


def test_long_lists_at_stripe_are_read_page_by_page(shop: StripeServer, gateway: StripeGateway) -> None:
    names = {shop.book.add("subscription", {"status": "active", "customer": "cus_x"})["id"] for _ in range(230)}
    listed = [item["id"] for item in gateway.subscriptions()]

    assert set(listed) == names
    assert len(listed) == 230


def test_a_hanging_stripe_times_out(shop: StripeServer, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "TIMEOUT_SECONDS", 0.5)
    gateway = StripeGateway(stack.settings_with(stripe_api_key=API_KEY, stripe_api_base=shop.url))
    shop.failures.extend([{"seconds": 20}] * 3)
    with pytest.raises(Unavailable, match="Stripe is unreachable"):
        gateway.subscription("sub_none")
    until(lambda: not shop.failures)

    assert len(shop.requests) == 3
    monkeypatch.undo()
    gateway.close()
    with pytest.raises(NotFound):
        gateway.subscription("sub_none")
