"""What an event of Stripe says, reduced to what we keep: nothing of a card, no names, no addresses.

A fact is the state of one object at the event's own time: {"id", "kind", "subject", "at", "rank", "body"}. `subject`
is the subscription that it belongs to, of a single purchase the checkout session; None where the event does not say.
Amounts are in the smallest unit of the currency. Events come in the API version of their endpoint: older shapes are
read too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pixelbloom.payments.values import (
    amount,
    currency,
    moment,
    one_of,
    optional_moment,
    reading,
    reference,
    text,
)

Fact = dict[str, Any]

#: Our own words in the metadata of a checkout; others' are left out.
METADATA = {
    "user_id": r"[0-9a-fA-F-]{36}",
    "package_id": r"[0-9a-fA-F-]{36}",
    "campaign_id": r"[0-9a-fA-F-]{36}",
    "price_id": r"[!-~]{1,255}",
    "discount_type": r"percentage|fixed",
    "discount_value": r"[0-9]{1,10}(\.[0-9]{1,3})?",
    "redemption_key": r"[!-~]{1,255}",
}
_USER = METADATA["user_id"]
_EMAIL = r"[^@\s\x00-\x1f\ud800-\udfff]{1,200}@[^@\s\x00-\x1f\ud800-\udfff]{1,200}"
_STATUS = {"canceled": "cancelled", "incomplete_expired": "cancelled"}
_STATUSES = ("incomplete", "trialing", "active", "past_due", "paused", "unpaid", "cancelled")
_INVOICE_STATUSES = ("draft", "open", "paid", "void", "uncollectible")


class Kind(NamedTuple):
    """How the object of an event is read, and which of two events of the same second is the later one."""

    read: Callable[[Mapping[str, Any], str], Fact]
    rank: int


def read(event: Mapping[str, Any]) -> Fact | None:
    """The fact that an event tells; None for types that we do not handle. Raises MalformedObject."""
    kind = HANDLED.get(str(event.get("type")))
    if kind is None:
        return None
    with reading(str(event["type"])):
        fact = kind.read(event["data"]["object"], event["type"])
        return {"at": moment(event["created"]), "rank": kind.rank, **fact}


def subscription(item: Mapping[str, Any], _: str = "") -> Fact:
    """A subscription; its price is that of all its items."""
    items = item["items"]["data"]
    first = items[0]["price"]
    prices = [part["price"].get("unit_amount") for part in items]
    body = {
        "customer": reference(item.get("customer")),
        "status": one_of(_STATUSES, _STATUS.get(item["status"], item["status"])),
        "price": text(first["id"]),
        "currency": currency(first["currency"]),
        "interval": "year" if (first.get("recurring") or {}).get("interval") == "year" else "month",
        "start": moment(item["start_date"]),
        "ended": optional_moment(item.get("ended_at")),
        "period_end": optional_moment(items[0].get("current_period_end", item.get("current_period_end"))),
        "cancel_at_period_end": bool(item.get("cancel_at_period_end")),
    }
    if all(price is not None for price in prices):
        body["amount"] = sum(
            amount(price) * amount(part.get("quantity") or 1) for price, part in zip(prices, items, strict=True)
        )
        body["told_amount"] = body["amount"]
    return _fact(item, "subscription", text(item["id"]), body)


def _checkout(item: Mapping[str, Any], kind: str) -> Fact:
    mode = one_of(("payment", "subscription"), item["mode"])
    session = text(item["id"])
    body = {
        "mode": mode,
        "state": _state(kind, item.get("payment_status")),
        "customer": reference(item.get("customer")),
        "payment_intent": reference(item.get("payment_intent")),
        "user": _matching(_USER, item.get("client_reference_id")),
        "email": _matching(_EMAIL, (item.get("customer_details") or {}).get("email") or item.get("customer_email")),
        "currency": currency(item["currency"]),
        "amount_subtotal": amount(item["amount_subtotal"]),
        "amount_discount": amount((item.get("total_details") or {}).get("amount_discount") or 0),
        "told_amount": amount(item["amount_total"]),
        "created": moment(item["created"]),
        "metadata": _ours(item.get("metadata") or {}),
    }
    expired = body["state"] == "expired"
    subject = reference(item.get("subscription")) if mode == "subscription" else session
    return _fact(item, "checkout", subject if subject or not expired else None, body)


def invoice_fetched(item: Mapping[str, Any]) -> Fact:
    """An invoice that Stripe's API returned, and whose. Raises MalformedObject."""
    with reading("an invoice"):
        return invoice(item)


