"""The upgrade of a database with payments in it: what old rows and events become under the present rules."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pixelbloom.core.shipped import MIGRATIONS
from pixelbloom.database import migrations
from pixelbloom.database.bootstrap import bootstrap
from pixelbloom.payments import stripe_state
from tests.integration.pricing.rows import package
from tests.migrations.test_migrate import database
from tests.migrations.test_released import BASELINE
from tests.servers.stripe import Event, History
from tests.stack import Stack

FIRST = 1_750_000_000
DAY = 86_400


@pytest.fixture
def old(stack: Stack, db: psycopg.Connection, tmp_path: Path) -> Iterator[psycopg.Connection]:
    """A database of the baseline."""
    for path in MIGRATIONS.glob("*.sql"):
        if path.name.partition("_")[0] <= BASELINE:
            shutil.copy(path, tmp_path)
    with database(stack, db) as connection:
        bootstrap(connection)
        migrations.migrate(connection, tmp_path)
        yield connection


def deliver(db: psycopg.Connection, event: Event, *, new: bool = True) -> None:
    """Deliver an event as a worker of this version does, or as one of the baseline."""
    state = stripe_state.read(event)
    assert state is not None
    if not new:
        added = {"invoice": "price", "subscription": "later_trial"}
        state["body"].pop(added.get(state["kind"]), None)
    values = [event["id"], event["type"], state["subject"], Jsonb(state), event["created"]]
    db.execute("select public.record_stripe_event(%s, %s, %s, %s, to_timestamp(%s), true)", values)
    [begun] = db.execute("select public.begin_stripe_event(%s, 60, 12)", [event["id"]]).fetchone() or (None,)
    db.execute("select public.apply_stripe_state(%s, %s, %s)", [event["id"], Jsonb(state), begun["token"]])


def played(db: psycopg.Connection, history: History, *steps: str) -> UUID:
    history.play(steps)
    for event in history.at(FIRST, apart=DAY, style="both"):
        deliver(db, event, new=False)
    return UUID(history.session["client_reference_id"])


def row(db: psycopg.Connection, user: UUID, columns: str) -> Any:
    return db.execute(f"select {columns} from public.user_subscriptions where user_id = %s", [user]).fetchone()  # noqa: S608


def test_old_rows_follow_the_present_rules(old: psycopg.Connection) -> None:
    late = played(old, History(uuid4(), outcome="async"), "async_failed", "paid late")
    part = played(old, History(uuid4(), outcome="async"), "part paid", "uncollectible")
    never = played(old, History(uuid4(), outcome="async"), "uncollectible", "ended")
    money = "select coalesce(sum(amount), 0)::float from public.money_movements where user_id = %s"
    recurring = "select count(*) from public.recurring_subscriptions where user_id = %s"
    assert row(old, late, "status") == ("cancelled",)
    assert old.execute(money, [part]).fetchone() == (0,)
    assert old.execute(recurring, [never]).fetchone() == (1,)

    migrations.migrate(old)

    assert row(old, late, "status, end_date") == ("active", None)
    assert old.execute(money, [late]).fetchone() == (49,)
    assert old.execute(money, [part]).fetchone() == (16.33,)
    assert old.execute(recurring, [never]).fetchone() == (0,)


def test_an_event_that_is_late_by_the_upgrade_does_not_open_a_paid_invoice(old: psycopg.Connection) -> None:
    history = History(user := uuid4())
    events = history.at(FIRST, apart=0)
    [late] = [event for event in events if event["type"] == "invoice.finalized"]
    for event in events:
        if event is not late:
            deliver(old, event, new=False)
    migrations.migrate(old)
    deliver(old, late)

    found = old.execute("select status, amount_paid::float from public.invoices where user_id = %s", [user]).fetchone()
    assert found == ("paid", 49)


def test_old_payments_and_subscriptions_remain_with_their_package(old: psycopg.Connection) -> None:
    starter, growth = (
        package(old, price, stripe_price_id=f"price_{name}") for name, price in (("starter", "49"), ("growth", "149"))
    )
    history = History(uuid4())
    user = played(old, history, "upgraded")
    assert row(old, user, "package_id") == (growth,)
    old.execute("update public.pricing_packages set stripe_price_id = 'price_new' where id = %s", [growth])
    migrations.migrate(old)
    history.events.clear()
    history.play(["renewed", "to end"])
    for event in history.at(FIRST + 100 * DAY, apart=DAY):
        deliver(old, event)

    assert row(old, user, "package_id, cancel_at_period_end") == (growth, True)
    found = old.execute(
        "select package_id, sum(amount)::float from public.money_movements where user_id = %s group by 1", [user]
    ).fetchall()
    # What was paid before is not known by package: all of it counts for the package of then.
    assert found == [(growth, 49 + 149)]
    assert starter != growth
