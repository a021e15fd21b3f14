"""Rows of money that was paid or returned leave an event where what counts in figures changes."""

from uuid import UUID, uuid4

import psycopg
import pytest


def events(db: psycopg.Connection, user_id: UUID) -> int:
    row = db.execute(
        "select count(*) from public.event_outbox where user_id = %s and type = 'data_changed'", [user_id]
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("insert", "unseen", "seen"),
    [
        (
            "insert into public.invoices (user_id, status, currency, amount_due) values (%s, 'open', 'usd', 10)",
            "update public.invoices set amount_due = 11 where user_id = %s",
            "update public.invoices set amount_paid = 10 where user_id = %s",
        ),
        (
            "insert into public.refunds (user_id, currency, amount, refunded_at) values (%s, 'usd', 10, now())",
            "update public.refunds set stripe_id = 're_' || gen_random_uuid() where user_id = %s",
            "update public.refunds set status = 'failed' where user_id = %s",
        ),
    ],
    ids=["invoices", "refunds"],
)
def test_a_money_movement_writes_an_event_if_it_counts(
    db: psycopg.Connection, insert: str, unseen: str, seen: str
) -> None:
    user_id = uuid4()
    delete = f"delete from public.{'refunds' if 'refunds' in insert else 'invoices'} where user_id = %s"  # noqa: S608
    with db.transaction(force_rollback=True):
        counts = []
        for statement in (insert, unseen, seen, delete):
            db.execute(statement, [user_id])
            counts.append(events(db, user_id))

    assert counts == [1, 1, 2, 3]