def invoice(item: Mapping[str, Any], _: str = "") -> Fact:
    """An invoice, and whose."""
    parent = (item.get("parent") or {}).get("subscription_details") or {}
    moments = item.get("status_transitions") or {}
    paid = item["status"] == "paid"
    body = {
        "customer": reference(item.get("customer")),
        "status": one_of(_INVOICE_STATUSES, item["status"]),
        "currency": currency(item["currency"]),
        "amount_due": amount(item["amount_due"]),
        "amount_paid": amount(item["amount_paid"]),
        "told_amount": amount(item["amount_paid"] if paid else item["amount_due"]),
        "issued": optional_moment(moments.get("finalized_at") or item.get("created")),
        "paid": optional_moment(moments.get("paid_at")),
    }
    subject = reference(parent.get("subscription") or item.get("subscription"))
    return _fact(item, "invoice", subject, body)


def _refund(item: Mapping[str, Any], _: str) -> Fact:
    refunded = amount(item["amount_refunded"])
    body = {
        "payment_intent": reference(item.get("payment_intent")),
        "invoice": reference(item.get("invoice")),
        "currency": currency(item["currency"]),
        "amount_refunded": refunded,
        "told_amount": refunded,
        "refunded": bool(item["refunded"]),
    }
    # What is refunded only grows: of one second, the larger is the later.
    part = 1000 * refunded // max(amount(item["amount"]), 1)
    return _fact(item, "charge", None, body) | {"rank": min(part, 1000)}


def _dispute(item: Mapping[str, Any], _: str) -> Fact:
    body = {
        "payment_intent": reference(item.get("payment_intent")),
        "currency": currency(item["currency"]),
        "told_amount": amount(item["amount"]),
    }
    return _fact(item, "charge", None, body)


#: Of a second's events nothing comes after the end.
END_RANK = 9

HANDLED: dict[str, Kind] = {
    "checkout.session.completed": Kind(_checkout, 0),
    "checkout.session.async_payment_failed": Kind(_checkout, 1),
    "checkout.session.async_payment_succeeded": Kind(_checkout, 2),
    "checkout.session.expired": Kind(_checkout, 3),
    "customer.subscription.created": Kind(subscription, 0),
    "customer.subscription.trial_will_end": Kind(subscription, 1),
    "customer.subscription.updated": Kind(subscription, 2),
    "customer.subscription.paused": Kind(subscription, 3),
    "customer.subscription.resumed": Kind(subscription, 4),
    "customer.subscription.deleted": Kind(subscription, END_RANK),
    "invoice.finalized": Kind(invoice, 0),
    "invoice.payment_failed": Kind(invoice, 1),
    "invoice.paid": Kind(invoice, 2),
    "charge.refunded": Kind(_refund, 0),
    "charge.dispute.created": Kind(_dispute, 0),
}
#: Of what Stripe answers to our own call, or to the nightly look: events of the same second may be later.
ANSWER_RANK = 1


def answered(item: Mapping[str, Any], at: int) -> Fact:
    """The fact that an answer of Stripe's API tells about a subscription, `at` in seconds. Raises MalformedObject."""
    with reading("a subscription"):
        fact = subscription(item)
        # What is over stays over.
        rank = END_RANK if fact["body"]["status"] == "cancelled" else ANSWER_RANK
        return fact | {"at": at, "rank": rank, "answer": True}


def _fact(item: Mapping[str, Any], kind: str, subject: str | None, body: dict[str, Any]) -> Fact:
    kept = {name: value for name, value in body.items() if value is not None}
    return {"id": text(item["id"]), "kind": kind, "subject": subject, "body": kept}


def _state(kind: str, payment_status: object) -> str:
    if kind.endswith("expired"):
        return "expired"
    if kind.endswith("failed"):
        return "failed"
    return "paid" if kind.endswith("succeeded") or payment_status in ("paid", "no_payment_required") else "open"


def _matching(pattern: str, value: object) -> str | None:
    """A text that anybody may have written: left out where it is not of this form."""
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def _ours(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value
        for name, pattern in METADATA.items()
        if (value := _matching(pattern, metadata.get(name))) is not None
    }
