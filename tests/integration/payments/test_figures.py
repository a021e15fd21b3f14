"""Every revenue figure matches an independent ledger of the same events, however they are delivered."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelbloom.payments.store import PaymentStore
from tests.integration.analytics.figures import asked
from tests.integration.payments.ledger import A_YEAR_AGO, DAY, day_of, ledger, signed
from tests.integration.payments.plays import CURRENCIES, INTERVALS, OUTCOMES, PLAYS, STYLES, deliver
from tests.servers.stripe import Event, History, Purchase
from tests.stack import Stack

PURCHASE_STEPS = [
    *("paid", "async", "async_paid", "async_failed", "expired", "refunded", "part refunded", "refund failed"),
    *("disputed", "dispute lost", "dispute won"),
]
PURCHASES = st.lists(st.sampled_from(PURCHASE_STEPS), max_size=6).map(lambda steps: ["paid", *steps])
LATE = st.sampled_from(["async_paid", "async_failed"]).flatmap(
    lambda end: st.lists(st.sampled_from(PURCHASE_STEPS), max_size=5).map(lambda steps: ["async", end, *steps])
)


def by_currency(figure: dict[str, Any]) -> dict[str, float]:
    return {entry["currency"]: entry["value"] for entry in figure["by_currency"]}


def forget(db: psycopg.Connection, user: UUID, events: Sequence[Event]) -> None:
    for table in ("refunds", "invoices", "user_subscriptions", "notifications"):
        db.execute(f"delete from {table} where user_id = %s", [user])  # noqa: S608
    ids = [event["id"] for event in events] + [event["data"]["object"]["id"] for event in events]
    db.execute("delete from stripe_events where id = any(%s)", [ids])
    db.execute("delete from stripe_objects where id = any(%s)", [ids])


@given(
    subscriptions=st.lists(
        st.tuples(
            PLAYS,
            st.sampled_from(CURRENCIES),
            st.sampled_from(INTERVALS),
            st.sampled_from([0, 0, 14]),
            st.sampled_from(OUTCOMES),
        ),
        max_size=2,
    ),
    purchases=st.lists(st.tuples(PURCHASES | LATE, st.sampled_from(CURRENCIES)), max_size=3),
    style=st.sampled_from(STYLES),
    first=st.integers(-3, 10),
    length=st.integers(1, 12),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_every_revenue_figure_matches_the_ledger(
    stack: Stack,
    store: PaymentStore,
    subscriptions: list[tuple[list[str], str, tuple[str, int], int, str]],
    purchases: list[tuple[list[str], str]],
    style: str,
    first: int,
    length: int,
    data: st.DataObject,
) -> None:
    user = uuid4()
    histories: list[list[Event]] = []
    for steps, currency, interval, trial_days, outcome in subscriptions:
        history = History(user, currency, interval=interval, trial_days=trial_days, outcome=outcome)
        history.play(steps)
        histories.append(history.at(A_YEAR_AGO, apart=DAY, style=style))
    for steps, currency in purchases:
        purchase = Purchase(user, currency)
        purchase.play(steps)
        histories.append(purchase.at(A_YEAR_AGO, apart=DAY, style=style))
    moved = [movement for events in histories for movement in ledger(events, style=style)]
    events = [event for each in histories for event in each]
    extra = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    start = day_of(A_YEAR_AGO) + timedelta(days=first)
    end = start + timedelta(days=length - 1)
    before = start - timedelta(days=length)

    with psycopg.connect(stack.database_url, autocommit=True) as db:
        for event in data.draw(st.permutations([*events, *extra])):
            deliver(store, event)
        try:
            overview, summary, packages, customers = (
                asked(db, name, user, start, end, "UTC")
                for name in ("analytics_overview", "revenue_summary", "revenue_by_package", "customer_ltv")
            )
        finally:
            forget(db, user, events)

    now = [movement for movement in moved if start <= movement.day <= end]
    earlier = [movement for movement in moved if before <= movement.day < start]
    wanted = dict.fromkeys({movement.currency for movement in (*now, *earlier)}, 0.0) | signed(now)
    assert by_currency(overview["total_revenue"]) == by_currency(summary["revenue"]) == wanted
    by_package: dict[str, float] = defaultdict(float)
    for entry in packages:
        by_package[entry["currency"]] += entry["revenue"]
    assert {currency: amount for currency, amount in by_package.items() if amount} == {
        currency: amount for currency, amount in signed(now).items() if amount
    }
    assert sum(entry["payments"] for entry in packages) == sum(movement.amount > 0 for movement in now)
    payers = {movement.currency for movement in now if movement.amount > 0}
    until = signed([movement for movement in moved if movement.day <= end])
    assert {entry["currency"]: entry["value"] for entry in customers["top"]} == {
        currency: until[currency] for currency in payers
    }


@pytest.mark.parametrize(
    ("steps", "revenue", "status"),
    [
        (["async", "async_failed"], 0, "cancelled"),
        (["async"], 0, "incomplete"),
        (["async", "async_paid"], 49, "active"),
        (["paid", "refunded"], 0, "cancelled"),
        (["paid", "refunded", "refund failed"], 49, "active"),
        (["paid", "disputed"], 0, "cancelled"),
        (["paid", "disputed", "dispute won"], 49, "active"),
        (["paid", "disputed", "dispute lost"], 0, "cancelled"),
    ],
)
@pytest.mark.parametrize("style", STYLES)
def test_a_single_purchase_counts_what_was_received_and_not_returned(
    store: PaymentStore, db: psycopg.Connection, steps: list[str], revenue: int, status: str, style: str
) -> None:
    purchase = Purchase(user := uuid4())
    purchase.play(steps)
    events = purchase.at(A_YEAR_AGO, apart=60, style=style)
    for event in events:
        deliver(store, event)
    day = day_of(A_YEAR_AGO)
    summary = asked(db, "revenue_summary", user, day, day, "UTC")
    found = db.execute("select status from user_subscriptions where user_id = %s", [user]).fetchone()
    forget(db, user, events)

    assert by_currency(summary["revenue"]).get("usd", 0) == revenue
    assert found == (status,)


def test_nineteen_of_forty_nine_refunded_leave_thirty(store: PaymentStore, db: psycopg.Connection) -> None:
    purchase = Purchase(user := uuid4())
    purchase.play(["paid"])
    purchase.book.refund(purchase.book.charge_of(purchase.session["id"]), 1900)
    events = purchase.at(A_YEAR_AGO, apart=60, style="both")
    for event in events:
        deliver(store, event)
    day = day_of(A_YEAR_AGO)
    value = asked(db, "analytics_overview", user, day, day, "UTC")["total_revenue"]["value"]
    forget(db, user, events)

    assert value == 30


@pytest.mark.parametrize("ends", ["trial cancelled", "incomplete_expired"])
def test_unpaid_invoices_are_neither_revenue_nor_recurring(
    store: PaymentStore, db: psycopg.Connection, ends: str
) -> None:
    history = History(user := uuid4(), trial_days=14 if ends == "trial cancelled" else 0)
    subscription = history.book.get("subscription", history.subscription_id)
    history.book.end(subscription)
    events = history.at(A_YEAR_AGO, apart=DAY)
    if ends != "trial cancelled":
        events = [event for event in events if event["type"] != "invoice.paid"]
        events[-1]["data"]["object"]["status"] = "incomplete_expired"
    for event in events:
        deliver(store, event)
    today = datetime.now(UTC).date()
    summary = asked(db, "revenue_summary", user, day_of(A_YEAR_AGO), today, "UTC")
    trend = asked(db, "subscription_trends", user, today, today, "daily", "UTC")
    forget(db, user, events)

    assert by_currency(summary["revenue"]) == {}
    assert summary["mrr"]["by_currency"] == []
    assert (summary["new_subscriptions"]["value"], summary["ended_subscriptions"]["value"]) == (0, 0)
    assert trend == [{"date": today.isoformat(), "value": 0, "started": 0, "ended": 0}]


@pytest.mark.parametrize(
    ("price", "interval", "count", "mrr"),
    [
        ("300", "month", 3, 100),
        ("600", "month", 6, 100),
        ("2400", "year", 2, 100),
        ("1200", "year", 1, 100),
        ("84", "week", 1, 365),
        ("168", "week", 2, 365),
        ("12", "day", 1, 365),
        ("120", "day", 10, 365),
    ],
)
def test_recurring_revenue_is_the_price_by_months_of_its_interval(
    stack: Stack, store: PaymentStore, db: psycopg.Connection, price: str, interval: str, count: int, mrr: int
) -> None:
    history = History(user := uuid4(), interval=(interval, count))
    history.book.get("price", "price_starter")["unit_amount"] = int(Decimal(price) * 100)
    history.book.update(history.book.get("subscription", history.subscription_id), {})
    events = history.at(A_YEAR_AGO, apart=1)
    for event in events:
        deliver(store, event)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    summary = asked(db, "revenue_summary", user, tomorrow, tomorrow, "UTC")
    shown = store.current(user)
    forget(db, user, events)

    assert (summary["mrr"]["value"], summary["arr"]["value"]) == (mrr, 12 * mrr)
    assert shown is not None
    assert (shown["billing_interval"], shown["billing_interval_count"]) == (interval, count)


def test_items_of_different_intervals_recur_by_their_own(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), interval=("month", 3))
    subscription = history.book.get("subscription", history.subscription_id)
    extra = {"id": "si_2", "price": {"id": "p", "unit_amount": 120000, "currency": "usd"}, "quantity": 2}
    extra["price"]["recurring"] = {"interval": "year", "interval_count": 1}
    history.book.get("price", "price_starter")["unit_amount"] = 30000
    subscription["items"]["data"].append(extra)
    history.book.update(subscription, {})
    events = history.at(A_YEAR_AGO, apart=1)
    for event in events:
        deliver(store, event)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    summary = asked(db, "revenue_summary", user, tomorrow, tomorrow, "UTC")
    shown = store.current(user)
    forget(db, user, events)

    assert summary["mrr"]["value"] == 100 + 2 * 100
    assert shown is not None
    assert shown["final_price"] == 300 + 2 * 1200
