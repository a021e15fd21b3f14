"""States of Stripe objects, reduced to what we store: no card data, no names, no postal addresses.

A StripeObjectState is a snapshot of one object at the time of an event: {"id", "kind", "subject", "at", "rank",
"body"}. `subject` is the object's subscription, or the checkout session of a single purchase; None if the event has
neither. Amounts are in the smallest unit of the currency. Events have the API version of their endpoint: older formats
are parsed too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args

from pixelbloom.core.statuses import SubscriptionStatus
from pixelbloom.payments.discounts import due
from pixelbloom.payments.values import (
    amount,
    currency,
    invoiced_price,
    mapping,
    moment,
    one_of,
    optional_moment,
    owed,
    priced,
    reading,
    reference,
    text,
)

StripeObjectState = dict[str, Any]

#: The keys of our metadata at a checkout; others are dropped.
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
INVOICE_STATUSES = ("draft", "open", "uncollectible", "void", "paid")
#: Of two events of one second, the one with the later status is the later; a paid invoice does not change.
_INVOICE_RANKS = {status: rank for rank, status in enumerate((*INVOICE_STATUSES, "deleted"))}
REFUND_STATUSES = ("pending", "requires_action", "succeeded", "failed", "canceled")


class Kind(NamedTuple):
    """The parser of an event's object, and the rank that orders events of the same second."""

    read: Callable[[Mapping[str, Any], str], StripeObjectState | None]
    rank: int


def read(event: Mapping[str, Any]) -> StripeObjectState | None:
    """Return the object state in an event; None for unhandled types. Raises MalformedObject."""
    kind = HANDLED.get(str(event.get("type")))
    if kind is None:
        return None
    with reading(str(event["type"])):
        state = kind.read(event["data"]["object"], event["type"])
        if state is None:
            return None
        if state["kind"] == "charge":
            before = mapping(event["data"].get("previous_attributes")).get("amount_refunded")
            state["body"]["notified_amount"] = max(state["body"]["amount_refunded"] - amount(before or 0), 0)
        return {"at": moment(event["created"]), "rank": kind.rank, **state}


def subscription(item: Mapping[str, Any], _: str = "") -> StripeObjectState:
    """Return the state of a subscription; its price is the total of its items, which may differ in intervals."""
    parts = [priced(part) for part in item["items"]["data"]]
    first = item["items"]["data"][0]
    status, start, trial_end = item["status"], moment(item["start_date"]), optional_moment(item.get("trial_end"))
    trial_start = optional_moment(item.get("trial_start"))
    later_trial = trial_start is not None and trial_start > start
    cancel_at, at_period_end = optional_moment(item.get("cancel_at")), bool(item.get("cancel_at_period_end"))
    period_end = optional_moment(first.get("current_period_end", item.get("current_period_end")))
    own = currency(first["price"]["currency"])
    charged = currency(item.get("currency") or own)
    body = {
        "customer": reference(item.get("customer")),
        "status": one_of(get_args(SubscriptionStatus), _STATUS.get(status, status)),
        "never_paid": True if status == "incomplete_expired" else None,
        "price": text(first["price"]["id"]),
        "currency": charged,
        "interval": parts[0]["interval"],
        "interval_count": parts[0]["interval_count"],
        "start": start,
        # A later trial moves the next payment of a paid subscription.
        "trial_end": None if later_trial else trial_end,
        "later_trial": later_trial or None,
        "ended": optional_moment(item.get("ended_at")),
        "period_end": period_end,
        "cancel_at_period_end": at_period_end,
        "cancel_at": cancel_at,
    }
    if "discounts" in item or "discount" in item:
        body["discounted"] = bool(item.get("discounts") or item.get("discount"))
    # Of a price in several currencies, the amount is known only for its own.
    if all(part["amount"] is not None for part in parts) and charged == own:
        body["amount"] = sum(part["amount"] for part in parts)
        if (total := due(item, [part["amount"] for part in parts], trial_end)) is not None:
            body["notified_amount"] = total
        if len({(part["interval"], part["interval_count"]) for part in parts}) > 1:
            body["items"] = parts
    ends = cancel_at if cancel_at is not None else period_end if at_period_end else None
    if trial_end is not None and ends is not None and ends <= trial_end:
        body["ends_in_trial"], body["notified_amount"] = True, 0
    return _object_state(item, "subscription", text(item["id"]), body)


def _checkout(item: Mapping[str, Any], kind: str) -> StripeObjectState | None:
    """Return the state of a checkout session; None if it only stores a payment method and sells nothing."""
    if item["mode"] == "setup":
        return None
    mode = one_of(("payment", "subscription"), item["mode"])
    session = text(item["id"])
    body = {
        "mode": mode,
        "state": _state(kind, item.get("payment_status")),
        "customer": reference(item.get("customer")),
        "payment_intent": reference(item.get("payment_intent")),
        "invoice": reference(item.get("invoice")),
        "user": _matching(_USER, item.get("client_reference_id")),
        "email": _matching(_EMAIL, (item.get("customer_details") or {}).get("email") or item.get("customer_email")),
        "currency": currency(item["currency"]),
        "amount_subtotal": amount(item["amount_subtotal"]),
        "amount_discount": amount((item.get("total_details") or {}).get("amount_discount") or 0),
        "notified_amount": amount(item["amount_total"]),
        "created": moment(item["created"]),
        "metadata": _own_metadata(item.get("metadata") or {}),
    }
    expired = body["state"] == "expired"
    subject = reference(item.get("subscription")) if mode == "subscription" else session
    return _object_state(item, "checkout", subject if subject or not expired else None, body)


