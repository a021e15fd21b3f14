"""Help for tests that buy something: a subscription's history, as events of Stripe."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pixelbloom.local.stripe.api import Api
from pixelbloom.local.stripe.book import Book

Event = dict[str, Any]
PRICES = ({"id": "price_starter", "unit_amount": "4900"}, {"id": "price_growth", "unit_amount": "14900"})


class History:
    """What happens to one subscription, told as events in their order."""

    def __init__(self, user_id: UUID | None, currency: str = "usd", metadata: dict[str, str] | None = None) -> None:
        self.events: list[Event] = []
        self.book = Book(self.events.append)
        self.api = Api(self.book, lambda: "http://stripe.test")
        for price in PRICES:
            self.ask("prices", **price, currency=currency, recurring={"interval": "month"}, product_data={"name": "x"})
        session = self.ask(
            "checkout/sessions",
            mode="subscription",
            line_items=[{"price": "price_starter", "quantity": "1"}],
            success_url="http://localhost/done",
            **({"client_reference_id": str(user_id)} if user_id else {}),
            metadata={**(metadata or {}), "price_id": "price_starter"},
        )
        self.session = self.book.pay(session["id"], "paid")
        self.subscription_id: str = self.session["subscription"]

    def ask(self, path: str, **params: Any) -> Any:
        return self.api.answer("POST", path, params)

    def play(self, steps: Sequence[str]) -> None:
        """Let these happen, where they can."""
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
                case "upgraded":
                    self.book.update(subscription, {"items": [{"price": "price_growth"}]})
                case "to end" | "kept":
                    self.book.update(subscription, {"cancel_at_period_end": "true" if step == "to end" else "false"})
                case "refunded":
                    charge = self.book.charge_of(subscription["latest_invoice"]) if self._paid(subscription) else None
                    if charge is not None and not charge["refunded"]:
                        # As versions of the API before 2025-03-31 told it.
                        charge["invoice"] = subscription["latest_invoice"]
                        self.book.refund(charge, None)
                case "ended":
                    self.book.end(subscription)
                case _:
                    self.book.stand(self.subscription_id, step)

    def _paid(self, subscription: Any) -> bool:
        return bool(self.book.get("invoice", subscription["latest_invoice"])["status"] == "paid")

    def at(self, first: int, *, apart: int) -> list[Event]:
        """Copies of the events, so many seconds apart; with 0 all in one second."""
        events = json.loads(json.dumps(self.events))
        for number, event in enumerate(events):
            event["created"] = first + number * apart
        return list(events)
