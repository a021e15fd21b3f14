"""Events of Stripe in any order, any number of times: always the same rows."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import permutations
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.errors import Unavailable
from pixelbloom.payments import stripe_state
from pixelbloom.payments.money import currency_digits
from pixelbloom.payments.store import PaymentStore
from tests.integration.payments.plays import (
    CURRENCIES,
    FIRST,
    INTERVALS,
    OUTCOMES,
    PLAYS,
    STYLES,
    deliver,
    forget,
    rows,
)
from tests.servers.stripe import Event, History
from tests.stack import Stack

HISTORIES = {
    "steps": PLAYS,
    "style": st.sampled_from(STYLES),
    "currency": st.sampled_from(CURRENCIES),
    "interval": st.sampled_from(INTERVALS),
    "trial_days": st.sampled_from([0, 0, 0, 14]),
    "outcome": st.sampled_from(OUTCOMES),
    "data": st.data(),
}


@given(apart=st.sampled_from([0, 1, 100]), **HISTORIES)
@settings(deadline=None, max_examples=60)
def test_any_order_and_number_of_deliveries_give_the_same_rows(
    stack: Stack,
    store: PaymentStore,
    steps: list[str],
    apart: int,
    style: str,
    currency: str,
    interval: tuple[str, int],
    trial_days: int,
    outcome: str,
    data: st.DataObject,
) -> None:
    history = History(uuid4(), currency, interval=interval, trial_days=trial_days, outcome=outcome)
    history.play(steps)
    events = history.at(FIRST, apart=apart, style=style)
    extra = data.draw(st.lists(st.sampled_from(events), max_size=len(events)))
    mixed = data.draw(st.permutations([*events, *extra]))

    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for event in events:
            deliver(store, event)
        expected = rows(db, history)
        forget(db, history)
        for event in mixed:
            deliver(store, event)
        found = rows(db, history)
        forget(db, history)

    assert len(expected["user_subscriptions"]) == 1
    for table, wanted in expected.items():
        assert [row for row in found[table] if row not in wanted] == [], table
        assert [row for row in wanted if row not in found[table]] == [], table


@given(**HISTORIES)
@settings(deadline=None, max_examples=60)
def test_the_rows_match_stripe(
    stack: Stack,
    store: PaymentStore,
    steps: list[str],
    style: str,
    currency: str,
    interval: tuple[str, int],
    trial_days: int,
    outcome: str,
    data: st.DataObject,
) -> None:
    history = History(user_id := uuid4(), currency, interval=interval, trial_days=trial_days, outcome=outcome)
    history.play(steps)
    events = history.at(FIRST, apart=7, style=style)
    for event in data.draw(st.permutations(events)):
        deliver(store, event)

    with psycopg.connect(stack.database_url, autocommit=True) as db:
        found = rows(db, history)
        forget(db, history)
    [row] = found["user_subscriptions"]
    truth = history.book.get("subscription", history.subscription_id)
    price = truth["items"]["data"][0]["price"]
    minor = 10 ** currency_digits(currency)
    assert row["user_id"] == str(user_id)
    assert row["status"] == {"canceled": "cancelled"}.get(truth["status"], truth["status"])
    assert row["final_price"] == row["original_price"] == price["unit_amount"] / minor
    assert (row["stripe_price_id"], row["currency"]) == (price["id"], currency)
    assert (row["billing_interval"], row["billing_interval_count"]) == interval
    assert row["cancel_at_period_end"] == truth["cancel_at_period_end"]
    assert seconds(row["cancel_at"]) == truth["cancel_at"]
    assert (row["end_date"] is None) == (truth["status"] != "canceled")
    book = history.book.objects
    bills = [invoice for invoice in book["invoice"].values() if invoice["amount_due"] and invoice["status"] != "draft"]
    never_paid = truth["status"] == "canceled" and bills and not any(bill["amount_paid"] for bill in bills)
    assert seconds(row["billed_from"]) == (truth["ended_at"] if never_paid else truth["trial_end"])
    refunded = dict.fromkeys(book["invoice"], 0)
    for payment in book["invoice_payment"].values():
        intent = payment["payment"]["payment_intent"]
        [charge] = [charge for charge in book["charge"].values() if charge["payment_intent"] == intent]
        refunded[payment["invoice"]] += charge["amount_refunded"]
    assert [(one["stripe_invoice_id"], one["status"], one["amount_paid"]) for one in found["invoices"]] == [
        (
            name,
            "refunded"
            if invoice["status"] == "paid" and 0 < invoice["amount_paid"] == refunded[name]
            else invoice["status"],
            invoice["amount_paid"] / minor,
        )
        for name, invoice in sorted(book["invoice"].items())
    ]
    assert {one["stripe_invoice_id"]: one["amount_refunded"] for one in found["invoices"]} == {
        name: amount / minor for name, amount in refunded.items()
    }
    returned: dict[str, int] = {}
    for one in found["refunds"]:
        if one["kind"] == "refund" and one["status"] != "failed":
            returned[one["invoice"]] = returned.get(one["invoice"], 0) + round(one["amount"] * minor)
    assert returned == {name: amount for name, amount in refunded.items() if amount}
    assert sorted(
        (one["stripe_id"], one["status"], one["amount"]) for one in found["refunds"] if one["kind"] == "dispute"
    ) == sorted(
        (name, "cancelled" if one["status"] == "won" else "succeeded", one["amount"] / minor)
        for name, one in book["dispute"].items()
    )
    if style != "charges":
        assert {one["stripe_id"] for one in found["refunds"]} == {*book["refund"], *book["dispute"]}
    types = sorted(row["notification_type"] for row in found["notifications"])
    kinds = [event["type"] for event in events]
    paid = [event for event in events if event["type"] == "invoice.paid" and event["data"]["object"]["amount_paid"] > 0]
    assert types == sorted(
        ["payment_succeeded"] * len(paid)
        + ["payment_failed"] * kinds.count("invoice.payment_failed")
        + ["payment_failed"] * kinds.count("checkout.session.async_payment_failed")
        + ["payment_refunded"] * kinds.count("charge.refunded")
        + ["trial_ending"] * kinds.count("customer.subscription.trial_will_end")
        + ["subscription_ended"] * kinds.count("customer.subscription.deleted")
    )


def seconds(moment: str | None) -> int | None:
    return round(datetime.fromisoformat(moment).timestamp()) if moment else None


@pytest.mark.parametrize("style", STYLES)
def test_events_processed_concurrently_give_the_same_rows(
    stack: Stack, store: PaymentStore, db: psycopg.Connection, style: str
) -> None:
    history = History(uuid4())
    history.play(["part refunded", "renewed", "part refunded", "refund failed", "renewed", "refunded", "disputed"])
    events = history.at(FIRST, apart=5, style=style)
    for event in events:
        deliver(store, event)
    expected = rows(db, history)
    forget(db, history)

    for number in range(5):
        mixed = random.Random(number).sample(events, len(events))
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda event: persistently(store, event), mixed))
        found = rows(db, history)
        forget(db, history)
        assert found == expected


def persistently(store: PaymentStore, event: Event) -> None:
    """As `deliver`, repeated after a conflict in the database."""
    fact = stripe_state.read(event)
    store.record(event, fact)
    for _ in range(20):
        begun = store.begin(event["id"], 0)
        if begun is None:
            return
        try:
            if store.apply(event["id"], begun["state"], begun["token"]):
                return
        except Unavailable:
            continue
    pytest.fail("the event was in the way of others twenty times")


def test_a_deleted_draft_has_no_invoice_in_any_order(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(uuid4())
    history.play(["drafted", "draft changed", "draft deleted"])
    events = history.at(FIRST, apart=1)
    drafts = [event for event in events if event["data"]["object"].get("status") == "draft"]
    others = [event for event in events if event not in drafts]
    assert [event["type"] for event in drafts] == ["invoice.created", "invoice.updated", "invoice.deleted"]
    find = "select count(*) from invoices where stripe_invoice_id = %s"
    for order in permutations(drafts):
        for event in (*others, *order):
            deliver(store, event)
        assert db.execute(find, [drafts[0]["data"]["object"]["id"]]).fetchone() == (0,)
        forget(db, history)


@pytest.mark.parametrize("steps", [["unpaid", "uncollectible"], ["unpaid", "voided"]])
def test_an_abandoned_invoice_does_not_stay_open(store: PaymentStore, db: psycopg.Connection, steps: list[str]) -> None:
    history = History(uuid4())
    history.play(steps)
    for event in history.at(FIRST, apart=0):
        deliver(store, event)
    found = sorted(row["status"] for row in rows(db, history)["invoices"])
    forget(db, history)

    assert found == sorted(["paid", {"uncollectible": "uncollectible", "voided": "void"}[steps[-1]]])


def test_the_end_of_a_trial_is_notified_with_the_amount_of_its_own_attempt(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(uuid4())
    history.play(["trial_will_end", "renewed"])
    events = history.at(FIRST, apart=1)
    [ending] = [event for event in events if event["type"] == "customer.subscription.trial_will_end"]
    fact = stripe_state.read(ending)
    assert fact is not None
    store.record(ending, fact)
    for event in events:
        if event is not ending:
            deliver(store, event)
    before = messages(db, history)
    begun = store.begin(ending["id"], 60)
    assert begun is not None
    store.apply(ending["id"], {**fact, "body": {**fact["body"], "notified_amount": 1900}}, begun["token"])
    after = messages(db, history)
    forget(db, history)

    assert (before, after) == ([], ["After it, 19.00 USD is due."])


def messages(db: psycopg.Connection, history: History) -> list[str]:
    """Return the notification messages of the end of a trial."""
    notifications = rows(db, history)["notifications"]
    return [row["message"] for row in notifications if row["notification_type"] == "trial_ending"]
