"""Pages of rows, newest first."""

from typing import Any


def newest_first(rows: Any, limit: int, before: tuple[str, str] | None) -> Any:
    """The query's page: by (created_at, id), from after `before` on."""
    if before:
        at, row_id = before
        rows = rows.or_(f"created_at.lt.{at},and(created_at.eq.{at},id.lt.{row_id})").lte("created_at", at)
    return rows.order("created_at", desc=True).order("id", desc=True).limit(limit)