def invoice_fetched(item: Mapping[str, Any]) -> StripeObjectState:
    """Return the state of an invoice from Stripe's API, with its subject. Raises MalformedObject."""
    with reading("an invoice"):
        return invoice(item)


def invoice(item: Mapping[str, Any], kind: str = "") -> StripeObjectState:
    """Return the state of an invoice.

    Events of one second are ordered by status, then in the database by what is paid; `created` precedes its equals.
    """
    parent = (item.get("parent") or {}).get("subscription_details") or {}
    moments = mapping(item.get("status_transitions"))
    status = "deleted" if kind == "invoice.deleted" else one_of(INVOICE_STATUSES, item["status"])
    demanded, paid = owed(item["amount_due"]), amount(item["amount_paid"])
    if status == "paid" and paid == 0 and item.get("paid_out_of_band"):
        # In versions of the API before 2025-03-31, `amount_paid` has only what Stripe received.
        paid = demanded
    body = {
        "customer": reference(item.get("customer")),
        "status": status,
        "currency": currency(item["currency"]),
        "amount_due": demanded,
        "amount_paid": paid,
        "price": invoiced_price(item.get("lines")),
        "notified_amount": paid if status == "paid" else demanded,
        "issued": (issued := optional_moment(moments.get("finalized_at") or item.get("created"))),
        # Versions of the API before 2019-03-14 have no status_transitions.
        "paid": optional_moment(moments.get("paid_at")) or (issued if status == "paid" else None),
        # In versions of the API before 2025-03-31.
        "payment_intent": reference(item.get("payment_intent")),
        "charge": reference(item.get("charge")),
    }
    subject = reference(parent.get("subscription") or item.get("subscription"))
    return _object_state(item, "invoice", subject, body) | {
        "rank": 2 * _INVOICE_RANKS[status] + (kind != "invoice.created")
    }


def _refund(item: Mapping[str, Any], kind: str) -> StripeObjectState:
    """Return the state of a refund or of its charge: both come with these event types."""
    if "amount_refunded" in item:
        return _charge(item, kind)
    status = one_of(REFUND_STATUSES, item.get("status") or "succeeded")
    body = {
        "charge": reference(item.get("charge")),
        "payment_intent": reference(item.get("payment_intent")),
        "currency": currency(item["currency"]),
        "amount": amount(item["amount"]),
        "notified_amount": amount(item["amount"]),
        "status": status,
        "created": moment(item["created"]),
    }
    # A failed refund remains failed: within a second that is the later event.
    return _object_state(item, "refund", None, body) | {"rank": REFUND_STATUSES.index(status)}


def _charge(item: Mapping[str, Any], kind: str) -> StripeObjectState:
    refunded = amount(item["amount_refunded"])
    body = {
        "payment_intent": reference(item.get("payment_intent")),
        "invoice": reference(item.get("invoice")),
        "currency": currency(item["currency"]),
        "amount_refunded": refunded,
    }
    # `charge.refunded` increases the amount: within a second, the larger is the later. Others may reduce it again.
    part = 1000 * refunded // max(amount(item["amount"]), 1)
    return _object_state(item, "charge", None, body) | {"rank": min(part, 1000) if kind == "charge.refunded" else 1001}


def _dispute(item: Mapping[str, Any], kind: str) -> StripeObjectState:
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
        "notified_amount": amount(item["amount"]),
        "funds": funds,
    }
    return _object_state(item, "dispute", None, body)


#: Within a second, no event comes after the end.
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
#: Rank of responses of the API: within a second, only the end replaces one without asking Stripe.
RESPONSE_RANK = 1


def from_response(item: Mapping[str, Any], at: int) -> StripeObjectState:
    """Return the state of a subscription in a response of Stripe's API, `at` in seconds. Raises MalformedObject."""
    with reading("a subscription"):
        state = subscription(item)
        # A cancelled subscription remains cancelled.
        rank = END_RANK if state["body"]["status"] == "cancelled" else RESPONSE_RANK
        return state | {"at": at, "rank": rank, "answer": True}


def _object_state(item: Mapping[str, Any], kind: str, subject: str | None, body: dict[str, Any]) -> StripeObjectState:
    known = {name: value for name, value in body.items() if value is not None}
    return {"id": text(item["id"]), "kind": kind, "subject": subject, "body": known}


def _state(kind: str, payment_status: object) -> str:
    if kind.endswith("expired"):
        return "expired"
    if kind.endswith("failed"):
        return "failed"
    return "paid" if kind.endswith("succeeded") or payment_status in ("paid", "no_payment_required") else "open"


def _matching(pattern: str, value: object) -> str | None:
    """Return untrusted text if it matches the pattern, else None."""
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def _own_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value
        for name, pattern in METADATA.items()
        if (value := _matching(pattern, metadata.get(name))) is not None
    }
