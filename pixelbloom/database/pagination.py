"""Pages of rows, newest first, and searches in them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from postgrest import CountMethod

from pixelbloom.core.time_zones import iso_utc
from pixelbloom.database.gateway import Gateway, again

#: Maximum number of rows per page.
MAX_PAGE = 200
#: Maximum bytes of JSON per page; a single larger row is a page of its own.
PAGE_BYTES = 4 * 1024 * 1024
#: Rows read at once if rows may be large.
SLICE_ROWS = 20

P = TypeVar("P")


@dataclass(frozen=True)
class Rows:
    """The rows of a page, whether there are more, and the total if requested."""

    items: list[dict[str, Any]]
    more: bool
    total: int | None = None

    @classmethod
    def cut(cls, found: list[dict[str, Any]], limit: int) -> Self:
        """Return a page of `limit` rows, given one row more if there is a next page."""
        return cls(found[:limit], more=len(found) > limit)


@dataclass(frozen=True)
class Slices(Generic[P]):
    """Reads a page in slices: `read` returns at most so many rows after a position; `position` returns a row's."""

    read: Callable[[int, P | None], list[dict[str, Any]]]
    position: Callable[[Mapping[str, Any]], P]
    rows: int = SLICE_ROWS

    def page(self, limit: int, after: P | None) -> Rows:
        """Return at most `limit` rows and PAGE_BYTES, but at least one row. Memory is bounded by that plus a slice."""
        items: list[dict[str, Any]] = []
        size = 0
        while True:
            # One extra row shows whether there is a next page.
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
    """The filtered rows of a table: `narrow` adds the filters to a query."""

    gateway: Gateway
    table: str
    narrow: Callable[[Any], Any]

    def page(self, columns: str, limit: int, before: tuple[str, str] | None, *, total: bool) -> Rows:
        """Return a page of these columns, newest first, with the number of all rows if `total`. Raises Unavailable."""

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self.gateway.select(
                lambda client: newest_first(self.narrow(client.table(self.table).select(columns)), count, last),
                name=f"{self.table}.page",
            )

        return self.counted(Slices(read, position).page(limit, before), wanted=total)

    def counted(self, rows: Rows, *, wanted: bool) -> Rows:
        """Return the page, with the total number of rows if `wanted`. Raises Unavailable."""
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
    """Return the bytes of the row as ASCII JSON."""
    return len(json.dumps(row, separators=(",", ":")))


def position(row: Mapping[str, Any], by: str = "created_at") -> tuple[str, str]:
    """Return a row's position in newest-first order: its time in UTC with `Z`, and its id."""
    return iso_utc(datetime.fromisoformat(row[by])), row["id"]


def newest_first(rows: Any, limit: int, before: tuple[str, str] | None, by: str = "created_at") -> Any:
    """Return the query limited to a page: by time and id, after `before`."""
    if before:
        at, row_id = before
        rows = rows.or_(f"{by}.lt.{at},and({by}.eq.{at},id.lt.{quoted(row_id)})").lte(by, at)
    return rows.order(by, desc=True).order("id", desc=True).limit(limit)


def quoted(text: str) -> str:
    """Quote a value for a PostgREST filter."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def containing(words: str) -> str:
    """Return an `ilike` pattern that matches these words literally, anywhere."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # PostgREST treats a star as a wildcard; `_` matches any one character instead.
    return f"*{escaped.replace('*', '_')}*"


def text_filter(gateway: Gateway, column: str, words: str | None) -> Callable[[Any], Any]:
    """Return what narrows a query to rows whose `column` contains these words; without words, every row passes.

    Raises Unavailable.
    """
    if words is None:
        return lambda rows: rows
    grams = gateway.rpc("search_grams", {"p_words": words})
    return lambda rows: rows.filter(column, "ilike", containing(words)).filter("search_grams", "cs", grams)


def matching(rows: Any, filters: Mapping[str, str], between: tuple[str | None, str | None]) -> Any:
    """Narrow the query to rows with these values, created from the first time on and before the second."""
    after, until = between
    for column, value in filters.items():
        rows = rows.eq(column, value)
    if after is not None:
        rows = rows.gte("created_at", after)
    if until is not None:
        rows = rows.lt("created_at", until)
    return rows
