"""What an event of Stripe says, reduced to what we keep: nothing of a card, no names, no addresses.

A fact is the state of one object at the event's own time: {"id", "kind", "subject", "at", "rank", "body"}. `subject`
is the subscription that it belongs to, of a single purchase the checkout session; None where the event does not say.
Amounts are in the smallest unit of the currency. Events come in the API version of their endpoint: older shapes are
read too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pixelbloom.payments.discounts import due
from pixelbloom.payments.items import priced
from pixelbloom.payments.values import (
    amount,
    currency,
    mapping,
    moment,
    one_of,
    optional_moment,
    owed,
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
    "discount_months": r"[1-9][0-9]{0,2}",
    "redemption_key": r"[!-~]{1,255}",
}
_USER = METADATA["user_id"]
_EMAIL = r"[^@\s\x00-\x1f\ud800-\udfff]{1,200}@[^@\s\x00-\x1f\ud800-\udfff]{1,200}"
_STATUS = {"canceled": "cancelled", "incomplete_expired": "cancelled"}
_STATUSES = ("incomplete", "trialing", "active", "past_due", "paused", "unpaid", "cancelled")
_INVOICE_STATUSES = ("draft", "open", "uncollectible", "void", "paid")
#: Of two events of one second the one of the later status is the later; a paid one changes no more.
_INVOICE_RANKS = {status: rank for rank, status in enumerate((*_INVOICE_STATUSES, "deleted"))}
_REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


class Kind(NamedTuple):
    """How the object of an event is read, and which of two events of the same second is the later one."""

    read: Callable[[Mapping[str, Any], str], Fact | None]
    rank: int


def read(event: Mapping[str, Any]) -> Fact | None:
    """The fact that an event tells; None for what we do not handle. Raises MalformedObject."""
    kind = HANDLED.get(str(event.get("type")))
    if kind is None:
        return None
    with reading(str(event["type"])):
        fact = kind.read(event["data"]["object"], event["type"])
        if fact is None:
            return None
        if fact["kind"] == "charge":
            before = mapping(event["data"].get("previous_attributes")).get("amount_refunded")
            fact["body"]["told_amount"] = max(fact["body"]["amount_refunded"] - amount(before or 0), 0)
        return {"at": moment(event["created"]), "rank": kind.rank, **fact}


def subscription(item: Mapping[str, Any], _: str = "") -> Fact:
    """A subscription; its price is that of all its items, each of which may have an interval of its own."""
    parts = [priced(part) for part in item["items"]["data"]]
    first = item["items"]["data"][0]
    status, start, trial_end = item["status"], moment(item["start_date"]), optional_moment(item.get("trial_end"))
    trial_start = optional_moment(item.get("trial_start"))
    cancel_at, at_period_end = optional_moment(item.get("cancel_at")), bool(item.get("cancel_at_period_end"))
    period_end = optional_moment(first.get("current_period_end", item.get("current_period_end")))
    body = {
        "customer": reference(item.get("customer")),
        "status": one_of(_STATUSES, _STATUS.get(status, status)),
        "never_paid": True if status == "incomplete_expired" else None,
        "price": text(first["price"]["id"]),
        "currency": currency(first["price"]["currency"]),
        "interval": parts[0]["interval"],
        "interval_count": parts[0]["interval_count"],
        "start": start,
        # A later trial moves the next payment of a subscription that is paid for already.
        "trial_end": trial_end if trial_start is None or trial_start <= start else None,
        "ended": optional_moment(item.get("ended_at")),
        "period_end": period_end,
        "cancel_at_period_end": at_period_end,
        "cancel_at": cancel_at,
    }
    if "discounts" in item or "discount" in item:
        body["discounted"] = bool(item.get("discounts") or item.get("discount"))
    if all(part["amount"] is not None for part in parts):
        body["amount"] = sum(part["amount"] for part in parts)
        body["told_amount"] = due(item, [part["amount"] for part in parts], trial_end)
        if len({(part["interval"], part["interval_count"]) for part in parts}) > 1:
            body["items"] = parts
    ends = cancel_at if cancel_at is not None else period_end if at_period_end else None
    if trial_end is not None and ends is not None and ends <= trial_end:
        body["ends_in_trial"], body["told_amount"] = True, 0
    return _fact(item, "subscription", text(item["id"]), body)


def _checkout(item: Mapping[str, Any], kind: str) -> Fact | None:
    """A checkout session; None for one that only stores a payment method: it sells nothing."""
    if item["mode"] == "setup":
        return None
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


def invoice(item: Mapping[str, Any], kind: str = "") -> Fact:
    """An invoice, and whose. Of one second the later status is the later event; of one status `created` is first."""
    parent = (item.get("parent") or {}).get("subscription_details") or {}
    moments = mapping(item.get("status_transitions"))
    status = "deleted" if kind == "invoice.deleted" else one_of(_INVOICE_STATUSES, item["status"])
    body = {
        "customer": reference(item.get("customer")),
        "status": status,
        "currency": currency(item["currency"]),
        "amount_due": owed(item["amount_due"]),
        "amount_paid": amount(item["amount_paid"]),
        "told_amount": owed(item["amount_paid"] if status == "paid" else item["amount_due"]),
        "issued": (issued := optional_moment(moments.get("finalized_at") or item.get("created"))),
        # Versions of the API before 2019-03-14 have no status_transitions.
        "paid": optional_moment(moments.get("paid_at")) or (issued if status == "paid" else None),
        # As versions of the API before 2025-03-31 write it.
        "payment_intent": reference(item.get("payment_intent")),
        "charge": reference(item.get("charge")),
    }
    subject = reference(parent.get("subscription") or item.get("subscription"))
    return _fact(item, "invoice", subject, body) | {"rank": 2 * _INVOICE_RANKS[status] + (kind != "invoice.created")}


def _refund(item: Mapping[str, Any], kind: str) -> Fact:
    """A refund, or the charge of one: both are sent under such names."""
    if "amount_refunded" in item:
        return _charge(item, kind)
    status = one_of(_REFUND_STATUSES, item.get("status") or "succeeded")
    body = {
        "charge": reference(item.get("charge")),
        "payment_intent": reference(item.get("payment_intent")),
        "currency": currency(item["currency"]),
        "amount": amount(item["amount"]),
        "told_amount": amount(item["amount"]),
        "status": status,
        "created": moment(item["created"]),
    }
    # A refund that failed stays so; of one second that is the later event.
    return _fact(item, "refund", None, body) | {"rank": _REFUND_STATUSES.index(status)}


def _charge(item: Mapping[str, Any], kind: str) -> Fact:
    refunded = amount(item["amount_refunded"])
    body = {
        "payment_intent": reference(item.get("payment_intent")),
        "invoice": reference(item.get("invoice")),
        "currency": currency(item["currency"]),
        "amount_refunded": refunded,
    }
    # With `charge.refunded` more was refunded: of one second, the larger is the later. Others may lower it again.
    part = 1000 * refunded // max(amount(item["amount"]), 1)
    return _fact(item, "charge", None, body) | {"rank": min(part, 1000) if kind == "charge.refunded" else 1001}


def _dispute(item: Mapping[str, Any], kind: str) -> Fact:
    status = item.get("status")
    funds = None
    if kind.endswith("funds_withdrawn") or status == "lost":
        funds = "withdrawn"
    elif kind.endswith("funds_reinstated") or status in ("won", "warning_closed", "prevented"):
        funds = "reinstated"
    body = {
        "charge": reference(item.get("charge")),
        "payment_intent": reference(item.get("payment_intent")),
        "currency": currency(item["currency"]),
        "amount": amount(item["amount"]),
        "told_amount": amount(item["amount"]),
        "funds": funds,
    }
    return _fact(item, "dispute", None, body)


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
    **dict.fromkeys(
        (
            *("invoice.created", "invoice.updated", "invoice.finalized", "invoice.deleted", "invoice.voided"),
            *("invoice.marked_uncollectible", "invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed"),
            "invoice.payment_action_required",
        ),
        Kind(invoice, 0),
    ),
    **dict.fromkeys(
        (
            *("charge.refunded", "charge.refund.updated"),
            *("refund.created", "refund.updated", "refund.failed"),
        ),
        Kind(_refund, 0),
    ),
    "charge.dispute.created": Kind(_dispute, 0),
    "charge.dispute.updated": Kind(_dispute, 1),
    "charge.dispute.funds_withdrawn": Kind(_dispute, 2),
    "charge.dispute.funds_reinstated": Kind(_dispute, 3),
    "charge.dispute.closed": Kind(_dispute, 4),
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
