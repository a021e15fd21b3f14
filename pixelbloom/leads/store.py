"""Storage of leads for the API. Runs read them through `pixelbloom.leads.scoped`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Filtered, Rows, matching, text_filter
from pixelbloom.database.rows import change, find, insert, not_deleted

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
        return insert(self._gateway, "leads", row)

    def find(self, lead_id: UUID) -> dict[str, Any] | None:
        return find(self._gateway, "leads", lead_id, COLUMNS, not_deleted)

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
        search = text_filter(self._gateway, "search_text", words)

        def narrow(rows: Any) -> Any:
            rows = matching(not_deleted(rows), filters, between)
            if least is not None:
                rows = rows.gte("score", least)
            if most is not None:
                rows = rows.lte("score", most)
            return search(rows)

        return Filtered(self._gateway, "leads", narrow).page(COLUMNS, limit, before, total=total)

    def change(self, lead_id: UUID, version: int, changes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the changed row; None if no row has that version."""
        return change(self._gateway, "leads", lead_id, version, changes, not_deleted)
