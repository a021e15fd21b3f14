"""Figures computed in Postgres. A `user_id` of None means everybody."""

from typing import Any
from uuid import UUID

from pixelbloom.analytics.ranges import Range
from pixelbloom.database.gateway import Gateway
from pixelbloom.database.pagination import Rows, Slices, position

Figures = dict[str, Any]
Series = list[dict[str, Any]]
#: (created_at, id) of the last row that was seen.
Before = tuple[str, str] | None


class AnalyticsStore:
    """Every method may raise Unavailable. A relative range is resolved at the call.

    Trends are {"date", "value"} per period, oldest first; lists are newest first.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def overview(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return `total_leads`, `active_conversations`, `conversion_rate` and `total_revenue`, each with its change."""
        return self._figures("analytics_overview", user_id, range_)

    def lead_trends(self, user_id: UUID | None, range_: Range) -> Series:
        """Return the number of leads by creation time."""
        return self._series("lead_trends", user_id, range_)

    def conversation_trends(self, user_id: UUID | None, range_: Range) -> Series:
        """Return the number of conversations by start time."""
        return self._series("conversation_trends", user_id, range_)

    def subscription_trends(self, user_id: UUID | None, range_: Range) -> Series:
        """Return the subscriptions at the end of each period, and those that `started` and `ended` in it."""
        return self._series("subscription_trends", user_id, range_)

    def agent_trends(self, user_id: UUID | None, range_: Range, agent_type: str | None) -> Series:
        """Return the executions of one agent, or of all, by outcome."""
        return self._series("agent_trends", user_id, range_, p_agent_type=agent_type)

    def lead_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return figures of leads by status and source."""
        return self._figures("lead_summary", user_id, range_)

    def conversation_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return figures of conversations and their messages."""
        return self._figures("conversation_summary", user_id, range_)

    def recommendation_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return the number of recommendations by service."""
        return self._figures("recommendation_summary", user_id, range_)

    def revenue_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return revenue, recurring revenue and churn."""
        return self._figures("revenue_summary", user_id, range_)

    def revenue_by_package(self, user_id: UUID | None, range_: Range) -> Series:
        """Return revenue and subscriptions by package and currency."""
        found: Series = self._ask("revenue_by_package", user_id, range_)
        return found

    def customer_ltv(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return the totals that customers have paid."""
        return self._figures("customer_ltv", user_id, range_)

    def agent_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return the executions, outcomes and durations of each agent."""
        return self._figures("agent_summary", user_id, range_)

    def model_summary(self, user_id: UUID | None, range_: Range) -> Figures:
        """Return figures of calls to model providers."""
        return self._figures("model_summary", user_id, range_, p_aggregation=range_.aggregation)

    def conversations(
        self, user_id: UUID | None, range_: Range, *, status: str | None, limit: int, before: Before
    ) -> Rows:
        """Return a page of conversations that began in the range."""
        return Rows.cut(self._list("conversation_list", user_id, range_, limit + 1, before, p_status=status), limit)

    def subscriptions(
        self, user_id: UUID | None, range_: Range, *, status: str | None, limit: int, before: Before
    ) -> Rows:
        """Return a page of subscriptions that began in the range; cursors use the start time."""
        return Rows.cut(self._list("subscription_list", user_id, range_, limit + 1, before, p_status=status), limit)

    def agent_logs(
        self,
        user_id: UUID | None,
        range_: Range,
        *,
        agent_type: str | None,
        level: str | None,
        limit: int,
        before: Before,
    ) -> Rows:
        """Return the log entries of agents in the range."""

        def read(count: int, last: Before) -> Series:
            return self._list("agent_log_list", user_id, range_, count, last, p_agent_type=agent_type, p_level=level)

        return Slices(read, position).page(limit, before)

    def _figures(self, function: str, user_id: UUID | None, range_: Range, **more: Any) -> Figures:
        found: Figures = self._ask(function, user_id, range_, **more)
        return found

    def _series(self, function: str, user_id: UUID | None, range_: Range, **more: Any) -> Series:
        found: Series = self._ask(function, user_id, range_, p_aggregation=range_.aggregation, **more)
        return found

    def _list(
        self, function: str, user_id: UUID | None, range_: Range, limit: int, before: Before, **filters: Any
    ) -> Series:
        at, row_id = before or (None, None)
        found: Series = self._ask(function, user_id, range_, p_limit=limit, p_before=at, p_before_id=row_id, **filters)
        return found

    def _ask(self, function: str, user_id: UUID | None, range_: Range, **more: Any) -> Any:
        start, end = range_.resolve().days
        return self._gateway.rpc(
            function,
            {
                "p_user_id": str(user_id) if user_id else None,
                "p_start": start.isoformat(),
                "p_end": end.isoformat(),
                "p_zone": range_.time_zone,
                **more,
            },
        )
