"""Rows, and the roles that read them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg import sql


def insert(db: psycopg.Connection, table: str, row: dict[str, object]) -> None:
    query = sql.SQL("insert into public.{} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() for _ in row),
    )
    db.execute(query, list(row.values()))


def count(db: psycopg.Connection, table: str) -> int:
    row = db.execute(sql.SQL("select count(*) from public.{}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def acting(db: psycopg.Connection, role: str, user: UUID | None = None, **claims: object) -> Iterator[None]:
    """As PostgREST does it: a transaction with the role and the token's claims. It is rolled back."""
    with db.transaction(force_rollback=True):
        claims = {"role": role, **({"sub": str(user)} if user else {}), **claims}
        db.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        yield
