"""Pages of rows, newest first, and searches in them."""

from typing import Any

#: They narrow the rows down far enough.
MAX_TRIGRAMS = 8


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


def trigrams(words: str) -> str | None:
    """Runs of three characters that a text which contains these words has in its column of trigrams.

    Letters beyond ASCII that have a small and a capital form are left out: how the database lowers them depends on its
    locale. As an array of Postgres; None where there are none.
    """
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in words)
    runs = {lowered[at : at + 3] for at in range(len(lowered) - 2)}
    found = sorted(run for run in runs if all(c.isascii() or c.lower() == c.upper() for c in run))[:MAX_TRIGRAMS]
    quoted = ('"' + run.replace("\\", "\\\\").replace('"', '\\"') + '"' for run in found)
    return f"{{{','.join(quoted)}}}" if found else None
