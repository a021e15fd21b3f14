"""Packages and campaigns in the database."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg


def package(db: psycopg.Connection, price: str = "49.00", **columns: Any) -> UUID:
    row = {"name": f"P{uuid4().hex}", "price": Decimal(price), **columns}
    return added(db, "pricing_packages", row)


def campaign(db: psycopg.Connection, **columns: Any) -> str:
    row = {"code": f"C{uuid4().hex[:12]}", "discount_type": "percentage", "discount_value": 20, **columns}
    added(db, "pricing_campaigns", row)
    return str(row["code"])


def added(db: psycopg.Connection, table: str, row: dict[str, Any]) -> UUID:
    marks = ", ".join(["%s"] * len(row))
    query = f"insert into {table} ({', '.join(row)}) values ({marks}) returning id"  # noqa: S608
    found = db.execute(query, list(row.values())).fetchone()
    assert found is not None
    return UUID(str(found[0]))


def uses(db: psycopg.Connection, code: str) -> int:
    row = db.execute("select uses from pricing_campaigns where code = %s", [code]).fetchone()
    assert row is not None
    return int(row[0])
