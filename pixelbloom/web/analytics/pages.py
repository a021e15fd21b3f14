"""The common parts of the analytics routes."""

from typing import Any

from pixelbloom.analytics.store import AnalyticsStore, Before, Series
from pixelbloom.runs.service import read_cursor, write_cursor
from pixelbloom.web.analytics.schemas import PageOfRangeQuery, RangeQuery
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import scoped

#: Before each request: require a token with the scope of analytics, if it has scopes.
guard = scoped("analytics")


def figures() -> AnalyticsStore:
    return services().analytics


def ranged(query: RangeQuery, found: dict[str, Any]) -> dict[str, Any]:
    """Return figures with their range. The query must be resolved."""
    return {"range": query.to_public(), **found}


def before(query: PageOfRangeQuery) -> Before:
    """Return the position where the page begins."""
    return read_cursor(query.cursor) if query.cursor else None


def page(query: PageOfRangeQuery, rows: Series, by: str = "created_at") -> dict[str, Any]:
    """Return a page of rows, given one row more than the limit, in the order of the time `by`."""
    items = rows[: query.limit]
    more = len(rows) > query.limit
    cursor = write_cursor({"created_at": items[-1][by], "id": items[-1]["id"]}) if more else None
    return {"items": items, "next_cursor": cursor}
