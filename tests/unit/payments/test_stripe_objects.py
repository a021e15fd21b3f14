"""What is read from checkouts, invoices, charges and refunds of Stripe."""

from typing import Any

import pytest

from pixelbloom.payments import stripe_state
from pixelbloom.payments.values import MalformedObject


def event(kind: str, item: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": "evt_1", "type": kind, "created": 1, "data": {"object": item, **data}}


INVOICE = {"id": "in_1", "status": "open", "currency": "usd", "amount_due": 100, "amount_paid": 0}


@pytest.mark.parametrize(
    ("kind", "status", "stored"),
    [
        ("invoice.created", "draft", "draft"),
        ("invoice.updated", "open", "open"),
        ("invoice.voided", "void", "void"),
        ("invoice.marked_uncollectible", "uncollectible", "uncollectible"),
        ("invoice.payment_succeeded", "paid", "paid"),
        ("invoice.payment_action_required", "open", "open"),
        ("invoice.deleted", "draft", "deleted"),
    ],
)
def test_every_event_of_an_invoice_moves_its_row(kind: str, status: str, stored: str) -> None:
    fact = stripe_state.read(event(kind, {**INVOICE, "status": status}))
    assert fact is not None
    assert fact["body"]["status"] == stored


def test_what_a_customer_has_in_credit_is_not_due() -> None:
    fact = stripe_state.read(event("invoice.created", {**INVOICE, "status": "draft", "amount_due": -700}))
    assert fact is not None
    assert (fact["body"]["amount_due"], fact["body"]["notified_amount"]) == (0, 0)


@pytest.mark.parametrize(
    ("moments", "paid"),
    [({"status_transitions": {"paid_at": 9, "finalized_at": 7}}, 9), ({"status_transitions": None}, 5), ({}, 5)],
)
def test_a_paid_invoice_has_a_time_of_payment_in_every_version_of_the_api(moments: dict[str, Any], paid: int) -> None:
    fact = stripe_state.read(event("invoice.paid", {**INVOICE, "status": "paid", "created": 5, **moments}))
    assert fact is not None
    assert fact["body"]["paid"] == paid
    assert "paid" not in (stripe_state.read(event("invoice.updated", {**INVOICE, "created": 5})) or {})["body"]


@pytest.mark.parametrize(
    ("invoice", "paid"),
    [
        # Before 2025-03-31 `amount_paid` had only what Stripe received.
        ({"status": "paid", "paid_out_of_band": True}, 100),
        ({"status": "paid", "paid_out_of_band": True, "amount_paid": 100}, 100),
        ({"status": "paid", "paid_out_of_band": False}, 0),
        ({"status": "open", "paid_out_of_band": True}, 0),
    ],
)
def test_what_was_paid_out_of_band_is_paid_in_every_version_of_the_api(invoice: dict[str, Any], paid: int) -> None:
    fact = stripe_state.read(event("invoice.updated", {**INVOICE, "created": 5, **invoice}))
    assert fact is not None
    assert fact["body"]["amount_paid"] == paid


def test_a_checkout_that_only_stores_a_card_is_ignored() -> None:
    session = {"id": "cs_1", "mode": "setup", "currency": None, "amount_total": None, "amount_subtotal": None}
    assert stripe_state.read(event("checkout.session.completed", session)) is None


def test_of_one_second_and_status_the_event_of_the_creation_is_the_earlier_one() -> None:
    created, updated = (
        (stripe_state.read(event(kind, {**INVOICE, "status": "draft"})) or {})["rank"]
        for kind in ("invoice.created", "invoice.updated")
    )
    assert created < updated


def test_of_one_second_the_later_status_of_an_invoice_is_the_later_event() -> None:
    ranks = [
        (stripe_state.read(event(kind, {**INVOICE, "status": status})) or {})["rank"]
        for kind, status in (
            ("invoice.created", "draft"),
            ("invoice.finalized", "open"),
            ("invoice.marked_uncollectible", "uncollectible"),
            ("invoice.voided", "void"),
            ("invoice.paid", "paid"),
            ("invoice.deleted", "draft"),
        )
    ]
    assert ranks == sorted(set(ranks))


CHARGE = {"id": "ch_1", "object": "charge", "currency": "usd", "amount": 4900, "amount_refunded": 1900}
REFUND = {"id": "re_1", "object": "refund", "currency": "usd", "amount": 1900, "created": 1, "charge": "ch_1"}


def test_a_refund_is_an_object_of_its_own_and_a_charge_reports_what_it_sums_up_to() -> None:
    refund = stripe_state.read(event("refund.created", {**REFUND, "status": "pending"}))
    failed = stripe_state.read(event("charge.refund.updated", {**REFUND, "status": "failed"}))
    charge = stripe_state.read(event("charge.refunded", CHARGE, previous_attributes={"amount_refunded": 900}))
    lowered = stripe_state.read(event("charge.refund.updated", {**CHARGE, "amount_refunded": 0}))
    assert refund
    assert failed
    assert charge
    assert lowered
    assert (refund["kind"], failed["kind"]) == ("refund", "refund")
    assert refund["rank"] < failed["rank"]
    assert charge["body"]["notified_amount"] == 1000
    assert (lowered["kind"], lowered["body"]["amount_refunded"]) == ("charge", 0)
    assert charge["rank"] < lowered["rank"]


def line(price: str, amount: int, *, proration: bool = False, item: str | None = "si_1") -> dict[str, Any]:
    """Return a line as present versions of the API have it."""
    details = {"subscription_item": item, "proration": proration}
    kind = "subscription_item_details" if item else "invoice_item_details"
    pricing = {"type": "price_details", "price_details": {"price": price, "product": "prod_1"}}
    return {"amount": amount, "parent": {"type": kind, kind: details}, "pricing": pricing}


def old(price: str, amount: int, *, proration: bool = False) -> dict[str, Any]:
    """Return a line as versions of the API before 2025-03-31 have it."""
    return {"amount": amount, "price": {"id": price}, "subscription_item": "si_1", "proration": proration}


@pytest.mark.parametrize(
    ("lines", "price"),
    [
        ([line("price_a", 4900)], "price_a"),
        ([old("price_a", 4900)], "price_a"),
        ([line("price_b", 0), line("price_a", 4900)], "price_a"),
        (
            [line("price_b", 900, proration=True), line("price_a", -400, proration=True), line("price_b", 9900)],
            "price_b",
        ),
        ([old("price_b", 900, proration=True), old("price_a", -400, proration=True)], "price_b"),
        ([line("price_extra", 100, item=None), line("price_a", 4900)], "price_a"),
        ([line("price_a", 0)], "price_a"),
        ([line("price_extra", 100, item=None)], "price_extra"),
        ([{"amount": 100, "pricing": None, "parent": None}], None),
        ([], None),
    ],
)
def test_an_invoice_is_for_the_price_of_its_subscription(lines: list[dict[str, Any]], price: str | None) -> None:
    state = stripe_state.read(event("invoice.paid", {**INVOICE, "status": "paid", "lines": {"data": lines}}))
    assert state is not None
    assert state["body"].get("price") == price


@pytest.mark.parametrize("lines", [[], {"data": ["x"]}, {"data": [{"price": 5}]}, {"data": [{"price": "a"}]}])
def test_malformed_lines_of_an_invoice_are_malformed(lines: Any) -> None:
    with pytest.raises(MalformedObject):
        stripe_state.read(event("invoice.paid", {**INVOICE, "status": "paid", "lines": lines}))
