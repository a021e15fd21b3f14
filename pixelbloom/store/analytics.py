"""Figures computed in Postgres. A `user_id` of None means everybody's."""

from typing import Any
from uuid import UUID

from pixelbloom.analytics.ranges import Range
from pixelbloom.store.gateway import Gateway


class AnalyticsStore:
    """Every method may raise Unavailable. A range that moves on with the days is resolved at the call."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def overview(self, user_id: UUID | None, range_: Range) -> dict[str, Any]:
        """`total_leads`, `active_conversations`, `conversion_rate` and `total_revenue`, each with its change."""
        answer: dict[str, Any] = self._gateway.rpc("analytics_overview", _days(user_id, range_))
        return answer

    def lead_trends(self, user_id: UUID | None, range_: Range) -> list[dict[str, Any]]:
        """Leads by when they were made: {"date", "value"} a period, oldest first."""
        return self._series("lead_trends", user_id, range_)

    def conversation_trends(self, user_id: UUID | None, range_: Range) -> list[dict[str, Any]]:
        """Conversations by when they began, in the same form."""
        return self._series("conversation_trends", user_id, range_)

    def _series(self, function: str, user_id: UUID | None, range_: Range) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self._gateway.rpc(
            function, {**_days(user_id, range_), "p_aggregation": range_.aggregation}
        )
        return answer


def _days(user_id: UUID | None, range_: Range) -> dict[str, Any]:
    start, end = range_.resolve().days
    return {
        "p_user_id": str(user_id) if user_id else None,
        "p_start": start.isoformat(),
        "p_end": end.isoformat(),
        "p_zone": range_.time_zone,
    }
