"""Charges of the stand-in for Stripe, their refunds and disputes."""

from pixelbloom.local.stripe.objects import Obj, Objects, Refused


class Charges(Objects):
    """Money received, returned and disputed."""

    def refund(self, charge: Obj, amount: int | None) -> Obj:
        """Refund all of a charge, or a part of it."""
        before = charge["amount_refunded"]
        amount = min(amount or charge["amount"], charge["amount"] - before)
        made = {name: charge[name] for name in ("currency", "payment_intent")}
        refund = self.add("refund", {**made, "charge": charge["id"], "amount": amount, "status": "succeeded"})
        self._refunded(charge, amount)
        self.emit("refund.created", refund)
        self.emit("charge.refunded", charge, {"amount_refunded": before})
        return charge

    def fail_refund(self, refund: Obj) -> Obj:
        """Fail a refund, as when the bank returns it."""
        if refund["status"] == "failed":
            raise Refused("The refund has failed already.")
        refund["status"] = "failed"
        self._refunded(self.get("charge", refund["charge"]), -refund["amount"])
        self.emit("refund.failed", refund)
        self.emit("charge.refund.updated", refund)
        return refund

    def _refunded(self, charge: Obj, amount: int) -> None:
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def dispute(self, charge: Obj) -> Obj:
        """Open a dispute; the money is withdrawn until it is decided."""
        made = {name: charge[name] for name in ("amount", "currency", "payment_intent")}
        dispute = self.add("dispute", {**made, "charge": charge["id"], "status": "needs_response"})
        self.emit("charge.dispute.created", dispute)
        self.emit("charge.dispute.funds_withdrawn", dispute)
        return dispute

    def close_dispute(self, dispute: Obj, *, won: bool) -> Obj:
        """Close a dispute; the money returns if it was won."""
        dispute["status"] = "won" if won else "lost"
        if won:
            self.emit("charge.dispute.funds_reinstated", dispute)
        self.emit("charge.dispute.closed", dispute)
        return dispute

    def charge_of(self, object_id: str) -> Obj:
        """Return the charge of an invoice or of a checkout session. Raises Refused."""
        paid = [p for p in self.objects["invoice_payment"].values() if p["invoice"] == object_id]
        session = self.objects["checkout.session"].get(object_id, {})
        intent = paid[-1]["payment"]["payment_intent"] if paid else session.get("payment_intent")
        for charge in self.objects["charge"].values():
            if intent is not None and charge["payment_intent"] == intent:
                return charge
        raise Refused("Nothing was paid for it.")

    def _charge(self, intent: str, amount: int, paid_for: Obj) -> Obj:
        return self.add(
            "charge",
            {
                "amount": amount,
                "amount_refunded": 0,
                "refunded": False,
                "currency": paid_for["currency"],
                "customer": paid_for["customer"],
                "payment_intent": intent,
                "paid": True,
                "status": "succeeded",
            },
        )
