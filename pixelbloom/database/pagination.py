"""Pages of rows, newest first, and searches in them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from postgrest import CountMethod

from pixelbloom.core.time_zones import iso_utc
from pixelbloom.database.gateway import Gateway, again

#: Bytes of JSON from which on rows go to the next page; a single larger row is a page of its own.
PAGE_BYTES = 4 * 1024 * 1024
#: Rows that are read at once where a row may be wide.
SLICE_ROWS = 20

P = TypeVar("P")


@dataclass(frozen=True)
class Rows:
    """The rows of a page, whether there are more after them, and where it was asked for the number of all."""

    items: list[dict[str, Any]]
    more: bool
    total: int | None = None


@dataclass(frozen=True)
class Slices(Generic[P]):
    """How a page is read: `read` returns at most so many rows from after a position on, `position` is that of a row."""

    read: Callable[[int, P | None], list[dict[str, Any]]]
    position: Callable[[Mapping[str, Any]], P]
    rows: int = SLICE_ROWS

    def page(self, limit: int, after: P | None) -> Rows:
        """At most `limit` rows and PAGE_BYTES, at least one row. Holds no more than that and one slice."""
        items: list[dict[str, Any]] = []
        size = 0
        while True:
            # One row more than the page takes says whether there is a next page.
            wanted = min(self.rows, limit + 1 - len(items))
            found = self.read(wanted, after)
            for row in found:
                size += weight(row)
                if len(items) == limit or (items and size > PAGE_BYTES):
                    return Rows(items, more=True)
                items.append(row)
            if len(found) < wanted:
                return Rows(items, more=False)
            after = self.position(found[-1])


@dataclass(frozen=True)
class Filtered:
    """The rows of a table that a list shows: `narrow` adds the filters to a query."""

    gateway: Gateway
    table: str
    narrow: Callable[[Any], Any]

    def counted(self, rows: Rows, *, wanted: bool) -> Rows:
        """The page with the number of all rows of the list, where it is wanted. Raises Unavailable."""
        if not wanted:
            return rows
        found = self.gateway.send(
            lambda client: again(
                lambda: self.narrow(client.table(self.table).select("id", count=CountMethod.exact, head=True)).execute()
            ),
            name=f"{self.table}.count",
        )
        return replace(rows, total=int(found.count))


def weight(row: Mapping[str, Any]) -> int:
    """Bytes of the row as JSON, which the API writes in ASCII."""
    return len(json.dumps(row, separators=(",", ":")))


def position(row: Mapping[str, Any], by: str = "created_at") -> tuple[str, str]:
    """Where a row stands among the newest first: its time, with a `Z` for addresses, and its id."""
    return iso_utc(datetime.fromisoformat(row[by])), row["id"]


def newest_first(rows: Any, limit: int, before: tuple[str, str] | None, by: str = "created_at") -> Any:
    """The query's page: by time and id, from after `before` on."""
    if before:
        at, row_id = before
        rows = rows.or_(f"{by}.lt.{at},and({by}.eq.{at},id.lt.{quoted(row_id)})").lte(by, at)
    return rows.order(by, desc=True).order("id", desc=True).limit(limit)


def quoted(text: str) -> str:
    """A value as it stands in a filter of PostgREST's, whatever is in it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def containing(words: str) -> str:
    """As a pattern of `ilike` that finds just these words anywhere."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # PostgREST would make a star the pattern's own; any character stands for it.
    return f"*{escaped.replace('*', '_')}*"


def search_grams(gateway: Gateway, words: str) -> str:
    """What the column of grams of a text has that contains these words, for a filter `cs`."""
    found: str = gateway.rpc("search_grams", {"p_words": words})
    return found
