"""Storage of leads for the API. Runs read them through `pixelbloom.leads.scoped`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Filtered, Rows, Slices, containing, newest_first, position, search_grams

COLUMNS = (
    "id,user_id,name,email,phone,company,industry,budget,currency,timeline,message,notes,assigned_to,source,status,score,analysis,"
    "analysis_id,analyzed_at,metadata,version,visitor_id,created_at,updated_at"
)


class LeadRows:
    """The table `leads`, without deleted rows. Every method may raise Unavailable or RejectedData."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the stored row."""
        response: Any = self._gateway.send(
            lambda client: client.table("leads").insert(dict(row)).execute(), name="leads.add"
        )
        added: dict[str, Any] = response.data[0]
        return added

    def find(self, lead_id: UUID) -> dict[str, Any] | None:
        rows = self._gateway.select(
            lambda client: client.table("leads").select(COLUMNS).eq("id", str(lead_id)).is_("deleted_at", "null"),
            name="leads.find",
        )
        return rows[0] if rows else None

    def page(
        self,
        *,
        limit: int,
        filters: Mapping[str, str],
        scores: tuple[int | None, int | None],
        between: tuple[str | None, str | None],
        words: str | None,
        before: tuple[str, str] | None,
        total: bool = False,
    ) -> Rows:
        """Return a page, newest first. `filters` are columns and values; `words` is text in name, company, email or
        message.

        With `total`, count all matching rows too.
        """
        least, most = scores
        after, until = between
        grams = search_grams(self._gateway, words) if words is not None else ""

        def narrow(rows: Any) -> Any:
            rows = rows.is_("deleted_at", "null")
            for column, value in filters.items():
                rows = rows.eq(column, value)
            if least is not None:
                rows = rows.gte("score", least)
            if most is not None:
                rows = rows.lte("score", most)
            if after is not None:
                rows = rows.gte("created_at", after)
            if until is not None:
                rows = rows.lt("created_at", until)
            if words is not None:
                rows = rows.filter("search_text", "ilike", containing(words)).filter("search_grams", "cs", grams)
            return rows

        def read(count: int, last: tuple[str, str] | None) -> list[dict[str, Any]]:
            return self._gateway.select(
                lambda client: newest_first(narrow(client.table("leads").select(COLUMNS)), count, last),
                name="leads.page",
            )

        page = Slices(read, position).page(limit, before)
        return Filtered(self._gateway, "leads", narrow).counted(page, wanted=total)

    def change(self, lead_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed row; None if no row has that version."""
        response: Any = self._gateway.send(
            lambda client: (
                client.table("leads")
                .update(dict(changes))
                .eq("id", str(lead_id))
                .eq("version", version)
                .is_("deleted_at", "null")
                .execute()
            ),
            name="leads.change",
        )
        rows: list[dict[str, Any]] = response.data
        return rows[0] if rows else None
