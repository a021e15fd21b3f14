"""Single values of the database."""

from typing import Any

import psycopg


def one(db: psycopg.Connection, query: str, *values: Any) -> Any:
    """Return the first column of the query's first row, which must exist."""
    row = db.execute(query, list(values)).fetchone()
    assert row is not None
    return row[0]
