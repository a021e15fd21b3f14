"""Help for tests that buy something: a subscription's history, as events of Stripe."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from pixelbloom.local.stripe.api import Api
from pixelbloom.local.stripe.book import Book
from pixelbloom.local.stripe.objects import Refused
from pixelbloom.local.stripe.server import API_KEY, SECRET, StripeServer
from tests.stack import Stack, stop_all
from tests.waiting import until

Event = dict[str, Any]
WEBHOOK = "/api/payments/webhook"
#: Settings of a web tier that sells by the stand-in.
ENV = {
    "STRIPE_API_KEY": API_KEY,
    "STRIPE_WEBHOOK_SECRET": f"whsec_next,{SECRET}",
    "STRIPE_SUCCESS_URL": "https://app.example.com/done?session={CHECKOUT_SESSION_ID}",
    "STRIPE_CANCEL_URL": "https://app.example.com/cancelled",
    "STRIPE_EXTRA_PRICE_IDS": "price_yen, price_once, price_late",
}
PRICES = ({"id": "price_starter", "unit_amount": "4900"}, {"id": "price_growth", "unit_amount": "14900"})


def next_second() -> None:
    """Wait until Stripe's clock, which counts seconds, has moved on."""
    now = int(time.time())
    until(lambda: int(time.time()) > now)


