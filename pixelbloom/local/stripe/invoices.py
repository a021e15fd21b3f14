"""Invoices of the stand-in for Stripe."""

import time

from pixelbloom.local.stripe.discounts import Discounts, price_of
from pixelbloom.local.stripe.objects import Obj, Refused, name


class Invoices(Discounts):
    """What subscriptions are billed, and whether it is paid."""

    def pay_open_invoice(self, invoice_id: str) -> Obj:
        """Pay an invoice that failed before."""
        invoice = self.get("invoice", invoice_id)
        if invoice["status"] != "open":
            raise Refused("The invoice is not open.")
        self.finish_invoice(invoice, paid=True)
        self._stand(self.get("subscription", _subscription_of(invoice)), "active")
        return invoice

    def pay_part(self, invoice: Obj, amount: int) -> Obj:
        """Pay a part of an open invoice."""
        if invoice["status"] != "open" or not 0 < amount < invoice["amount_remaining"]:
            raise Refused("The invoice is not open, or that is no part of it.")
        self._paid(invoice, amount)
        self.emit("invoice.updated", invoice)
        return invoice

    def give_up(self, invoice: Obj, *, void: bool) -> Obj:
        """Void an open invoice, or mark it as uncollectible."""
        if invoice["status"] not in ("open", "uncollectible"):
            raise Refused("The invoice is not open.")
        invoice["status"] = "void" if void else "uncollectible"
        moment = "voided_at" if void else "marked_uncollectible_at"
        invoice["status_transitions"][moment] = int(time.time())
        self.emit("invoice.voided" if void else "invoice.marked_uncollectible", invoice)
        return invoice

    def draft(self, subscription: Obj, amount: int) -> Obj:
        """Make a draft invoice."""
        invoice = self._invoice(subscription, "manual", amount) | {"status": "draft"}
        self.objects["invoice"][invoice["id"]] = invoice
        invoice["status_transitions"]["finalized_at"] = None
        self.emit("invoice.created", invoice)
        return invoice

    def delete_draft(self, invoice: Obj) -> Obj:
        if invoice["status"] != "draft":
            raise Refused("You can only delete draft invoices.")
        del self.objects["invoice"][invoice["id"]]
        self.emit("invoice.deleted", invoice)
        return {"id": invoice["id"], "object": "invoice", "deleted": True}

    def preview(self, subscription: Obj) -> Obj:
        """Preview the next invoice, as far as it is known."""
        total = self.due(subscription)
        return {
            "object": "invoice",
            "currency": subscription["currency"],
            "subtotal": price_of(subscription),
            "total": total,
            "amount_due": total,
            "status": "draft",
        }

    def bill_pending(self, subscription: Obj) -> None:
        """Bill what changes cost so far. Customers have no balance here: a credit is dropped."""
        amount = self.pending.pop(subscription["id"], 0)
        if amount != 0:
            invoice = self.bill(subscription, "subscription_update", max(amount, 0))
            for each in invoice["lines"]["data"]:
                each["parent"]["subscription_item_details"]["proration"] = True
            self.finish_invoice(invoice, paid=True)

    def bill(self, subscription: Obj, reason: str, amount: int) -> Obj:
        """Make a finalized invoice of a subscription."""
        invoice = self._invoice(subscription, reason, amount)
        subscription["latest_invoice"] = invoice["id"]
        self.emit("invoice.finalized", invoice)
        return invoice

    def _invoice(self, subscription: Obj, reason: str, amount: int) -> Obj:
        now = int(time.time())
        return self.add(
            "invoice",
            {
                "customer": subscription["customer"],
                "currency": subscription["currency"],
                "billing_reason": reason,
                "status": "open",
                "amount_due": amount,
                "amount_paid": 0,
                "amount_remaining": amount,
                "lines": {"object": "list", "data": [_line(subscription["items"]["data"][0], amount)]},
                "attempt_count": 0,
                "parent": {
                    "type": "subscription_details",
                    "subscription_details": {
                        "subscription": subscription["id"],
                        "metadata": subscription["metadata"],
                    },
                    "quote_details": None,
                },
                "status_transitions": {
                    "finalized_at": now,
                    "paid_at": None,
                    "voided_at": None,
                    "marked_uncollectible_at": None,
                },
            },
        )

    def finish_invoice(self, invoice: Obj, *, paid: bool) -> None:
        """Record a payment of the invoice, or its failure."""
        invoice["attempt_count"] += 1
        if not paid:
            self.emit("invoice.payment_failed", invoice)
            return
        if invoice["amount_remaining"]:
            self._paid(invoice, invoice["amount_remaining"])
        invoice["status"] = "paid"
        invoice["status_transitions"]["paid_at"] = int(time.time())
        self.emit("invoice.paid", invoice)

    def _paid(self, invoice: Obj, amount: int) -> None:
        intent = name("payment_intent")
        self._charge(intent, amount, invoice)
        payment = {"type": "payment_intent", "payment_intent": intent}
        self.add("invoice_payment", {"invoice": invoice["id"], "status": "paid", "payment": payment})
        invoice["amount_paid"] += amount
        invoice["amount_remaining"] -= amount

    def _stand(self, subscription: Obj, status: str) -> None:
        before = {"status": subscription["status"]}
        subscription["status"] = status
        self.emit("customer.subscription.updated", subscription, before)


def _line(item: Obj, amount: int) -> Obj:
    """Return the line of a subscription's item."""
    return {
        "object": "line_item",
        "amount": amount,
        "parent": {
            "type": "subscription_item_details",
            "subscription_item_details": {"subscription_item": item["id"], "proration": False},
        },
        "pricing": {
            "type": "price_details",
            "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
        },
    }


def _subscription_of(invoice: Obj) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])
