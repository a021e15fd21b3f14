"""What a browser may write is bounded: each value by a check, each user's rows by a quota."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation

#: Types that cannot hold much.
FIXED = {"uuid", "boolean", "smallint", "integer", "numeric", "timestamp with time zone", "date"}
WRITABLE = """
    select distinct c.table_name, c.column_name, c.data_type
    from information_schema.columns as c
    cross join unnest(array['anon', 'authenticated']) as r (role)
    cross join unnest(array['INSERT', 'UPDATE']) as p (privilege)
    where
        c.table_schema = 'public'
        and has_column_privilege(r.role, format('public.%I', c.table_name), c.column_name, p.privilege)
    order by 1, 2
"""
CHECKS = """
    select pg_get_constraintdef(oid) from pg_constraint
    where contype = 'c' and conrelid = %s::regclass
"""


def bounds(column: str) -> re.Pattern[str]:
    """What a check says that bounds a column: its length, the texts it may be, or a pattern of fixed length."""
    length = (
        rf"(?:char_length|octet_length)\(\(?{column}\)?(?:::text)?\) (?:<=|>= 1\) AND \(char_length\({column}\) <=) \d+"
    )
    return re.compile(rf"{length}|\(?{column}\)? = ANY \(|\({column} ~ '\^\[[^]]*\]{{\d+}}\$'")


def test_every_column_that_a_browser_may_write_is_bounded(db: psycopg.Connection) -> None:
    writable = db.execute(WRITABLE).fetchall()
    assert ("leads", "metadata", "jsonb") in writable
    assert ("user_profiles", "avatar_url", "text") in writable

    unbounded = []
    for table, column, kind in writable:
        checks = [check for (check,) in db.execute(CHECKS, [f"public.{table}"])]
        if kind not in FIXED and not any(bounds(column).search(check) for check in checks):
            unbounded.append((table, column, checks))
    assert unbounded == []


@pytest.fixture
def user(db: psycopg.Connection) -> Iterator[UUID]:
    """A user with a conversation, whose rows and quotas are as before afterwards."""
    user_id = uuid4()
    quotas = db.execute("select table_name, rows_per_user from public.row_quotas").fetchall()
    yield user_id
    db.execute("reset role")
    db.execute("delete from public.leads where user_id = %s", [user_id])
    db.execute("delete from public.conversations where user_id = %s", [user_id])
    for table, rows in quotas:
        db.execute("update public.row_quotas set rows_per_user = %s where table_name = %s", [rows, table])


def become(db: psycopg.Connection, user_id: UUID) -> None:
    claims = json.dumps({"sub": str(user_id), "role": "authenticated"})
    db.execute("select set_config('request.jwt.claims', %s, false)", [claims])
    db.execute("set role authenticated")


@pytest.mark.parametrize("size", [16_385, 20 * 1024 * 1024])
@pytest.mark.parametrize("table", ["leads", "conversations", "messages"])
def test_the_size_of_metadata_is_limited(db: psycopg.Connection, user: UUID, table: str, size: int) -> None:
    (conversation_id,) = one(db, "insert into public.conversations (user_id) values (%s) returning id", [user])
    become(db, user)
    rows: dict[str, tuple[Any, list[Any]]] = {
        "leads": ("insert into public.leads (user_id, name, metadata) values (%s, 'Ada', %s)", [user]),
        "conversations": ("insert into public.conversations (user_id, metadata) values (%s, %s)", [user]),
        "messages": (
            "insert into public.messages (user_id, conversation_id, role, content, metadata) "
            "values (%s, %s, 'user', 'Hello', %s)",
            [user, conversation_id],
        ),
    }
    query, values = rows[table]

    with pytest.raises(CheckViolation):
        db.execute(query, [*values, json.dumps({"a": "x" * size})])
    db.execute(query, [*values, json.dumps({"a": "x" * 16_000})])
    if table != "messages":
        with pytest.raises(CheckViolation):
            db.execute(of(table, "update public.{} set metadata = %s"), [json.dumps({"a": "x" * size})])


@pytest.mark.parametrize("table", ["leads", "conversations", "messages"])
def test_a_user_cannot_exceed_the_quota(db: psycopg.Connection, user: UUID, table: str) -> None:
    (conversation_id,) = one(db, "insert into public.conversations (user_id) values (%s) returning id", [user])
    db.execute("update public.row_quotas set rows_per_user = 3 where table_name = %s", [table])
    queries = {
        "leads": ("insert into public.leads (user_id, name) values (%(user)s, 'Ada') returning id"),
        "conversations": "insert into public.conversations (user_id) values (%(user)s) returning id",
        "messages": "insert into public.messages (user_id, conversation_id, role, content) "
        "values (%(user)s, %(conversation)s, 'user', 'Hello') returning id",
    }
    values = {"user": user, "conversation": conversation_id}
    become(db, user)
    for _ in range(2 if table == "conversations" else 3):
        db.execute(queries[table], values)

    with pytest.raises(psycopg.Error, match="3 rows") as caught:
        db.execute(queries[table], values)
    assert caught.value.sqlstate == "PT409"
    if table != "messages":
        db.execute(of(table, "update public.{} set deleted_at = now()"))
        with pytest.raises(psycopg.Error, match="3 rows"):
            db.execute(queries[table], values)
    other = {**values, "user": uuid4()}
    if table != "messages":
        become(db, other["user"])
        db.execute(queries[table], other)
        db.execute(of(table, "delete from public.{}"))
        become(db, user)
    db.execute(of(table, "delete from public.{0} where id = (select id from public.{0} limit 1)"))
    db.execute(queries[table], values)


def test_many_rows_in_one_statement_count_as_many(db: psycopg.Connection, user: UUID) -> None:
    db.execute("update public.row_quotas set rows_per_user = 3 where table_name = 'leads'")
    become(db, user)

    with pytest.raises(psycopg.Error, match="3 rows"):
        db.execute("insert into public.leads (user_id, name) select %s, 'Ada' from generate_series(1, 4)", [user])
    db.execute("insert into public.leads (user_id, name) select %s, 'Ada' from generate_series(1, 3)", [user])


def test_seeds_and_restores_by_the_owner_are_not_limited(db: psycopg.Connection, user: UUID) -> None:
    db.execute("update public.row_quotas set rows_per_user = 3 where table_name = 'leads'")

    db.execute("insert into public.leads (user_id, name) select %s, 'Ada' from generate_series(1, 4)", [user])


def of(table: str, query: Any) -> sql.Composed:
    return sql.SQL(query).format(sql.Identifier(table))


def test_without_its_row_a_table_has_no_quota(db: psycopg.Connection, user: UUID) -> None:
    with db.transaction(force_rollback=True):
        db.execute("delete from public.row_quotas where table_name = 'leads'")
        become(db, user)
        for _ in range(2):
            db.execute("insert into public.leads (user_id, name) values (%s, 'Ada')", [user])


def one(db: psycopg.Connection, query: str, values: list[Any]) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(query, values).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row
