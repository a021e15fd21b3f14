"""The package of a payment: the one that it was for, whatever the subscription or the package becomes."""

from datetime import timedelta
from uuid import uuid4

import psycopg

from pixelbloom.payments.store import PaymentStore
from tests.integration.analytics.figures import asked
from tests.integration.payments.ledger import A_YEAR_AGO, day_of
from tests.integration.payments.plays import delivered
from tests.integration.pricing.rows import package
from tests.servers.stripe import History


def test_revenue_remains_with_the_package_that_was_paid_for(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), suffix=uuid4().hex)
    packages = {
        name: package(db, price, stripe_price_id=price_id)
        for name, price, price_id in (("starter", "49", history.starter), ("growth", "149", history.growth))
    }
    try:
        history.play(["refunded", "upgraded", "renewed"])
        first = day_of(A_YEAR_AGO)
        with delivered(store, db, history) as events:
            found = asked(db, "revenue_by_package", user, first, first + timedelta(days=len(events)), "UTC")
            before = asked(db, "revenue_by_package", user, first, first + timedelta(days=3), "UTC")
    finally:
        db.execute("delete from pricing_packages where id = any(%s)", [list(packages.values())])

    assert {entry["package_id"]: (entry["revenue"], entry["payments"]) for entry in found} == {
        str(packages["starter"]): (0, 1),
        str(packages["growth"]): (149, 1),
    }
    assert {entry["package_id"] for entry in before if entry["payments"]} == {str(packages["starter"])}


def test_a_package_that_was_loaded_without_triggers_has_its_prices(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), suffix=uuid4().hex)
    with db.transaction():
        # As `pixelbloom seed` and pg_restore do.
        db.execute("set local session_replication_role = 'replica'")
        loaded = package(db, "49", stripe_price_id=history.starter)
    try:
        with delivered(store, db, history):
            before = store.current(user)
        db.execute("update pricing_packages set stripe_price_id = null where id = %s", [loaded])
        with delivered(store, db, history):
            after = store.current(user)
    finally:
        db.execute("delete from pricing_packages where id = %s", [loaded])

    assert before is not None
    assert after is not None
    assert before["package_id"] == after["package_id"] == str(loaded)


def test_a_payment_without_a_package_remains_without_one(store: PaymentStore, db: psycopg.Connection) -> None:
    history = History(user := uuid4(), suffix=uuid4().hex)
    growth = package(db, "149", stripe_price_id=history.growth)
    try:
        history.play(["upgraded", "renewed"])
        with delivered(store, db, history) as events:
            until = day_of(A_YEAR_AGO) + timedelta(days=len(events))
            found = asked(db, "revenue_by_package", user, day_of(A_YEAR_AGO), until, "UTC")
    finally:
        db.execute("delete from pricing_packages where id = %s", [growth])

    assert {entry["package_id"]: entry["revenue"] for entry in found} == {None: 49, str(growth): 149}
