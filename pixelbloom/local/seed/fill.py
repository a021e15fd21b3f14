"""Insert the demo's rows. No trigger runs, so that made-up rows publish no events."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from pixelbloom.errors import ConfigurationError
from pixelbloom.local.seed.ledger import campaigns, ledger, packages
from pixelbloom.local.seed.people import people, recommendations, talks
from pixelbloom.local.seed.plan import Plan, Row
from pixelbloom.local.seed.work import notifications, runs

SCALE = Path(__file__).with_name("scale.sql")
#: The time column of each table; rows of the future are omitted.
MOMENTS = {
    "user_subscriptions": "start_date",
    "run_steps": "finished_at",
    "runs": "finished_at",
}


def demo(connection: psycopg.Connection, plan: Plan, now: datetime | None = None) -> dict[str, int]:
    """Add the demo agency's rows that are not there yet. Returns their number by table.

    Rows of later than now are left out; the same call adds them when their time has come.
    """
    now = now or datetime.now(UTC)
    with connection.transaction():
        _quietly(connection)
        added = {"pricing_packages": _add(connection, "pricing_packages", packages(plan))}
        named = connection.execute("select name, id from public.pricing_packages").fetchall()
        added["pricing_campaigns"] = _add(connection, "pricing_campaigns", campaigns(plan, dict(named)))
        found = people(plan)
        conversations, messages, chats = talks(plan, found)
        subscriptions, invoices = ledger(plan, found, dict(named))
        tables = {
            "leads": [person.row for person in found],
            "conversations": conversations,
            "messages": messages,
            "service_recommendations": recommendations(plan, found),
            "user_subscriptions": subscriptions,
            "invoices": invoices,
            **runs(plan, [*(work for person in found for work in person.works), *chats]),
            "notifications": notifications(plan, found),
        }
        known = _known_runs(connection, tables["runs"])
        for table, rows in tables.items():
            if table == "model_metrics":  # its ids are the database's own
                rows = [row for row in rows if row["run_id"] not in known]
            added[table] = _add(connection, table, [row for row in rows if _moment(table, row) <= now])
        _count_again(connection)
    return added


def scale(
    connection: psycopg.Connection, plan: Plan, *, leads: int, messages: int, subscriptions: int
) -> dict[str, int]:
    """Add many rows, made by the database itself. Returns their number by table. Raises ConfigurationError."""
    tables = (
        *("leads", "conversations", "messages", "user_subscriptions", "invoices", "refunds", "runs", "model_metrics"),
    )
    with connection.transaction():
        first = UUID(hashlib.md5(f"lead:{plan.number}1".encode(), usedforsecurity=False).hexdigest())
        if connection.execute("select 1 from public.leads where id = %s", (first,)).fetchone():
            raise ConfigurationError(f"The rows of --seed {plan.number} are there already; pass another number.")
        _quietly(connection)
        before = _counts(connection, tables)
        values = {
            "number": plan.number,
            "until": plan.until,
            "owner": plan.owner,
            "leads": leads,
            "messages": messages,
            "subscriptions": subscriptions,
        }
        for name, value in values.items():
            connection.execute("select set_config(%s, %s, true)", (f"seed.{name}", str(value)))
        connection.execute(SCALE.read_text(encoding="utf-8"))
        _count_again(connection)
        after = _counts(connection, tables)
    # Plans and index-only scans need current statistics.
    connection.execute("vacuum (analyze)")
    return {table: after[table] - before[table] for table in tables}


def others(connection: psycopg.Connection, owner: UUID) -> int:
    """Return the number of leads of other users."""
    row = connection.execute("select count(*) from public.leads where user_id is distinct from %s", (owner,)).fetchone()
    return int(row[0]) if row else 0


def _quietly(connection: psycopg.Connection) -> None:
    try:
        connection.execute("set local session_replication_role = 'replica'")
    except psycopg.errors.InsufficientPrivilege:
        raise ConfigurationError(
            "DATABASE_URL: this role may not set session_replication_role; use the database's owner"
        ) from None


def _count_again(connection: psycopg.Connection) -> None:
    """Have the figures counted from the rows, which no trigger saw; a worker adds them to the roll-ups again."""
    connection.execute("select public.reset_figures()")


def _add(connection: psycopg.Connection, table: str, rows: Sequence[Row]) -> int:
    if not rows:
        return 0
    names = list(rows[0])
    query = sql.SQL("insert into public.{} ({}) values ({}) on conflict do nothing").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(map(sql.Placeholder, names)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(query, [{name: _plain(value) for name, value in row.items()} for row in rows])
        return cursor.rowcount


def _plain(value: Any) -> Any:
    array = isinstance(value, list) and any(isinstance(item, UUID) for item in value)
    return Jsonb(value) if isinstance(value, dict | list) and not array else value


def _moment(table: str, row: Row) -> datetime:
    moment: datetime = row[MOMENTS.get(table, "created_at")]
    return moment


def _known_runs(connection: psycopg.Connection, rows: Sequence[Row]) -> set[UUID]:
    ids = [row["id"] for row in rows]
    return {row[0] for row in connection.execute("select id from public.runs where id = any(%s)", (ids,)).fetchall()}


def _counts(connection: psycopg.Connection, tables: Sequence[str]) -> dict[str, int]:
    def count(table: str) -> int:
        row = connection.execute(sql.SQL("select count(*) from public.{}").format(sql.Identifier(table))).fetchone()
        assert row is not None
        return int(row[0])

    counted: Callable[[str], int] = count
    return {table: counted(table) for table in tables}
