"""Single rows of a table through PostgREST: finding, inserting, and changing one version of a row."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway


def not_deleted(rows: Any) -> Any:
    """Narrow the query to rows without `deleted_at`."""
    return rows.is_("deleted_at", "null")


def find(
    gateway: Gateway,
    table: str,
    value: UUID | str,
    columns: str = "*",
    narrow: Callable[[Any], Any] = lambda rows: rows,
    *,
    by: str = "id",
) -> dict[str, Any] | None:
    """Return the row that passes `narrow` and has this value in the column `by`, or None. Raises Unavailable."""
    rows = gateway.select(
        lambda client: narrow(client.table(table).select(columns).eq(by, str(value))).limit(1), name=f"{table}.find"
    )
    return rows[0] if rows else None


def insert(gateway: Gateway, table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored row. Raises Unavailable or RejectedData."""
    response: Any = gateway.send(lambda client: client.table(table).insert(dict(row)).execute(), name=f"{table}.add")
    added: dict[str, Any] = response.data[0]
    return added


def change(
    gateway: Gateway,
    table: str,
    row_id: UUID,
    version: int,
    changes: Mapping[str, Any],
    narrow: Callable[[Any], Any] = lambda rows: rows,
) -> dict[str, Any] | None:
    """Return the changed row; None if no row that passes `narrow` has that version.

    Raises Unavailable or RejectedData.
    """
    response: Any = gateway.send(
        lambda client: narrow(
            client.table(table).update(dict(changes)).eq("id", str(row_id)).eq("version", version)
        ).execute(),
        name=f"{table}.change",
    )
    rows: list[dict[str, Any]] = response.data
    return rows[0] if rows else None
