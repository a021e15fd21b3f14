"""The objects of the stand-in for Stripe, and their changes, under one lock."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

Obj = dict[str, Any]
KINDS = (
    *("product", "price", "customer", "coupon", "discount", "checkout.session", "subscription"),
    *("subscription_schedule", "invoice", "invoice_payment", "charge", "refund", "dispute"),
    *("billing_portal.session", "event"),
)
_PREFIX = {
    "product": "prod",
    "price": "price",
    "customer": "cus",
    "coupon": "coupon",
    "discount": "di",
    "checkout.session": "cs_test",
    "subscription": "sub",
    "subscription_item": "si",
    "subscription_schedule": "sub_sched",
    "invoice": "in",
    "invoice_payment": "inpay",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "billing_portal.session": "bps",
    "event": "evt",
}
#: The version of the API that has these shapes.
API_VERSION = "2026-10-28.endive"
_PERIODS = {"day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}


class Refused(Exception):
    """An error as Stripe returns it."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "type": kind or "invalid_request_error",
            "message": message,
            **({"code": code} if code else {}),
            **({"param": param} if param else {}),
        }


class Book:
    """All objects by kind and id, in the order in which they were made. `publish` is called with each event."""

    def __init__(self, publish: Callable[[Obj], None], path: Path | None = None) -> None:
        self._publish = publish
        self._path = path
        self.lock = threading.RLock()
        self.objects: dict[str, dict[str, Obj]] = {kind: {} for kind in KINDS}
        if path is not None and path.exists():
            self.objects |= json.loads(path.read_text())

    def save(self) -> None:
        """Store all objects, so that a restart loses nothing."""
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self.objects))
            new.replace(self._path)

    def add(self, kind: str, values: Mapping[str, Any], object_id: str | None = None) -> Obj:
        """Add a new object."""
        made = {
            "id": object_id or name(kind),
            "object": kind,
            "created": int(time.time()),
            "livemode": False,
            "metadata": {},
            **values,
        }
        self.objects[kind][made["id"]] = made
        return made

    def get(self, kind: str, object_id: str, param: str = "id") -> Obj:
        """Return an object. Raises Refused if there is none."""
        found = self.objects[kind].get(object_id)
        if found is None:
            status = 404 if param == "id" else 400
            raise Refused(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)
        return found

    def emit(self, kind: str, item: Obj, previous: Obj | None = None) -> Obj:
        """Publish an event with the object as it is now."""
        data: Obj = {"object": json.loads(json.dumps(item))}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.add(
            "event",
            {
                "type": kind,
                "api_version": API_VERSION,
                "data": data,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
            },
        )
        self._publish(event)
        return event

    # Changes

    def pay(self, session_id: str, outcome: str) -> Obj:
        """End a checkout as a visitor does: paid, declined, async (paid later), async_paid or async_failed."""
        session = self.get("checkout.session", session_id)
        if outcome.startswith("async_"):
            return self._paid_later(session, outcome == "async_paid")
        if session["status"] == "open" and session["expires_at"] <= time.time():
            self.expire(session)
        if session["status"] != "open":
            raise Refused("This checkout is not open any more.")
        if outcome == "declined":
            raise Refused("Your card was declined.", status=402, code="card_declined", kind="card_error")
        session |= {"status": "complete", "customer": session["customer"] or self._customer(session)["id"]}
        session["customer_details"] = {"email": session["customer_email"] or "visitor@example.com", "name": None}
        later = outcome == "async"
        if session["mode"] == "subscription":
            subscription = self._subscribe(session)
            session["subscription"] = subscription["id"]
            invoice = self.bill(
                subscription, "subscription_create", 0 if subscription["trial_end"] else session["amount_total"]
            )
            if not subscription["trial_end"]:
                self._end_discounts(subscription)
            session |= {"invoice": invoice["id"], "payment_status": "paid"}
            if subscription["trial_end"]:
                session |= {"amount_total": 0, "amount_subtotal": 0, "payment_status": "no_payment_required"}
            self.emit("customer.subscription.created", subscription)
            self.finish_invoice(invoice, paid=True)
        else:
            session |= {"payment_intent": name("payment_intent"), "payment_status": "unpaid" if later else "paid"}
            if not later:
                self._charge(session["payment_intent"], session["amount_total"], session)
        self.emit("checkout.session.completed", session)
        return session

    def _paid_later(self, session: Obj, paid: bool) -> Obj:
        if session["payment_status"] != "unpaid" or session["status"] != "complete":
            raise Refused("Nothing is to be paid for this checkout.")
        if paid:
            session["payment_status"] = "paid"
            self._charge(session["payment_intent"], session["amount_total"], session)
        self.emit(f"checkout.session.async_payment_{'succeeded' if paid else 'failed'}", session)
        return session

    def expire(self, session: Obj) -> Obj:
        """Expire a checkout."""
        if session["status"] != "open":
            raise Refused("Only an open checkout session can be expired.")
        session |= {"status": "expired", "url": None}
        self.emit("checkout.session.expired", session)
        return session

    def renew(self, subscription_id: str, *, paid: bool) -> Obj:
        """Begin the next period; its invoice is paid or fails."""
        subscription = self._running(subscription_id)
        item = subscription["items"]["data"][0]
        if subscription["cancel_at_period_end"]:
            return self.end(subscription)
        schedule = self.objects["subscription_schedule"].get(subscription.get("schedule") or "")
        if schedule is not None and len(schedule["phases"]) > 1:
            phase = schedule["phases"][-1]
            item["price"] = self.get("price", phase["items"][0]["price"])
            # A phase that names no discounts has those of the customer alone.
            self._discount(subscription, phase.get("discounts") or "")
            schedule["status"], subscription["schedule"] = "released", None
        period = _period(item["price"])
        item |= {
            "current_period_start": item["current_period_end"],
            "current_period_end": item["current_period_end"] + period,
        }
        self._end_discounts(subscription, billed=False)
        amount = self.due(subscription)
        invoice = self.bill(subscription, "subscription_cycle", amount)
        self._end_discounts(subscription)
        self.finish_invoice(invoice, paid=paid)
        self._stand(subscription, "active" if paid else "past_due")
        return invoice

    def pay_open_invoice(self, invoice_id: str) -> Obj:
        """Pay an invoice that failed before."""
        invoice = self.get("invoice", invoice_id)
        if invoice["status"] != "open":
            raise Refused("The invoice is not open.")
        self.finish_invoice(invoice, paid=True)
        self._stand(self.get("subscription", _subscription_of(invoice)), "active")
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
            "subtotal": _price_of(subscription),
            "total": total,
            "amount_due": total,
            "status": "draft",
        }

    def stand(self, subscription_id: str, kind: str) -> Obj:
        """Set the subscription's state to paused, resumed or trial_will_end."""
        subscription = self._running(subscription_id)
        if kind != "trial_will_end":
            subscription["status"] = "paused" if kind == "paused" else "active"
        self.emit(f"customer.subscription.{kind}", subscription)
        return subscription

    def update(self, subscription: Obj, params: Mapping[str, Any]) -> Obj:
        """Change the price, or cancel with the period."""
        self._running(subscription["id"])
        before: Obj = {}
        for change in params.get("items") or ():
            item = subscription["items"]["data"][0]
            if change.get("id") not in (None, item["id"]):
                raise Refused("No such subscription item", code="resource_missing", param="items[0][id]")
            before["items"] = json.loads(json.dumps(subscription["items"]))
            item["price"] = self.get("price", change["price"], "items[0][price]")
        if subscription["schedule"] and {"cancel_at_period_end", "cancel_at"} & set(params):
            raise Refused("The subscription is managed by a schedule; update that instead.")
        if "cancel_at_period_end" in params and "cancel_at" in params:
            raise Refused("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
        if "cancel_at_period_end" in params:
            before["cancel_at_period_end"] = subscription["cancel_at_period_end"]
            wanted = params["cancel_at_period_end"] == "true"
            period_end = subscription["items"]["data"][0]["current_period_end"]
            if wanted or subscription["cancel_at_period_end"]:  # an end by date stays
                subscription["cancel_at"] = period_end if wanted else None
            subscription["cancel_at_period_end"] = wanted
        if "cancel_at" in params:
            # As with flexible billing: a date, and not the period.
            before["cancel_at"] = subscription["cancel_at"]
            wanted_at = int(params["cancel_at"]) if params["cancel_at"] else None
            subscription |= {"cancel_at_period_end": False, "cancel_at": wanted_at}
        if "discounts" in params and params["discounts"] != []:
            before["discounts"] = list(subscription["discounts"])
            self._discount(subscription, params["discounts"])
        subscription["metadata"] |= params.get("metadata") or {}
        self.emit("customer.subscription.updated", subscription, before)
        return subscription

    def end(self, subscription: Obj) -> Obj:
        """Cancel it now."""
        now = int(time.time())
        self._running(subscription["id"])
        subscription |= {"status": "canceled", "ended_at": now, "canceled_at": now}
        self.emit("customer.subscription.deleted", subscription)
        return subscription

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

    # Helpers

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
        invoice |= {"status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0}
        invoice["status_transitions"]["paid_at"] = int(time.time())
        if invoice["amount_due"]:
            intent = name("payment_intent")
            self._charge(intent, invoice["amount_due"], invoice)
            self.add(
                "invoice_payment",
                {
                    "invoice": invoice["id"],
                    "status": "paid",
                    "payment": {"type": "payment_intent", "payment_intent": intent},
                },
            )
        self.emit("invoice.paid", invoice)

    def due(self, subscription: Obj) -> int:
        """Return the price of a period of a subscription."""
        coupons = [self.get("discount", name)["source"] for name in subscription["discounts"]]
        product = subscription["items"]["data"][0]["price"]["product"]
        return self.discounted(_price_of(subscription), coupons, product)

    def _discount(self, subscription: Obj, wanted: Any) -> None:
        """Set the discounts of a subscription: by coupon, or by the id of an existing one."""
        names = []
        for each in wanted or ():
            if "discount" in each:
                names.append(self.get("discount", each["discount"], "discounts[0][discount]")["id"])
                continue
            coupon, now = self.get("coupon", each["coupon"], "discounts[0][coupon]"), int(time.time())
            months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
            values = {
                "source": {"type": "coupon", "coupon": coupon["id"]},
                "subscription": subscription["id"],
                "start": now,
                "end": now + months * _PERIODS["month"] if months else None,
            }
            names.append(self.add("discount", values)["id"])
        subscription["discounts"] = names

    def _end_discounts(self, subscription: Obj, *, billed: bool = True) -> None:
        """Drop ended discounts: those for one invoice, and those with their months before this period."""
        start = subscription["items"]["data"][0]["current_period_start"]

        def lasts(name: str) -> bool:
            discount = self.get("discount", name)
            once = self.get("coupon", discount["source"]["coupon"])["duration"] == "once"
            return not (once and billed) and (discount["end"] is None or discount["end"] > start)

        subscription["discounts"] = [name for name in subscription["discounts"] if lasts(name)]

    def discounted(self, amount: int, discounts: list[Obj], product: str) -> int:
        """Return an amount for a product after discounts, rounded half up."""
        for discount in discounts:
            coupon = self.get("coupon", discount["coupon"], "discounts[0][coupon]")
            if product not in (coupon.get("applies_to") or {"products": [product]})["products"]:
                continue
            if coupon["percent_off"] is not None:
                hundredths = round(coupon["percent_off"] * 100)
                amount -= (amount * hundredths + 5000) // 10_000
            else:
                amount -= min(amount, coupon["amount_off"])
        return amount

    def _subscribe(self, session: Obj) -> Obj:
        now = int(time.time())
        [line] = session["line_items"]
        price = self.get("price", line["price"])
        trial = int(session["subscription_data"].get("trial_period_days") or 0) * _PERIODS["day"]
        item = {
            "id": name("subscription_item"),
            "object": "subscription_item",
            "price": price,
            "quantity": line["quantity"],
            "current_period_start": now,
            "current_period_end": now + (trial or _period(price)),
        }
        made = self.add(
            "subscription",
            {
                "customer": session["customer"],
                "status": "trialing" if trial else "active",
                "currency": price["currency"],
                "items": {"object": "list", "data": [item], "has_more": False, "url": "/v1/subscription_items"},
                "start_date": now,
                "trial_end": now + trial if trial else None,
                "ended_at": None,
                "canceled_at": None,
                "cancel_at": None,
                "cancel_at_period_end": False,
                "schedule": None,
                "discounts": [],
                "metadata": dict(session["subscription_data"].get("metadata") or {}),
            },
        )
        self._discount(made, session["discounts"])
        return made

    def _customer(self, session: Obj) -> Obj:
        return self.add("customer", {"email": session["customer_email"] or "visitor@example.com", "name": None})

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

    def _stand(self, subscription: Obj, status: str) -> None:
        before = {"status": subscription["status"]}
        subscription["status"] = status
        self.emit("customer.subscription.updated", subscription, before)

    def _running(self, subscription_id: str) -> Obj:
        found = self.get("subscription", subscription_id)
        if found["status"] == "canceled":
            raise Refused("A canceled subscription can only update its cancellation_details and metadata.")
        return found


def name(kind: str) -> str:
    """Return a new id."""
    return f"{_PREFIX[kind]}_{uuid4().hex[:24]}"


def _period(price: Obj) -> int:
    return int(_PERIODS[price["recurring"]["interval"]] * price["recurring"].get("interval_count", 1))


def _price_of(subscription: Obj) -> int:
    return sum(item["price"]["unit_amount"] * item["quantity"] for item in subscription["items"]["data"])


def _subscription_of(invoice: Obj) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])
