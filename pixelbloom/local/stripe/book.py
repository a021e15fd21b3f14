"""Checkouts and subscriptions of the stand-in for Stripe."""

import json
import time
from collections.abc import Mapping
from typing import Any

from pixelbloom.local.stripe.discounts import PERIODS
from pixelbloom.local.stripe.invoices import Invoices
from pixelbloom.local.stripe.objects import Obj, Refused, name


class Book(Invoices):
    """The books of the stand-in: what is bought, renewed, changed and ended."""

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
            later = later and not subscription["trial_end"]
            invoice = self.bill(
                subscription, "subscription_create", 0 if subscription["trial_end"] else session["amount_total"]
            )
            if not subscription["trial_end"]:
                self._end_discounts(subscription)
            session |= {"invoice": invoice["id"], "payment_status": "unpaid" if later else "paid"}
            if subscription["trial_end"]:
                session |= {"amount_total": 0, "amount_subtotal": 0, "payment_status": "no_payment_required"}
            self.emit("customer.subscription.created", subscription)
            if not later:
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
        if session["mode"] == "subscription":
            self.finish_invoice(self.get("invoice", session["invoice"]), paid=paid)
            if not paid:
                self._stand(self.get("subscription", session["subscription"]), "past_due")
        elif paid:
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
        self.bill_pending(subscription)
        amount = self.due(subscription)
        invoice = self.bill(subscription, "subscription_cycle", amount)
        self._end_discounts(subscription)
        self.finish_invoice(invoice, paid=paid)
        self._stand(subscription, "active" if paid else "past_due")
        return invoice

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
        unchanged, cost = json.loads(json.dumps(subscription)), self.due(subscription)
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
        if "items" in before and "proration_behavior" in params:
            self._prorate(subscription, unchanged, cost, at_once=params["proration_behavior"] == "always_invoice")
        self.emit("customer.subscription.updated", subscription, before)
        return subscription

    def _prorate(self, subscription: Obj, unchanged: Obj, cost: int, *, at_once: bool) -> None:
        """Charge a changed price for the rest of the period, less what was paid. A declined card undoes all."""
        if subscription["status"] == "trialing":
            return
        item, old, now = subscription["items"]["data"][0], unchanged["items"]["data"][0], int(time.time())
        whole = old["current_period_end"] - old["current_period_start"]
        rest = min(max(old["current_period_end"] - now, 0), whole)
        part = rest / whole
        if _period(item["price"]) != _period(old["price"]):
            item |= {"current_period_start": now, "current_period_end": now + _period(item["price"])}
            amount = self.due(subscription) - round(cost * part)
        else:
            amount = round((self.due(subscription) - cost) * part)
        if at_once and amount > 0 and subscription["customer"] in self.declining:
            subscription |= unchanged
            raise Refused("Your card was declined.", status=402, code="card_declined", kind="card_error")
        self.pending[subscription["id"]] = self.pending.get(subscription["id"], 0) + amount
        if at_once:
            self.bill_pending(subscription)

    def end(self, subscription: Obj, *, final_invoice: bool = False) -> Obj:
        """Cancel it now. What is not billed yet is dropped without a final invoice."""
        now = int(time.time())
        self._running(subscription["id"])
        if final_invoice:
            self.bill_pending(subscription)
        subscription |= {"status": "canceled", "ended_at": now, "canceled_at": now}
        self.emit("customer.subscription.deleted", subscription)
        return subscription

    def _subscribe(self, session: Obj) -> Obj:
        now = int(time.time())
        [line] = session["line_items"]
        price = self.get("price", line["price"])
        trial = int(session["subscription_data"].get("trial_period_days") or 0) * PERIODS["day"]
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
                "currency": session["currency"],
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

    def _running(self, subscription_id: str) -> Obj:
        found = self.get("subscription", subscription_id)
        if found["status"] == "canceled":
            raise Refused("A canceled subscription can only update its cancellation_details and metadata.")
        return found


def _period(price: Obj) -> int:
    return int(PERIODS[price["recurring"]["interval"]] * price["recurring"].get("interval_count", 1))
