"""What is deleted when, in bounded batches, and that the deletes keep up with the writes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from pixelbloom.config import Settings
from pixelbloom.database.gateway import Gateway
from pixelbloom.notifications.store import NotificationStore
from pixelbloom.periodic.retention import BATCH, RECORDS, RetentionStore
from pixelbloom.runs.store import RunStore
from tests.integration.runs.steps import LEASE_SECONDS
from tests.stack import Stack


def with_values(statement: str, **values: str) -> str:
    """Return the statement with these values in the places of their names."""
    for name, value in values.items():
        statement = statement.replace(f":{name}", value)
    return statement


#: The moment so many hours ago.
AGED = "now() - make_interval(hours => %(hours)s)"
RUNS = (
    "insert into public.runs (id, kind, agent_type, caller, user_queue, input, status, error, finished_at)"
    " select gen_random_uuid(), 'agent', 'a', 'x', %(mark)s, '{}', 'failed', 'x', :aged"
    " from generate_series(1, %(rows)s)"
)
NOTES = (
    "insert into public.notifications (user_id, notification_type, title, message, created_at, read, read_at)"
    " select %(user)s, %(mark)s, 'T', 'm', :aged, :read, :aged from generate_series(1, %(rows)s)"
)
DELIVERIES = (
    "insert into public.webhook_deliveries (run_id, url, event, status, finished_at, next_attempt_at, expires_at)"
    " select r.id, 'https://example.com/', 'run.failed', :status, :ended, :aged, now() + interval '1 day'"
    " from (select id from public.runs where user_queue = %(mark)s limit 1) as r, generate_series(1, %(rows)s)"
)
EVENTS = (
    "insert into public.stripe_events (id, type, payload, occurred_at, received_at, status, subject)"
    " select 'evt_' || gen_random_uuid(), %(mark)s, '{}', :aged, :aged, :status, :subject"
    " from generate_series(1, %(rows)s)"
)
REMOVED = (
    "insert into public.:table (:name, created_at, deleted_at)"
    " select %(mark)s, :aged, :removed from generate_series(1, %(rows)s)"
)
#: By the kind of rows: the statement that adds some of an age.
INSERTS = {
    "runs": RUNS,
    "notifications": with_values(NOTES, read="true"),
    "unread_notifications": with_values(NOTES, read="false"),
    "agent_logs": "insert into public.agent_logs (agent_type, event, created_at)"
    " select 'a', %(mark)s, :aged from generate_series(1, %(rows)s)",
    "model_metrics": "insert into public.model_metrics (agent_type, provider, outcome, latency_ms, created_at)"
    " select %(mark)s, 'p', 'ok', 1, :aged from generate_series(1, %(rows)s)",
    "webhook_deliveries": with_values(DELIVERIES, status="'delivered'", ended=":aged"),
    "event_outbox": "insert into public.event_outbox (type, topic, payload, visible_at)"
    " select 'data_changed', %(mark)s, '{}', :aged from generate_series(1, %(rows)s)",
    "stripe_events": with_values(EVENTS, status="'ignored'", subject="null"),
    "leads": with_values(REMOVED, table="leads", name="name", removed=":aged"),
    "conversations": with_values(REMOVED, table="conversations", name="title", removed=":aged"),
}
MARKS = {
    "runs": ("runs", "user_queue"),
    "notifications": ("notifications", "notification_type"),
    "unread_notifications": ("notifications", "notification_type"),
    "agent_logs": ("agent_logs", "event"),
    "model_metrics": ("model_metrics", "agent_type"),
    "webhook_deliveries": ("webhook_deliveries", "url"),
    "event_outbox": ("event_outbox", "topic"),
    "stripe_events": ("stripe_events", "type"),
    "leads": ("leads", "name"),
    "conversations": ("conversations", "title"),
}
#: Rows of the same age that no retention deletes.
SPARED = {
    "runs": "insert into public.runs (id, kind, agent_type, caller, user_queue, input, created_at)"
    " select gen_random_uuid(), 'agent', 'a', 'x', %(mark)s, '{}', :aged from generate_series(1, %(rows)s)",
    "unread_notifications": with_values(NOTES, read="true"),
    "notifications": with_values(NOTES, read="false"),
    "webhook_deliveries": with_values(DELIVERIES, status="'pending'", ended="null"),
    "stripe_events": with_values(EVENTS, status="'processed'", subject="'sub_1'"),
    "leads": with_values(REMOVED, table="leads", name="name", removed="null"),
    "conversations": with_values(REMOVED, table="conversations", name="title", removed="null"),
}
USER = uuid4()
DAY, OLD, NEW = 24, 48, 1


class Rows:
    """The rows of a test, known by a mark."""

    def __init__(self, db: psycopg.Connection, gateway: Gateway) -> None:
        self.db = db
        self.mark = f"m{uuid4().hex}"
        self._runs = RunStore(gateway, user_queue_limit=100, lease_seconds=LEASE_SECONDS)
        self._notifications = NotificationStore(gateway)
        self._retention = RetentionStore(gateway)

    def add(self, statement: str, rows: int, *, hours: int) -> None:
        self.db.execute(
            with_values(statement, aged=AGED), {"rows": rows, "hours": hours, "mark": self.mark, "user": USER}
        )

    def count(self, kind: str) -> int:
        table, column = MARKS[kind]
        value = "https://example.com/" if kind == "webhook_deliveries" else self.mark
        row = self.db.execute(
            sql.SQL("select count(*) from public.{} where {} = %s").format(
                sql.Identifier(table), sql.Identifier(column)
            ),
            [value],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def purge(self, kind: str, limit: int, *, hours: int = DAY) -> int:
        before = datetime.now(UTC) - timedelta(hours=hours)
        if kind == "runs":
            return self._runs.purge(before, limit)
        if kind == "notifications":
            return self._notifications.purge(before, limit)
        return self._retention.purge(kind, before, limit)


@pytest.fixture
def rows(db: psycopg.Connection, gateway: Gateway) -> Iterator[Rows]:
    tables = sorted({f"public.{table}" for table, _ in MARKS.values()})
    db.execute(f"truncate {', '.join(tables)} cascade")
    yield Rows(db, gateway)
    db.execute(f"truncate {', '.join(tables)} cascade")


@pytest.mark.parametrize("kind", INSERTS)
def test_only_rows_of_the_age_are_deleted_and_in_bounded_batches(rows: Rows, kind: str) -> None:
    if kind == "webhook_deliveries":
        rows.add(RUNS, 1, hours=NEW)
    if kind in ("notifications", "unread_notifications"):
        rows.db.execute("alter table public.notifications disable trigger notifications_touch")
    try:
        for statement, hours in ((INSERTS[kind], OLD), (INSERTS[kind], NEW), (SPARED.get(kind), OLD)):
            if statement:
                rows.add(statement, 5, hours=hours)
    finally:
        rows.db.execute("alter table public.notifications enable trigger notifications_touch")
    left = 10 if kind in SPARED else 5
    assert rows.count(kind) == left + 5
    assert [rows.purge(kind, 3) for _ in range(3)] == [3, 2, 0]
    assert rows.count(kind) == left


@pytest.mark.parametrize("kind", INSERTS)
def test_a_batch_is_found_by_an_index(rows: Rows, kind: str) -> None:
    """However many rows there are, no table is read as a whole."""
    if kind == "webhook_deliveries":
        rows.add(RUNS, 1, hours=NEW)
    rows.add(INSERTS[kind], 6000, hours=NEW)
    table, _ = MARKS[kind]
    rows.db.execute(sql.SQL("analyze public.{}").format(sql.Identifier(table)))
    scans = "select seq_scan from pg_stat_user_tables where schemaname = 'public' and relname = %s"
    with rows.db.transaction():
        call = {
            "runs": "select public.purge_runs(now() - interval '1 day', 10)",
            "notifications": "select public.purge_notifications(now() - interval '1 day', 10)",
        }.get(kind, f"select public.purge_rows('{kind}', now() - interval '1 day', 10)")
        rows.db.execute("select pg_stat_force_next_flush()")
    before = rows.db.execute(scans, [table]).fetchone()
    assert rows.db.execute(call).fetchone() == (0,)
    rows.db.execute("select pg_stat_force_next_flush()")
    assert rows.db.execute(scans, [table]).fetchone() == before


def test_a_run_whose_webhook_is_still_to_be_delivered_is_not_deleted(rows: Rows) -> None:
    rows.add(RUNS, 2, hours=OLD)
    rows.add(with_values(DELIVERIES, status="'pending'", ended="null"), 1, hours=OLD)
    assert rows.purge("runs", 10) == 1
    rows.db.execute("update public.webhook_deliveries set status = 'failed', finished_at = now()")
    assert rows.purge("runs", 10) == 1


def test_a_deleted_lead_leaves_its_recommendations(rows: Rows) -> None:
    rows.add(INSERTS["leads"], 1, hours=OLD)
    rows.db.execute(
        "insert into public.service_recommendations (lead_id, service) select id, %s from public.leads", [rows.mark]
    )
    assert rows.purge("leads", 10) == 1
    found = rows.db.execute(
        "select lead_id from public.service_recommendations where service = %s", [rows.mark]
    ).fetchall()
    assert found == [(None,)]


def test_by_default_nothing_is_deleted_that_the_api_shows() -> None:
    """Read notifications and events that nobody could be sent have a retention without any setting."""
    names = [name for name in Settings.model_fields if name.endswith("_retention_days")]
    limited = {name for name in names if Settings.model_fields[name].default is not None}
    assert limited == {"notification_retention_days", "event_retention_days"}
    assert set(RECORDS.values()) | {
        "run_retention_days", "notification_retention_days", "unread_notification_retention_days"
    } == set(names)  # fmt: skip


def test_the_maintenance_worker_keeps_up_with_what_is_written(running: Stack, rows: Rows) -> None:
    many = 12 * BATCH
    for kind in ("agent_logs", "runs", "unread_notifications"):
        rows.add(INSERTS[kind], many if kind == "agent_logs" else BATCH + 1, hours=OLD)
        rows.add(INSERTS[kind], 3, hours=NEW)
    rows.db.execute("truncate public.periodic_tasks")
    settings = {
        "AGENT_LOG_RETENTION_DAYS": "1",
        "RUN_RETENTION_DAYS": "1",
        "UNREAD_NOTIFICATION_RETENTION_DAYS": "1",
    }
    running.start("maintenance", env=settings)
    running.start("beat")

    def left() -> list[int]:
        return [rows.count(kind) for kind in ("agent_logs", "runs", "unread_notifications")]

    def keeps_up() -> bool:
        rows.add(INSERTS["agent_logs"], 1, hours=OLD)
        return left()[1:] == [3, 3] and rows.count("agent_logs") < BATCH

    running.wait_for(keeps_up)


def test_unset_retentions_delete_nothing(running: Stack, rows: Rows) -> None:
    remaining = ("agent_logs", "runs", "model_metrics", "unread_notifications", "leads", "stripe_events")
    for kind in remaining:
        rows.add(INSERTS[kind], 3, hours=24 * 400)
    rows.add(INSERTS["event_outbox"], 3, hours=24 * 400)
    rows.db.execute("truncate public.periodic_tasks")
    running.start("maintenance")
    running.start("beat")
    finished = "select count(*) from public.periodic_tasks where name like 'purge%' and last_finished_at is not null"
    running.wait_for(lambda: rows.db.execute(finished).fetchone() == (3,))
    assert {kind: rows.count(kind) for kind in remaining} == dict.fromkeys(remaining, 3)
    assert rows.count("event_outbox") == 0