class Purchase:
    """The life of a single purchase, as ordered events."""

    def __init__(self, user_id: UUID | None, currency: str = "usd") -> None:
        self.events: list[Event] = []
        self.book = Book(self.events.append)
        self.api = Api(self.book, lambda: "http://stripe.test")
        self.api.handle("POST", "prices", {**PRICES[0], "currency": currency, "product_data": {"name": "x"}})
        params = {
            "mode": "payment",
            "line_items": [{"price": PRICES[0]["id"], "quantity": "1"}],
            "success_url": "http://localhost/done",
            "client_reference_id": str(user_id),
            "metadata": {"price_id": PRICES[0]["id"]},
        }
        self.session = self.api.handle("POST", "checkout/sessions", params)

    def play(self, steps: Sequence[str]) -> None:
        """Run these steps, where possible."""
        for step in steps:
            try:
                match step:
                    case "paid" | "async" | "async_paid" | "async_failed":
                        self.book.pay(self.session["id"], step)
                    case "expired":
                        self.book.expire(self.session)
                    case "refunded" | "part refunded":
                        charge = self.book.charge_of(self.session["id"])
                        if not charge["refunded"]:
                            self.book.refund(charge, None if step == "refunded" else charge["amount"] // 3)
                    case "refund failed":
                        fail_refund(self.book)
                    case _:
                        dispute(self.book, self.session["id"], step)
            except Refused:
                continue

    def at(self, first: int, *, apart: int, style: str = "charges") -> list[Event]:
        return sent(self.book, self.events, first, apart, style)


class History:
    """The life of one subscription, as ordered events; the ids of its prices end with `suffix`."""

    def __init__(
        self,
        user_id: UUID | None,
        currency: str = "usd",
        metadata: dict[str, str] | None = None,
        *,
        interval: tuple[str, int] = ("month", 1),
        trial_days: int = 0,
        outcome: str = "paid",
        suffix: str = "",
    ) -> None:
        self.events: list[Event] = []
        self.book = Book(self.events.append)
        self.api = Api(self.book, lambda: "http://stripe.test")
        recurring = {"interval": interval[0], "interval_count": str(interval[1])}
        self.starter, self.growth = (price["id"] + suffix for price in PRICES)
        for price_id, price in zip((self.starter, self.growth), PRICES, strict=True):
            made = {**price, "id": price_id, "currency": currency, "recurring": recurring}
            self.ask("prices", **made, product_data={"name": "x"})
        session = self.ask(
            "checkout/sessions",
            mode="subscription",
            line_items=[{"price": self.starter, "quantity": "1"}],
            success_url="http://localhost/done",
            **({"client_reference_id": str(user_id)} if user_id else {}),
            metadata={**(metadata or {}), "price_id": self.starter},
            subscription_data={"trial_period_days": str(trial_days)} if trial_days else {},
        )
        self.session = self.book.pay(session["id"], outcome)
        self.subscription_id: str = self.session["subscription"]
        self.failed = False

    def ask(self, path: str, **params: Any) -> Any:
        return self.api.handle("POST", path, params)

    def play(self, steps: Sequence[str]) -> None:
        """Run these steps, where possible."""
        subscription = self.book.get("subscription", self.subscription_id)
        for step in steps:
            if subscription["status"] == "canceled":
                return
            match step:
                case "renewed" | "unpaid":
                    self.book.renew(self.subscription_id, paid=step == "renewed")
                case "paid late":
                    for invoice in list(self.book.objects["invoice"].values()):
                        if invoice["status"] == "open":
                            self.book.pay_open_invoice(invoice["id"])
                case "part paid":
                    for invoice in list(self.book.objects["invoice"].values()):
                        if invoice["status"] == "open":
                            self.book.pay_part(invoice, invoice["amount_remaining"] // 3)
                            break
                case "async_paid" | "async_failed":
                    if self.session["payment_status"] == "unpaid" and not self.failed:
                        self.failed = step == "async_failed"
                        self.book.pay(self.session["id"], step)
                case "upgraded":
                    self.book.update(subscription, {"items": [{"price": self.growth}]})
                case "to end" | "to continue":
                    self.book.update(subscription, {"cancel_at_period_end": "true" if step == "to end" else "false"})
                case "to end at":
                    at = str(subscription["items"]["data"][0]["current_period_end"] - 86_400)
                    self.book.update(subscription, {"cancel_at": at})
                case "goes on":
                    self.book.update(subscription, {"cancel_at": ""})
                case "refunded" | "part refunded":
                    charge = self._charge(subscription)
                    if charge is not None and not charge["refunded"]:
                        self.book.refund(charge, None if step == "refunded" else charge["amount"] // 3)
                case "refund failed":
                    fail_refund(self.book)
                case "disputed" | "dispute lost" | "dispute won":
                    if step != "disputed" or self._charge(subscription) is not None:
                        dispute(self.book, subscription["latest_invoice"], step)
                case "voided" | "uncollectible":
                    for invoice in list(self.book.objects["invoice"].values()):
                        if invoice["status"] == "open":
                            self.book.give_up(invoice, void=step == "voided")
                            break
                case "drafted":
                    self.book.draft(subscription, 700)
                case "draft changed" | "draft deleted":
                    for invoice in list(self.book.objects["invoice"].values()):
                        if invoice["status"] == "draft":
                            if step == "draft deleted":
                                self.book.delete_draft(invoice)
                            else:
                                invoice["amount_due"] += 100
                                self.book.emit("invoice.updated", invoice)
                            break
                case "ended":
                    self.book.end(subscription)
                case _:
                    self.book.stand(self.subscription_id, step)

    def _charge(self, subscription: Any) -> Any:
        """Return the payment of its newest invoice."""
        invoice = self.book.get("invoice", subscription["latest_invoice"])
        return self.book.charge_of(invoice["id"]) if invoice["status"] == "paid" and invoice["amount_paid"] else None

    def at(self, first: int, *, apart: int, style: str = "charges") -> list[Event]:
        return sent(self.book, self.events, first, apart, style)


def fail_refund(book: Book) -> None:
    """The newest refund fails, where there is one."""
    for refund in reversed(book.objects["refund"].values()):
        if refund["status"] == "succeeded":
            book.fail_refund(refund)
            # Where it is the charge that is sent.
            book.emit("charge.refund.updated", book.get("charge", refund["charge"]))
            return


def dispute(book: Book, paid_for: str, step: str) -> None:
    """A charge is disputed, or the oldest dispute is decided."""
    if step == "disputed":
        charge = book.charge_of(paid_for)
        if not charge["amount_refunded"] and not any(
            one["charge"] == charge["id"] for one in book.objects["dispute"].values()
        ):
            book.dispute(charge)
        return
    for one in book.objects["dispute"].values():
        if one["status"] == "needs_response":
            book.close_dispute(one, won=step == "dispute won")
            return


def sent(book: Book, happened: Sequence[Event], first: int, apart: int, style: str) -> list[Event]:
    """Copies of the events, so many seconds apart; with 0 all in one second.

    What is sent of refunds differs: `refunds` alone; `charges` alone, with the lower amount when a refund fails; or
    `both`, the charge when more is refunded.
    """
    events = [event for event in json.loads(json.dumps(happened)) if _sent(event, style)]
    made: dict[str, int] = {}
    invoices = {
        payment["payment"]["payment_intent"]: payment["invoice"] for payment in book.objects["invoice_payment"].values()
    }
    paid = {invoice: intent for intent, invoice in invoices.items()}
    for number, event in enumerate(events):
        item = event["data"]["object"]
        event["created"] = first + number * apart
        if item["object"] == "refund":
            item["created"] = made.setdefault(item["id"], event["created"])
        # As versions of the API before 2025-03-31 write what belongs together.
        elif item["object"] == "charge":
            item["invoice"] = invoices.get(item["payment_intent"])
        elif item["object"] == "invoice" and item["status"] == "paid":
            item["payment_intent"] = paid.get(item["id"])
            item["status_transitions"]["paid_at"] = made.setdefault(item["id"], event["created"])
    return list(events)


def _sent(event: Event, style: str) -> bool:
    if event["data"]["object"]["object"] == "refund":
        return style != "charges"
    if event["data"]["object"]["object"] == "charge":
        # Where refunds are sent, the charge is not sent again when one fails.
        return style == "charges" or (style == "both" and event["type"] == "charge.refunded")
    return True


@contextmanager
def selling(prices: Sequence[dict[str, Any]]) -> Iterator[StripeServer]:
    """A stand-in for Stripe that has these prices."""
    with StripeServer() as server:
        server.offer(list(prices))
        yield server


@contextmanager
def sold_by(stack: Stack, shop: StripeServer, **env: str) -> Iterator[str]:
    """The address of a web tier that sells by `shop`, which sends its events there. With a maintenance worker."""
    started = []
    try:
        for role in ("maintenance", "web"):
            started.append(stack.start(role, env={**ENV, "STRIPE_API_BASE": shop.url, **env}))
        shop.deliveries.url = started[-1].url + WEBHOOK
        yield started[-1].url
    finally:
        shop.deliveries.url = None
        stop_all(started)
