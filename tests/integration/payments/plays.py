"""Sequences of events of Stripe, their delivery, and the rows they result in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from hypothesis import strategies as st

from pixelbloom.payments import stripe_state
from pixelbloom.payments.store import PaymentStore
from tests.integration.payments.ledger import A_YEAR_AGO, DAY
from tests.servers.stripe import Event, History

#: The second of a history's first event.
FIRST = 1_790_000_000
#: Steps, and sequences of steps that only make sense together.
STORIES = [
    *(["renewed"], ["unpaid"], ["paid late"], ["upgraded"], ["to end"], ["to continue"], ["to end at"], ["goes on"]),
    *(["paused"], ["resumed"], ["refunded"], ["part refunded"], ["refund failed"], ["trial_will_end"], ["ended"]),
    *(["to end at", "goes on"], ["part refunded", "refund failed"], ["refunded", "refund failed"]),
    *(["part refunded", "part refunded", "refund failed"], ["renewed", "disputed"], ["dispute lost"]),
    *(["renewed", "disputed", "dispute won"], ["renewed", "disputed", "dispute lost"]),
    *(["unpaid", "voided"], ["unpaid", "uncollectible"], ["unpaid", "uncollectible", "voided"]),
    *(["unpaid", "part paid"], ["unpaid", "part paid", "part paid", "paid late"], ["part paid"]),
    *(["unpaid", "part paid", "uncollectible"], ["unpaid", "part paid", "voided"], ["async_paid"], ["async_failed"]),
    *(["drafted"], ["drafted", "draft changed"], ["drafted", "draft deleted"]),
]
PLAYS = st.lists(st.sampled_from(STORIES), max_size=6).map(lambda stories: [step for each in stories for step in each])
#: How the first payment of a subscription ends: at once, or later.
OUTCOMES = ("paid", "paid", "async")
STYLES = ("charges", "refunds", "both")
CURRENCIES = ("usd", "jpy", "kwd")
INTERVALS = (("month", 1), ("month", 3), ("month", 6), ("year", 1), ("year", 2), ("week", 1), ("day", 10))


def deliver(store: PaymentStore, event: Event) -> dict[str, Any] | None:
    """Deliver an event as the webhook and the worker do. Return what `apply` returned; None for a repeated event."""
    fact = stripe_state.read(event)
    store.record(event, fact)
    begun = store.begin(event["id"], 60)
    if begun is None:
        return None
    applied = store.apply(event["id"], begun["state"], begun["token"])
    assert applied is not None
    assert applied["status"] in ("processed", "ignored")
    return applied


def rows(db: psycopg.Connection, history: History) -> dict[str, list[dict[str, Any]]]:
    """Return all resulting rows, without the ids of attempts."""
    found: dict[str, list[dict[str, Any]]] = {}
    queries = {
        "user_subscriptions": "select to_jsonb(t) from user_subscriptions t where stripe_subscription_id = %s",
        "invoices": "select to_jsonb(t) from invoices t join user_subscriptions u on u.id = t.subscription_id"
        " where u.stripe_subscription_id = %s order by stripe_invoice_id",
        "notifications": "select to_jsonb(t) from notifications t join user_subscriptions u on u.user_id = t.user_id"
        " where u.stripe_subscription_id = %s order by dedupe_key",
    }
    queries["refunds"] = (
        "select to_jsonb(t) || jsonb_build_object('invoice', i.stripe_invoice_id)"
        " from refunds t join user_subscriptions u on u.id = t.subscription_id"
        " left join invoices i on i.id = t.invoice_id where u.stripe_subscription_id = %s order by t.stripe_id"
    )
    queries["invoice_parts"] = (
        "select to_jsonb(t) || jsonb_build_object('invoice', i.stripe_invoice_id) from invoice_parts t"
        " join invoices i on i.id = t.invoice_id join user_subscriptions u on u.id = i.subscription_id"
        " where u.stripe_subscription_id = %s order by i.stripe_invoice_id, t.received_at"
    )
    for table, query in queries.items():
        found[table] = [
            {
                name: value
                for name, value in row.items()
                if name
                not in ("id", "subscription_id", "invoice_id", "created_at", "updated_at", "metadata", "version")
            }
            for (row,) in db.execute(query, [history.subscription_id]).fetchall()
        ]
    return found


def forget(db: psycopg.Connection, history: History) -> None:
    """Delete what a history left."""
    subject = [history.subscription_id]
    db.execute(
        "delete from notifications where user_id in"
        " (select user_id from user_subscriptions where stripe_subscription_id = %s)",
        subject,
    )
    for query in (
        "delete from refunds r using user_subscriptions u"
        " where u.id = r.subscription_id and u.stripe_subscription_id = %s",
        "delete from invoices i using user_subscriptions u"
        " where u.id = i.subscription_id and u.stripe_subscription_id = %s",
    ):
        db.execute(query, subject)
    db.execute("delete from user_subscriptions where stripe_subscription_id = %s", subject)
    ids = [name for kind in history.book.objects.values() for name in kind]
    db.execute("delete from stripe_objects where id = any(%s) or subject = %s", [ids, *subject])
    db.execute("delete from stripe_events where id = any(%s)", [ids])


@contextmanager
def delivered(store: PaymentStore, db: psycopg.Connection, history: History) -> Iterator[list[Event]]:
    """Deliver a history's events of a year ago, a day apart, for the duration of the block."""
    events = history.at(A_YEAR_AGO, apart=DAY, style="both")
    for event in events:
        deliver(store, event)
    try:
        yield events
    finally:
        forget(db, history)
