"""The pages of the stand-in for Stripe, used by hand: paying, a declined card, and the billing page."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from pixelbloom.local.stripe.demo import PRICES
from pixelbloom.local.stripe.server import StripeServer


@pytest.fixture
def shop() -> Iterator[StripeServer]:
    with StripeServer() as server:
        server.offer([{"name": f"<b>{name}</b>", **price} for name, price in PRICES.items()])
        yield server


def checkout(shop: StripeServer) -> dict[str, Any]:
    return shop.begin(
        {
            "mode": "subscription",
            "line_items": [{"price": "price_growth", "quantity": "1"}],
            "success_url": f"{shop.url}/done",
            "cancel_url": f"{shop.url}/cancelled",
        }
    )


def test_a_buyer_pays_after_a_declined_card(page: Page, shop: StripeServer) -> None:
    session = checkout(shop)
    page.goto(session["url"])
    assert "no card is asked for" in page.inner_text("body")
    assert "<b>Growth</b>" in page.inner_text("table")  # names are escaped
    assert "149.00 USD a month" in page.inner_text("table")
    page.click("text=Pay with a card that is declined")
    assert page.inner_text("[role=alert]") == "Your card was declined."
    page.click("button >> text=/^Pay$/")
    assert page.inner_text("h1") == "Thank you"
    page.goto(session["url"])
    assert "This checkout is complete." in page.inner_text("body")


def test_buyers_go_back_and_cancel(page: Page, shop: StripeServer) -> None:
    page.goto(checkout(shop)["url"])
    page.click("button >> text=/^Cancel$/")
    assert page.inner_text("h1") == "Cancelled"
    paid = shop.book.pay(checkout(shop)["id"], "paid")
    page.goto(shop.open_portal({"customer": paid["customer"], "return_url": f"{shop.url}/done"}))
    page.click("text=Cancel with the period")
    assert "ends with its period" in page.inner_text("h2")
    page.click("text=Keep it")
    page.click("text=Cancel now")
    assert "canceled" in page.inner_text("h2")
    page.click("text=Back to the shop")
    assert page.inner_text("h1") == "Thank you"
