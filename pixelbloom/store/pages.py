"""Pages of rows, newest first, and searches in them."""

from typing import Any


def newest_first(rows: Any, limit: int, before: tuple[str, str] | None, foreign_table: str | None = None) -> Any:
    """The query's page: by (created_at, id), from after `before` on; of the rows, or of those embedded in them."""
    if before:
        at, row_id = before
        rows = rows.or_(f"created_at.lt.{at},and(created_at.eq.{at},id.lt.{row_id})").lte("created_at", at)
    where = {"foreign_table": foreign_table} if foreign_table else {}
    return rows.order("created_at", desc=True, **where).order("id", desc=True, **where).limit(limit, **where)


def containing(words: str) -> str:
    """As a pattern of `ilike` that finds just these words anywhere."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # PostgREST would make a star the pattern's own; any character stands for it.
    return f"*{escaped.replace('*', '_')}*"
