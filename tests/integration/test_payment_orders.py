"""Events of Stripe in whatever order, however often: always the same rows."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.payments import facts
from pixelbloom.payments.money import currency_digits
from pixelbloom.store.gateway import Gateway
from pixelbloom.store.payments import PaymentStore
from tests.servers.stripe import Event, History
from tests.stack import Stack

STEPS = [
    *("renewed", "unpaid", "paid late", "upgraded", "to end", "kept", "refunded", "paused", "resumed"),
    *("trial_will_end", "ended"),
]
FIRST = 1_790_000_000


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[PaymentStore]:
    gateway = Gateway(stack.settings)
    yield PaymentStore(gateway)
    gateway.close()


def deliver(store: PaymentStore, event: Event) -> None:
    """As the webhook and the worker do it."""
    fact = facts.read(event)
    store.record(event, fact)
    begun = store.begin(event["id"], 60)
    if begun is not None:
        applied = store.apply(event["id"], begun["fact"], begun["token"])
        assert applied is not None
        assert applied["status"] in ("processed", "ignored")


def rows(db: psycopg.Connection, history: History) -> dict[str, list[dict[str, Any]]]:
    """All that followed from the history, but for what names the attempt."""
    found: dict[str, list[dict[str, Any]]] = {}
    queries = {
        "user_subscriptions": "select to_jsonb(t) from user_subscriptions t where stripe_subscription_id = %s",
        "invoices": "select to_jsonb(t) from invoices t join user_subscriptions u on u.id = t.subscription_id"
        " where u.stripe_subscription_id = %s order by stripe_invoice_id",
        "notifications": "select to_jsonb(t) from notifications t join user_subscriptions u on u.user_id = t.user_id"
        " where u.stripe_subscription_id = %s order by dedupe_key",
    }
    for table, query in queries.items():
        found[table] = [
            {
                name: value
                for name, value in row.items()
                if name not in ("id", "subscription_id", "created_at", "updated_at", "metadata", "version")
            }
            for (row,) in db.execute(query, [history.subscription_id]).fetchall()
        ]
    return found


def forget(db: psycopg.Connection, history: History) -> None:
    subject = [history.subscription_id]
    db.execute(
        "delete from notifications where user_id in"
        " (select user_id from user_subscriptions where stripe_subscription_id = %s)",
        subject,
    )
    db.execute("delete from invoices where stripe_invoice_id = any(%s)", [list(history.book.objects["invoice"])])
    db.execute("delete from user_subscriptions where stripe_subscription_id = %s", subject)
    ids = [name for kind in history.book.objects.values() for name in kind]
    db.execute("delete from stripe_objects where id = any(%s)", [ids])
    db.execute("delete from stripe_events where id = any(%s)", [ids])


@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=8),
    apart=st.sampled_from([0, 1, 100]),
    currency=st.sampled_from(["usd", "jpy", "kwd", "isk"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_any_order_and_any_number_of_deliveries_end_in_the_same_rows(
    stack: Stack, store: PaymentStore, steps: list[str], apart: int, currency: str, data: st.DataObject
) -> None:
    history = History(uuid4(), currency)
    history.play(steps)
    events = history.at(FIRST, apart=apart)
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


@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=8),
    currency=st.sampled_from(["usd", "jpy", "kwd", "isk"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_the_rows_say_what_stripe_says(
    stack: Stack, store: PaymentStore, steps: list[str], currency: str, data: st.DataObject
) -> None:
    history = History(user_id := uuid4(), currency)
    history.play(steps)
    for event in data.draw(st.permutations(history.at(FIRST, apart=7))):
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
    assert row["cancel_at_period_end"] == truth["cancel_at_period_end"]
    assert (row["end_date"] is None) == (truth["status"] != "canceled")
    invoices = history.book.objects["invoice"]
    refunded = {charge["invoice"] for charge in history.book.objects["charge"].values() if charge["refunded"]}
    assert [(row["stripe_invoice_id"], row["status"], row["amount_paid"]) for row in found["invoices"]] == [
        (name, "refunded" if name in refunded else invoices[name]["status"], invoices[name]["amount_paid"] / minor)
        for name in sorted(invoices)
    ]
    told = sorted(row["notification_type"] for row in found["notifications"])
    kinds = [event["type"] for event in history.events]
    assert told == sorted(
        ["payment_succeeded"] * kinds.count("invoice.paid")
        + ["payment_failed"] * kinds.count("invoice.payment_failed")
        + ["payment_refunded"] * kinds.count("charge.refunded")
        + ["trial_ending"] * kinds.count("customer.subscription.trial_will_end")
        + ["subscription_ended"] * kinds.count("customer.subscription.deleted")
    )
