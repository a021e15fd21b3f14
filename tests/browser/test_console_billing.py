"""Billing in the console: a whole purchase with the stand-in for Stripe, and the changes of the subscription."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from pixelbloom.local.stripe.server import StripeServer
from tests.browser.console import PHONE, WAIT, Console, started_console
from tests.servers.stripe import ENV, selling
from tests.stack import Stack

PRICES = [
    {"id": "price_console_small", "name": "Small", "unit_amount": 4900, "currency": "usd", "interval": "month"},
    {"id": "price_console_large", "name": "Large", "unit_amount": 14900, "currency": "usd", "interval": "month"},
]


@dataclass
class Sale:
    """The packages of this module's tests, with names of this module only."""

    small: str
    large: str
    code: str


@pytest.fixture(scope="module")
def shop() -> Iterator[StripeServer]:
    with selling(PRICES) as server:
        yield server


@pytest.fixture(scope="module")
def sale(stack: Stack) -> Iterator[Sale]:
    mark = uuid4().hex[:8]
    found = Sale(f"Small {mark}", f"Large {mark}", f"SAVE{mark}".upper())
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for name, price, stripe in ((found.small, 49, "small"), (found.large, 149, "large")):
            db.execute(
                "insert into pricing_packages (name, price, stripe_price_id, features)"
                """ values (%s, %s, %s, '["Support by e-mail"]')""",
                [name, price, f"price_console_{stripe}"],
            )
        db.execute(
            "insert into pricing_campaigns (code, discount_type, discount_value, duration, duration_months)"
            " values (%s, 'percentage', 20, 'repeating', 3)",
            [found.code],
        )
        yield found
        db.execute("update pricing_packages set active = false where name = any(%s)", [[found.small, found.large]])


@pytest.fixture(scope="module")
def _console(stack: Stack, browser: Browser, shop: StripeServer, sale: Sale) -> Iterator[Console]:
    env = {**ENV, "STRIPE_API_BASE": shop.url}
    with started_console(stack, browser, **env) as console:
        shop.deliveries.url = f"{console.url}/api/payments/webhook"
        yield console


def test_somebody_buys_with_a_code_changes_and_cancels(console: Console, shop: StripeServer, sale: Sale) -> None:
    page = console.signed_in("/billing")
    page.get_by_role("button", name=f"Choose: {sale.small}").click()
    dialog = page.get_by_role("dialog", name=sale.small)
    expect(dialog).to_contain_text("$49.00 a month", timeout=WAIT)
    dialog.get_by_label("Campaign code").fill("NOBODY")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty(timeout=WAIT)
    dialog.get_by_label("Campaign code").fill(sale.code)
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_contain_text("The first 3 months $39.20 each, then $49.00 a month.", timeout=WAIT)
    dialog.get_by_role("button", name="Continue to payment").click()

    # The payment page of the stand-in.
    page.wait_for_url(f"{shop.url}/**")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url(f"{console.url}/billing?checkout=paid")
    expect(page.get_by_text("Your payment has arrived")).to_be_visible(timeout=WAIT)
    own = page.get_by_role("region", name="Your subscription")
    expect(own).to_contain_text("$39.20 a month", timeout=WAIT)
    expect(own).to_contain_text("Active")
    expect(page.get_by_text("Your package")).to_have_count(1)

    page.get_by_role("button", name=f"Change to this: {sale.large}").click()
    page.get_by_role("dialog").get_by_role("button", name="Change now").click()
    expect(own).to_contain_text(sale.large, timeout=WAIT)

    own.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel with the period").click()
    expect(own).to_contain_text("Ends", timeout=WAIT)
    expect(own.get_by_role("button", name="Cancel")).to_have_count(0)

    # The portal withdraws it, and its event reaches the page.
    own.get_by_role("button", name="Cards and invoices").click()
    page.wait_for_url(f"{shop.url}/**")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Keep it")).to_have_count(0, timeout=WAIT)  # the answer's page
    page.get_by_text("Back to the shop").click()
    page.wait_for_url(f"{console.url}/billing")
    expect(own.get_by_role("button", name="Cancel")).to_be_visible(timeout=WAIT)
    # The browser called no other server than Stripe's.
    assert [url for url in console.foreign if not url.startswith(shop.url)] == []
    console.foreign.clear()


def test_a_checkout_that_is_cancelled_charges_nothing(console: Console, shop: StripeServer, sale: Sale) -> None:
    page = console.signed_in("/billing", viewport=PHONE)
    page.get_by_role("button", name=f"Choose: {sale.large}").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue to payment").click()
    page.wait_for_url(f"{shop.url}/**")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.wait_for_url(f"{console.url}/billing?checkout=cancelled")
    expect(page.get_by_text("nothing was charged")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("region", name="Your subscription")).to_have_count(0)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("nothing was charged")).to_have_count(0)
    assert [url for url in console.foreign if not url.startswith(shop.url)] == []
    console.foreign.clear()
