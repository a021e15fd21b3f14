"""Payments that fail at first, arrive in parts, or never: what the rows and the figures say."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.payments.store import PaymentStore
from tests.integration.analytics.figures import asked
from tests.integration.payments.ledger import A_YEAR_AGO, DAY, day_of
from tests.integration.payments.plays import deliver, delivered, forget
from tests.integration.pricing.rows import added
from tests.servers.stripe import Event, History


def revenue_of(db: psycopg.Connection, user: UUID, day: int) -> float:
    """Return the revenue of a day, counted from that of the first event."""
    on = day_of(A_YEAR_AGO) + timedelta(days=day)
    found = asked(db, "revenue_summary", user, on, on, "UTC")["revenue"]["by_currency"]
    return found[0]["value"] if found else 0


def redeemed(db: psycopg.Connection) -> tuple[UUID, dict[str, str]]:
    """Return a campaign with one use, and the metadata of the checkout that redeemed it."""
    terms = {"discount_type": "percentage", "discount_value": 20, "uses": 1}
    campaign = added(db, "pricing_campaigns", {"code": f"C{uuid4().hex[:12]}", **terms})
    key = uuid4().hex
    added(db, "campaign_redemptions", {"campaign_id": campaign, "redemption_key": key})
    return campaign, {"campaign_id": str(campaign), "redemption_key": key}


def last_day(events: Sequence[Event], kind: str) -> int:
    return max(number for number, event in enumerate(events) if event["type"] == kind)


@pytest.mark.parametrize(
    ("steps", "status", "recurs", "uses"),
    [
        ([], "active", 1, 1),
        (["async_paid"], "active", 1, 1),
        (["async_failed"], "past_due", 1, 1),
        (["async_failed", "paid late"], "active", 1, 1),
        (["async_failed", "paid late", "ended"], "cancelled", 1, 1),
        (["async_failed", "ended"], "cancelled", 0, 0),
    ],
)
def test_a_subscription_whose_first_payment_failed_continues_if_it_is_paid(
    store: PaymentStore, db: psycopg.Connection, steps: list[str], status: str, recurs: int, uses: int
) -> None:
    campaign, metadata = redeemed(db)
    history = History(user := uuid4(), metadata=metadata, outcome="async")
    history.play(steps)
    with delivered(store, db, history):
        shown = store.current(user)
        recurring = db.execute("select count(*) from recurring_subscriptions where user_id = %s", [user]).fetchone()
        counted = db.execute("select uses from pricing_campaigns where id = %s", [campaign]).fetchone()

    assert shown is not None
    assert shown["status"] == status
    assert (shown["end_date"] is not None) == (status == "cancelled")
    assert (recurring, counted) == ((recurs,), (uses,))


def test_a_use_is_counted_again_when_the_subscription_is_paid_after_it_was_released(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    campaign, metadata = redeemed(db)
    history = History(uuid4(), metadata=metadata, outcome="async")
    history.play(["async_failed", "paid late"])
    seen = []
    for event in history.at(A_YEAR_AGO, apart=DAY):
        item = event["data"]["object"]
        if item["object"] == "subscription" and item["status"] == "past_due":
            # As with cards: the subscription begins with its first payment.
            item["status"] = "incomplete"
        deliver(store, event)
        [uses] = db.execute("select uses from pricing_campaigns where id = %s", [campaign]).fetchone() or (None,)
        seen.append((event["type"], uses))
    forget(db, history)

    assert ("checkout.session.async_payment_failed", 0) in seen
    assert seen[-1] == ("customer.subscription.updated", 1)


@pytest.mark.parametrize("ends", ["paid late", "uncollectible", "voided"])
def test_parts_of_an_invoice_count_on_the_days_on_which_they_were_paid(
    store: PaymentStore, db: psycopg.Connection, ends: str
) -> None:
    history = History(user := uuid4())
    history.play(["unpaid", "part paid", "part paid", ends])
    with delivered(store, db, history) as events:
        parts = [number for number, event in enumerate(events) if event["type"] == "invoice.updated"]
        received = [revenue_of(db, user, day) for day in parts]
        rest = revenue_of(db, user, last_day(events, "invoice.paid"))
        payments = asked(
            db, "revenue_by_package", user, day_of(A_YEAR_AGO), day_of(A_YEAR_AGO) + timedelta(days=len(events)), "UTC"
        )

    assert received == [16.33, 10.89]
    assert rest == (21.78 if ends == "paid late" else 49)
    assert payments[0]["payments"] == (4 if ends == "paid late" else 3)


def test_parts_that_are_reported_within_one_second_are_added_up(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), outcome="async")
    history.play(["part paid", "part paid"])
    for event in reversed(history.at(A_YEAR_AGO, apart=0)):
        deliver(store, event)
    [paid, total] = db.execute(
        "select i.amount_paid, sum(p.amount) from invoices i join invoice_parts p on p.invoice_id = i.id"
        " where i.user_id = %s group by i.amount_paid",
        [user],
    ).fetchone() or (None, None)
    forget(db, history)

    assert paid == total == Decimal("27.22")


def test_a_part_that_is_reported_after_the_rest_moves_revenue_and_publishes_it(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(user := uuid4(), outcome="async")
    history.play(["part paid", "paid late"])
    events = history.at(A_YEAR_AGO, apart=DAY)
    [part] = [event for event in events if event["type"] == "invoice.updated"]
    for event in events:
        if event is not part:
            deliver(store, event)
    published = "select count(*) from event_outbox where user_id = %s and type = 'data_changed'"
    before = revenue_of(db, user, events.index(part)), db.execute(published, [user]).fetchone()
    deliver(store, part)
    after = revenue_of(db, user, events.index(part)), db.execute(published, [user]).fetchone()
    forget(db, history)

    assert (before[0], after[0]) == (0, 16.33)
    assert before[1] != after[1]


def test_a_lowered_amount_counts_as_it_is(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), outcome="async")
    history.play(["part paid", "part paid"])
    [invoice] = history.book.objects["invoice"].values()
    invoice["amount_paid"] = 700
    history.book.emit("invoice.updated", invoice)
    with delivered(store, db, history) as events:
        until = day_of(A_YEAR_AGO) + timedelta(days=len(events))
        total = asked(db, "revenue_summary", user, day_of(A_YEAR_AGO), until, "UTC")["revenue"]["value"]

    assert total == 7


def test_a_refunded_part_leaves_nothing(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), outcome="async")
    history.play(["part paid", "uncollectible"])
    [part] = history.book.objects["charge"].values()
    history.book.refund(part, None)
    with delivered(store, db, history) as events:
        until = day_of(A_YEAR_AGO) + timedelta(days=len(events))
        total = asked(db, "revenue_summary", user, day_of(A_YEAR_AGO), until, "UTC")["revenue"]["value"]
        on = {event["type"]: revenue_of(db, user, day) for day, event in enumerate(events)}
        [status] = db.execute("select status from invoices where user_id = %s", [user]).fetchone() or (None,)

    assert total == 0
    assert (on["invoice.updated"], on["refund.created"]) == (16.33, -16.33)
    assert status == "uncollectible"


def test_a_subscription_that_was_paid_at_its_checkout_recurs_although_no_invoice_says_so(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(user := uuid4())
    history.play(["unpaid", "ended"])
    for event in history.at(A_YEAR_AGO, apart=DAY):
        if event["type"] != "invoice.paid":
            deliver(store, event)
    recurring = db.execute("select count(*) from recurring_subscriptions where user_id = %s", [user]).fetchone()
    forget(db, history)

    assert recurring == (1,)


def test_the_first_payment_counts_although_only_a_later_unpaid_invoice_is_reported(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(user := uuid4())
    history.play(["unpaid"])
    events = history.at(A_YEAR_AGO, apart=DAY)
    for event in events:
        if not event["type"].startswith("invoice.") or event["type"] == "invoice.payment_failed":
            deliver(store, event)
    assert revenue_of(db, user, last_day(events, "checkout.session.completed")) == 49
    for event in events:
        deliver(store, event)
    assert revenue_of(db, user, last_day(events, "invoice.paid")) == 49
    assert revenue_of(db, user, last_day(events, "checkout.session.completed")) == 0
    forget(db, history)


def test_a_deleted_draft_was_never_due(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), trial_days=14)
    history.play(["drafted", "draft deleted", "ended"])
    end = history.book.get("subscription", history.subscription_id)["trial_end"]
    with delivered(store, db, history):
        [billed_from] = db.execute(
            "select extract(epoch from billed_from)::bigint from user_subscriptions where user_id = %s", [user]
        ).fetchone() or (None,)

    assert billed_from == end


def test_a_later_trial_does_not_move_the_end_of_the_first(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), trial_days=14)
    subscription = history.book.get("subscription", history.subscription_id)
    first_end = subscription["trial_end"]
    history.play(["renewed"])
    subscription |= {"status": "trialing", "trial_start": first_end + DAY, "trial_end": first_end + 15 * DAY}
    history.book.update(subscription, {})
    events = history.at(A_YEAR_AGO, apart=DAY)
    found = []
    for ordered in (events, events[::-1]):
        for event in ordered:
            deliver(store, event)
        found += db.execute(
            "select extract(epoch from billed_from)::bigint, status from user_subscriptions where user_id = %s", [user]
        ).fetchall()
        forget(db, history)

    assert found == [(first_end, "trialing")] * 2


def test_a_later_trial_of_a_paid_subscription_does_not_end_its_recurring_revenue(
    store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(user := uuid4())
    subscription = history.book.get("subscription", history.subscription_id)
    start = subscription["start_date"]
    subscription |= {"status": "trialing", "trial_start": start + DAY, "trial_end": start + 15 * DAY}
    history.book.update(subscription, {})
    with delivered(store, db, history):
        tomorrow = day_of(start) + timedelta(days=1)
        summary = asked(db, "revenue_summary", user, tomorrow, tomorrow, "UTC")
        shown = store.current(user)

    assert shown is not None
    assert shown["status"] == "trialing"
    assert (summary["mrr"]["value"], summary["active_subscriptions"]["value"]) == (49, 1)
